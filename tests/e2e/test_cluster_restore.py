"""What docs/backup.md says of restores, done as object operations on a real kube-apiserver.

Velero's restore makes objects anew: with another uid, without status, ownerReferences and managedFields. An etcd
snapshot brings back older content under the old uid. GitOps tools make the ScimToken from its manifest.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.stack import Stack, until

NAME = "entra"
SECRET = f"{NAME}-scim-token"
KEPT = ("name", "namespace", "labels", "annotations")
"""What Velero keeps of an object's metadata."""


def read(stack: Stack, namespace: str, kind: str, name: str) -> dict[str, Any]:
    """An object as it is; empty when there is none."""
    done = stack.control_plane.kubectl("get", kind, name, "-n", namespace, "-o", "json", check=False)
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def restorable(body: dict[str, Any]) -> dict[str, Any]:
    """An object as Velero restores it."""
    metadata = {part: value for part, value in body["metadata"].items() if part in KEPT}
    return {part: value for part, value in body.items() if part != "status"} | {"metadata": metadata}


def rotate(stack: Stack, namespace: str) -> str:
    """Rotate by annotation; the new token."""
    before = stack.secret(namespace, SECRET)["token"]
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=before", "--overwrite")
    until("there is a new token", lambda: stack.secret(namespace, SECRET)["token"] != before)
    return stack.wait_ready(namespace, NAME)["token"]


class Backup:
    """A ScimToken with a superseded and an active token, and both objects as they were."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack, self.namespace = stack, namespace
        stack.apply(namespace, NAME, secret={"labels": {"team": "hr"}, "annotations": {"mirror": "yes"}})
        self.superseded = stack.wait_ready(namespace, NAME)["token"]
        self.token = rotate(stack, namespace)
        self.objects = {
            kind: restorable(read(stack, namespace, kind, name))
            for kind, name in (("secret", SECRET), ("sct", NAME))
        }

    def lose_objects(self) -> None:
        """The cluster is lost; its API's database is not."""
        self.stack.kubectl("delete", "sct", NAME, "-n", self.namespace)
        until("the Secret is collected", lambda: not read(self.stack, self.namespace, "secret", SECRET), 60)

    def restore(self, *kinds: str) -> None:
        """Make the objects anew, in this order."""
        for kind in kinds:
            self.stack.kubectl("create", "-f", "-", input=json.dumps(self.objects[kind]))

    def until_all_is_as_before(self) -> None:
        """Ready, the same token in the Secret, both tokens accepted, the Secret owned."""
        secret = self.stack.wait_ready(self.namespace, NAME)
        assert secret["token"] == self.token
        until(
            "both tokens are accepted",
            lambda: [self.stack.ask(token) for token in (self.token, self.superseded)] == [200, 200],
            shown=lambda: self.stack.story(self.namespace, NAME),
        )
        metadata = read(self.stack, self.namespace, "secret", SECRET)["metadata"]
        [owner] = metadata["ownerReferences"]
        assert owner["uid"] == self.stack.object(self.namespace, NAME)["metadata"]["uid"]


@pytest.fixture
def backup(stack: Stack, namespace: str) -> Iterator[Backup]:
    yield Backup(stack, namespace)
    stack.kubectl("delete", "sct", "--all", "-n", namespace, "--wait=false")


@pytest.mark.parametrize(
    "order", [("secret", "sct"), ("sct", "secret")], ids=["Secret first", "ScimToken first"]
)
@pytest.mark.parametrize("database_lost", [False, True], ids=["database kept", "database lost"])
def test_velero_in_either_order_keeps_all_tokens_while_the_operator_is_stopped(
    backup: Backup, alone: Stack, order: tuple[str, str], database_lost: bool
) -> None:
    backup.lose_objects()
    backup.restore(*order)
    if database_lost:
        lose_database(alone)
    alone.start_operator()
    backup.until_all_is_as_before()


def test_a_secret_restored_while_the_operator_runs_is_adopted_when_its_scimtoken_comes(
    backup: Backup, alone: Stack
) -> None:
    """The Secret alone ends nothing: the one connection that lost its ScimToken is more than may go at once."""
    backup.lose_objects()
    none = {"SCIM_OPERATOR_DELETION_LIMIT_COUNT": "0", "SCIM_OPERATOR_DELETION_LIMIT_PERCENT": "0"}
    alone.start_operator(environment={"SCIM_OPERATOR_RESYNC_SECONDS": "600", **none})
    backup.restore("secret", "sct")
    backup.until_all_is_as_before()


def lose_database(stack: Stack) -> None:
    """The SCIM API starts on an empty database."""
    assert stack.api is not None
    stack.api.stop()
    for path in stack.directory.glob("scim.db*"):
        path.unlink()
    stack.start_api()


def test_a_secret_that_names_the_uid_of_the_lost_scimtoken_is_collected_and_a_token_issued(
    backup: Backup, alone: Stack
) -> None:
    stale = read(alone, backup.namespace, "secret", SECRET)["metadata"]["ownerReferences"]
    backup.lose_objects()
    backup.objects["secret"]["metadata"]["ownerReferences"] = stale
    backup.restore("sct", "secret")
    alone.start_operator()

    def fresh() -> str:
        held = alone.secret(backup.namespace, SECRET).get("token", "")
        return "" if held == backup.token else held

    until("there is another token", fresh, 60, lambda: alone.story(backup.namespace, NAME))
    assert alone.ask(alone.wait_ready(backup.namespace, NAME)["token"]) == 200


def test_an_etcd_snapshot_older_than_the_database_shows_the_older_token_and_ends_none(
    stack: Stack, namespace: str, alone: Stack
) -> None:
    stack.start_operator()
    stack.apply(namespace, NAME)
    older = stack.wait_ready(namespace, NAME)["token"]
    snapshot = read(stack, namespace, "secret", SECRET)
    newer = rotate(stack, namespace)
    stack.stop_operators()
    del snapshot["metadata"]["resourceVersion"]  # the uid, the owner and the content are as they were
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate-")
    stack.kubectl("replace", "-f", "-", input=json.dumps(snapshot))
    stack.start_operator()
    until(
        "the older token is the active one",
        lambda: [
            item["id"] for item in stack.object(namespace, NAME)["status"]["tokens"] if item["state"] == "Active"
        ] == [stack.secret(namespace, SECRET)["token-id"]],
        shown=lambda: stack.story(namespace, NAME),
    )  # fmt: skip
    assert stack.wait_ready(namespace, NAME)["token"] == older
    assert [stack.ask(token) for token in (older, newer)] == [200, 200]


def test_a_scimtoken_made_anew_by_a_gitops_tool_keeps_the_tokens_when_its_secret_was_let_go_first(
    backup: Backup, alone: Stack
) -> None:
    where = ("-n", backup.namespace)
    patch = '{"metadata":{"ownerReferences":null}}'
    alone.kubectl("patch", "secret", SECRET, *where, "--type=merge", "-p", patch)
    alone.kubectl("delete", "sct", NAME, *where)
    backup.restore("sct")
    alone.start_operator()
    backup.until_all_is_as_before()


def test_a_scimtoken_made_anew_while_the_operator_runs_gets_another_token(
    backup: Backup, stack: Stack
) -> None:
    stack.kubectl("delete", "sct", NAME, "-n", backup.namespace)
    until("the tokens are refused", lambda: stack.ask(backup.token) == 401)
    backup.restore("sct")
    assert stack.wait_ready(backup.namespace, NAME, 60)["token"] != backup.token
    assert stack.ask(backup.token) == 401
