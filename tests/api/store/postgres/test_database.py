"""A PostgreSQL database as one process has it: what a transaction is, and what its end means."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from scim_api.store.errors import TooSlow, Unavailable
from scim_api.store.postgres.database import SEARCH_CONNECTIONS, Database
from scim_api.store.sql.timestamps import from_text
from scim_api.store.sql.transaction_script import Statement, TransactionScript
from support.database import run_sql

TENANT = "INSERT INTO tenant (namespace, name, settings, settings_hash) VALUES ('demo', ?, '{}', '')"


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url, pool_size=2, search_seconds=0.3)
    await database.open()
    yield database
    await database.close()


def add(name: str, then: Exception | None = None) -> TransactionScript[str]:
    yield Statement(TENANT, (name,))
    if then is not None:
        raise then
    return name


async def names(url: str) -> list[str]:
    return [name for (name,) in await run_sql(url, "SELECT name FROM tenant ORDER BY name")]


@pytest.mark.parametrize("method", ["transaction", "write_script"])
async def test_a_script_is_committed_as_a_whole_or_not_at_all(
    database: Database, postgres_url: str, method: str
) -> None:
    run = getattr(database, method)
    assert await run(lambda _now: add("a")) == "a"
    with pytest.raises(ZeroDivisionError):
        await run(lambda _now: add("b", ZeroDivisionError()))
    assert await names(postgres_url) == ["a"]


@pytest.mark.parametrize("method", ["transaction", "write_script"])
async def test_a_script_that_met_a_deadlock_is_run_again_from_its_beginning(
    database: Database, postgres_url: str, method: str
) -> None:
    attempts: list[str] = []

    def script(now: str) -> TransactionScript[str]:
        attempts.append(now)
        met = asyncpg.DeadlockDetectedError("met another") if len(attempts) < 3 else None
        return add("a", met)

    assert await getattr(database, method)(script) == "a"
    assert len(set(attempts)) == 3  # each with the time of its own
    assert await names(postgres_url) == ["a"]


@pytest.mark.parametrize("method", ["read_script", "transaction", "write_script"])
async def test_a_script_is_given_the_databases_time(database: Database, method: str) -> None:
    def script(now: str) -> TransactionScript[str]:
        yield Statement("SELECT 1")
        return now

    now = await getattr(database, method)(script)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", now)
    assert abs(from_text(now) - datetime.now(UTC)) < timedelta(minutes=1)


async def test_a_reading_script_sees_one_moment_and_cannot_write(
    database: Database, postgres_url: str
) -> None:
    seen: list[int] = []

    def reading(_now: str) -> TransactionScript[None]:
        for _ in range(2):
            [[number]] = yield Statement("SELECT count(*) FROM tenant")
            seen.append(number)
            # A transaction of another connection, to its end, between the two.
            yield Statement("SELECT pg_sleep(0.3)")

    task = asyncio.create_task(database.read_script(reading))
    while not seen:
        await asyncio.sleep(0.005)
    await run_sql(postgres_url, TENANT.replace("?", "'meanwhile'"))
    await task
    assert seen == [0, 0]
    assert await names(postgres_url) == ["meanwhile"]
    with pytest.raises(Unavailable, match="read-only"):
        await database.read_script(lambda _now: add("b"))


async def test_scripts_of_administration_go_one_after_the_other_in_the_whole_installation(
    database: Database, postgres_url: str
) -> None:
    other = Database(postgres_url, pool_size=2, search_seconds=1)
    await other.open()
    moments: list[tuple[str, int]] = []

    def script(number: int) -> TransactionScript[None]:
        moments.append(("begun", number))
        yield Statement("SELECT pg_sleep(0.05)")
        moments.append(("ended", number))

    def numbered(number: int) -> Callable[[str], TransactionScript[None]]:
        return lambda _now: script(number)

    await asyncio.gather(*(one.write_script(numbered(n)) for n, one in enumerate((database, other) * 2)))
    await other.close()
    assert [word for word, _ in moments] == ["begun", "ended"] * 4
    assert all(moments[n][1] == moments[n + 1][1] for n in range(0, 8, 2))


async def test_a_search_ends_at_its_deadline_and_has_connections_of_its_own(database: Database) -> None:
    slow = [
        asyncio.create_task(database.search(Statement("SELECT pg_sleep(?)", (30.0,))))
        for _ in range(SEARCH_CONNECTIONS + 1)
    ]
    await asyncio.sleep(0.05)
    assert list(await database.read("SELECT 1")) == [(1,)]
    assert not any(task.done() for task in slow)
    for outcome in await asyncio.gather(*slow, return_exceptions=True):
        assert isinstance(outcome, TooSlow)
        assert str(outcome) == "the search took longer than 0.3 s"


async def test_a_database_that_is_closed_says_so_and_can_be_opened_again(database: Database) -> None:
    await database.open()  # harmless
    await database.close()
    await database.close()
    for attempt in (
        database.read("SELECT 1"),
        database.write("SELECT 1"),
        database.search(Statement("SELECT 1")),
        database.transaction(lambda _now: add("a")),
    ):
        with pytest.raises(Unavailable, match="the database is closed"):
            await attempt
    await database.open()
    assert list(await database.read("SELECT 1")) == [(1,)]
