"""Connections to PostgreSQL: settings, and bounds on every wait.

Pooled connections carry no session state, so nothing has to be reset between two requests: that saves
a round trip each. Whatever is lost is opened anew by the pool at the next request.
"""

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

import asyncpg

from scim_api.contract.backoff import Backoff
from scim_api.store.errors import ReadOnly, Unavailable
from scim_api.store.postgres.connecting import (
    CONNECT_SECONDS,
    UNAVAILABLE,
    Connection,
    Connector,
    Session,
    translated_errors,
    unavailable,
)
from scim_api.store.postgres.read_only import ReadOnlyWatch
from scim_api.store.sql.transaction_script import Row, T, TransactionScript, number_placeholders

ACQUIRE_SECONDS: Final = 5.0
"""How long a request waits for a connection of the pool."""
COMMAND_SECONDS: Final = 5.0
"""How long a request waits for the answer to one statement."""
MIGRATE_SECONDS: Final = 600.0
_RETRIES: Final = 5
_RETRY_BACKOFF: Final = Backoff(first=0.01, longest=1.0, jitter=1.0)

IDLE_SECONDS: Final = 300.0
"""A connection that nobody needed for so long is closed: something on the way may have dropped it."""

INDEX_ONLY_PLANNER: Final = MappingProxyType(
    {
        "enable_bitmapscan": "off",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_seqscan": "off",
        "max_parallel_workers_per_gather": "0",
    }
)
"""Settings of the planner for connections whose every query walks an index to a few rows, row by row. While
statistics are young, PostgreSQL believes that 100,000 members are one, and would read and sort them all for
each page of them. Addresses have no statistics at all (``published``): of a million it expects 5,000 behind each, and
would start a process to look one up, which takes ten times as long as looking."""


_DEFAULT_PLANNER: Final[Mapping[str, str]] = MappingProxyType({})


class Pool:
    """Connections that are lent to one request at a time.

    Lending an idle connection costs two list operations. (asyncpg's own pool makes a task and a timer for
    each acquisition, and a task for each release: a fifth of what a whole point read costs here.) It does
    less, too: nothing is reset, since nothing is left on a connection, and one whose borrower failed in
    any other way than by an error of PostgreSQL is ended, since nobody knows what it still waits for.

    Args:
        connect: opens a connection.
        size: connections at most.
        clock: seconds, monotonic.
        on_read_only: called when a connection refuses a write; by default ``renew``.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        size: int,
        clock: Callable[[], float] = time.monotonic,
        on_read_only: Callable[[], None] | None = None,
    ) -> None:
        self._connect, self._free, self._clock = connect, size, clock
        self._on_read_only = on_read_only or self.renew
        self._idle: collections.deque[tuple[float, Connection]] = collections.deque()
        self._borrowed: set[Connection] = set()
        self._outdated: set[Connection] = set()
        self._waiting: collections.deque[asyncio.Future[Connection | None]] = collections.deque()
        self._closing: asyncio.Event | None = None

    async def fetch(self, sql: str, parameters: Sequence[object]) -> Sequence[Row]:
        """All rows of one statement, which is a transaction of its own; placeholders are ``?`` or ``$1``.

        Raises:
            Unavailable: for whatever shows that the database is not well.
        """
        try:
            connection = self._pop_idle() or await self._open_or_wait()
            try:
                rows = await connection.fetch(number_placeholders(sql), *parameters)
            except BaseException as error:
                self._return_after_error(connection, error)
                raise
            self._return(connection)
        except asyncpg.DataError:
            raise
        except UNAVAILABLE as error:
            raise unavailable(error) from error
        return cast("Sequence[Row]", rows)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for several statements. Raises ``Unavailable`` as ``fetch`` does."""
        with translated_errors():
            connection = self._pop_idle() or await self._open_or_wait()
            try:
                yield connection
            except BaseException as error:
                self._return_after_error(connection, error)
                raise
            if connection.is_in_transaction():
                connection.terminate()
            self._return(connection)

    def renew(self) -> None:
        """End the connections that are open now: idle ones at once, those that are lent as they come back."""
        self._outdated.update(self._borrowed)
        for _, connection in self._idle:
            connection.terminate()
        self._free += len(self._idle)
        self._idle.clear()

    async def close(self) -> None:
        """Let the borrowers finish, and disconnect."""
        self._closing = closing = asyncio.Event()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(Unavailable("the database is closed"))
        if self._borrowed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * COMMAND_SECONDS):
                    await closing.wait()
        for connection in [*self._borrowed, *(connection for _, connection in self._idle)]:
            with contextlib.suppress(*UNAVAILABLE):
                await connection.close(timeout=CONNECT_SECONDS)
        self._idle.clear()

    def _pop_idle(self) -> "Connection | None":
        """An idle connection, the one that was needed last."""
        if self._closing is not None:
            raise Unavailable("the database is closed")
        while self._idle:
            _, connection = self._idle.pop()
            if connection.is_closed():
                self._free += 1
            else:
                self._borrowed.add(connection)
                return connection
        return None

    async def _open_or_wait(self) -> Connection:
        """A new connection, or the next that comes back within ``ACQUIRE_SECONDS``."""
        if self._free:
            self._free -= 1
        else:
            connection = await self._wait()
            if connection is not None:
                return connection
        try:
            connection = await self._connect()
        except BaseException:
            self._release_slot()
            raise
        if self._closing is not None:  # by now, and nobody would close this one
            connection.terminate()
            self._release_slot()
            raise Unavailable("the database is closed")
        self._borrowed.add(connection)
        return connection

    async def _wait(self) -> "Connection | None":
        """A connection that another gave back; None for the right to open one."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Connection | None] = loop.create_future()
        self._waiting.append(waiter)
        deadline = loop.call_later(ACQUIRE_SECONDS, _expire, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                given = waiter.result()  # it came, and nobody is there to take it
                if given is None:
                    self._release_slot()
                else:
                    self._return(given)
            raise
        finally:
            deadline.cancel()

    def _hand_over(self, what: "Connection | None") -> bool:
        """Give to whoever waits longest; False when nobody does."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(what)
                return True
        return False

    def _release_slot(self) -> None:
        if not self._hand_over(None):
            self._free += 1

    def _return(self, connection: Connection) -> None:
        if self._outdated and connection in self._outdated:
            self._outdated.discard(connection)
            connection.terminate()
        if connection.is_closed():
            self._borrowed.discard(connection)
            self._release_slot()
        elif not (self._waiting and self._hand_over(connection)):
            self._borrowed.discard(connection)
            now = self._clock()
            self._idle.append((now, connection))
            if self._idle[0][0] < now - IDLE_SECONDS:
                _, unused = self._idle.popleft()
                unused.terminate()
                self._free += 1
        if self._closing is not None and not self._borrowed:
            self._closing.set()

    def _return_after_error(self, connection: Connection, error: BaseException) -> None:
        """Take it back from a borrower that failed."""
        refuses_writes = isinstance(error, asyncpg.exceptions.ReadOnlySQLTransactionError)
        if refuses_writes and connection not in self._outdated:  # or it is known already
            self._on_read_only()
        unknown = isinstance(error, (TimeoutError, asyncio.CancelledError, asyncpg.InterfaceError))
        if unknown or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
        self._return(connection)


def _expire(waiter: "asyncio.Future[Connection | None]") -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError("no connection was given back in time"))


async def open_pool(
    url: str,
    *,
    size: int,
    statement_seconds: float,
    cache: int = 100,
    planner: Mapping[str, str] = _DEFAULT_PLANNER,
    watch: ReadOnlyWatch | None = None,
) -> Pool:
    """A pool whose statements the server itself ends after ``statement_seconds``; it has answered once.

    Args:
        url: of the database.
        size: connections at most.
        statement_seconds: the server ends a statement after so long.
        cache: prepared statements kept for each connection.
        planner: more settings of a session.
        watch: shared with other pools of the same database.

    Raises:
        Unavailable: the server does not answer or refuses.
        ValueError: the URL is malformed.
    """
    session = Session({**_settings(statement_seconds), **planner}, COMMAND_SECONDS, cache)
    connector, watch = Connector(url, session), watch or ReadOnlyWatch()

    async def connect() -> Connection:
        connection = await connector()
        watch.opened(connection)
        return connection

    pool = Pool(connect, size, on_read_only=watch.renew)
    watch.add(pool)
    async with pool.connection():
        return pool


@contextlib.asynccontextmanager
async def single_connection(url: str) -> AsyncIterator[Connection]:
    """A connection of its own, for migrations: statements may take long."""
    connect = Connector(url, Session(_settings(MIGRATE_SECONDS), MIGRATE_SECONDS))
    with translated_errors():
        connection = await connect()
        try:
            yield connection
        finally:
            await connection.close(timeout=CONNECT_SECONDS)


async def fetch(connection: Connection, sql: str, *parameters: object) -> Sequence[Row]:
    """All rows of a statement with ``?`` or ``$1`` placeholders."""
    return cast("Sequence[Row]", await connection.fetch(number_placeholders(sql), *parameters))


async def run_script(connection: Connection, script: TransactionScript[T]) -> T:
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


async def with_retries(attempt: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction again that PostgreSQL has sacrificed to another (deadlock, serialisation), and once
    more if the connection was to a standby: by now the database's name may lead to the primary.
    """
    moved = False
    for failures in range(1, _RETRIES + 1):
        try:
            return await attempt()
        except asyncpg.exceptions.TransactionRollbackError:
            await asyncio.sleep(_RETRY_BACKOFF.seconds(failures))
        except ReadOnly:
            if moved:
                raise
            moved = True
    raise Unavailable("PostgreSQL: the transaction met others too often")


async def _simple(connection: Connection, sql: str) -> Sequence[Row]:
    if sql.lstrip().startswith("SELECT"):
        return await fetch(connection, sql)
    await connection.execute(sql)
    return []


def _settings(statement_seconds: float) -> dict[str, str]:
    milliseconds = str(int(statement_seconds * 1000))
    return {
        "application_name": "scim-api",
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": "30000",
        "jit": "off",
    }
