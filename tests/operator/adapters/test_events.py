"""Events on a real API server, with the operator's own ServiceAccount."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_api.contract.tokens import new_token
from scim_operator.adapters.events import (
    BURST,
    MESSAGE_LIMIT,
    REFILL_SECONDS,
    EventRateLimiter,
    EventRecorder,
)
from scim_operator.api.scimtoken import ScimToken
from support.installed import applied, manifest


class Clock:
    """Moves on only when told."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
        self.monotonic = 1000.0

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextlib.asynccontextmanager
async def sending(api_client: client.ApiClient, **options: Any) -> AsyncIterator[EventRecorder]:
    """A recorder that sends; at the end all that was recorded has been sent."""
    recorder = EventRecorder(api_client, **options)
    senders = asyncio.create_task(recorder.run())
    try:
        yield recorder
        await asyncio.wait_for(recorder.drain(), 30)
    finally:
        senders.cancel()
        await asyncio.gather(senders, return_exceptions=True)


@pytest.fixture
async def recorder(operator_client: client.ApiClient, clock: Clock) -> AsyncIterator[EventRecorder]:
    async with sending(operator_client, clock=clock) as recorder:
        yield recorder


async def record(recorder: EventRecorder, *news: Any) -> None:
    """Record it, and wait until it is sent."""
    recorder.record(*news)
    await asyncio.wait_for(recorder.drain(), 30)


@pytest.fixture
def owner(installed: ControlPlane, quiet_namespace: str) -> ScimToken:
    return ScimToken.from_object(applied(installed, manifest("entra", quiet_namespace)))


def events(installed: ControlPlane, owner: ScimToken) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(
        installed.kubectl("get", "events", "-n", owner.metadata.namespace, "-o", "json").stdout
    )["items"]
    return listed


async def test_the_same_news_is_one_event_with_a_count(
    recorder: EventRecorder, owner: ScimToken, installed: ControlPlane, clock: Clock
) -> None:
    for _ in range(3):
        await record(recorder, owner, "Warning", "Unreachable", "the API does not answer")
        clock.now += timedelta(minutes=1)
    (event,) = events(installed, owner)
    assert (event["count"], event["type"], event["reason"]) == (3, "Warning", "Unreachable")
    assert event["involvedObject"]["uid"] == owner.metadata.uid
    first, last = (datetime.fromisoformat(event[key]) for key in ("firstTimestamp", "lastTimestamp"))
    assert last - first == timedelta(minutes=2)


async def test_other_news_is_another_event(
    recorder: EventRecorder, owner: ScimToken, installed: ControlPlane
) -> None:
    await record(recorder, owner, "Normal", "Issued", "token 1")
    await record(recorder, owner, "Normal", "Issued", "token 2")
    await record(recorder, owner, "Warning", "Issued", "token 2")
    assert sorted(event["count"] for event in events(installed, owner)) == [1, 1, 1]


async def test_a_restarted_operator_goes_on_counting(
    operator_client: client.ApiClient, owner: ScimToken, installed: ControlPlane
) -> None:
    for _ in range(3):
        async with sending(operator_client) as recorder:
            recorder.record(owner, "Normal", "Issued", "m")
    (event,) = events(installed, owner)
    assert event["count"] == 3


async def test_an_event_that_expired_is_made_anew(
    recorder: EventRecorder, owner: ScimToken, installed: ControlPlane
) -> None:
    await record(recorder, owner, "Normal", "Issued", "m")
    await record(recorder, owner, "Normal", "Issued", "m")
    installed.kubectl("delete", "events", "--all", "-n", owner.metadata.namespace)
    await record(recorder, owner, "Normal", "Issued", "m")
    (event,) = events(installed, owner)
    assert event["count"] == 1


async def test_describe_shows_what_happened_how_often_and_who_says_so(
    recorder: EventRecorder, owner: ScimToken, installed: ControlPlane
) -> None:
    for _ in range(4):
        await record(recorder, owner, "Warning", "Unreachable", "the API does not answer")
    described = installed.kubectl("describe", "sct", "entra", "-n", owner.metadata.namespace).stdout
    (line,) = [line for line in described.splitlines() if "Unreachable" in line]
    assert "(x4 over" in line
    assert "scim-operator" in line
    assert line.endswith("the API does not answer")


async def test_a_long_message_is_cut_to_what_the_api_server_takes(
    recorder: EventRecorder, owner: ScimToken, installed: ControlPlane
) -> None:
    await record(recorder, owner, "Normal", "R" * 200, "é" * 3000)
    (event,) = events(installed, owner)
    assert len(event["message"]) == MESSAGE_LIMIT
    assert event["message"].endswith("é…")


async def test_a_token_never_gets_into_an_event(
    recorder: EventRecorder, owner: ScimToken, installed: ControlPlane
) -> None:
    token = new_token()
    await record(recorder, owner, "Normal", "Issued", f"oops {token}")
    (event,) = events(installed, owner)
    assert token not in json.dumps(event)
    assert event["message"] == "oops [hidden]"


async def test_a_flapping_scimtoken_does_not_fill_etcd(
    operator_client: client.ApiClient, owner: ScimToken, installed: ControlPlane, clock: Clock
) -> None:
    async with sending(operator_client, spam_filter=EventRateLimiter(lambda: clock.monotonic)) as recorder:
        for n in range(BURST + 10):
            recorder.record(owner, "Normal", "Flap", f"{n}")
        await recorder.drain()
        assert len(events(installed, owner)) == BURST
        clock.monotonic += REFILL_SECONDS
        recorder.record(owner, "Normal", "Flap", "after a while")
    assert len(events(installed, owner)) == BURST + 1


def test_the_budget_is_each_scimtokens_own() -> None:
    budget = EventRateLimiter(lambda: 0.0)
    assert [budget.allows("a") for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert budget.allows("b")


async def test_an_api_server_that_is_gone_is_no_reason_to_fail(owner: ScimToken) -> None:
    async with client.ApiClient(client.Configuration(host="http://127.0.0.1:9")) as nowhere:
        dropped: list[None] = []
        async with sending(nowhere, dropped=lambda: dropped.append(None)) as recorder:
            recorder.record(owner, "Normal", "Issued", "m")
    assert len(dropped) == 1


async def test_a_namespace_that_is_gone_is_no_reason_to_fail(
    recorder: EventRecorder, owner: ScimToken
) -> None:
    metadata = owner.metadata.model_copy(update={"namespace": "no-such-namespace"})
    await record(recorder, owner.model_copy(update={"metadata": metadata}), "Normal", "Issued", "m")
