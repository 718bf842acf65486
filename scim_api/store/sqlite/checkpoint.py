"""Moving the write-ahead log into the database file while others go on writing.

SQLite does this by itself, in the commit that makes the log a thousand pages long: that commit then waits
for thousands of scattered pages to be on the disk, and everybody behind it too. Here a thread with a
connection of its own moves most of them, and the writer the few that came meanwhile; then it begins the log
anew, which no one else can while it writes.
"""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Final

import apsw

LOG_PAGES: Final = 4_000
"""Pages of the log, 16 MiB, from which on it is moved. A page that many requests change, such as an index's,
is then written to the file once for all of them."""


class Checkpointer:
    """Keeps one write-ahead log short.

    Whatever fails is tried again at one of the next commits: what is in the log is safe there.

    Args:
        connect: opens a connection of the thread's own.
    """

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._wanted: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._pages, self._moving, self._moved = 0, False, False
        self._thread = threading.Thread(target=self._run, name="sqlite-checkpoint", daemon=True)
        self._thread.start()

    def watch(self, writer: apsw.Connection) -> None:
        """Take over from SQLite what it does at the writer's commits."""
        writer.set_wal_hook(self._committed)

    def after_commit(self, writer: apsw.Connection) -> None:
        """To be called by the writer between two transactions: move the rest, if most has been moved."""
        if self._moved:
            self._moved = self._moving = False
            _move(writer)
        elif self._pages >= LOG_PAGES and not self._moving:
            self._moving = True
            self._wanted.put(True)

    def close(self) -> None:
        """End the thread."""
        self._wanted.put(False)
        self._thread.join()

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while self._wanted.get():
            with contextlib.suppress(Exception):
                connection = connection or self._connect()
                _move(connection)
            self._moved = True
        if connection is not None:
            connection.close()


def _move(connection: apsw.Connection) -> None:
    with contextlib.suppress(apsw.Error):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
