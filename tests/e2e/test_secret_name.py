"""``spec.secret.name`` changes on a real API server: the token moves, once, and nothing stays behind."""

from collections.abc import Iterator
from typing import Any

import pytest

from scim_operator.api.scimtoken import TOKEN_LABEL, TOKENS_ANNOTATION
from support.stack import Stack, until

NAME = "entra"
SECRET = f"{NAME}-scim-token"


class Named:
    """A ScimToken whose superseded tokens end at once, and its Secrets."""

    def __init__(self, stack: Stack, namespace: str) -> None:
        self.stack, self.namespace = stack, namespace
        self.apply()
        self.token = stack.wait_ready(namespace, NAME)["token"]

    def apply(self, **secret: Any) -> None:
        """``kubectl apply`` with this ``spec.secret``."""
        self.stack.apply(self.namespace, NAME, overlap="0s", secret=secret)

    def secrets(self) -> dict[str, dict[str, Any]]:
        """The Secrets labelled as this ScimToken's, by name."""
        found = self.stack.read(
            f"/api/v1/namespaces/{self.namespace}/secrets?labelSelector={TOKEN_LABEL}={NAME}"
        )
        assert found is not None
        return {item["metadata"]["name"]: item for item in found["items"]}

    def until_moved_to(self, name: str) -> None:
        """Wait until this Secret alone is there and the ScimToken Ready; the token is the first one."""
        until(f"only {name} is there", lambda: set(self.secrets()) == {name}, shown=self.story)
        self.until_ready(name)
        assert self.stack.secret(self.namespace, name)["token"] == self.token
        assert self.stack.ask(self.token) == 200
        states = [item["state"] for item in self.stack.object(self.namespace, NAME)["status"]["tokens"]]
        assert states[0] == "Active"
        assert "Superseded" not in states

    def until_ready(self, name: str) -> None:
        """Wait until the status names this Secret."""

        def ready() -> bool:
            item = self.stack.object(self.namespace, NAME)
            condition = self.stack.condition(self.namespace, NAME)
            return (condition["status"], condition["observedGeneration"], item["status"].get("secretName")) == (
                "True", item["metadata"]["generation"], name,
            )  # fmt: skip

        until(f"it is Ready with {name}", ready, shown=self.story)

    def story(self) -> str:
        return self.stack.story(self.namespace, NAME)


@pytest.fixture
def named(stack: Stack, namespace: str) -> Iterator[Named]:
    yield Named(stack, namespace)
    stack.kubectl("delete", "sct", "--all", "-n", namespace, "--wait=false")


def test_a_new_secret_name_moves_the_token_and_an_event_says_so(named: Named) -> None:
    before = named.secrets()[SECRET]
    named.apply(name="other")
    named.until_moved_to("other")
    after = named.secrets()["other"]
    assert after["data"] == before["data"]
    for part in ("labels", "ownerReferences"):
        assert after["metadata"][part] == before["metadata"][part]
    assert (
        after["metadata"]["annotations"][TOKENS_ANNOTATION]
        == before["metadata"]["annotations"][TOKENS_ANNOTATION]
    )
    events = named.stack.kubectl(
        "get",
        "events",
        "-n",
        named.namespace,
        "-o",
        "jsonpath={range .items[*]}{.reason}: {.message}{'\\n'}{end}",
    )
    assert f"SecretMoved: the token moved from Secret {SECRET} to Secret other" in events
    assert "SecretRepaired" not in events


def test_a_name_changed_twice_quickly_and_changed_back_keeps_the_token(named: Named) -> None:
    for name in ("second", "third"):
        named.apply(name=name)
    named.until_moved_to("third")
    for secret in ({"name": "fourth"}, {}):
        named.apply(**secret)
    named.until_moved_to(SECRET)


def test_a_name_of_somebody_else_is_refused_and_the_old_secret_goes_on(named: Named) -> None:
    named.stack.kubectl("create", "secret", "generic", "theirs", "-n", named.namespace, "--from-literal=a=b")
    named.apply(name="theirs")
    until(
        "the name is refused",
        lambda: named.stack.condition(named.namespace, NAME).get("reason") == "SecretNotOwned",
        shown=named.story,
    )
    assert named.stack.secret(named.namespace, "theirs") == {"a": "b"}
    named.stack.kubectl("annotate", "sct", NAME, "-n", named.namespace, "scim-operator.io/rotate=now")
    fresh = until(
        "a rotation goes on in the old Secret",
        lambda: (now := named.stack.secret(named.namespace, SECRET)["token"]) != named.token and now,
        shown=named.story,
    )
    assert named.stack.ask(fresh) == 200
    named.token = fresh
    named.stack.kubectl("delete", "secret", "theirs", "-n", named.namespace)
    named.until_moved_to("theirs")


def test_a_change_while_the_operator_is_down_and_the_status_lost_moves_the_token(
    named: Named, alone: Stack
) -> None:
    named.apply(name="other")
    named.stack.kubectl(
        "patch",
        "sct",
        NAME,
        "-n",
        named.namespace,
        "--subresource=status",
        "--type=merge",
        "-p",
        '{"status":null}',
    )
    alone.start_operator()
    named.until_moved_to("other")


@pytest.mark.parametrize("back", [False, True], ids=["new name", "changed back"])
@pytest.mark.parametrize("step", ["move-secret", "delete-orphaned-secret", "apply-status"])
def test_an_operator_killed_while_the_token_moves_is_followed_by_one_that_finishes(
    named: Named, alone: Stack, step: str, back: bool
) -> None:
    crashing = alone.start_operator(crash_at=step, wait=False)
    named.apply(name="other")
    assert crashing.wait_end(60) == -9, crashing.log_text()
    if back:
        named.apply()
    alone.start_operator()
    named.until_moved_to(SECRET if back else "other")
