"""An SQLite file as source or target of a copy: opened so that no other process can have it open."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw

from scim_api.store.errors import TransferRefused, Unavailable
from scim_api.store.sql.transaction_script import Row
from scim_api.store.sql.transfer_tables import EMPTY, PAGE, Pages, Table
from scim_api.store.sqlite import connection as sqlite_connection


class SqliteTransferDatabase:
    """``Place`` that is a file."""

    def __init__(self, url: str) -> None:
        self._path = sqlite_connection.path_of(url).resolve()
        self.url = f"sqlite:///{self._path}"

    @contextlib.asynccontextmanager
    async def source(self) -> AsyncIterator["SqliteTransferSession"]:
        """The file as it is; it must exist."""
        if not self._path.is_file():
            raise TransferRefused(f"{self._path}: there is no such file")
        with self._exclusive() as connection:
            side = SqliteTransferSession(connection, self._path)
            side.run("BEGIN")
            yield side

    async def inspect(self) -> tuple[int, bool]:
        """A file that does not exist is not made."""
        if not self._path.exists():
            return 0, True
        with self._exclusive() as connection:
            side = SqliteTransferSession(connection, self._path)
            return await side.version(), await side.is_empty()

    @contextlib.asynccontextmanager
    async def target(self) -> AsyncIterator["SqliteTransferSession"]:
        """A transaction on the file."""
        with self._exclusive() as connection:
            side = SqliteTransferSession(connection, self._path)
            side.run("BEGIN IMMEDIATE")
            side.run("PRAGMA defer_foreign_keys = ON")  # a credential may refer to a later one
            yield side
            side.run("COMMIT")

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[apsw.Connection]:
        """A connection while which there is no other, of the API or of anybody."""
        try:
            connection = sqlite_connection.connect(self._path, exclusive=True)
        except Unavailable as error:
            if isinstance(error.__cause__, (apsw.BusyError, apsw.LockedError)):
                raise TransferRefused(
                    f"{self._path} is in use; stop the API (in Kubernetes: scale it to 0) and run this again"
                ) from error
            raise
        try:
            yield connection
        finally:
            connection.close()  # rolls back what was not committed


class SqliteTransferSession:
    """``Source`` and ``Target`` on a connection whose transaction the place has begun."""

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection, self._path = connection, path

    def run(self, sql: str, *parameters: str | int) -> list[Row]:
        """All rows of a statement."""
        with sqlite_connection.translated_errors(self._path):
            return sqlite_connection.fetch(self._connection, sql, parameters)

    async def version(self) -> int:
        """Number of the last migration."""
        if not self.run("SELECT 1 FROM sqlite_master WHERE name = 'schema_migration'"):
            return 0
        [[version]] = self.run("SELECT coalesce(max(version), 0) FROM schema_migration")
        return int(version)

    async def count(self, table: Table) -> int:
        """How many rows there are."""
        [[number]] = self.run(f"SELECT count(*) FROM {table.name}")
        return int(number)

    async def is_empty(self) -> bool:
        """See ``EMPTY``; a file with other tables is somebody else's."""
        if await self.version() == 0:
            return not self.run("SELECT 1 FROM sqlite_master LIMIT 1")
        [[empty]] = self.run(EMPTY)
        return bool(empty)

    async def installation(self) -> str | None:
        """The installation's id."""
        [[identity]] = self.run("SELECT id FROM installation")
        return None if identity is None else str(identity)

    async def pages(self, table: Table) -> Pages:
        """Rows as SQLite walks along the key."""
        with sqlite_connection.translated_errors(self._path):
            cursor = self._connection.execute(table.select)
        while page := self._next(cursor):
            yield page

    def _next(self, cursor: apsw.Cursor) -> list[Row]:
        with sqlite_connection.translated_errors(self._path):
            return list(itertools.islice(cursor, PAGE))

    async def highest(self, table: Table) -> int:
        """From the memory of AUTOINCREMENT where there is one, else what is there."""
        [[number]] = self.run(
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0),"
            f" (SELECT coalesce(max(pk), 0) FROM {table.name}))",
            table.name,
        )
        return int(number)

    async def write(self, table: Table, pages: Pages) -> None:
        """Insert page by page."""
        if table.seeded:
            self.run(f"DELETE FROM {table.name}")
        places = ", ".join("?" for _ in table.columns)
        insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"
        async for page in pages:
            with sqlite_connection.translated_errors(self._path):
                self._connection.executemany(insert, page)

    async def continue_numbering_after(self, table: Table, number: int) -> None:
        """Only tables whose numbers are never used again remember one."""
        [[sql]] = self.run("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", table.name)
        if "AUTOINCREMENT" in sql:
            self.run("DELETE FROM sqlite_sequence WHERE name = ?", table.name)
            self.run("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table.name, number)

    async def analyze(self) -> None:
        """Nothing to do: SQLite plans without statistics."""
