"""The judge of the follower by webhook: faults that are planted in a dispatcher are found, and nothing else is."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from localcluster.ports import free_port
from scim_api.contract.sealing import seal
from scim_api.contract.signing_secret import new_secret
from scim_api.core.model import Resource
from scim_api.delivery.dispatcher import Dispatcher
from scim_api.delivery.key_file import read_private_keys, read_sealing_key, write_key
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.outcome import Outcome, Result
from scim_api.delivery.sender import ReceiverRules, Sender
from scim_api.outbound.addresses import AllowedNetworks
from scim_api.store.postgres.store import PostgresStore
from scim_api.store.sql import deliveries
from scim_api.store.webhooks import Delivery, LeasedWebhook, SealedSecret, WebhookSettings
from support.stored import prepared, retitle, tenant_of
from support.webhooks import KEEP, NAME, NAMESPACE, WRITER
from torture.changes import dispatchers
from torture.changes.copy import Copy
from torture.changes.follower import Follower
from torture.changes.pushed import Pushed
from torture.changes.rules import Fault, Violation, differences, judge_deliveries
from torture.changes.sql import Table
from torture.changes.tables import Tables
from torture.changes.world import World

PEOPLE, TITLES = 6, 3
SECONDS = 20.0
Patch = pytest.MonkeyPatch


def nothing(_: Patch) -> None:
    """As it is."""


def moves_the_position_without_queueing(patch: Patch) -> None:
    """The first change of each page is left out."""
    queue: Callable[..., Any] = deliveries._queue

    def wrong(dialect: Any, webhook: Any, read: Any, *more: Any) -> Any:
        page = read.page and dataclasses.replace(read.page, changes=read.page.changes[1:])
        return queue(dialect, webhook, read._replace(page=page), *more)

    patch.setattr(deliveries, "_queue", wrong)


def forgets_before_the_answer(patch: Patch) -> None:
    """A delivery counts as done whatever the receiver answers."""
    send = Sender.send

    async def wrong(self: Sender, webhook: LeasedWebhook, delivery: Delivery) -> Outcome:
        await send(self, webhook, delivery)
        return Outcome(Result.DELIVERED)

    patch.setattr(Sender, "send", wrong)


def breaks_the_order_of_a_resource(patch: Patch) -> None:
    """What is due comes in the wrong order."""
    patch.setattr(deliveries, "_DUE", deliveries._DUE.replace("ORDER BY d.change", "ORDER BY d.change DESC"))


def gives_ids_anew(patch: Patch) -> None:
    """Each attempt has an id of its own."""
    send = Sender.send

    async def wrong(self: Sender, webhook: LeasedWebhook, delivery: Delivery) -> Outcome:
        number = f"{delivery.message_id}-{delivery.attempts}"
        return await send(self, webhook, dataclasses.replace(delivery, message_id=number))

    patch.setattr(Sender, "send", wrong)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    await store.open()
    yield store
    await store.close()


class Fails(Pushed):
    """Refuses the first messages, and takes what comes after them."""

    refused = 0

    def fate(self) -> str:
        self.refused += 1
        return "refuse" if self.refused <= 2 else "take"


@contextlib.asynccontextmanager
async def delivering(store: PostgresStore, key: Path) -> AsyncIterator[None]:
    rules = ReceiverRules(AllowedNetworks.read("127.0.0.0/8"), allows_http=True)
    keys = read_private_keys(key)
    dispatcher = Dispatcher(
        store,
        lambda: Sender(store, keys, rules, "https://scim.test/scim/v2"),
        DeliveryMetrics(),
        keep=KEEP,
        claim_seconds=0.05,
        delay=lambda _failures, _chance: 0.02,
    )
    stop = asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def followed(store: PostgresStore, directory: Path) -> list[Violation]:
    """People are made and changed before anything is delivered; what is wrong when all of it was."""
    tenant, key, port = await tenant_of(store), directory / "webhook.key", free_port()
    write_key(key)
    secret = new_secret()
    sealed = SealedSecret(seal(secret, read_sealing_key(key), f"{NAMESPACE}/{NAME}"))
    wanted = WebhookSettings("contoso", f"http://127.0.0.1:{port}/hook")
    await store.webhooks.create(NAMESPACE, NAME, wanted, sealed)

    async def backlog() -> int:
        return (await store.webhooks.get(NAMESPACE, NAME, KEEP)).backlog.events

    table = Table(store.url, tenant)
    receiver = Fails(port, secret, 1, reads=table, copies=table, backlog=backlog)
    receiver.hurry()
    follower = Follower("webhook", receiver, Copy(directory / "copy.db"))
    people = [await store.create(tenant, "User", prepared(f"p{one}"), actor=WRITER) for one in range(PEOPLE)]
    for number in range(TITLES):
        for person in people:
            await _retitle(store, tenant, person, str(number))
    try:
        async with delivering(store, key), asyncio.timeout(SECONDS):
            while not await follower.follow():
                pass
    finally:
        await follower.stop()
    rows, truth = await Tables(store.url).log(tenant), await Tables(store.url).state(tenant)
    state = follower.copy.state()
    follower.copy.close()
    return [
        *receiver.failed,
        *judge_deliveries([row._replace(committed=None) for row in rows], follower.told),
        *differences(Fault.COPY, "webhook", state, truth),
    ]


async def _retitle(store: PostgresStore, tenant: int, person: Resource, title: str) -> None:
    transform = retitle(lambda _: title)
    await store.modify(tenant, "User", person.id, transform, actor=WRITER)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (nothing, set()),
        (moves_the_position_without_queueing, {Fault.MISSED}),
        (forgets_before_the_answer, {Fault.MISSED}),
        (breaks_the_order_of_a_resource, {Fault.DISORDER}),
        (gives_ids_anew, {Fault.INVENTED}),
    ],
)
async def test_a_fault_that_is_planted_in_a_dispatcher_is_found_and_no_other(
    store: PostgresStore,
    tmp_path: Path,
    monkeypatch: Patch,
    plant: Callable[[Patch], None],
    expected: set[Fault],
) -> None:
    plant(monkeypatch)

    found = await followed(store, tmp_path)

    assert {one.fault for one in found} == expected, found


async def test_a_dispatcher_that_ends_by_itself_breaks_a_promise_and_one_that_is_killed_does_not(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    script = tmp_path / "dispatcher.py"
    monkeypatch.setattr(dispatchers, "_SCRIPT", script)
    monkeypatch.setattr(dispatchers, "_START_SECONDS", 0.0)
    script.write_text("import time\ntime.sleep(60)\n", encoding="utf-8")
    pair = dispatchers.Dispatchers(World(tmp_path, "sqlite:///none", None), ("dispatcher-0",))
    watching = asyncio.create_task(pair._watch())
    try:
        async with asyncio.timeout(SECONDS):
            while "dispatcher-0" not in pair._processes:
                await asyncio.sleep(0.01)
            script.write_text("import time\ntime.sleep(0.3)\nraise SystemExit('broken')\n", encoding="utf-8")
            await pair.kill("dispatcher-0", 0)
            assert pair.failed == []
            while not pair.failed:
                await asyncio.sleep(0.01)
        assert [one.fault for one in pair.failed] == [Fault.FAILED]
        assert "broken" in pair.failed[0].detail
    finally:
        watching.cancel()
        await pair.stop()
