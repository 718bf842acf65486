"""Opening an SQLite file safely, and saying in plain words what is wrong with it."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import apsw

from scim_api.store.errors import ReadOnly, Unavailable
from scim_api.store.sql.transaction_script import Row, T, TransactionScript

CACHE_KIB: Final = 4 * 1024
"""Pages of the file that each connection keeps in memory; SQLite's own 2 MiB are few for a million users."""
LOCK_WAIT_MS: Final = 5_000
"""How long a writer waits for another process (the CLI, a migration), in milliseconds."""

_WAL_RETRY_SECONDS: Final = 0.02


def path_of(url: str) -> Path:
    """The file that a ``sqlite:///`` URL names."""
    return Path(url.removeprefix("sqlite:///"))


def translate_error(error: apsw.Error, path: Path) -> Unavailable:
    """What a person needs to know about an SQLite error: what is wrong, where, and what to do."""
    match error:
        case apsw.NotADBError() | apsw.CorruptError():
            reason = "is not an SQLite database, or a damaged one; name another file or restore a backup"
        case apsw.CantOpenError() if not path.parent.is_dir():
            reason = f"the directory {path.parent} does not exist; create it first"
        case apsw.CantOpenError():
            reason = "cannot be opened; it must be a file that this user may read and write"
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            reason = "is read-only; the file and its directory must be writable"
        case apsw.FullError():
            reason = "the disk is full"
        case apsw.BusyError() | apsw.LockedError():
            reason = "is locked by another process for too long"
        case apsw.SQLError() if "no such table" in str(error):
            reason = "has no schema yet; run `scim-api migrate`"
        case _:
            reason = f"{type(error).__name__}: {error}"
    kind = ReadOnly if isinstance(error, (apsw.ReadOnlyError, apsw.PermissionsError)) else Unavailable
    return kind(f"SQLite database {path}: {reason}")


def check_writable(path: Path) -> None:
    """See that neither file nor file system is read-only. Raises ``ReadOnly``."""
    if path.exists() and not os.access(path, os.W_OK):
        raise ReadOnly(f"the database takes no writes: {path} is read-only")


@contextlib.contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into ``Unavailable``."""
    try:
        yield
    except apsw.Error as error:
        raise translate_error(error, path) from error


def connect(
    path: Path, *, lock_wait_ms: int = LOCK_WAIT_MS, query_only: bool = False, exclusive: bool = False
) -> apsw.Connection:
    """A connection with this service's settings; a missing file is created for its owner alone.

    Args:
        path: the database file; its directory must exist.
        lock_wait_ms: how long a statement waits for a lock, in milliseconds.
        query_only: refuse writes.
        exclusive: only if no other connection is open, and none can be while this one is.

    Raises:
        Unavailable: the file cannot be opened or is no database.
    """
    with translated_errors(path):
        _create_private(path)
        connection = apsw.Connection(str(path))
        try:
            connection.set_busy_timeout(lock_wait_ms)
            # Plans by the text of a statement alone. Else SQLite looks at what is bound, and compiles a statement anew
            # each time when an index with a condition could matter.
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
            if exclusive:  # before the first look at the file, else others are let in
                connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            _ensure_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute(f"PRAGMA query_only = {'ON' if query_only else 'OFF'}")
        except apsw.Error:
            connection.close()
            raise
    return connection


def _create_private(path: Path) -> None:
    """Create the file as 0600: its -wal and -shm files take its mode over."""
    with contextlib.suppress(OSError):  # exists, or SQLite will say what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _ensure_wal(connection: apsw.Connection) -> None:
    """Switch to write-ahead logging; SQLite doesn't wait for others by itself in this one statement."""
    deadline = time.monotonic() + LOCK_WAIT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_SECONDS)


def fetch(connection: apsw.Connection, sql: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
    """All rows of a statement, so that no cursor keeps a snapshot open."""
    return list(connection.execute(sql, parameters))


def run_on_snapshot(connection: apsw.Connection, script: TransactionScript[T]) -> T:
    """Run a script that reads, in a transaction of its own."""
    connection.execute("BEGIN")
    try:
        return run_script(connection, script)
    finally:
        connection.execute("COMMIT")


def run_script(connection: apsw.Connection, script: TransactionScript[T]) -> T:
    """Run a script on a connection whose transaction the caller has begun."""
    try:
        statement = next(script)
        while True:
            statement = script.send(fetch(connection, statement.sql, statement.parameters))
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        script.close()
