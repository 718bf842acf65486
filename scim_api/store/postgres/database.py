"""A PostgreSQL database as this process has it: two pools, and what a transaction is."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import asyncpg

from scim_api.store.errors import ReadOnly, TooSlow, Unavailable
from scim_api.store.postgres import pool as postgres_pool
from scim_api.store.postgres import statements
from scim_api.store.postgres.connecting import Connection
from scim_api.store.postgres.read_only import ReadOnlyWatch
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript

SEARCH_CONNECTIONS: Final = 2
"""Searches have connections of their own: they cannot take those of point reads."""

T = TypeVar("T")


class Database:
    """The connections of one process.

    Args:
        url: ``postgresql://user@host/database``; it may hold a password, and is never shown.
        pool_size: connections at most, besides those for searches.
        search_seconds: deadline of a search that no index answers.
    """

    def __init__(self, url: str, *, pool_size: int, search_seconds: float) -> None:
        self._url, self._pool_size, self._search_seconds = url, pool_size, search_seconds
        self._pool: postgres_pool.Pool | None = None
        self._search_pool: postgres_pool.Pool | None = None
        self._watch = ReadOnlyWatch()

    async def open(self) -> None:
        """Connect; does not migrate. Raises ``Unavailable``."""
        if self._pool is not None:
            return
        self._watch = watch = ReadOnlyWatch()
        pool = await postgres_pool.open_pool(
            self._url,
            size=self._pool_size,
            statement_seconds=postgres_pool.COMMAND_SECONDS,
            planner=postgres_pool.INDEX_ONLY_PLANNER,
            watch=watch,
        )
        try:
            self._search_pool = await postgres_pool.open_pool(
                self._url,
                size=SEARCH_CONNECTIONS,
                statement_seconds=self._search_seconds,
                cache=0,
                watch=watch,
            )
        except BaseException:
            await pool.close()
            raise
        self._pool = pool

    async def close(self) -> None:
        """Finish what was begun and disconnect; harmless twice."""
        pools = (self._pool, self._search_pool)
        self._pool = self._search_pool = None
        for pool in pools:
            if pool is not None:
                await pool.close()

    async def check_writable(self) -> None:
        """See that new transactions may write. Raises ``ReadOnly``."""
        for again in (True, False):
            [[read_only, standby]] = await self.read(
                "SELECT current_setting('transaction_read_only'), pg_is_in_recovery()"
            )
            if read_only == "off":
                return
            if again:  # the connection may be of before a failover
                self._watch.renew()
        raise ReadOnly(
            "the database takes no writes: it is a standby"
            if standby
            else "the database takes no writes: default_transaction_read_only is on"
        )

    async def read(self, sql: str, *parameters: object) -> Sequence[Row]:
        """All rows of one statement."""
        return await _open(self._pool).fetch(sql, parameters)

    async def write(self, sql: str, *parameters: Any) -> Sequence[Row]:
        """Run one statement as a transaction of its own."""
        return await postgres_pool.with_retries(lambda: _open(self._pool).fetch(sql, parameters))

    def borrow(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for several statements."""
        return _open(self._pool).connection()

    async def read_script(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script on one snapshot, with the database's time."""
        async with (
            self.borrow() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            now = await connection.fetchval(f"SELECT {statements.NOW}")
            return await postgres_pool.run_script(connection, script(now))

    async def write_script(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script of administration, one at a time in the whole installation."""

        async def attempt() -> T:
            async with self.borrow() as connection, connection.transaction():
                now = await connection.fetchval(statements.LOCK)
                return await postgres_pool.run_script(connection, script(now))

        return await postgres_pool.with_retries(attempt)

    async def transaction(self, script: Callable[[str], TransactionScript[T]]) -> T:
        """Run a script on resources in a transaction of its own, with the database's time."""

        async def attempt() -> T:
            async with self.borrow() as connection, connection.transaction():
                now = await connection.fetchval(f"SELECT {statements.NOW}")
                return await postgres_pool.run_script(connection, script(now))

        return await postgres_pool.with_retries(attempt)

    async def search(self, statement: Statement) -> Sequence[Row]:
        """Run a read of unknown cost on a connection of its own. Raises ``TooSlow``."""
        async with _open(self._search_pool).connection() as connection:
            try:
                return await postgres_pool.fetch(connection, statement.sql, *statement.parameters)
            except asyncpg.QueryCanceledError as error:
                raise TooSlow(f"the search took longer than {self._search_seconds} s") from error


def _open(pool: postgres_pool.Pool | None) -> postgres_pool.Pool:
    if pool is None:
        raise Unavailable("the database is closed")
    return pool
