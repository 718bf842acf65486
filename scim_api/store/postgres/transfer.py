"""A PostgreSQL database as source or target of a copy: locked against writers, written with COPY."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import asyncpg

from scim_api.store.errors import TransferRefused
from scim_api.store.postgres.connecting import (
    CONNECT_SECONDS,
    Connection,
    Connector,
    Session,
    translated_errors,
)
from scim_api.store.sql.schema import ADVISORY_LOCK
from scim_api.store.sql.transaction_script import Row
from scim_api.store.sql.transfer_tables import EMPTY, PAGE, TABLES, Pages, Table
from scim_api.store.urls import parse_postgres, redact_url

LOCK_WAIT: Final = "30s"
_SESSIONS_END_SECONDS: Final = 3.0
"""A process that has just ended is still seen for a moment."""
_ALL: Final = ", ".join(table.name for table in TABLES)
_SETTINGS: Final = {
    "application_name": "scim-api copy",
    "lock_timeout": LOCK_WAIT,
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",  # the other database may take its time
    "jit": "off",
}
_SESSIONS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'scim-api'
"""


class PostgresTransferDatabase:
    """``Place`` that is a database of a server."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextlib.asynccontextmanager
    async def source(self) -> AsyncIterator["PostgresTransferSession"]:
        """One snapshot; writers wait until the block ends."""
        async with self._unserved() as connection:
            side = PostgresTransferSession(connection)
            if await side.version() == 0:
                yield side
                return
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute(f"LOCK TABLE {_ALL} IN SHARE MODE")
                yield side

    async def inspect(self) -> tuple[int, bool]:
        """The database as it is."""
        async with self._unserved() as connection:
            side = PostgresTransferSession(connection)
            return await side.version(), await side.is_empty()

    @contextlib.asynccontextmanager
    async def target(self) -> AsyncIterator["PostgresTransferSession"]:
        """A transaction with the lock of migrations, and with writers kept out."""
        async with self._unserved() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
            await connection.execute(f"LOCK TABLE {_ALL} IN EXCLUSIVE MODE")
            yield PostgresTransferSession(connection)

    @contextlib.asynccontextmanager
    async def _unserved(self) -> AsyncIterator[Connection]:
        """A connection to a database that no API has open."""
        if parse_postgres(self.url).pooler:  # who has it open, and locks, are of sessions
            raise TransferRefused(
                f"{redact_url(self.url)} is behind PgBouncer: name the server itself, without pgbouncer=true"
            )
        try:
            connect = Connector(self.url, Session(_SETTINGS))
            with translated_errors():
                connection = await connect()
                try:
                    await self._check_sessions(connection)
                    yield connection
                finally:
                    await connection.close(timeout=CONNECT_SECONDS)
        except asyncpg.LockNotAvailableError as error:
            raise TransferRefused(
                f"{redact_url(self.url)} is in use: another session holds a lock on its tables for too long"
            ) from error

    async def _check_sessions(self, connection: Connection) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SESSIONS_END_SECONDS):
                while await connection.fetchval(_SESSIONS):
                    await asyncio.sleep(0.1)
        if open_sessions := await connection.fetchval(_SESSIONS):
            raise TransferRefused(
                f"{redact_url(self.url)} is in use: scim-api has {open_sessions} sessions open;"
                " stop the API (in Kubernetes: scale it to 0) and run this again"
            )


class PostgresTransferSession:
    """``Source`` and ``Target`` on a connection whose transaction the place has begun."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def version(self) -> int:
        """Number of the last migration."""
        if await self._connection.fetchval("SELECT to_regclass('schema_migration')") is None:
            return 0
        version: int = await self._connection.fetchval(
            "SELECT coalesce(max(version), 0) FROM schema_migration"
        )
        return version

    async def count(self, table: Table) -> int:
        """How many rows there are."""
        number: int = await self._connection.fetchval(f"SELECT count(*) FROM {table.name}")
        return number

    async def is_empty(self) -> bool:
        """See ``EMPTY``; a database without our tables is empty, too."""
        if await self.version() == 0:
            return True
        empty: bool = await self._connection.fetchval(EMPTY)
        return empty

    async def installation(self) -> str | None:
        """The installation's id."""
        identity: str | None = await self._connection.fetchval("SELECT id FROM installation")
        return identity

    async def pages(self, table: Table) -> Pages:
        """Rows through a cursor."""
        cursor = await self._connection.cursor(table.select)
        while page := await cursor.fetch(PAGE):
            yield [tuple(row) for row in page]

    async def highest(self, table: Table) -> int:
        """From the sequence."""
        number: int = await self._connection.fetchval(
            f"SELECT greatest(coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, 'pk')), 0),"
            f" (SELECT coalesce(max(pk), 0) FROM {table.name}))",
            table.name,
        )
        return number

    async def write(self, table: Table, pages: Pages) -> None:
        """One COPY for the table: keys that rows of it refer to are checked at its end."""
        if table.seeded:
            await self._connection.execute(f"DELETE FROM {table.name}")
        try:
            await self._connection.copy_records_to_table(
                table.name, columns=table.columns, records=_rows(pages)
            )
        except asyncpg.DataError as error:
            raise TransferRefused(
                f"table {table.name}: PostgreSQL does not take a value of it: {error}"
            ) from error

    async def continue_numbering_after(self, table: Table, number: int) -> None:
        """Not taken back by a rollback, and harmless then: numbers may have gaps."""
        if number:
            await self._connection.execute(
                "SELECT setval(pg_get_serial_sequence($1, 'pk'), $2)", table.name, number
            )

    async def analyze(self) -> None:
        """Statistics now instead of when autovacuum comes by."""
        await self._connection.execute(f"ANALYZE {_ALL}")


async def _rows(pages: Pages) -> AsyncIterator[Row]:
    async for page in pages:
        for row in page:
            yield row
