"""What whoever may write a ScimToken cannot do: rotate without end, and have the operator order copies of Secrets."""

import json
import time
from collections.abc import Iterator

import pytest

from support.stack import Stack, until

NAME = "entra"
SECONDS = 6.0


@pytest.fixture(scope="module")
def usual(stack: Stack) -> Iterator[Stack]:
    """With an operator whose settings are those of an installation, but for a shorter minute."""
    stop_all(stack)
    stack.start_operator(environment={"SCIM_OPERATOR_REQUESTED_ROTATION_SECONDS": f"{SECONDS:g}"})
    yield stack
    stop_all(stack)
    stack.start_operator()


def stop_all(stack: Stack) -> None:
    for operator in stack.operators:
        if operator.running:
            operator.stop()


def test_an_annotation_that_flaps_rotates_at_a_bounded_rate_and_people_are_told(
    usual: Stack, namespace: str
) -> None:
    usual.apply(namespace, NAME, lifetime="3650d", overlap="0s")
    token = usual.wait_ready(namespace, NAME)["token"]
    seen, began, number = {token}, time.monotonic(), 0
    while time.monotonic() - began < 2.5 * SECONDS:
        number += 1
        usual.kubectl(
            "annotate", "--overwrite", "sct", NAME, "-n", namespace, f"scim-operator.io/rotate={number}"
        )
        seen.add(usual.secret(namespace, f"{NAME}-scim-token")["token"])
    assert number > 10
    assert 2 <= len(seen) <= 4, "the first one at once, the others when the time is over"

    until("the last request is carried out", lambda: delayed(usual, namespace) is None, 3 * SECONDS)
    last = usual.secret(namespace, f"{NAME}-scim-token")["token"]
    assert usual.ask(last) == 200
    events = json.loads(usual.kubectl("get", "events", "-n", namespace, "-o", "json"))["items"]
    assert "RotationDelayed" in {item["reason"] for item in events}


def delayed(stack: Stack, namespace: str) -> str | None:
    message: str = stack.condition(namespace, NAME)["message"]
    return message if "scim-operator.io/rotate asks for is done at" in message else None


def test_orders_to_tools_that_copy_secrets_are_left_out_and_told_while_the_token_rotates(
    usual: Stack, namespace: str
) -> None:
    denied = "reflector.v1.k8s.emberstack.com/reflection-allowed"
    secret = {
        "labels": {"team": "identity"},
        "annotations": {denied: "true", "example.com/note": "any thing"},
    }
    usual.apply(namespace, NAME, secret=secret)
    first = usual.wait_ready(namespace, NAME)["token"]

    def metadata() -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads(
            usual.kubectl("get", "secret", f"{NAME}-scim-token", "-n", namespace, "-o", "json")
        )["metadata"]
        return found

    assert denied not in metadata()["annotations"]
    assert metadata()["annotations"]["example.com/note"] == "any thing"
    assert metadata()["labels"]["team"] == "identity"
    told = usual.condition(namespace, NAME, "SecretMetadataDenied")
    assert (told["status"], told["reason"]) == ("True", "Denied")
    assert denied in told["message"]

    usual.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=once")
    until(
        "it rotates all the same",
        lambda: usual.secret(namespace, f"{NAME}-scim-token")["token"] != first,
        shown=lambda: usual.story(namespace, NAME),
    )
    usual.apply(namespace, NAME, secret={"labels": {"team": "identity"}})
    until("nothing is denied any more", lambda: not usual.condition(namespace, NAME, "SecretMetadataDenied"))
