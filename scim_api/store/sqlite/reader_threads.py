"""Reads of unknown cost, each in a thread with a connection of its own: the event loop goes on meanwhile."""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import apsw

from scim_api.store.errors import TooSlow
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript
from scim_api.store.sqlite.connection import connect, fetch, run_on_snapshot, translated_errors

THREADS: Final = 2
_PROGRESS_STEPS: Final = 5_000
"""SQLite's virtual machine instructions between two looks at the clock: some 100 us."""

T = TypeVar("T")


class ReaderThreads:
    """The threads of one open store.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._executor = concurrent.futures.ThreadPoolExecutor(THREADS, "sqlite-reader")
        self._connections = threading.local()

    async def close(self) -> None:
        """Finish what was begun."""
        await asyncio.to_thread(self._executor.shutdown)

    async def search(self, statement: Statement, seconds: float) -> list[Row]:
        """The rows of a statement that takes no longer. Raises ``TooSlow``."""

        def read(connection: apsw.Connection) -> list[Row]:
            deadline = time.monotonic() + seconds
            connection.set_progress_handler(lambda: time.monotonic() > deadline, _PROGRESS_STEPS)
            try:
                return fetch(connection, statement.sql, statement.parameters)
            except apsw.InterruptError as error:
                raise TooSlow(f"the search took longer than {seconds} s") from error
            finally:
                connection.set_progress_handler(None)

        return await self._run(read)

    async def snapshot(self, script: Callable[[], TransactionScript[T]]) -> T:
        """Run a script that reads, on one snapshot."""
        return await self._run(lambda connection: run_on_snapshot(connection, script()))

    async def _run(self, read: Callable[[apsw.Connection], T]) -> T:
        def run() -> T:
            with translated_errors(self._path):
                return read(self._connection())

        return await asyncio.get_running_loop().run_in_executor(self._executor, run)

    def _connection(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._connections, "connection", None)
        if connection is None:
            connection = self._connections.connection = connect(self._path, query_only=True)
        return connection
