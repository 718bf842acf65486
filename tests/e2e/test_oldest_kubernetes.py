"""A ScimToken's whole life on the oldest Kubernetes that is supported, with the real operator and API."""

import json
from collections.abc import Iterator

import pytest

from localcluster import ControlPlane, Tools
from support.stack import Stack, running, until

NAMESPACE, NAME = "identity", "entra"
SPEC = {
    "lifetime": "1h",
    "deletionPolicy": "Delete",
    "customFields": [{"name": "badge"}],
    "secret": {"labels": {"example.com/team": "identity"}, "annotations": {"example.com/note": "any thing"}},
}


@pytest.fixture(scope="module")
def oldest(oldest_tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation on it, with the operator's own permissions."""
    with ControlPlane.start(oldest_tools) as plane:
        plane.kubectl("create", "namespace", NAMESPACE)
        with running(Stack(plane, tmp_path_factory.mktemp("oldest"))) as stack:
            yield stack


def annotate(stack: Stack, key: str, value: str) -> None:
    stack.kubectl("annotate", "--overwrite", "sct", NAME, "-n", NAMESPACE, f"scim-operator.io/{key}={value}")


def gone(stack: Stack, kind: str, name: str) -> bool:
    done = stack.control_plane.kubectl("get", kind, name, "-n", NAMESPACE, check=False)
    return done.returncode != 0 and "NotFound" in done.stderr


def test_a_token_is_issued_rotated_revoked_and_deleted(oldest: Stack) -> None:
    oldest.apply(NAMESPACE, NAME, **SPEC)
    first = oldest.wait_ready(NAMESPACE, NAME)
    assert oldest.ask(first["token"]) == 200

    annotate(oldest, "rotate", "once")
    secret = f"{NAME}-scim-token"
    second = until(
        "the Secret holds another token",
        lambda: (now := oldest.secret(NAMESPACE, secret))["token-id"] != first["token-id"] and now,
        shown=lambda: oldest.story(NAMESPACE, NAME),
    )
    assert (oldest.ask(first["token"]), oldest.ask(second["token"])) == (200, 200)

    annotate(oldest, "revoke", first["token-id"])
    until("the revoked token is refused", lambda: oldest.ask(first["token"]) == 401)
    assert oldest.ask(second["token"]) == 200
    labels = json.loads(oldest.kubectl("get", "secret", secret, "-n", NAMESPACE, "-o", "json"))["metadata"]
    assert labels["labels"]["example.com/team"] == "identity"

    oldest.kubectl("delete", "sct", NAME, "-n", NAMESPACE, "--timeout=60s")
    assert oldest.ask(second["token"]) == 401
    until("the Secret went with its owner", lambda: gone(oldest, "secret", secret), 90)
