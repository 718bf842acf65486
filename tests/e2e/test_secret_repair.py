"""Whatever is taken from a live Secret is back within seconds, and the token stays where it can."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from scim_operator.api.custom_object import MANAGED_BY_LABEL
from scim_operator.api.scimtoken import TOKEN_LABEL, TOKENS_ANNOTATION
from support.stack import Stack, until

NAME = "entra"
SECRET = f"{NAME}-scim-token"
SECONDS = 10.0
GARBAGE = base64.b64encode(b"garbage").decode()


class Live:
    """A ScimToken that is Ready, and its Secret."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack, self.namespace = stack, namespace
        stack.apply(namespace, NAME, secret={"labels": {"team": "hr"}, "annotations": {"mirror": "yes"}})
        self.token = stack.wait_ready(namespace, NAME)["token"]
        self.before = self.secret()

    def secret(self) -> dict[str, Any]:
        """The Secret as it is; empty when it is gone."""
        done = self.stack.control_plane.kubectl(
            "get", "secret", SECRET, "-n", self.namespace, "-o", "json", check=False
        )
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def patch(self, **patch: Any) -> None:
        """A merge patch of the Secret."""
        self.stack.kubectl(
            "patch", "secret", SECRET, "-n", self.namespace, "--type=merge", "-p", json.dumps(patch)
        )

    def replace(self, **metadata: Any) -> None:
        """``kubectl replace`` with nothing but the data and this metadata."""
        body = {
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": self.before["data"],
            "metadata": {"name": SECRET, "namespace": self.namespace, **metadata},
        }  # fmt: skip
        self.stack.kubectl("replace", "-f", "-", input=json.dumps(body))

    def looks_as_before(self) -> bool:
        """Whether owner, labels, annotations and data are what they were."""
        now = self.secret()
        parts = ("ownerReferences", "labels", "annotations")
        return bool(now) and now["data"] == self.before["data"] and all(
            now["metadata"].get(part) == self.before["metadata"][part] for part in parts
        )  # fmt: skip

    def until_as_before(self) -> None:
        """Wait for that; then the token is still accepted."""
        until("the Secret is as it was", self.looks_as_before, SECONDS, self.story)
        assert self.stack.ask(self.token) == 200

    def until_another_token(self) -> None:
        """Wait for a token that works in the place of the one that was lost; the old one works too."""

        def token() -> str:
            held = self.stack.secret(self.namespace, SECRET).get("token", "")
            return held if held not in ("", "garbage", self.token) else ""

        fresh = until("there is another token", token, SECONDS, self.story)
        assert (self.stack.ask(fresh), self.stack.ask(self.token)) == (200, 200)

    def story(self) -> str:
        """What a person would look at."""
        return self.stack.story(self.namespace, NAME)


@pytest.fixture
def live(stack: Stack, namespace: str) -> Iterator[Live]:
    yield Live(stack, namespace)
    stack.kubectl("delete", "sct", "--all", "-n", namespace, "--wait=false")


@pytest.mark.parametrize(
    "taken",
    [
        {"metadata": {"labels": {MANAGED_BY_LABEL: None}}},
        {"metadata": {"labels": {TOKEN_LABEL: None}}},
        {"metadata": {"labels": {TOKEN_LABEL: "another"}}},
        {"metadata": {"labels": {"team": None}}},
        {"metadata": {"labels": None}},
        {"metadata": {"annotations": {TOKENS_ANNOTATION: None}}},
        {"metadata": {"annotations": {TOKENS_ANNOTATION: "garbage"}}},
        {"metadata": {"annotations": None}},
        {"metadata": {"labels": None, "annotations": None}},
        {"data": {"endpoint": None}},
        {"data": {"token-id": GARBAGE}},
        {"data": {"expires-at": None}},
        {"data": {"next-token": GARBAGE}},
    ],
    ids=[
        "managed-by", "token label", "token label of another", "the user's label", "all labels", "ledger",
        "damaged ledger", "all annotations", "all labels and annotations", "endpoint", "token-id", "expires-at",
        "a next-token",
    ],
)  # fmt: skip
def test_what_is_taken_from_a_live_secret_is_back_within_seconds(live: Live, taken: dict[str, Any]) -> None:
    live.patch(**taken)
    live.until_as_before()


@pytest.mark.parametrize("taken", [{"token": None}, {"token": GARBAGE}], ids=["taken", "damaged"])
def test_a_token_that_is_taken_from_a_live_secret_is_replaced_within_seconds(
    live: Live, taken: dict[str, Any]
) -> None:
    live.patch(data=taken)
    live.until_another_token()


def test_a_live_secret_that_loses_its_owner_reference_has_it_back_within_seconds(live: Live) -> None:
    live.patch(metadata={"ownerReferences": None})
    live.until_as_before()
    events = live.stack.kubectl("get", "events", "-n", live.namespace, "-o", "jsonpath={.items[*].reason}")
    assert "SecretAdopted" in events


def test_a_secret_replaced_without_owner_reference_and_then_edited_is_repaired(live: Live) -> None:
    kept = {part: live.before["metadata"][part] for part in ("labels", "annotations")}
    live.replace(**kept)
    live.patch(data={"token": GARBAGE})
    until(
        "Ready is not True with garbage in the Secret",
        lambda: (
            live.stack.secret(live.namespace, SECRET).get("token") != "garbage"
            or live.stack.condition(live.namespace, NAME)["status"] == "False"
        ),
        SECONDS,
        live.story,
    )
    live.patch(data={"token": live.before["data"]["token"]})
    until("it is Ready", lambda: live.stack.condition(live.namespace, NAME)["status"] == "True", SECONDS)
    assert live.secret()["metadata"]["ownerReferences"] == live.before["metadata"]["ownerReferences"]


def test_a_secret_that_lost_its_owner_reference_and_is_deleted_is_made_anew(live: Live) -> None:
    live.patch(metadata={"ownerReferences": None})
    live.stack.kubectl("delete", "secret", SECRET, "-n", live.namespace)
    live.until_another_token()
    assert live.secret()["metadata"]["ownerReferences"] == live.before["metadata"]["ownerReferences"]


def test_a_secret_replaced_by_its_bare_data_says_how_to_keep_the_token_and_that_works(live: Live) -> None:
    live.replace(annotations=live.before["metadata"]["annotations"])
    ready = until(
        "the condition says SecretNotOwned",
        lambda: (
            (found := live.stack.condition(live.namespace, NAME)).get("reason") == "SecretNotOwned" and found
        ),
        SECONDS,
        live.story,
    )
    command = ready["message"].partition("kubectl ")[2].partition(". The token")[0]
    live.stack.kubectl(*command.split())
    live.until_as_before()


@pytest.mark.parametrize("restored", [False, True], ids=["written by the operator", "restored and adopted"])
def test_what_is_taken_out_of_the_spec_leaves_the_secret_within_seconds_and_what_others_put_there_stays(
    live: Live, alone: Stack, restored: bool
) -> None:
    where = ("secret", SECRET, "-n", live.namespace)
    if restored:
        kept = {part: live.before["metadata"][part] for part in ("labels", "annotations")}
        alone.kubectl("delete", *where)
        body = live.before | {"metadata": {"name": SECRET, "namespace": live.namespace, **kept}}
        alone.kubectl("create", "-f", "-", input=json.dumps(body))
    alone.start_operator()
    live.until_as_before()
    live.stack.kubectl("label", *where, "theirs=1")
    live.stack.kubectl("annotate", *where, "theirs=1")
    live.stack.apply(live.namespace, NAME)

    def is_gone() -> bool:
        metadata = live.secret()["metadata"]
        return "team" not in metadata["labels"] and "mirror" not in metadata["annotations"]

    until("it is gone", is_gone, SECONDS, live.story)
    metadata = live.secret()["metadata"]
    assert (metadata["labels"]["theirs"], metadata["annotations"]["theirs"]) == ("1", "1")
    assert live.stack.secret(live.namespace, SECRET)["token"] == live.token
