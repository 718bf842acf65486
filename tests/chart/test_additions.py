"""What a person adds to the chart's own lists and maps replaces what has the same key: a key twice is refused."""

import json
from typing import Any

import pytest

from localcluster import ControlPlane
from scim_operator.settings import MIRRORING_TOOLS
from support.chart import EVERYTHING, HOST, Helm, Object, Values, accepted_by_the_api_server

POSTGRESQL = {"database": {"type": "postgresql", "existingSecret": {"name": "scim-database"}}}
OTHER_TMP = {
    "extraVolumes": [{"name": "tmp", "emptyDir": {"medium": "Memory"}}, {"name": "mine", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "mine", "mountPath": "/tmp/"}],
}
LABELS = {"app.kubernetes.io/part-of": "identity", "team": "common"}
ADDED: Values = {
    **HOST,
    "commonLabels": LABELS,
    "operator": {
        **OTHER_TMP,
        "extraEnv": [
            {"name": "SCIM_OPERATOR_WORKERS", "value": "1"},
            {"name": "SCIM_OPERATOR_LOG_LEVEL", "value": "debug"},
            {"name": "SCIM_OPERATOR_LEASE_NAME", "value": "other"},
            {"name": "SCIM_OPERATOR_NAMESPACE", "value": "written"},
            {"name": "MINE", "value": "first"},
            {"name": "MINE", "value": "last"},
        ],
        "podLabels": {"team": "operator"},
        "podAnnotations": {"kubectl.kubernetes.io/default-container": "mine"},
    },
    "api": {
        **POSTGRESQL,
        **OTHER_TMP,
        "extraEnv": [
            {
                "name": "SCIM_API_DATABASE_URL",
                "valueFrom": {"secretKeyRef": {"name": "mine", "key": "uri"}},
            },
            {"name": "SCIM_API_LOG_LEVEL", "value": "debug"},
        ],
        "podLabels": {"team": "api"},
        "podAnnotations": {"kubectl.kubernetes.io/default-container": "mine"},
    },
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": LABELS},
        "prometheusRule": {"enabled": True, "labels": LABELS},
        "dashboard": {"enabled": True, "labels": LABELS},
    },
}
SQLITE: Values = {
    **HOST,
    "api": {
        "extraVolumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "mine"}}],
        "extraVolumeMounts": [{"name": "data", "mountPath": "/var/lib/scim-api", "subPath": "scim"}],
        "database": {"persistence": {"annotations": {"helm.sh/resource-policy": "delete"}}},
    },
}


def environment(container: Object) -> dict[str, Any]:
    names = [item["name"] for item in container["env"]]
    assert len(names) == len(set(names)), names
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


@pytest.mark.parametrize("values", [ADDED, SQLITE], ids=["PostgreSQL", "SQLite"])
def test_nothing_is_there_twice_whatever_is_added(helm: Helm, plane: ControlPlane, values: Values) -> None:
    """Server-side apply refuses a list's key twice, and strict validation a map's."""
    accepted_by_the_api_server(plane, helm.text(values))


def test_a_variable_of_the_charts_name_replaces_it(helm: Helm) -> None:
    containers = dict(helm.render(ADDED).containers())
    operator = environment(containers["Deployment/scim-operator/operator"])
    assert operator["SCIM_OPERATOR_WORKERS"] == "1"
    assert operator["SCIM_OPERATOR_LOG_LEVEL"] == "debug"
    assert operator["SCIM_OPERATOR_NAMESPACE"] == "written"
    assert operator["SCIM_OPERATOR_RESYNC_SECONDS"] == "600"
    assert operator["MINE"] == "last"
    for name in ("migrate", "api"):
        env = environment(containers[f"Deployment/scim-operator-api/{name}"])
        assert env["SCIM_API_DATABASE_URL"] == {"secretKeyRef": {"name": "mine", "key": "uri"}}
    assert environment(containers["Deployment/scim-operator-api/api"])["SCIM_API_LOG_LEVEL"] == "debug"


def test_what_no_secret_gets_is_a_list_that_may_be_empty(helm: Helm) -> None:
    for values, written in (
        (HOST, ",".join(MIRRORING_TOOLS)),
        ({**HOST, "operator": {"deniedSecretMetadata": []}}, ""),
        ({**HOST, "operator": {"deniedSecretMetadata": ["a.example", "b"]}}, "a.example,b"),
    ):
        env = environment(dict(helm.render(values).containers())["Deployment/scim-operator/operator"])
        assert env["SCIM_OPERATOR_DENIED_SECRET_METADATA"] == written


def test_the_job_before_an_uninstallation_has_the_operators_settings(helm: Helm) -> None:
    """It holds the operator's Lease, whatever that is called."""
    container = dict(helm.render(ADDED).containers())["Job/scim-operator-release/release"]
    assert environment(container)["SCIM_OPERATOR_LEASE_NAME"] == "other"


def test_helm_test_goes_by_the_operators_proxy_and_takes_nothing_else_of_it(helm: Helm) -> None:
    proxies = [
        {"name": "HTTPS_PROXY", "value": "http://proxy:3128"},
        {"name": "no_proxy", "value": "10.0.0.0/8"},
    ]
    extra = [*proxies, {"name": "SCIM_OPERATOR_WORKERS", "value": "1"}]
    containers = dict(helm.render({**HOST, "operator": {"extraEnv": extra}}).containers())
    assert containers["Job/scim-operator-self-test/self-test"]["env"] == proxies
    assert "env" not in dict(helm.render(HOST).containers())["Job/scim-operator-self-test/self-test"]


def test_volumes_and_mounts_are_replaced_by_name_and_path(helm: Helm) -> None:
    for name in ("scim-operator", "scim-operator-api"):
        pod = helm.render(ADDED).one("Deployment", name)["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert len(volumes) == len(pod["volumes"])
        assert volumes["tmp"]["emptyDir"] == {"medium": "Memory"}
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            mounts = [mount for mount in container["volumeMounts"] if mount["mountPath"].startswith("/tmp")]
            assert mounts == [{"name": "mine", "mountPath": "/tmp/"}]
    pod = helm.render(SQLITE).one("Deployment", "scim-operator-api")["spec"]["template"]["spec"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in pod["volumes"]
    assert SQLITE["api"]["extraVolumeMounts"][0] in pod["containers"][0]["volumeMounts"]


def test_labels_and_annotations_are_replaced_by_the_nearest(helm: Helm) -> None:
    rendered = helm.render(ADDED)
    for name, team in (("scim-operator", "operator"), ("scim-operator-api", "api")):
        deployment = rendered.one("Deployment", name)
        assert deployment["metadata"]["labels"]["team"] == "common"
        metadata = deployment["spec"]["template"]["metadata"]
        assert metadata["labels"]["team"] == team
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "identity"
        assert metadata["annotations"] == {"kubectl.kubernetes.io/default-container": "mine"}
    claim = helm.render(SQLITE).one("PersistentVolumeClaim", "scim-operator-data")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "delete"}


def test_without_additions_the_charts_own_stay_in_their_order(helm: Helm) -> None:
    names = [
        item["name"]
        for item in dict(helm.render(HOST).containers())["Deployment/scim-operator-api/api"]["env"]
    ]
    assert names[0] == "SCIM_API_DATABASE_URL"
    assert json.dumps(names).count("SCIM_API_") == len(names)
    everything = dict(helm.render(EVERYTHING).containers())["Deployment/scim-operator-api/api"]["env"]
    assert everything[-1] == {"name": "PGSSLROOTCERT", "value": "/etc/postgresql-ca/ca.crt"}
