"""One attempt: what is sent, to whom, and what is read of the answer."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from scim_api.contract.sealing import DispatcherKeys, new_private_key, read_public_key, seal
from scim_api.contract.signing_secret import new_secret
from scim_api.core.model import Resource
from scim_api.delivery.outcome import Outcome, Result
from scim_api.delivery.sender import MAX_ANSWER, ReceiverRules, Sender
from scim_api.outbound.addresses import AllowedNetworks
from scim_api.store.protocol import Store
from scim_api.store.webhooks import Delivery, LeasedWebhook, SealedSecret, WebhookSettings
from support.certificates import certificate
from support.receiver import Receiver

PEM = new_private_key()
KEY = read_public_key(PEM)
NOW = "2026-11-23T14:00:00.000000Z"
CHANGE = Delivery(7, "7-00c0ffee", "user.updated", NOW, "u1", '{"id":"7-00c0ffee","resourceId":"u1"}')
LOCAL = ReceiverRules(AllowedNetworks.read("127.0.0.0/8"), allows_http=True)
SECRET = new_secret()


class Users:
    """A store that has one user, or none."""

    user: Resource | None = None

    async def get(self, *_: object) -> Resource | None:
        return self.user


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as place:
        yield place


def webhook(url: str, *secrets: str, **settings: Any) -> LeasedWebhook:
    sealed = tuple(SealedSecret(seal(secret, KEY, "demo/app")) for secret in (secrets or (SECRET,)))
    return LeasedWebhook(
        1, "demo", "app", 1, WebhookSettings(**{"tenant": "contoso", "url": url, **settings}), sealed, 0
    )


async def send(
    to: LeasedWebhook,
    rules: ReceiverRules = LOCAL,
    users: Users | None = None,
    delivery: Delivery = CHANGE,
    **more: Any,
) -> Outcome:
    sender = Sender(
        cast("Store", users or Users()), DispatcherKeys(PEM), rules, "https://scim.test/scim/v2", **more
    )
    try:
        return await sender.send(to, delivery)
    finally:
        await sender.aclose()


async def test_a_receiver_can_verify_what_it_gets_by_each_valid_secret(receiver: Receiver) -> None:
    former = new_secret()
    assert await send(webhook(receiver.url, SECRET, former)) == Outcome(Result.DELIVERED)
    [got] = receiver.received
    for secret in (SECRET, former):
        got.verify(secret)
    assert (got.path, got.message_id, got.headers["content-type"]) == (
        "/hook",
        "7-00c0ffee",
        "application/json",
    )
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    assert got.message == {
        "type": "user.updated", "timestamp": NOW, "data": {"id": "7-00c0ffee", "resourceId": "u1"},
    }  # fmt: skip


@pytest.mark.parametrize("is_there", [True, False])
async def test_with_full_the_resource_comes_as_it_is_now(receiver: Receiver, is_there: bool) -> None:
    users = Users()
    if is_there:
        users.user = Resource(id="u1", version=4, created=NOW, modified=NOW, doc='{"userName":"ada"}')
    await send(webhook(receiver.url, content="Full"), users=users)
    resource = receiver.received[0].message["data"]["resource"]
    assert (resource["userName"] == "ada") if is_there else (resource is None)


async def test_no_redirect_is_followed(receiver: Receiver) -> None:
    receiver.answer = lambda _: (302, {"Location": receiver.url}, b"elsewhere")
    assert await send(webhook(receiver.url)) == Outcome(Result.REJECTED, "HTTP 302: elsewhere")
    assert len(receiver.received) == 1


async def test_an_answer_without_end_is_read_up_to_the_bound(receiver: Receiver) -> None:
    receiver.answer = lambda _: (500, {}, b"x" * (MAX_ANSWER * 20))
    outcome = await send(webhook(receiver.url))
    assert (outcome.result, len(outcome.reason)) == (Result.REJECTED, 200)


async def test_a_receiver_that_hangs_is_given_up(receiver: Receiver) -> None:
    receiver.answer = receiver.hang
    outcome = await send(webhook(receiver.url, timeout_seconds=0.2))
    assert outcome == Outcome(Result.REJECTED, "timeout: no whole answer within 0.2 s")


async def test_a_receiver_that_is_down_is_told_as_that() -> None:
    gone = Receiver()
    with gone.serving():
        pass
    outcome = await send(webhook(gone.url))
    assert outcome.result is Result.UNREACHABLE
    assert outcome.reason.startswith("connection: 127.0.0.1:")


@pytest.mark.parametrize(
    ("url", "address", "rules", "reason"),
    [
        ("https://app.example/", "10.0.0.1", ReceiverRules(), "no public address"),
        ("https://app.example/", "169.254.169.254", ReceiverRules(), "no public address"),
        ("https://app.example/", "::1", ReceiverRules(), "no public address"),
        ("https://127.0.0.1/", "127.0.0.1", ReceiverRules(), "no public address"),
        ("https://app.example/", "10.0.0.1", ReceiverRules(AllowedNetworks.read("10.1.0.0/16")), "no public address"),
        ("http://app.example/", "20.1.1.1", ReceiverRules(), "SCIM_API_WEBHOOK_ALLOW_HTTP"),
        ("http://app.example/", "20.1.1.1", ReceiverRules(allows_http=True), "no public address"),
        ("https://user:secret@app.example/", "20.1.1.1", ReceiverRules(), "can be asked"),
        ("ftp://app.example/", "20.1.1.1", ReceiverRules(), "can be asked"),
    ],
    ids=["private", "metadata", "loopback", "literal", "other network", "http", "http outside", "user", "scheme"],
)  # fmt: skip
async def test_what_may_not_be_asked_is_not(
    url: str, address: str, rules: ReceiverRules, reason: str
) -> None:
    async def resolver(host: str, port: int) -> Sequence[str]:
        return [address]

    outcome = await send(webhook(url), rules, resolver=resolver)
    assert outcome.result is Result.UNREACHABLE
    assert outcome.reason.startswith("address refused: ")
    assert reason in outcome.reason
    assert "secret" not in outcome.reason


async def test_the_address_that_was_checked_is_asked_with_the_name_in_the_certificate(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path, "app.example")
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def rebound(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    with Receiver().serving(serving) as place:
        url = f"https://app.example:{place.port}/hook"
        outcome = await send(webhook(url), resolver=rebound, verify=trusting)
        assert outcome == Outcome(Result.DELIVERED)
        assert place.received[0].headers["host"] == f"app.example:{place.port}"
        other = f"https://other.example:{place.port}/hook"
        answers[:] = [["127.0.0.1"]]
        failed = await send(webhook(other), resolver=rebound, verify=trusting)
    assert failed.reason.startswith("TLS: the certificate at other.example is not one for this name")


async def test_a_secret_that_can_not_be_opened_is_told_and_nothing_is_sent(receiver: Receiver) -> None:
    sealed_for_another = webhook(receiver.url)
    other = LeasedWebhook(1, "demo", "other", 1, sealed_for_another.settings, sealed_for_another.secrets, 0)
    outcome = await send(other)
    assert (outcome.result, receiver.received) == (Result.UNREACHABLE, [])
    assert "another webhook's" in outcome.reason


async def test_a_former_secret_that_can_not_be_opened_does_not_hold_up_the_others(receiver: Receiver) -> None:
    whole = webhook(receiver.url)
    lost = SealedSecret(seal(new_secret(), read_public_key(new_private_key()), "demo/app"))
    outcome = await send(dataclasses.replace(whole, secrets=(*whole.secrets, lost)))
    assert outcome.result is Result.DELIVERED
    receiver.received[0].verify(SECRET)
