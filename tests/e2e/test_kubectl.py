"""The operator beside people and GitOps tools that use the same objects: no fights, no noise."""

import json
from typing import Any

from support.kstatus import kstatus
from support.stack import Stack, until

NAME = "entra"


def manifest(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimToken",
        "metadata": {"name": NAME, "namespace": namespace, "labels": {"team": "identity"}},
        "spec": spec,
    }


def server_side(stack: Stack, body: dict[str, Any], manager: str = "gitops") -> None:
    """Apply as Flux and Argo CD do; fails on a conflict over a field."""
    stack.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", input=json.dumps(body))


def difference(stack: Stack, body: dict[str, Any], *how: str) -> str:
    """What ``kubectl diff`` prints; nothing when nothing differs."""
    done = stack.control_plane.kubectl("diff", *how, "-f", "-", input=json.dumps(body), check=False)
    assert done.returncode in (0, 1), done.stderr
    return str(done.stdout)


def events(stack: Stack, namespace: str) -> dict[tuple[str, str], int]:
    """Count by reason and message."""
    found = json.loads(stack.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    return {(item["reason"], item["message"]): item.get("count", 1) for item in found}


def managers(item: dict[str, Any]) -> dict[str, set[str]]:
    """Which parts each field manager has."""
    owned: dict[str, set[str]] = {}
    for entry in item["metadata"]["managedFields"]:
        parts = owned.setdefault(entry["manager"], set())
        for part, below in entry["fieldsV1"].items():
            parts |= {f"{part}.{name}" for name in below} if part == "f:metadata" else {part}
    return owned


def raw(stack: Stack, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        stack.kubectl("get", "sct", NAME, "-n", namespace, "-o", "json", "--show-managed-fields")
    )
    return found


def test_gitops_and_operator_write_the_same_object_and_nobody_takes_a_field_from_the_other(
    stack: Stack, namespace: str
) -> None:
    body = manifest(namespace, lifetime="1h", deletionPolicy="Delete")
    server_side(stack, body)
    stack.wait_ready(namespace, NAME)
    server_side(stack, body)
    stack.wait_ready(namespace, NAME)
    before = raw(stack, namespace)
    assert before["metadata"]["finalizers"] == ["scim-operator.io/delete-users"]
    owned = managers(before)
    assert owned["scim-operator"] == {"f:metadata.f:finalizers", "f:status"}
    assert "f:status" not in owned["gitops"]
    server_side(stack, body)
    assert raw(stack, namespace)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    server_side(stack, manifest(namespace, lifetime="2h", deletionPolicy="Delete"))
    stack.wait_ready(namespace, NAME)
    assert raw(stack, namespace)["spec"]["lifetime"] == "2h"
    stack.kubectl("delete", "sct", NAME, "-n", namespace, "--timeout=60s")


def test_kubectl_diff_is_clean_right_after_apply_and_after_the_operator_has_worked(
    stack: Stack, namespace: str
) -> None:
    body = manifest(namespace, lifetime="1h", customFields=[{"name": "badge"}])
    stack.kubectl("apply", "-f", "-", input=json.dumps(body))
    assert difference(stack, body) == ""
    stack.wait_ready(namespace, NAME)
    assert difference(stack, body) == ""
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=by-hand")
    until("rotated", lambda: len(stack.object(namespace, NAME)["status"]["tokens"]) == 2)
    assert difference(stack, body) == ""
    assert "+  lifetime: 2h" in difference(stack, manifest(namespace, lifetime="2h"))


def test_tools_that_wait_see_it_in_progress_then_current_then_failed(stack: Stack, namespace: str) -> None:
    created = json.loads(
        stack.kubectl("apply", "-f", "-", "-o", "json", input=json.dumps(manifest(namespace)))
    )
    assert created["status"] == {"observedGeneration": -1}
    assert kstatus(created) == "InProgress"
    stack.kubectl("wait", "--for=condition=Ready", f"sct/{NAME}", "-n", namespace, "--timeout=30s")
    ready = stack.object(namespace, NAME)
    assert kstatus(ready) == "Current"
    assert [one["type"] for one in ready["status"]["conditions"]] == [
        "Ready",
        "Registered",
        "Published",
        "SupersededTokenInUse",
        "EndpointReachable",
    ]
    stack.kubectl("create", "secret", "generic", "theirs", "-n", namespace)
    stack.apply(namespace, NAME, secret={"name": "theirs"})
    until("it has failed", lambda: kstatus(stack.object(namespace, NAME)) == "Failed")
    stack.apply(namespace, NAME)
    stack.wait_ready(namespace, NAME)
    assert kstatus(stack.object(namespace, NAME)) == "Current"


def test_a_replace_without_force_keeps_the_token_and_the_finalizer_comes_back(
    stack: Stack, namespace: str
) -> None:
    body = manifest(namespace, lifetime="1h", deletionPolicy="Delete")
    server_side(stack, body)
    token = stack.wait_ready(namespace, NAME)["token"]
    before = raw(stack, namespace)["metadata"]
    stack.kubectl(
        "replace", "-f", "-", input=json.dumps({**body, "spec": {**body["spec"], "lifetime": "2h"}})
    )
    assert stack.wait_ready(namespace, NAME)["token"] == token
    until(
        "the finalizer is back",
        lambda: raw(stack, namespace)["metadata"].get("finalizers") == before["finalizers"],
    )
    assert raw(stack, namespace)["metadata"]["uid"] == before["uid"]
    assert stack.ask(token) == 200


def test_events_tell_the_story_once_and_looking_again_adds_none(stack: Stack, namespace: str) -> None:
    stack.apply(namespace, NAME)
    stack.wait_ready(namespace, NAME)
    until(
        "the story is told",
        lambda: {"Issued"} <= {why for why, _ in events(stack, namespace)},
    )
    until(
        "the endpoint was checked",
        lambda: stack.condition(namespace, NAME, "EndpointReachable")["status"] == "True",
    )
    told, before = events(stack, namespace), stack.object(namespace, NAME)
    assert [(why, count) for (why, _), count in told.items()] == [("Issued", 1)]
    stack.operators[-1].stop()
    fresh = stack.start_operator()
    until(
        "the new leader has reconciled everything, and then compared it twice",
        lambda: fresh.log_text().count("resync done") >= 3,
        shown=lambda: stack.story(namespace, NAME),
    )
    assert events(stack, namespace) == told
    assert (
        stack.object(namespace, NAME)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    )
