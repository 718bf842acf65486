"""Every change is queued once and stays until it is delivered, in order for each resource; on both databases."""

import asyncio
import contextlib
import dataclasses
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from scim_api.core.model import MemberChange
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import Store
from scim_api.store.sql.timestamps import to_text
from scim_api.store.webhooks import QUEUE_LIMIT, AttemptResults, FailedAttempt
from support.change_rows import ChangeRow, add_change_row
from support.database import run_sql
from support.stored import prepared, retitle, tenant_of
from support.webhooks import NAME, NAMESPACE, WRITER, Dispatched, add_user, add_webhook, webhook_of


async def failing_since(store: Store) -> datetime | None:
    found = await webhook_of(store)
    return found.failing_since


class TestLeases:
    async def test_one_holder_has_a_webhook_until_its_lease_is_over(self, store: Store, tenant: int) -> None:
        webhook = await add_webhook(store)
        one, two = Dispatched(store, "one"), Dispatched(store, "two")
        assert (await one.lease(), await two.lease()) == ({webhook}, set())
        assert await two.turn(webhook) is None
        await run_sql(store.url, "UPDATE webhook SET lease_until = '2020-01-01T00:00:00.000000Z'")
        assert await one.turn(webhook) is None, "it is over"
        assert (await two.lease(), await one.lease()) == ({webhook}, set())

    async def test_a_holder_renews_its_lease(self, store: Store, tenant: int) -> None:
        webhook, one = await add_webhook(store), Dispatched(store, seconds=60)
        await one.lease()
        soon = to_text(datetime.now(UTC) + timedelta(seconds=30))
        await run_sql(store.url, f"UPDATE webhook SET lease_until = '{soon}'")
        assert await one.lease(most=0) == {webhook}
        [(until,)] = await run_sql(store.url, "SELECT lease_until FROM webhook")
        assert until > soon

    async def test_only_so_many_are_taken_at_a_time(self, store: Store, tenant: int) -> None:
        for number in range(5):
            await add_webhook(store, f"app-{number}")
        one, two = Dispatched(store, "one"), Dispatched(store, "two")
        assert (len(await one.lease(2)), len(await two.lease(16))) == (2, 3)

    async def test_what_is_given_back_can_be_taken_at_once(self, store: Store, tenant: int) -> None:
        webhook = await add_webhook(store)
        await Dispatched(store, "one").lease()
        await store.webhooks.release("one")
        assert await Dispatched(store, "two").lease() == {webhook}

    async def test_dispatchers_that_come_together_share_nothing(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        for number in range(8):
            await add_webhook(store, f"app-{number}")
        taken = await asyncio.gather(Dispatched(store, "one").lease(), Dispatched(other, "two").lease())
        assert sum(map(len, taken)) == len(set.union(*taken)) <= 8

    async def test_a_suspended_one_is_nobodys_and_goes_on_where_it_was(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        await one.lease()
        await store.webhooks.suspend(NAMESPACE, NAME)
        await add_user(store, tenant, "ada")
        assert (await one.lease(), await one.turn(webhook)) == (set(), None)
        await store.webhooks.resume(NAMESPACE, NAME)
        await one.lease()
        assert len(await one.due(webhook)) == 1

    async def test_a_change_of_the_administration_changes_the_number_that_holders_see(
        self, store: Store, tenant: int
    ) -> None:
        webhook = await add_webhook(store)
        before = (await store.webhooks.lease("one", 60, 1))[webhook]
        await store.webhooks.ping(NAMESPACE, NAME)
        after = (await store.webhooks.lease("one", 60, 1))[webhook]
        assert (before[0], after[0]) == (tenant, tenant)
        assert before[1] != after[1]


class TestQueue:
    async def test_what_was_committed_before_it_is_not_sent_and_what_is_after_is(
        self, store: Store, tenant: int
    ) -> None:
        await add_user(store, tenant, "early")
        webhook, one = await add_webhook(store), Dispatched(store)
        ada = await add_user(store, tenant, "ada")
        stranger = await tenant_of(store, "fabrikam")
        await add_user(store, stranger, "bob")
        await one.lease()
        [due] = await one.due(webhook)
        assert (due.type, due.resource, due.attempts) == ("user.created", ada.id, 0)
        assert f'"id":"{due.message_id}"' in due.data

    async def test_only_types_that_are_wanted_are_queued(self, store: Store, tenant: int) -> None:
        webhook, one = await add_webhook(store, types=frozenset({"user.deleted"})), Dispatched(store)
        ada = await add_user(store, tenant, "ada")
        await store.delete(tenant, "User", ada.id, actor=WRITER)
        await one.lease()
        assert [due.type for due in await one.all_due(webhook)] == ["user.deleted"]

    async def test_what_is_due_comes_in_order_and_what_the_holder_has_does_not_come_again(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        ada, _ = await add_user(store, tenant, "ada"), await add_user(store, tenant, "bob")
        await store.modify(tenant, "User", ada.id, retitle(lambda _: "Dr."), actor=WRITER)
        await one.lease()
        due = await one.due(webhook)
        assert [each.type for each in due] == ["user.created", "user.created", "user.updated"]
        assert await one.due(webhook, most=2) == due[:2]
        numbers = [each.change for each in due]
        assert await one.due(webhook, in_flight=numbers[:2], most=1) == due[2:]
        assert await one.due(webhook, in_flight=numbers) == []
        assert await one.due(webhook, AttemptResults(delivered=numbers[:2])) == due[2:]

    async def test_of_a_resource_nothing_comes_after_one_that_waits_for_another_attempt(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        ada, bob = await add_user(store, tenant, "ada"), await add_user(store, tenant, "bob")
        for user in (ada, bob):
            await store.modify(tenant, "User", user.id, retitle(lambda _: "Dr."), actor=WRITER)
        await one.lease()
        due = await one.due(webhook)
        failed = next(each for each in due if each.resource == ada.id)
        again = await one.due(webhook, AttemptResults([], [FailedAttempt(failed.change, 300)], "HTTP 500"))
        assert [each.resource for each in again] == [bob.id, bob.id]

    async def test_what_is_sent_again_from_before_one_that_waits_comes_at_once(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        ada = await add_user(store, tenant, "ada")
        await store.modify(tenant, "User", ada.id, retitle(lambda _: "Dr."), actor=WRITER)
        await one.lease()
        first, second = await one.due(webhook)
        failed = AttemptResults([first.change], [FailedAttempt(second.change, 300)], "HTTP 500")
        assert await one.due(webhook, failed) == []
        await store.webhooks.redeliver(NAMESPACE, NAME, datetime(2020, 1, 1, tzinfo=UTC))
        assert [each.change for each in await one.due(webhook)] == [first.change]

    async def test_a_membership_belongs_to_its_group(self, store: Store, tenant: int) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        ada = await add_user(store, tenant, "ada")
        staff = dataclasses.replace(prepared("staff"), members=(MemberChange("add", (ada.id,)),))
        group = await store.create(tenant, "Group", staff, actor=WRITER)
        await one.lease()
        assert {due.resource for due in await one.due(webhook)} == {ada.id, group.id}
        assert len({due.resource for due in await one.all_due(webhook)}) == 2

    async def test_one_that_fails_waits_and_delays_its_own_resource_alone(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        ada, bob = await add_user(store, tenant, "ada"), await add_user(store, tenant, "bob")
        await one.lease()
        first, second = await one.due(webhook)
        for user in (ada, bob):
            await store.modify(tenant, "User", user.id, retitle(lambda _: "Dr."), actor=WRITER)
        results = AttemptResults([second.change], [FailedAttempt(first.change, 300)], "HTTP 500")
        turn = await one.turn(webhook, results)
        assert turn is not None
        assert {due.resource for due in turn.due} == {bob.id}
        assert turn.wait_seconds is not None
        assert 290 < turn.wait_seconds <= 300
        assert await failing_since(store) is not None

    async def test_nothing_fails_any_more_when_the_last_that_did_is_delivered(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        await add_user(store, tenant, "ada")
        await one.lease()
        [due] = await one.due(webhook)
        [again] = await one.due(webhook, AttemptResults((), [FailedAttempt(due.change, 0)], "HTTP 500"))
        assert again.attempts == 1
        ping = await store.webhooks.ping(NAMESPACE, NAME)
        [pinged] = [one for one in await one.due(webhook) if one.message_id == ping]
        await one.turn(webhook, AttemptResults([pinged.change]))
        assert await failing_since(store) is not None, "one still fails"
        await one.turn(webhook, AttemptResults([due.change]))
        assert await failing_since(store) is None

    async def test_a_paused_receiver_gets_nothing_and_then_one_that_has_not_failed(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        for name in ("ada", "bob", "eve"):
            await add_user(store, tenant, name)
        await one.lease()
        first, second, _ = await one.due(webhook)
        paused = AttemptResults((), [FailedAttempt(first.change, 0)], "TLS", pause_level=1, pause_seconds=60)
        turn = await one.turn(webhook, paused)
        assert turn is not None
        assert (list(turn.due), turn.webhook.pause_level) == ([], 1)
        assert turn.wait_seconds is not None
        assert 50 < turn.wait_seconds <= 60
        over = dataclasses.replace(paused, failed=(), pause_seconds=0)
        assert [due.change for due in await one.due(webhook, over)] == [second.change]
        assert await one.due(webhook, in_flight=[second.change]) == [], "one probe at a time"
        assert len(await one.due(webhook, AttemptResults([second.change]))) == 2

    async def test_so_many_are_queued_and_the_rest_stays_in_the_log(self, store: Store, tenant: int) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        sql = (
            "INSERT INTO change (tenant, at, type, resource_id, credential) {0} SELECT {1},"
            f" '{to_text(datetime.now(UTC))}', 'user.created', 'u' || n, 'c' FROM {{2}}"
        )
        if store.dialect == "sqlite":
            numbers = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g WHERE n < 1300)"
            await run_sql(store.url, sql.format(numbers, tenant, "g"))
        else:
            await run_sql(store.url, sql.format("", tenant, "generate_series(1, 1300) AS g(n)"))
        await one.lease()
        for _ in range(4):
            turn = await one.turn(webhook, most=0)
        assert turn is not None
        assert (turn.queued, turn.has_more) == (QUEUE_LIMIT, False)
        seen: list[str] = []
        due = await one.due(webhook, most=200)
        while due:
            seen += [delivery.resource for delivery in due]
            due = await one.due(webhook, AttemptResults([delivery.change for delivery in due]), most=200)
        assert seen == [f"u{number}" for number in range(1, 1301)]

    async def test_a_delivery_that_is_older_than_the_log_is_dropped_and_that_is_said(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        await one.lease()
        old = to_text(datetime.now(UTC) - timedelta(days=3))
        await add_change_row(store, ChangeRow(old, tenant, "user.created", "u1"))
        assert len(await one.due(webhook)) == 1
        assert await one.due(webhook, keep=timedelta(days=2)) == []
        found = await webhook_of(store)
        assert found.gap_at is not None
        assert "kept no longer" in str(found.gap)

    async def test_a_position_that_leads_nowhere_goes_on_from_before_what_was_read_last(
        self, store: Store, tenant: int
    ) -> None:
        webhook, one = await add_webhook(store), Dispatched(store)
        await one.lease()
        for name in ("ada", "bob"):
            await add_user(store, tenant, name)
        await one.all_due(webhook)
        await run_sql(store.url, "UPDATE change SET type = 'user.updated'")  # another history: other marks
        assert [due.type for due in await one.all_due(webhook)] == []
        turn = await one.turn(webhook)
        assert turn is not None
        assert [due.type for due in turn.due] == ["user.updated"] * 2
        found = await webhook_of(store)
        assert "restore" in str(found.gap)


@pytest.mark.parametrize("late_first", [True, False])
async def test_a_writer_that_commits_late_is_missed_by_no_webhook(
    postgres_url: str, late_first: bool
) -> None:
    await migrate(postgres_url)
    store = create_store(postgres_url)
    await store.open()
    try:
        tenant = await tenant_of(store)
        webhook, one = await add_webhook(store), Dispatched(store)
        await one.lease()
        slow = await asyncpg.connect(postgres_url)
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(
            "INSERT INTO change (tenant, at, type, resource_id, credential) VALUES ($1, $2, 'user.created', 'late', 'c')",
            tenant,
            to_text(datetime.now(UTC)),
        )
        ada = await add_user(store, tenant, "ada")
        seen = [due.resource for due in await one.all_due(webhook)]
        assert seen == [ada.id]
        if late_first:
            assert await store.webhooks.redeliver(NAMESPACE, NAME, datetime.now(UTC))
        await transaction.commit()
        await slow.close()
        again = [ada.id] if late_first else []
        assert [due.resource for due in await one.all_due(webhook)] == ["late", *again]
    finally:
        await store.close()


async def test_a_turn_that_read_from_where_somebody_moved_it_away_meanwhile_reads_again(
    postgres_url: str,
) -> None:
    """``redeliver`` comes between a turn's look at the log and its transaction's lock."""
    await migrate(postgres_url)
    async with contextlib.AsyncExitStack() as stack:
        store = create_store(postgres_url)
        await store.open()
        stack.push_async_callback(store.close)
        tenant = await tenant_of(store)
        webhook, one = await add_webhook(store), Dispatched(store)
        await one.lease()
        [[begin]] = await run_sql(store.url, "SELECT position FROM webhook")
        ada = await add_user(store, tenant, "ada")
        await one.all_due(webhook)
        other = await asyncpg.connect(postgres_url)
        stack.push_async_callback(other.close)
        await other.execute("BEGIN")
        await other.execute("UPDATE webhook SET position = $1", begin)
        await add_user(store, tenant, "eve")
        turn = asyncio.create_task(one.turn(webhook))
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        async with asyncio.timeout(10):
            while not await other.fetchval(blocked):
                await asyncio.sleep(0.01)
        await other.execute("COMMIT")
        first = await turn

        assert first is not None
        assert (list(first.due), first.has_more) == ([], True)
        assert next(due.resource for due in await one.all_due(webhook)) == ada.id
