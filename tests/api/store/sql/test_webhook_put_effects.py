"""What follows from a PUT of a webhook for its stop, its pause, its queue and its position; on both databases."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import Store
from scim_api.store.sql.timestamps import to_text
from scim_api.store.webhooks import AttemptResults, FailedAttempt
from support.change_rows import ChangeRow, add_change_row
from support.database import run_sql
from support.stored import tenant_of
from support.webhooks import ISSUED, Dispatched, add_user, leased, put, wanted, webhook_of


async def failing(store: Store, tenant: int, *, is_stopped: bool = True) -> tuple[int, int]:
    """A webhook whose receiver refused one delivery and is paused and stopped; its key and the delivery's."""
    webhook, one = await leased(store), Dispatched(store)
    await add_user(store, tenant, "ada")
    [due] = await one.due(webhook)
    results = AttemptResults(
        (),
        [FailedAttempt(due.change, 3600)],
        "HTTP 410",
        pause_level=2,
        pause_seconds=60,
        is_stopped=is_stopped,
    )
    await one.turn(webhook, results)
    return webhook, due.change


async def due_now(store: Store, webhook: int) -> list[str]:
    """Types of what a dispatcher would send now."""
    one = Dispatched(store)
    await one.lease()
    return [due.type for due in await one.due(webhook)]


class TestWhatFollows:
    async def test_another_url_begins_anew(self, store: Store, tenant: int) -> None:
        webhook, _ = await failing(store, tenant)
        answer = await put(store, wanted(url="https://new.example"))
        assert (answer.stopped_at, answer.retry_at, answer.failing_since, answer.failure) == (None,) * 4
        assert answer.backlog.retrying == 0
        assert await due_now(store, webhook) == ["user.created"]
        assert await run_sql(store.url, "SELECT pause_level FROM webhook") == [(0,)]

    async def test_what_is_no_longer_suspended_is_tried_at_once(self, store: Store, tenant: int) -> None:
        webhook, _ = await failing(store, tenant)
        await put(store, wanted(suspended=True))
        answer = await put(store, wanted())
        assert (answer.stopped_at, answer.retry_at, answer.failure) == (None, None, "HTTP 410")
        assert await due_now(store, webhook) == ["user.created"]

    @pytest.mark.parametrize(
        "change", [{"suspended": True}, {"content": "Full"}, {"types": ["user.deleted"]}, {"ownerUid": "u2"}]
    )
    async def test_any_other_change_leaves_a_stop_and_a_pause(
        self, store: Store, tenant: int, change: dict[str, Any]
    ) -> None:
        await failing(store, tenant)
        answer = await put(store, wanted(**change))
        assert None not in {answer.stopped_at, answer.retry_at, answer.failing_since}

    async def test_a_ping_is_queued_once_for_each_value_and_goes_at_once(
        self, store: Store, tenant: int
    ) -> None:
        webhook, _ = await failing(store, tenant)
        answer = await put(store, wanted(ping="first"))
        assert (answer.ping, answer.stopped_at, answer.retry_at) == ("first", None, None)
        assert answer.failing_since is not None
        assert await due_now(store, webhook) == ["ping", "user.created"]
        for ping in ("first", None, "first"):
            assert (await put(store, wanted(ping=ping))).ping == "first"
        assert await due_now(store, webhook) == ["ping", "user.created"]
        await put(store, wanted(ping="first", timeoutSeconds=20))
        assert await due_now(store, webhook) == ["ping", "user.created"]
        await put(store, wanted(ping="second"))
        assert await due_now(store, webhook) == ["ping", "ping", "user.created"]

    async def test_a_redelivery_is_done_once_for_each_request_and_ends_a_stop(
        self, store: Store, tenant: int
    ) -> None:
        webhook, change = await failing(store, tenant)
        one = Dispatched(store)
        await run_sql(store.url, "UPDATE webhook_delivery SET due_at = '2020-01-01T00:00:00.000000Z'")
        await run_sql(store.url, "UPDATE webhook SET stopped_at = NULL, retry_at = NULL")
        await one.lease()
        await one.turn(webhook, AttemptResults([change], pause_level=1, pause_seconds=60, is_stopped=True))
        old = {"request": "first", "since": datetime(2020, 1, 1, tzinfo=UTC)}
        answer = await put(store, wanted(redelivery=old))
        assert (answer.redelivery, answer.stopped_at, answer.backlog.events) == ("first", None, 1)
        assert answer.retry_at is not None, "a pause goes on"
        await run_sql(store.url, "UPDATE webhook SET retry_at = NULL, pause_level = 0")
        await one.lease()
        assert [due.change for due in await one.all_due(webhook)] == [change]
        for redelivery in (old, None, {**old, "since": ISSUED}):
            assert (await put(store, wanted(redelivery=redelivery))).redelivery == "first"
        await put(store, wanted(redelivery=old, timeoutSeconds=20))
        assert await one.all_due(webhook) == []
        await put(store, wanted(redelivery={**old, "request": "second"}))
        assert [due.change for due in await one.all_due(webhook)] == [change]

    async def test_a_new_one_can_begin_earlier_and_with_a_ping(self, store: Store, tenant: int) -> None:
        moment = datetime.now(UTC) - timedelta(hours=2)
        for resource, hours in (("u1", -1), ("u2", 1)):
            at = to_text(moment + timedelta(hours=hours))
            await add_change_row(store, ChangeRow(at, tenant, "user.created", resource))
        webhook = await leased(store, ping="p", redelivery={"request": "r", "since": moment})
        one = Dispatched(store)
        assert [due.type for due in await one.due(webhook)] == ["ping", "user.created"]
        assert [due.resource for due in (await one.all_due(webhook))[1:]] == ["u2"]


async def test_a_turn_that_waits_for_a_write_reads_what_was_written(postgres_url: str) -> None:
    """The PUT comes between a turn's look at the log and its transaction's lock."""
    await migrate(postgres_url)
    async with contextlib.AsyncExitStack() as stack:
        store = create_store(postgres_url)
        await store.open()
        stack.push_async_callback(store.close)
        tenant = await tenant_of(store)
        webhook, one = await leased(store), Dispatched(store)
        user = await add_user(store, tenant, "ada")
        assert [due.resource for due in await one.all_due(webhook)] == [user.id]
        blocker = await asyncpg.connect(postgres_url)
        stack.push_async_callback(blocker.close)
        await blocker.execute("BEGIN")
        await blocker.execute("SELECT 1 FROM webhook FOR UPDATE")
        since = datetime(2020, 1, 1, tzinfo=UTC)
        desired = wanted(url="https://new.example", redelivery={"request": "r", "since": since})
        writing = asyncio.create_task(put(store, desired))
        await until_blocked(blocker, 1)
        turning = asyncio.create_task(one.turn(webhook))
        await until_blocked(blocker, 2)
        await blocker.execute("COMMIT")
        await writing
        turn = await turning
        assert turn is not None
        assert turn.webhook.settings.url == "https://new.example"
        assert [due.resource for due in await one.all_due(webhook)] == [user.id]


async def test_a_write_that_waits_for_a_turn_begins_where_that_has_come_to(postgres_url: str) -> None:
    """A redelivery of what is newer than all that was read moves nothing; least of all back to before the turn."""
    await migrate(postgres_url)
    async with contextlib.AsyncExitStack() as stack:
        store = create_store(postgres_url)
        await store.open()
        stack.push_async_callback(store.close)
        tenant = await tenant_of(store)
        webhook, one = await leased(store), Dispatched(store)
        [[before]] = await run_sql(store.url, "SELECT position FROM webhook")
        old = to_text(datetime.now(UTC) - timedelta(hours=3))
        await add_change_row(store, ChangeRow(old, tenant, "user.created", "u1"))
        assert len(await one.all_due(webhook)) == 1
        [[after]] = await run_sql(store.url, "SELECT position FROM webhook")
        await run_sql(store.url, f"UPDATE webhook SET position = '{before}'")
        turn = await asyncpg.connect(postgres_url)
        stack.push_async_callback(turn.close)
        await turn.execute("BEGIN")
        await turn.execute("UPDATE webhook SET position = $1", after)
        now = {"request": "r", "since": datetime.now(UTC)}
        writing = asyncio.create_task(put(store, wanted(redelivery=now)))
        await until_blocked(turn, 1)
        await turn.execute("COMMIT")
        await writing
        assert await run_sql(store.url, "SELECT position FROM webhook") == [(after,)]


async def until_blocked(connection: asyncpg.Connection, number: int) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(10):
        while await connection.fetchval(waiting) < number:
            await asyncio.sleep(0.01)


class TestAttemptsFromBefore:
    """What a dispatcher tells of attempts that were made before a write is not held against what is wanted now."""

    async def told(self, store: Store, tenant: int, *delivered: int) -> tuple[int, list[int]]:
        """A webhook that has another URL since its two deliveries were sent, of which one failed with 410."""
        webhook, one = await leased(store), Dispatched(store)
        for name in ("ada", "bob"):
            await add_user(store, tenant, name)
        turn = await one.turn(webhook)
        assert turn is not None
        changes = [due.change for due in turn.due]
        await put(store, wanted(url="https://new.example"))
        results = AttemptResults(
            [changes[number] for number in delivered],
            [FailedAttempt(change, 3600) for change in changes if changes.index(change) not in delivered],
            "HTTP 410",
            pause_level=1,
            pause_seconds=60,
            is_stopped=True,
            revision=turn.webhook.revision,
        )
        turn = await one.turn(webhook, results)
        assert turn is not None
        return webhook, [changes.index(due.change) for due in turn.due]

    async def test_a_failure_neither_stops_nor_pauses_and_what_failed_is_due(
        self, store: Store, tenant: int
    ) -> None:
        _, due = await self.told(store, tenant, 0)
        assert due == [1]
        found = await webhook_of(store)
        assert (found.stopped_at, found.retry_at, found.failing_since, found.failure) == (None,) * 4
        assert (found.backlog.events, found.backlog.retrying) == (1, 0)
        assert None not in {found.last_delivered_at, found.last_attempt_at}

    async def test_what_was_delivered_makes_up_for_failures(self, store: Store, tenant: int) -> None:
        webhook, change = await failing(store, tenant, is_stopped=False)
        turn = await Dispatched(store).turn(webhook)
        assert turn is not None
        await put(store, wanted(timeoutSeconds=20))
        results = AttemptResults([change], revision=turn.webhook.revision)
        await Dispatched(store).turn(webhook, results)
        found = await webhook_of(store)
        assert (found.failing_since, found.backlog.events) == (None, 0)
        assert found.retry_at is not None, "a pause goes on: it was another attempt's"
