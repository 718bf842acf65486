"""The judge of the followers by webhook: faults that are planted in a dispatcher are found, and nothing else is.

One webhook is sent everything, the other one what is about users.
"""

import asyncio
import collections
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from scim_api.delivery.dispatcher import Dispatcher
from scim_api.delivery.key_file import read_private_keys
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.outcome import Outcome, Result
from scim_api.delivery.sender import ReceiverRules, Sender
from scim_api.outbound.addresses import AllowedNetworks
from scim_api.store.change_document import change_document
from scim_api.store.change_log import Change
from scim_api.store.postgres.store import PostgresStore
from scim_api.store.sql import deliveries
from scim_api.store.sql.webhook_rows import to_settings
from scim_api.store.webhooks import Delivery, LeasedWebhook
from support.dispatcher_process import DELIVERING
from support.stored import prepared, retitle, tenant_of
from support.webhooks import KEEP, NAMESPACE, WRITER
from torture.changes import dispatchers
from torture.changes.copy import Reading, Told
from torture.changes.pushed import Pushed
from torture.changes.rules import USER_TYPES, Fault
from torture.changes.sql import Table
from torture.changes.subscription import Subscribed, Subscription
from torture.changes.world import World

PEOPLE, TITLES, REFUSED = 6, 3, 2
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


def sends_what_nobody_asked_for(patch: Patch) -> None:
    """Changes of all types are queued."""
    patch.setattr(
        "scim_api.store.sql.deliveries.to_settings",
        lambda row: dataclasses.replace(to_settings(row), types=frozenset[str]()),
    )


def says_another_type(patch: Patch) -> None:
    """Whatever was made is called updated."""

    def wrong(change: Change) -> dict[str, object]:
        return {**change_document(change), "type": change.type.replace("created", "updated")}

    patch.setattr("scim_api.store.sql.deliveries.change_document", wrong)


def reads_what_is_behind(patch: Patch) -> None:
    """The receivers' copies have users as they were before."""
    read = Table.read

    async def wrong(self: Table, changes: Sequence[Told]) -> Mapping[str, Reading | None]:
        found = await read(self, changes)
        return {one: had and had._replace(version=had.version - 1) for one, had in found.items()}

    patch.setattr(Table, "read", wrong)


def refuses_the_first_messages(patch: Patch) -> None:
    """Each receiver takes what comes after them."""
    refused: collections.Counter[Pushed] = collections.Counter()

    def fate(self: Pushed) -> str:
        refused[self] += 1
        return "refuse" if refused[self] <= REFUSED else "take"

    patch.setattr(Pushed, "fate", fate)


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


async def followed(store: PostgresStore, directory: Path, patch: Patch) -> list[set[Fault]]:
    """People and groups are made and changed before anything is delivered; what is wrong when all of it was: with who
    follows everything, and with who follows users.
    """
    patch.setattr(dispatchers, "NAMESPACE", NAMESPACE)
    tenant = Subscribed("contoso", await tenant_of(store), "none")
    world = World(directory, store.url, None)
    none = dispatchers.Dispatchers(world, ())
    await none.start()
    webhooks = [
        Subscription("webhook", world, none),
        Subscription("users", world, none, types=USER_TYPES),
    ]
    try:
        for webhook in webhooks:
            await webhook.begin(tenant, 1)
        await _write(store, tenant.key)
        async with delivering(store, directory / "webhook.key"):
            found = await asyncio.gather(*(webhook.finish(SECONDS) for webhook in webhooks))
        assert found == [[], []]
        rows = await world.tables.log(tenant.key)
        truth = await world.tables.state(tenant.key)
        rows = [row._replace(committed=None) for row in rows]
        return [{one.fault for one in webhook.judge(rows, truth)} for webhook in webhooks]
    finally:
        for webhook in webhooks:
            await webhook.stop()
        await none.stop()


async def _write(store: PostgresStore, tenant: int) -> None:
    people = [await store.create(tenant, "User", prepared(f"p{one}"), actor=WRITER) for one in range(PEOPLE)]
    for number in range(TITLES):
        await store.create(tenant, "Group", prepared(f"team {number}"), actor=WRITER)
        for person in people:
            transform = retitle(lambda _, number=number: str(number))  # type: ignore[misc]
            await store.modify(tenant, "User", person.id, transform, actor=WRITER)


@pytest.mark.parametrize(
    ("plant", "everything", "users"),
    [
        (nothing, set(), set()),
        (moves_the_position_without_queueing, {Fault.MISSED}, {Fault.MISSED}),
        (forgets_before_the_answer, {Fault.MISSED}, {Fault.MISSED}),
        (breaks_the_order_of_a_resource, {Fault.DISORDER}, {Fault.DISORDER}),
        (gives_ids_anew, {Fault.INVENTED}, {Fault.INVENTED}),
        (sends_what_nobody_asked_for, set(), {Fault.UNWANTED, Fault.COPY}),
        (says_another_type, {Fault.INVENTED}, {Fault.INVENTED}),
        (reads_what_is_behind, {Fault.COPY}, {Fault.COPY}),
    ],
)
async def test_a_fault_that_is_planted_in_a_dispatcher_is_found_and_no_other(
    store: PostgresStore,
    tmp_path: Path,
    monkeypatch: Patch,
    plant: Callable[[Patch], None],
    everything: set[Fault],
    users: set[Fault],
) -> None:
    refuses_the_first_messages(monkeypatch)
    plant(monkeypatch)

    assert await followed(store, tmp_path, monkeypatch) == [everything, users]


async def test_a_dispatcher_that_ends_by_itself_breaks_a_promise_unless_it_found_no_database_or_was_killed(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    script, delivers = tmp_path / "dispatcher.py", f"print('{DELIVERING}', flush=True)\n"
    monkeypatch.setattr(dispatchers, "_SCRIPT", script)
    script.write_text("raise SystemExit('no database')\n", encoding="utf-8")
    pair = dispatchers.Dispatchers(World(tmp_path, "sqlite:///none", None), ("dispatcher-0",))
    watching = asyncio.create_task(pair._watch())

    def starts(of: str) -> int:
        log = tmp_path / "dispatcher-0.log"
        return log.read_text(encoding="utf-8").count(of) if log.exists() else 0

    try:
        async with asyncio.timeout(SECONDS):
            while starts("no database") < 2:
                await asyncio.sleep(0.01)
            script.write_text(f"{delivers}import time\ntime.sleep(60)\n", encoding="utf-8")
            while not starts(DELIVERING):
                await asyncio.sleep(0.01)
            script.write_text(f"{delivers}raise SystemExit('broken')\n", encoding="utf-8")
            await pair.kill("dispatcher-0", 0)
            assert pair.failed == []
            while not pair.failed:
                await asyncio.sleep(0.01)
        assert [one.fault for one in pair.failed][:1] == [Fault.FAILED]
        assert "broken" in pair.failed[0].detail
    finally:
        watching.cancel()
        await pair.stop()
