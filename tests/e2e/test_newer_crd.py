"""A CRD that is newer than the operator lets a value in that the operator does not know."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from support.stack import ROOT, Stack, until

CRD = (ROOT / "crds/scimtoken.yaml").read_text(encoding="utf-8")


def install(stack: Stack, crd: str) -> None:
    stack.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=crd)


@pytest.fixture
def newer(stack: Stack) -> Iterator[Stack]:
    """The CRD takes ``groups: ReadOnly``, which no operator of this version knows; rolled back afterwards."""
    crd: Any = yaml.safe_load(CRD)
    for version in crd["spec"]["versions"]:
        spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        spec["properties"]["groups"]["enum"].append("ReadOnly")
    install(stack, json.dumps(crd))
    yield stack
    install(stack, CRD)


def not_understood(stack: Stack, namespace: str, name: str) -> dict[str, Any]:
    """Apply the new value, and wait for what the operator says of it."""

    def taken() -> bool:
        patch = '{"spec":{"groups":"ReadOnly"}}'
        done = stack.control_plane.kubectl(
            "patch", "sct", name, "-n", namespace, "--type=merge", "-p", patch, check=False
        )
        return done.returncode == 0

    until("the API server has the newer CRD", taken)
    ready: dict[str, Any] = until(
        "the condition says NotUnderstood",
        lambda: (found := stack.condition(namespace, name)).get("reason") == "NotUnderstood" and found,
        10,
        lambda: stack.story(namespace, name),
    )
    return ready


def gone(stack: Stack, namespace: str, name: str) -> bool:
    return not stack.kubectl("get", "sct", name, "-n", namespace, "--ignore-not-found", "-o", "name").strip()


def test_it_is_reported_revocation_works_and_after_a_rollback_the_rotation_is_done(
    newer: Stack, namespace: str
) -> None:
    newer.apply(namespace, "entra")
    first = newer.wait_ready(namespace, "entra")["token"]
    newer.kubectl("annotate", "sct", "entra", "-n", namespace, "scim-operator.io/rotate=one")
    second = until(
        "it is rotated",
        lambda: (now := newer.secret(namespace, "entra-scim-token")["token"]) != first and now,
    )
    newer.wait_ready(namespace, "entra")
    before = newer.object(namespace, "entra")["status"]
    ready = not_understood(newer, namespace, "entra")
    assert "spec.groups" in ready["message"]
    assert f"valid until {before['expiresAt']}" in ready["message"]
    after = newer.object(namespace, "entra")["status"]
    for kept in ("tokens", "nextRotation", "expiresAt", "tenant", "secretName"):
        assert after[kept] == before[kept], kept
    metrics = httpx.get(newer.operators[-1].ready_url.replace("/readyz", "/metrics"), trust_env=False).text
    assert 'scim_operator_scimtokens{state="not_ready"} 0.0' not in metrics

    newer.kubectl("annotate", "sct", "entra", "-n", namespace, "scim-operator.io/rotate=two", "--overwrite")
    newer.kubectl("annotate", "sct", "entra", "-n", namespace, "scim-operator.io/revoke=all-superseded")
    until("the superseded token is refused", lambda: newer.ask(first) == 401, 15)
    assert newer.ask(second) == 200
    assert newer.secret(namespace, "entra-scim-token")["token"] == second
    events = json.loads(newer.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    told = [item for item in events if item["reason"] == "NotUnderstood"]
    assert [item["count"] for item in told] == [1]

    newer.kubectl("annotate", "sct", "entra", "-n", namespace, "scim-operator.io/revoke-")
    install(newer, CRD)
    newer.kubectl(
        "patch", "sct", "entra", "-n", namespace, "--type=merge", "-p", '{"spec":{"groups":"Enabled"}}'
    )
    third = newer.wait_ready(namespace, "entra")["token"]
    assert third != second
    assert (newer.ask(third), newer.ask(second)) == (200, 200)


@pytest.mark.parametrize("rolled_back", [False, True], ids=["newer CRD", "CRD rolled back"])
def test_it_can_be_deleted_and_its_token_ends(newer: Stack, namespace: str, rolled_back: bool) -> None:
    newer.apply(namespace, "erased", deletionPolicy="Delete")
    token = newer.wait_ready(namespace, "erased")["token"]
    not_understood(newer, namespace, "erased")
    if rolled_back:
        install(newer, CRD)
    newer.kubectl("delete", "sct", "erased", "-n", namespace, "--timeout=30s")
    until("its token is refused", lambda: newer.ask(token) == 401, 10)


def test_its_deletion_can_be_forced_while_the_api_is_away(newer: Stack, namespace: str) -> None:
    newer.apply(namespace, "forced", deletionPolicy="Delete")
    newer.wait_ready(namespace, "forced")
    not_understood(newer, namespace, "forced")
    assert newer.api is not None
    newer.api.kill()
    newer.kubectl("delete", "sct", "forced", "-n", namespace, "--wait=false")
    newer.kubectl("annotate", "sct", "forced", "-n", namespace, "scim-operator.io/force-delete=true")
    until("it is let go", lambda: gone(newer, namespace, "forced"), 30)
    newer.start_api()
