"""What only PostgreSQL does with the log of changes: transactions that overtake each other."""

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from localcluster.ports import free_port
from scim_api.store.change_log import Actor, FeedPosition, Unfinished
from scim_api.store.errors import ChangesGone, Unavailable
from scim_api.store.migrate import migrate
from scim_api.store.postgres.pool import INDEX_ONLY_PLANNER
from scim_api.store.postgres.store import PostgresStore
from scim_api.store.sql import change_log
from support.change_rows import COLUMNS
from support.postgres import execute, own_server, standby_of
from support.stored import prepared, retitle, tenant_of

_WRITE = f"INSERT INTO change ({COLUMNS}) SELECT $1, $2, $3, $4, NULL, 1, NULL, NULL, 'writer', NULL"


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def tenant(store: PostgresStore) -> int:
    return await tenant_of(store)


class Writer:
    """A transaction that writes changes and is committed when a test says so."""

    def __init__(self, connection: "asyncpg.Connection[Any]", tenant: int) -> None:
        self.connection, self.tenant = connection, tenant

    async def write(self, *names: str) -> None:
        for name in names:
            await self.connection.execute(_WRITE, "2026", self.tenant, "user.updated", name)

    async def commit(self) -> None:
        await self.connection.execute("COMMIT")


@asynccontextmanager
async def writers(store: PostgresStore, tenant: int, count: int) -> AsyncIterator[list[Writer]]:
    """Transactions that are under way, in the order of their ids."""
    made = [Writer(await asyncpg.connect(store.url), tenant) for _ in range(count)]
    try:
        for writer in made:
            await writer.connection.execute("BEGIN")
            await writer.connection.execute("SELECT pg_current_xact_id()")
        yield made
    finally:
        for writer in made:
            await writer.connection.close()


def _constant(title: str, _: str) -> str:
    return title


async def read(
    store: PostgresStore, tenant: int, after: FeedPosition | None, limit: int = 100
) -> tuple[list[str], FeedPosition]:
    """What a reader gets who asks until there is no more."""
    names: list[str] = []
    while True:
        page = await store.change_log.page(tenant, after, limit=limit)
        assert len(page.changes) <= limit
        names += [change.resource_id for change in page.changes]
        after = page.next
        if not page.has_more:
            return names, after


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_change_that_is_committed_late_is_read_late(
    store: PostgresStore, tenant: int, limit: int
) -> None:
    async with writers(store, tenant, 2) as (slow, fast):
        await slow.write("a", "b", "c")
        await fast.write("d")
        await slow.write("e")
        await fast.commit()
        first, position = await read(store, tenant, None, limit)
        await slow.commit()
        second, position = await read(store, tenant, position, limit)
        third, _ = await read(store, tenant, position, limit)

    assert (first, second, third) == (["d"], ["a", "b", "c", "e"], [])


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_transaction_that_is_younger_than_the_last_one_that_ended_is_not_overtaken(
    store: PostgresStore, tenant: int, limit: int
) -> None:
    """The snapshot does not list it, though its changes are numbered already."""
    async with writers(store, tenant, 2) as (older, younger):
        await younger.write("a", "b")
        await older.write("c")
        await older.commit()
        first, position = await read(store, tenant, None, limit)
        await younger.commit()
        second, _ = await read(store, tenant, position, limit)

    assert (first, second) == (["c"], ["a", "b"])


async def test_one_that_ends_while_another_ones_late_changes_are_read_page_by_page_is_not_lost(
    store: PostgresStore, tenant: int
) -> None:
    async with writers(store, tenant, 3) as (first, second, third):
        for writer in (first, second, first, second, first):
            await writer.write("first" if writer is first else "second")
        await third.write("third")
        await third.commit()
        names, position = await read(store, tenant, None)
        await first.commit()
        page = await store.change_log.page(tenant, position, limit=1)
        await second.commit()
        rest, _ = await read(store, tenant, page.next, limit=1)

    assert names == ["third"]
    assert [change.resource_id for change in page.changes] == ["first"]
    assert rest == ["first", "first", "second", "second"]


async def test_a_transaction_left_open_anywhere_on_the_server_holds_nothing_up(
    store: PostgresStore, tenant: int
) -> None:
    """In this database, with a row of this log, and in another one of the server."""
    elsewhere = await asyncpg.connect(store.url, database="postgres")
    await elsewhere.execute("BEGIN; SELECT pg_current_xact_id()")
    async with writers(store, tenant, 1) as (left_open,):
        await left_open.write("unseen")
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("writer"))
        first, position = await read(store, tenant, None)
        eve = await store.create(tenant, "User", prepared("eve"), actor=Actor("writer"))
        second, _ = await read(store, tenant, position)
    await elsewhere.close()

    assert (first, second) == ([ada.id], [eve.id])


async def test_a_position_that_a_writing_transaction_takes_misses_nothing_of_those_that_began_after_it(
    store: PostgresStore, tenant: int
) -> None:
    """PostgreSQL tells such a transaction its own id in the place of the last one that was given."""
    async with writers(store, tenant, 3) as (older, taking, younger):
        await younger.write("late")
        await older.write("before")
        await older.commit()
        rows = await taking.connection.fetch(change_log.POSTGRESQL_HEAD, tenant)
        head = change_log.read_head("postgresql", tenant, rows)
        await younger.commit()
        names, _ = await read(store, tenant, head)

    assert names == ["late"]


async def test_the_head_leaves_out_what_is_not_committed_yet(store: PostgresStore, tenant: int) -> None:
    async with writers(store, tenant, 2) as (slow, fast):
        await slow.write("late")
        await fast.write("before")
        await fast.commit()
        head = await store.change_log.head(tenant)
        await slow.commit()
        names, _ = await read(store, tenant, head)

    assert names == ["late"]


async def test_of_changes_under_way_at_once_none_is_missed_and_each_resource_has_its_order(
    store: PostgresStore, tenant: int
) -> None:
    users = [await store.create(tenant, "User", prepared(f"u{n}"), actor=Actor("w")) for n in range(8)]
    position = await store.change_log.head(tenant)

    async def change(number: int) -> None:
        for step in range(6):
            title = f"{number}-{step}"
            await store.modify(
                tenant,
                "User",
                users[step].id,
                retitle(functools.partial(_constant, title)),
                actor=Actor(title),
            )

    seen: list[tuple[str, int | None, str]] = []
    writing = asyncio.gather(*(change(number) for number in range(12)))
    while not writing.done():
        page = await store.change_log.page(tenant, position, limit=7)
        seen += [(one.resource_id, one.version, one.credential) for one in page.changes]
        position = page.next
    await writing
    page = await store.change_log.page(tenant, position, limit=1_000)
    seen += [(one.resource_id, one.version, one.credential) for one in page.changes]

    assert sorted(actor for _, _, actor in seen) == sorted(f"{n}-{s}" for n in range(12) for s in range(6))
    for user in users[:6]:
        assert [version for one, version, _ in seen if one == user.id] == list(range(2, 14))


async def test_what_a_page_needs_is_found_by_indexes_whatever_the_statistics(
    store: PostgresStore, tenant: int
) -> None:
    """The log was copied from another database by one transaction, the reader has come far, and the statement is planned
    once for all readers.
    """
    settings = {**INDEX_ONLY_PLANNER, "plan_cache_mode": "force_generic_plan"}
    session = await asyncpg.connect(store.url, server_settings=settings)
    fill = (
        "INSERT INTO change (tenant, at, type, resource_id, credential)"
        " SELECT CASE WHEN n % 2 = 0 THEN $1 ELSE n % 7 + 1000 END, '2026', 'user.updated', n::text, 'c'"
        " FROM generate_series(1, 5000) AS n"
    )
    await session.execute(fill.replace("$1", str(tenant)))
    since = int((await session.fetchval("SELECT pg_current_snapshot()::text")).split(":")[1])
    await session.execute(fill.replace("$1", str(tenant)).replace("5000", "50"))
    position = FeedPosition(tenant, 0, 4_000, 0, Unfinished((since - 5,), since, since + 1))
    asked = {
        change_log.POSTGRESQL_PAGE: change_log.page_parameters(tenant, position, 10, frozenset()),
        change_log.POSTGRESQL_HEAD: (tenant,),
        change_log.POSTGRESQL_CHANGED: ([], str(since)),
    }
    for statistics in ("young", "fresh"):
        if statistics == "fresh":
            await session.execute("ANALYZE change")
        for sql, parameters in asked.items():
            [[text]] = await session.fetch(await _explained(session, sql, parameters))
            nodes = list(_nodes(json.loads(text)[0]["Plan"]))
            read = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes if "Index Name" in node)
            assert not [node for node in nodes if node["Node Type"] == "Seq Scan"], (statistics, sql)
            assert read < 100, (statistics, text)
    await session.close()


async def _explained(session: "asyncpg.Connection[Any]", sql: str, parameters: tuple[Any, ...]) -> str:
    """EXPLAIN of a prepared statement, with its parameters as literals."""
    name = f"asked_{abs(hash(sql))}"
    if not await session.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name = $1", name):
        await session.execute(f"PREPARE {name} AS {sql}")
    texts = [f"'{{{','.join(value)}}}'" if isinstance(value, list) else f"'{value}'" for value in parameters]
    return f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {name} ({', '.join(texts)})"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


async def test_a_position_of_before_a_failover_is_refused() -> None:
    """A standby may lack what a reader has seen, and gives its numbers to other changes."""
    ports = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        primary = await asyncio.to_thread(stack.enter_context, own_server(("127.0.0.1", ports[0])))
        await migrate(primary.url)
        standby = await asyncio.to_thread(stack.enter_context, standby_of(primary, ("127.0.0.1", ports[1])))
        async with opened(primary.url) as before:
            tenant = await tenant_of(before)
            await before.create(tenant, "User", prepared("ada"), actor=Actor("writer"))
            page = await before.change_log.page(tenant, None, limit=10)
        await _until_there(standby.url)
        async with opened(standby.url) as behind:
            for asked in (
                behind.change_log.page(tenant, page.next, limit=10),
                behind.change_log.head(tenant),
            ):
                with pytest.raises(Unavailable, match="standby"):
                    await asked
        await execute(standby.url, "SELECT pg_promote(true)")
        async with opened(standby.url) as after:
            assert len((await after.change_log.page(tenant, None, limit=10)).changes) == 1
            with pytest.raises(ChangesGone, match="failover"):
                await after.change_log.page(tenant, page.next, limit=10)
        await asyncio.to_thread(stack.close)


async def _until_there(url: str) -> None:
    """Until the standby has the one person."""
    async with asyncio.timeout(20):
        connection = await asyncpg.connect(url)
        while not await connection.fetchval("SELECT count(*) FROM change WHERE type = 'user.created'"):
            await asyncio.sleep(0.02)
        await connection.close()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
