"""A PostgreSQL database as source or target of a copy: who is kept out, and what its errors become."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import asyncpg
import pytest

from scim_api.store.errors import TransferRefused
from scim_api.store.migrate import REQUIRED_VERSION
from scim_api.store.postgres import transfer as module
from scim_api.store.postgres.transfer import PostgresTransferDatabase
from scim_api.store.sql.transaction_script import Row
from scim_api.store.sql.transfer_tables import PAGE, TABLES
from support.database import run_sql

BY_NAME = {table.name: table for table in TABLES}
TENANT = "INSERT INTO tenant (namespace, name, settings, settings_hash) VALUES ('demo', '{}', '{{}}', '')"


@pytest.fixture
def place(postgres_url: str) -> PostgresTransferDatabase:
    return PostgresTransferDatabase(postgres_url)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SESSIONS_END_SECONDS", 0.2)
    monkeypatch.setitem(module._SETTINGS, "lock_timeout", "200ms")


@contextlib.asynccontextmanager
async def session(url: str, name: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url, server_settings={"application_name": name})
    try:
        yield connection
    finally:
        await connection.close()


async def tenants(*rows: Row) -> AsyncGenerator[list[Row], None]:
    yield list(rows)


async def test_a_database_without_tables_is_empty_and_of_no_version(empty_postgres_url: str) -> None:
    place = PostgresTransferDatabase(empty_postgres_url)
    assert await place.inspect() == (0, True)
    async with place.source() as source:
        assert await source.version() == 0


async def test_a_schema_with_nothing_in_it_is_empty(place: PostgresTransferDatabase) -> None:
    assert await place.inspect() == (REQUIRED_VERSION, True)
    await run_sql(place.url, TENANT.format("contoso"))
    assert await place.inspect() == (REQUIRED_VERSION, False)


async def test_a_service_that_has_it_open_is_counted_and_any_other_session_is_not(
    place: PostgresTransferDatabase,
) -> None:
    async with session(place.url, "psql"), session(place.url, "scim-api"):
        with pytest.raises(TransferRefused, match="is in use: scim-api has 1 sessions open; stop the API"):
            await place.inspect()
    async with session(place.url, "psql"):
        assert await place.inspect() == (REQUIRED_VERSION, True)


async def test_a_service_that_has_just_ended_is_waited_for(
    place: PostgresTransferDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SESSIONS_END_SECONDS", 20.0)
    async with session(place.url, "scim-api") as ending:
        looking = asyncio.create_task(place.inspect())
        done, _ = await asyncio.wait([looking], timeout=0.3)
        assert not done
        await ending.close()
        assert await looking == (REQUIRED_VERSION, True)


async def test_a_lock_of_another_session_is_told_and_not_waited_for_without_end(
    place: PostgresTransferDatabase,
) -> None:
    async with session(place.url, "psql") as other, other.transaction():
        await other.execute("LOCK TABLE audit IN ROW EXCLUSIVE MODE")
        with pytest.raises(TransferRefused, match="another session holds a lock on its tables"):
            async with place.source():
                pass


@pytest.mark.parametrize("role", ["source", "target"])
async def test_while_it_is_copied_others_may_read_and_not_write(
    place: PostgresTransferDatabase, role: str
) -> None:
    async with getattr(place, role)(), session(place.url, "psql") as other:
        await other.execute("SET lock_timeout = '200ms'")
        assert await other.fetchval("SELECT count(*) FROM tenant") == 0
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute(TENANT.format("late"))


async def test_a_block_that_fails_leaves_the_target_as_it_was(place: PostgresTransferDatabase) -> None:
    row = (7, "demo", "contoso", "{}", "", "active", None)
    with pytest.raises(ZeroDivisionError):
        async with place.target() as target:
            await target.write(BY_NAME["tenant"], tenants(row))
            assert await target.count(BY_NAME["tenant"]) == 1
            raise ZeroDivisionError
    assert await place.inspect() == (REQUIRED_VERSION, True)
    async with place.target() as target:
        await target.write(BY_NAME["tenant"], tenants(row))
    assert await run_sql(place.url, "SELECT * FROM tenant") == [row]


async def test_a_value_that_postgresql_does_not_take_is_told_with_its_table(
    place: PostgresTransferDatabase,
) -> None:
    with pytest.raises(TransferRefused, match="table tenant: PostgreSQL does not take a value of it"):
        async with place.target() as target:
            await target.write(
                BY_NAME["tenant"], tenants((1, "demo", "nul \0 byte", "{}", "", "active", None))
            )


async def test_rows_come_in_pages_in_the_order_of_their_key_and_numbers_go_on(
    place: PostgresTransferDatabase,
) -> None:
    tenant = BY_NAME["tenant"]
    rows = [(n, "demo", f"t{n}", "{}", "", "active", None) for n in range(1, PAGE + 2)]
    async with place.target() as target:
        assert await target.highest(tenant) == 0
        await target.write(tenant, tenants(*reversed(rows)))
        assert await target.highest(tenant) == PAGE + 1
        await target.continue_numbering_after(tenant, 9_000)
        await target.analyze()
    async with place.source() as source:
        pages = [page async for page in source.pages(tenant)]
        assert await source.highest(tenant) == 9_000
    assert [len(page) for page in pages] == [PAGE, 1]
    assert [row for page in pages for row in page] == rows
    assert await run_sql(place.url, f"{TENANT.format('next')} RETURNING pk") == [(9_001,)]
