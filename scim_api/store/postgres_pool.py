"""Connections to PostgreSQL: settings, bounds on every wait, and what its errors mean.

Pooled connections carry no session state, so nothing has to be reset between two requests: that saves
a round trip each. Whatever is lost is opened anew by the pool at the next request.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias, cast

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from scim_api.store import Unavailable
from scim_api.store.scripts import Row, Script, T, numbered

CONNECT_SECONDS: Final = 5.0
ACQUIRE_SECONDS: Final = 5.0
"""How long a request waits for a connection of the pool."""
COMMAND_SECONDS: Final = 5.0
"""How long a request waits for the answer to one statement."""
MIGRATE_SECONDS: Final = 600.0
_RETRIES: Final = 5
_RETRY_SECONDS: Final = 0.01

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

_GONE: Final = (
    OSError,  # a TimeoutError is one, too
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.InvalidAuthorizationSpecificationError,
    asyncpg.exceptions.InvalidCatalogNameError,
    asyncpg.exceptions.InsufficientPrivilegeError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    asyncpg.exceptions.UndefinedTableError,
    asyncpg.exceptions.ForeignKeyViolationError,
)


BY_INDEX: Final = MappingProxyType(
    {
        "enable_bitmapscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_seqscan": "off",
    }
)
"""Settings of the planner for connections whose every query walks an index to a few rows, row by row. While
statistics are young, PostgreSQL believes that 100,000 members are one, and would read and sort them all for
each page of them."""


_AS_IT_IS: Final[Mapping[str, str]] = MappingProxyType({})


async def open_pool(
    url: str, *, size: int, statement_seconds: float, cache: int = 100, planner: Mapping[str, str] = _AS_IT_IS
) -> Pool:
    """A pool whose statements the server itself ends after ``statement_seconds``.

    Args:
        url: of the database.
        size: connections at most.
        statement_seconds: the server ends a statement after so long.
        cache: prepared statements kept for each connection.
        planner: more settings of a session.

    Raises:
        Unavailable: the server does not answer or refuses.
        ValueError: the URL is malformed.
    """
    with explained():
        pool = await asyncpg.create_pool(
            url,
            min_size=0,  # a floor would be restored in the background, with a traceback for each failure
            max_size=size,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            statement_cache_size=cache,
            reset=_keep,
            server_settings={**_settings(statement_seconds), **planner},
        )
    try:
        async with pooled(pool):
            return pool
    except BaseException:
        pool.terminate()
        raise


@contextlib.asynccontextmanager
async def pooled(pool: "Pool | None") -> AsyncIterator[Connection]:
    """A connection of the pool. Raises ``Unavailable`` for whatever shows that the database is not well."""
    if pool is None:
        raise Unavailable("the database is closed")
    with explained():
        async with pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            try:
                yield connection
            except TimeoutError:
                connection.terminate()  # nobody knows what it still waits for
                raise


@contextlib.asynccontextmanager
async def single_connection(url: str) -> AsyncIterator[Connection]:
    """A connection of its own, for migrations: statements may take long."""
    with explained():
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=MIGRATE_SECONDS,
            server_settings=_settings(MIGRATE_SECONDS),
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_SECONDS)


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turns the errors of a database that is gone, full, read-only or not set up into ``Unavailable``."""
    try:
        yield
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise ValueError(f"database URL: {error}; write postgresql://user@host/database") from error
    except asyncpg.DataError:
        raise
    except _GONE as error:
        raise Unavailable(f"PostgreSQL: {_reason(error)}") from error


async def fetch(connection: Connection, sql: str, *parameters: object) -> Sequence[Row]:
    """All rows of a statement with ``?`` or ``$1`` placeholders."""
    return cast("Sequence[Row]", await connection.fetch(numbered(sql), *parameters))


async def run(connection: Connection, script: Script[T]) -> T:
    """Run a script on a connection whose transaction the caller has begun."""
    try:
        statement = next(script)
        while True:
            if statement.parameters:
                rows = await fetch(connection, statement.sql, *statement.parameters)
            else:  # may hold several statements, as a migration does
                rows = await _simple(connection, statement.sql)
            statement = script.send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        script.close()


async def retrying(attempt: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction again that PostgreSQL has sacrificed to another (deadlock, serialisation)."""
    for number in range(_RETRIES):
        try:
            return await attempt()
        except asyncpg.exceptions.TransactionRollbackError:
            await asyncio.sleep(random.uniform(0, _RETRY_SECONDS * 2**number))  # noqa: S311 - jitter
    raise Unavailable("PostgreSQL: the transaction met others too often")


async def _simple(connection: Connection, sql: str) -> Sequence[Row]:
    if sql.lstrip().startswith("SELECT"):
        return await fetch(connection, sql)
    await connection.execute(sql)
    return []


async def _keep(_connection: object) -> None:
    """Nothing to reset on a connection that goes back to the pool."""


def _settings(statement_seconds: float) -> dict[str, str]:
    milliseconds = str(int(statement_seconds * 1000))
    return {
        "application_name": "scim-api",
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": "30000",
        "jit": "off",
    }


def _reason(error: BaseException) -> str:
    match error:
        case asyncpg.exceptions.UndefinedTableError():
            return "the database has no schema yet; run `scim-api migrate`"
        case asyncpg.exceptions.ForeignKeyViolationError():
            return "the tenant was deleted"
        case TimeoutError():
            return "no answer in time"
        case _:
            return f"{type(error).__name__}: {error}"
