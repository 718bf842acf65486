"""The pool with real connections: what asyncpg does when a borrower fails, and what the server sees of it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from scim_api.store.errors import Unavailable
from scim_api.store.postgres.pool import Pool, open_pool, run_script
from scim_api.store.sql.transaction_script import Statement, TransactionScript

DEADLINE_SECONDS = 20
PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(postgres_url, size=2, statement_seconds=30)
    yield pool
    await pool.close()


async def pid_of(pool: Pool) -> int:
    [[pid]] = await pool.fetch(PID, ())
    return int(pid)


async def backends(url: str) -> set[int]:
    """The pool's backends that the server knows."""
    connection = await asyncpg.connect(url)
    try:
        sql = (
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'scim-api'"
        )
        return {row[0] for row in await connection.fetch(sql)}
    finally:
        await connection.close()


async def test_requests_share_as_many_connections_as_there_may_be(pool: Pool, postgres_url: str) -> None:
    rows = await asyncio.gather(*(pool.fetch("SELECT pg_backend_pid(), pg_sleep(0)", ()) for _ in range(50)))

    assert {row[0][0] for row in rows} == await backends(postgres_url)
    assert len(await backends(postgres_url)) == 2


async def test_an_error_of_sql_keeps_the_connection(pool: Pool) -> None:
    pid = await pid_of(pool)

    for sql in ("SELECT 1/0", "SELECT no_such_column"):
        with pytest.raises(asyncpg.PostgresError):
            await pool.fetch(sql, ())
    with pytest.raises(asyncpg.DataError):
        await pool.fetch("SELECT ?::bigint", ("no number",))

    assert await pid_of(pool) == pid


async def test_a_borrower_that_is_cancelled_leaves_no_connection_behind_that_is_still_at_work(
    pool: Pool, postgres_url: str
) -> None:
    pid = await pid_of(pool)
    slow = asyncio.create_task(pool.fetch("SELECT pg_sleep(30)", ()))
    async with asyncio.timeout(DEADLINE_SECONDS):
        other = await asyncpg.connect(postgres_url)
        while not await other.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
        ):
            await asyncio.sleep(0.01)
        await other.close()
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow

    assert [len(await pool.fetch("SELECT 1", ())) for _ in range(3)] == [1, 1, 1]
    assert await pid_of(pool) != pid


async def test_a_statement_that_takes_too_long_costs_its_connection(postgres_url: str) -> None:
    pool = await open_pool(postgres_url, size=1, statement_seconds=30)
    pid = await pid_of(pool)
    async with pool.connection() as connection:
        before = await connection.fetchval(PID)

    with pytest.raises(Unavailable, match="no answer in time"):
        async with pool.connection() as connection:
            await connection.fetch("SELECT pg_sleep(30)", timeout=0.05)

    assert before == pid
    assert await pid_of(pool) != pid
    await pool.close()


async def test_a_connection_whose_backend_is_ended_is_replaced(pool: Pool, postgres_url: str) -> None:
    pid = await pid_of(pool)
    other = await asyncpg.connect(postgres_url)
    await other.fetch("SELECT pg_terminate_backend($1)", pid)
    await other.close()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                again = await pid_of(pool)
            except Unavailable:
                continue
            if again != pid:
                break
            await asyncio.sleep(0.01)

    assert len(await backends(postgres_url) - {pid}) == 1


async def test_a_transaction_does_not_reach_the_next_borrower(pool: Pool) -> None:
    async with pool.connection() as connection:
        pid = await connection.fetchval(PID)
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE left_open (x int)")
    with pytest.raises(ZeroDivisionError):
        async with pool.connection() as connection:
            await connection.execute("BEGIN")
            raise ZeroDivisionError

    assert await pid_of(pool) != pid
    [[there]] = await pool.fetch("SELECT to_regclass('left_open')::text", ())
    assert there is None


async def test_a_script_that_fails_is_rolled_back_and_keeps_the_connection(pool: Pool) -> None:
    def script() -> TransactionScript[None]:
        yield Statement("CREATE TABLE half_done (x int)", ())
        yield Statement("SELECT 1/0", ())

    pid = await pid_of(pool)
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with pool.connection() as connection, connection.transaction():
            await run_script(connection, script())

    assert await pid_of(pool) == pid
    [[there]] = await pool.fetch("SELECT to_regclass('half_done')::text", ())
    assert there is None


async def test_after_closing_the_server_knows_none_of_its_connections(postgres_url: str) -> None:
    pool = await open_pool(postgres_url, size=3, statement_seconds=30)
    working = [asyncio.create_task(pool.fetch("SELECT pg_sleep(0.05)", ())) for _ in range(3)]
    async with asyncio.timeout(DEADLINE_SECONDS):
        while len(pool._borrowed) < 3:
            await asyncio.sleep(0)
    await pool.close()

    assert [len(rows) for rows in await asyncio.gather(*working)] == [1, 1, 1]
    with pytest.raises(Unavailable, match="closed"):
        await pool.fetch("SELECT 1", ())
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await backends(postgres_url):
            await asyncio.sleep(0.01)
