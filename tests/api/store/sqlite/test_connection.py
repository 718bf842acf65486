"""SQLite files: opened privately and safely, and what is wrong with one in a sentence."""

import os
import stat
from pathlib import Path

import apsw
import pytest

from scim_api.store.errors import ReadOnly, Unavailable
from scim_api.store.sql.transaction_script import Statement, TransactionScript
from scim_api.store.sqlite.connection import (
    check_writable,
    connect,
    fetch,
    path_of,
    run_script,
    translate_error,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scim.db"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            apsw.NotADBError,
            "is not an SQLite database, or a damaged one; name another file or restore a backup",
        ),
        (
            apsw.CorruptError,
            "is not an SQLite database, or a damaged one; name another file or restore a backup",
        ),
        (apsw.CantOpenError, "cannot be opened; it must be a file that this user may read and write"),
        (apsw.ReadOnlyError, "is read-only; the file and its directory must be writable"),
        (apsw.PermissionsError, "is read-only; the file and its directory must be writable"),
        (apsw.FullError, "the disk is full"),
        (apsw.BusyError, "is locked by another process for too long"),
        (apsw.LockedError, "is locked by another process for too long"),
        (apsw.IOError, "IOError: of SQLite"),
        (apsw.SQLError, "SQLError: of SQLite"),
    ],
)
def test_each_error_is_a_sentence_about_the_file(path: Path, error: type[apsw.Error], reason: str) -> None:
    assert str(translate_error(error("of SQLite"), path)) == f"SQLite database {path}: {reason}"


def test_a_directory_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as told:
        connect(tmp_path / "missing" / "scim.db")
    assert str(told.value).endswith(f"the directory {tmp_path / 'missing'} does not exist; create it first")


def test_plans_depend_on_statements_alone_so_that_none_is_compiled_anew_for_what_is_bound(path: Path) -> None:
    assert connect(path).config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1


def test_a_file_without_tables_is_told_how_to_get_them(path: Path) -> None:
    connection = connect(path)
    with pytest.raises(apsw.SQLError) as raised:
        fetch(connection, "SELECT 1 FROM resource")
    connection.close()
    assert str(translate_error(raised.value, path)).endswith("has no schema yet; run `scim-api migrate`")


def test_a_new_file_and_what_lies_beside_it_are_for_their_owner_alone(path: Path) -> None:
    mask = os.umask(0)
    try:
        connection = connect(path)
        connection.execute("CREATE TABLE t (x)")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        connection.close()
    finally:
        os.umask(mask)
    assert modes == dict.fromkeys(("scim.db", "scim.db-wal", "scim.db-shm"), 0o600)


def test_a_file_that_exists_keeps_its_mode(path: Path) -> None:
    path.touch()
    path.chmod(0o640)
    connect(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_every_connection_flushes_its_commits_and_keeps_references_whole(path: Path) -> None:
    connection = connect(path)
    settings = {
        name: fetch(connection, f"PRAGMA {name}")[0][0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "query_only")
    }
    connection.close()
    assert settings == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "query_only": 0,
    }  # fmt: skip


def test_a_connection_for_queries_refuses_to_write(path: Path) -> None:
    connect(path).close()
    reader = connect(path, query_only=True)
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("CREATE TABLE t (x)")
    reader.close()


def test_an_exclusive_connection_is_the_only_one_from_its_opening_on(path: Path) -> None:
    connect(path).close()
    alone = connect(path, exclusive=True)
    other = apsw.Connection(str(path))
    with pytest.raises(apsw.BusyError):
        fetch(other, "SELECT 1 FROM sqlite_master")
    alone.close()
    assert fetch(other, "SELECT 1 FROM sqlite_master") == []
    other.close()


def test_an_exclusive_connection_is_refused_while_another_is_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scim_api.store.sqlite.connection.LOCK_WAIT_MS", 50)
    other = connect(path)
    other.execute("CREATE TABLE t (x)")
    with pytest.raises(Unavailable, match="is locked by another process for too long") as told:
        connect(path, exclusive=True, lock_wait_ms=50)
    assert isinstance(told.value.__cause__, (apsw.BusyError, apsw.LockedError))
    assert fetch(other, "SELECT 1") == [(1,)]
    other.close()
    connect(path, exclusive=True).close()


def test_a_script_is_sent_the_rows_of_each_statement_and_closed_when_one_fails(path: Path) -> None:
    closed = []

    def script(last: str) -> TransactionScript[int]:
        try:
            [[one]] = yield Statement("SELECT ? + 1", (1,))
            [[two]] = yield Statement(last, (one,))
            return int(two)
        finally:
            closed.append(last)

    connection = connect(path)
    assert run_script(connection, script("SELECT ? * 10")) == 20
    with pytest.raises(apsw.SQLError):
        run_script(connection, script("SELECT ? FROM nowhere"))
    connection.close()
    assert closed == ["SELECT ? * 10", "SELECT ? FROM nowhere"]


@pytest.mark.parametrize(
    ("url", "path"), [("sqlite:///scim.db", "scim.db"), ("sqlite:////data/scim.db", "/data/scim.db")]
)
def test_three_slashes_name_a_relative_and_four_an_absolute_file(url: str, path: str) -> None:
    assert path_of(url) == Path(path)


def test_a_file_that_became_read_only_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_writable(path)  # SQLite makes it
    path.touch()
    check_writable(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ReadOnly, match=r"takes no writes: .*scim\.db is read-only"):
        check_writable(path)
    assert isinstance(translate_error(apsw.ReadOnlyError("of SQLite"), path), ReadOnly)
