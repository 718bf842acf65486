"""A copy of an SQLite database while it is in use, as one file that needs nothing beside it."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import apsw

from scim_api.store.errors import Unavailable
from scim_api.store.sqlite import connection as sqlite_connection


@dataclasses.dataclass(frozen=True, slots=True)
class BackupSummary:
    """What a backup holds."""

    connections: int
    resources: int
    """Users and groups."""


def back_up(url: str, file: Path) -> BackupSummary:
    """Copy the database into a new file; it appears under its name when it is complete and checked.

    Requests that write meanwhile are not held up, and are in the copy or not, each as a whole.

    Args:
        url: ``sqlite:///`` and the path of the database.
        file: must not exist, its directory must.

    Raises:
        ValueError: there is no such database, or the file exists.
        Unavailable: the database cannot be read or the file cannot be written; no file is left.
    """
    path = sqlite_connection.path_of(url)
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    if file.exists():
        raise ValueError(f"{file} exists; name a new file")
    partial = file.with_name(f"{file.name}.partial")
    try:
        with _private(partial):
            _copy(path, partial)
            saved = _check(partial)
            _to_disk(partial)
        partial.rename(file)
        _to_disk(file.parent)
    except OSError as error:
        raise Unavailable(f"{file}: {error.strerror}") from error
    return saved


@contextlib.contextmanager
def _private(file: Path) -> Iterator[None]:
    """A new file for its owner alone, which goes when the block raises."""
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        yield
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _copy(path: Path, partial: Path) -> None:
    """In one step: a second one would begin anew after each write in between."""
    source = sqlite_connection.connect(path, query_only=True)
    try:
        with sqlite_connection.translated_errors(partial):
            target = apsw.Connection(str(partial))
            try:
                target.execute("PRAGMA journal_mode = OFF").fetchall()  # nothing to go back to
                with target.backup("main", source, "main") as copying:
                    copying.step(-1)
            finally:
                target.close()
    finally:
        source.close()


def _check(partial: Path) -> BackupSummary:
    """Reads all of it; leaves it as one file, without the log that the service keeps beside its own."""
    with sqlite_connection.translated_errors(partial):
        copied = apsw.Connection(str(partial))
        try:
            copied.execute("PRAGMA journal_mode = DELETE").fetchall()
            [[verdict]] = sqlite_connection.fetch(copied, "PRAGMA quick_check(1)")
            if verdict != "ok":
                raise Unavailable(f"the copy is damaged, and the database probably is: {verdict}")
            [[connections]] = sqlite_connection.fetch(
                copied, "SELECT count(*) FROM connection WHERE state = 'exists'"
            )
            [[resources]] = sqlite_connection.fetch(copied, "SELECT count(*) FROM resource")
        finally:
            copied.close()
    return BackupSummary(connections, resources)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
