"""What of an object goes into a support archive."""

from typing import Any

from kubectl_scim.bundle import reduction
from support.installation_objects import deployment, pod
from support.scimtoken_objects import NOW, condition, scimtoken


def test_a_scimtoken_keeps_spec_and_status_without_what_people_wrote_at_will() -> None:
    body = scimtoken(
        condition("Ready"),
        spec={
            "tenant": "entra",
            "secret": {"name": "x", "labels": {"owner": "lovelace"}, "annotations": {"a": "lovelace"}},
        },
        entra={"jobID": "j", "answeredProvisionOnDemand": "id-of-lovelace"},
    )
    body["metadata"] |= {
        "managedFields": [{"manager": "lovelace"}],
        "labels": {"app.kubernetes.io/name": "scim", "owner": "lovelace"},
        "annotations": {
            "scim-operator.io/rotate": "1",
            "scim-operator.io/provision-on-demand": "id-of-lovelace",
            "kubectl.kubernetes.io/last-applied-configuration": "{lovelace}",
        },
    }
    kept = reduction.reduced(body)
    assert "lovelace" not in str(kept)
    assert kept["metadata"]["labels"] == {"app.kubernetes.io/name": "scim", "owner": "[left out]"}
    assert kept["metadata"]["annotations"] == {
        "scim-operator.io/rotate": "1",
        "scim-operator.io/provision-on-demand": "[left out]",
        "kubectl.kubernetes.io/last-applied-configuration": "[left out]",
    }
    assert kept["spec"]["tenant"] == "entra"
    assert kept["status"]["conditions"] == body["status"]["conditions"]
    assert kept["status"]["entra"] == {"jobID": "j"}


def test_a_deployment_keeps_our_settings_and_of_other_variables_the_names() -> None:
    body = deployment("api", SCIM_API_LOG_LEVEL="info", MY_PASSWORD="hunter2")
    toleration = {"key": "dedicated", "operator": "Equal", "value": "scim"}
    body["spec"]["template"]["spec"]["tolerations"] = [toleration]
    body["spec"]["template"]["metadata"] = {
        "annotations": {"checksum/database": "abc"},
        "labels": {"team": "lovelace"},
    }
    template = reduction.reduced(body)["spec"]["template"]
    assert template["spec"]["containers"][0]["env"] == [
        {"name": "SCIM_API_LOG_LEVEL", "value": "info"},
        {"name": "MY_PASSWORD", "value": "[left out]"},
    ]
    assert template["spec"]["tolerations"] == [toleration]
    assert template["metadata"] == {
        "annotations": {"checksum/database": "[left out]"},
        "labels": {"team": "[left out]"},
    }


def test_a_secret_is_name_type_keys_and_age() -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "x", "namespace": "team", "creationTimestamp": "2026-11-27T12:00:00Z"},
        "type": "Opaque",
        "data": {"token": "c2VjcmV0", "endpoint": "eA=="},
    }
    assert reduction.secret(body, NOW) == {
        "namespace": "team",
        "name": "x",
        "type": "Opaque",
        "keys": ["endpoint", "token"],
        "age": "3 d",
    }
    assert reduction.secret({"metadata": {"name": "empty"}}, NOW)["age"] is None


def test_an_event_is_what_happened_to_whom_and_when() -> None:
    body = {
        "metadata": {"creationTimestamp": "2026-11-30T10:00:00Z", "managedFields": []},
        "involvedObject": {"kind": "ScimToken", "namespace": "team", "name": "entra"},
        "lastTimestamp": "2026-11-30T11:00:00Z",
        "type": "Normal",
        "reason": "Rotated",
        "message": "done",
        "count": 2,
    }
    assert reduction.event(body) == {
        "at": "2026-11-30T11:00:00Z",
        "object": "ScimToken team/entra",
        "type": "Normal",
        "reason": "Rotated",
        "message": "done",
        "count": 2,
    }
    assert reduction.event({**body, "lastTimestamp": None})["at"] == "2026-11-30T10:00:00Z"


def test_containers_are_told_with_whether_one_ended_before() -> None:
    assert list(reduction.containers(pod("api", "api-1", restarts=1))) == [("main", True)]
    assert list(reduction.containers({})) == []
