"""ScimWebhooks as their owners have them: operator, API, dispatcher, Kubernetes and a receiver that verifies."""

import base64
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scim_api.contract.signing_secret import secret_id
from scim_operator.adapters.webhook_key import PRIVATE_KEY, SECRET_NAME
from support.receiver import Receiver
from support.stack import OPERATOR_NAMESPACE, Stack, condition_of, until

DISPATCHER = Path(__file__).resolve().parents[1] / "support/dispatcher_process.py"
PATH = "/apis/scim-operator.io/v1alpha1/namespaces/{}/scimwebhooks/{}"
NAME = "app"


@pytest.fixture(scope="module")
def dispatcher(stack: Stack) -> Iterator[None]:
    """A dispatcher with the key that the operator has made, as a pod mounts it."""
    found = until(
        "the operator has made the key",
        lambda: stack.read(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets/{SECRET_NAME}"),
    )
    file = stack.directory / "webhook.key"
    file.touch(0o600)
    file.write_bytes(base64.b64decode(found["data"][PRIVATE_KEY]))
    assert stack.api is not None
    process = subprocess.Popen([sys.executable, str(DISPATCHER), stack.api_database_url, str(file)])
    yield
    process.terminate()
    process.wait(10)


@pytest.fixture
def receiver(dispatcher: None) -> Iterator[Receiver]:
    del dispatcher
    with Receiver().serving() as receiver:
        yield receiver


def apply(stack: Stack, namespace: str, receiver: Receiver, **spec: Any) -> None:
    """``kubectl apply`` of a ScimWebhook."""
    manifest = {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimWebhook",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"tenant": "entra", "url": receiver.url, **spec},
    }
    stack.kubectl("apply", "-f", "-", input=json.dumps(manifest))


def webhook(stack: Stack, namespace: str) -> dict[str, Any]:
    return stack.read(PATH.format(namespace, NAME)) or {}


def wait_for(
    stack: Stack, namespace: str, kind: str, status: str, reason: str | None = None
) -> dict[str, Any]:
    """Until a condition of the present generation is so; the object."""

    def holds() -> dict[str, Any] | None:
        item = webhook(stack, namespace)
        found = condition_of(item, kind)
        is_so = (
            found.get("status") == status
            and reason in (None, found.get("reason"))
            and found.get("observedGeneration") == item["metadata"]["generation"]
        )
        return item if is_so else None

    found: dict[str, Any] = until(
        f"{kind} is {status}", holds, shown=lambda: json.dumps(webhook(stack, namespace), indent=1)
    )
    return found


def annotate(stack: Stack, namespace: str, annotation: str) -> None:
    stack.kubectl(
        "annotate", f"scimwebhook/{NAME}", "-n", namespace, "--overwrite", f"scim-operator.io/{annotation}"
    )


def signing_secret(stack: Stack, namespace: str) -> str:
    return stack.secret(namespace, f"{NAME}-scim-webhook").get("signing-secret", "")


def create_user(stack: Stack, token: str, name: str) -> str:
    """Its id."""
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "externalId": name}
    with httpx.Client(trust_env=False, timeout=10) as client:
        answer = client.post(
            f"{stack.scim_url}/Users", json=user, headers={"authorization": f"Bearer {token}"}
        )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


@pytest.fixture
def token(stack: Stack, namespace: str) -> str:
    """Entra's, of tenant ``entra``."""
    stack.apply(namespace, "entra", matching="userName")
    return stack.wait_ready(namespace, "entra")["token"]


def received(receiver: Receiver, resource: str) -> bool:
    return any(one.resource == resource for one in list(receiver.received))


def test_who_applies_one_is_sent_what_changes_and_can_verify_it(
    stack: Stack, namespace: str, token: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    item = wait_for(stack, namespace, "Ready", "True")
    secret = signing_secret(stack, namespace)
    assert [one["id"] for one in item["status"]["secrets"]] == [secret_id(secret)]
    user = create_user(stack, token, "ada")
    until("the receiver has it", lambda: received(receiver, user))
    [message] = receiver.received
    message.verify(secret)
    assert message.message["type"] == "user.created"
    wait_for(stack, namespace, "Delivering", "True")
    until("the status has the delivery", lambda: "lastDeliveredAt" in webhook(stack, namespace)["status"])


def test_one_that_is_applied_before_its_tenant_waits_for_it(
    stack: Stack, namespace: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Ready", "False", "TenantNotFound")
    stack.apply(namespace, "entra", matching="userName")
    wait_for(stack, namespace, "Ready", "True")


def test_in_a_rotation_messages_can_be_verified_with_the_secret_before_and_with_the_new_one(
    stack: Stack, namespace: str, token: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Ready", "True")
    before = signing_secret(stack, namespace)
    annotate(stack, namespace, "rotate=now")
    after = until(
        "there is a new secret",
        lambda: (found := signing_secret(stack, namespace)) not in ("", before) and found,
    )
    user = create_user(stack, token, "ada")
    until("the receiver has it", lambda: received(receiver, user))
    for secret in (before, after):
        receiver.received[-1].verify(secret)
    states = until(
        "the status lists both",
        lambda: len(listed := webhook(stack, namespace)["status"]["secrets"]) == 2 and listed,
    )
    assert [one["state"] for one in states] == ["Active", "Superseded"]
    assert "expiresAt" in states[1]


def test_how_a_receiver_fails_is_in_the_status_until_it_takes_what_is_sent(
    stack: Stack, namespace: str, token: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Ready", "True")
    receiver.answer = lambda _request: (507, {}, b"no space left")
    user = create_user(stack, token, "ada")
    item = wait_for(stack, namespace, "Delivering", "False", "Failing")
    assert item["status"]["failure"] == "HTTP 507: no space left"
    assert item["status"]["backlog"]["events"] == 1
    receiver.answer = lambda _request: (204, {}, b"")
    until("the receiver has it", lambda: received(receiver, user))
    wait_for(stack, namespace, "Delivering", "True")


def test_a_receiver_that_wants_no_more_gets_no_more_until_somebody_asks(
    stack: Stack, namespace: str, token: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Ready", "True")
    receiver.answer = lambda _request: (410, {}, b"")
    create_user(stack, token, "ada")
    wait_for(stack, namespace, "Delivering", "False", "Stopped")
    receiver.answer = lambda _request: (204, {}, b"")
    annotate(stack, namespace, "test=again")
    until("a ping comes", lambda: any(one.message["type"] == "ping" for one in list(receiver.received)))
    wait_for(stack, namespace, "Delivering", "True")


def test_the_annotations_ping_and_send_again(
    stack: Stack, namespace: str, token: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Ready", "True")
    user = create_user(stack, token, "ada")
    until("the receiver has it", lambda: received(receiver, user))
    first = receiver.received[0].message_id
    annotate(stack, namespace, "redeliver-from=2020-01-01T00:00:00Z")
    until("it comes again", lambda: [one.message_id for one in list(receiver.received)].count(first) == 2)
    annotate(stack, namespace, "test=1")
    until("a ping comes", lambda: any(one.message["type"] == "ping" for one in list(receiver.received)))


def test_when_it_is_deleted_nothing_more_is_sent_and_its_secret_goes(
    stack: Stack, namespace: str, token: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Ready", "True")
    stack.kubectl("delete", f"scimwebhook/{NAME}", "-n", namespace)
    until("the API has forgotten it", lambda: not registered(stack, namespace))
    create_user(stack, token, "ada")
    apply(stack, namespace, receiver, url=receiver.url + "?second")
    wait_for(stack, namespace, "Ready", "True")
    user = create_user(stack, token, "bob")
    until("the new one is sent what comes after it", lambda: received(receiver, user))
    assert [one.resource for one in receiver.received] == [user]


def registered(stack: Stack, namespace: str) -> list[Any]:
    with sqlite3.connect(stack.directory / "scim.db") as database:
        return database.execute("SELECT name FROM webhook WHERE namespace = ?", (namespace,)).fetchall()


STEPS = [
    "get-webhook",
    "read-secret",
    "create-secret",
    "put-webhook",
    "replace-secret",
    "apply-webhook-status",
]


@pytest.mark.parametrize("step", STEPS)
def test_an_operator_that_dies_at_a_step_is_followed_by_another_that_finishes(
    usual_afterwards: Stack, namespace: str, receiver: Receiver, step: str
) -> None:
    stack = usual_afterwards
    stack.apply(namespace, "entra", matching="userName")
    token = stack.wait_ready(namespace, "entra")["token"]
    stack.stop_operators()
    crashing = stack.start_operator(crash_at=step, wait=False)
    apply(stack, namespace, receiver)
    assert crashing.wait_end(60) == -9, crashing.log_text()
    stack.start_operator()
    wait_for(stack, namespace, "Ready", "True")
    user = create_user(stack, token, "ada")
    until("the receiver has it", lambda: received(receiver, user))
    receiver.received[-1].verify(signing_secret(stack, namespace))


def test_no_secret_is_anywhere_but_in_its_secret(
    stack: Stack, namespace: str, token: str, receiver: Receiver
) -> None:
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Ready", "True")
    secret = signing_secret(stack, namespace).removeprefix("whsec_")
    said = stack.kubectl("get", "scimwebhooks,events,scimtokens", "-n", namespace, "-o", "json")
    logs = "".join(process.log_text() for process in (*stack.operators, *([stack.api] if stack.api else [])))
    database = b"".join(path.read_bytes() for path in stack.directory.glob("scim.db*"))
    assert secret not in said + logs
    assert secret.encode() not in database
    assert token not in logs


def test_kubectl_shows_how_it_does(stack: Stack, namespace: str, token: str, receiver: Receiver) -> None:
    del token
    apply(stack, namespace, receiver)
    wait_for(stack, namespace, "Delivering", "True")
    header, line = stack.kubectl("get", "scw", "-n", namespace).splitlines()
    assert header.split()[:2] == ["NAME", "DELIVERING"]
    assert line.split()[:2] == [NAME, "True"]
    described = stack.kubectl("describe", f"scimwebhook/{NAME}", "-n", namespace)
    assert "messages are signed with the secret in Secret app-scim-webhook" in described
