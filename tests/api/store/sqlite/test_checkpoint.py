"""The write-ahead log is moved into the file while others write, and begun anew by the writer."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from scim_api.store.sqlite import checkpoint as module
from scim_api.store.sqlite.checkpoint import Checkpointer
from scim_api.store.sqlite.connection import connect

PAGES = 20


class Log:
    """A database whose log is to be short, and its one writer."""

    def __init__(self, path: Path, connect_thread: Callable[[], apsw.Connection]) -> None:
        self.path = path
        self.writer = connect(path)
        self.writer.execute("CREATE TABLE t (x)")
        self.writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self.checkpointer = Checkpointer(connect_thread)
        self.checkpointer.watch(self.writer)

    def commit(self, pages: int = 1) -> None:
        """So many pages at least."""
        self.writer.execute("INSERT INTO t VALUES (zeroblob(?))", (4096 * pages,))
        self.checkpointer.after_commit(self.writer)

    def wait_moved(self) -> None:
        deadline = time.monotonic() + 10
        while not self.checkpointer._moved:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    @property
    def size(self) -> int:
        """Of the log's file, which never shrinks while it is open."""
        return self.path.with_name("scim.db-wal").stat().st_size

    def in_the_file(self) -> int:
        """Bytes of the database proper."""
        return self.path.stat().st_size

    def close(self) -> None:
        self.checkpointer.close()
        self.writer.close()


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setattr(module, "LOG_PAGES", PAGES)
    path = tmp_path / "scim.db"
    log = Log(path, lambda: connect(path))
    yield log
    log.close()


def test_a_short_log_is_left_alone(log: Log) -> None:
    before = log.in_the_file()
    for _ in range(PAGES // 4):
        log.commit()
    assert not log.checkpointer._moving
    assert log.in_the_file() == before


def test_a_long_log_is_moved_into_the_file(log: Log) -> None:
    before = log.in_the_file()
    log.commit(PAGES + 1)
    log.wait_moved()
    assert log.in_the_file() >= before + 4096 * PAGES
    assert log.checkpointer._moving  # and not asked for again until the writer has done its part


def test_a_log_that_was_moved_is_begun_anew_and_so_does_not_grow(log: Log) -> None:
    sizes = []
    for _ in range(6):
        log.commit(PAGES + 1)
        log.wait_moved()
        log.commit()  # moves the rest
        assert not log.checkpointer._moving
        sizes.append(log.size)
    assert max(sizes) < 4096 * PAGES * 3


def test_sqlite_itself_moves_nothing_at_a_commit(log: Log) -> None:
    """It would at 1,000 pages, in the commit that everybody waits for."""
    log.checkpointer._moving = True  # and nor do we
    before = log.in_the_file()
    log.commit(1_200)
    log.commit()
    assert log.in_the_file() == before
    assert log.size > 4096 * 1_200


def test_a_failure_is_tried_again_at_a_later_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_PAGES", PAGES)
    path = tmp_path / "scim.db"
    attempts: list[int] = []

    def connect_at_the_second_try() -> apsw.Connection:
        attempts.append(1)
        if len(attempts) == 1:
            raise apsw.CantOpenError("too many files are open")
        return connect(path)

    log = Log(path, connect_at_the_second_try)
    reader = apsw.Connection(str(path))
    try:
        reader.execute("BEGIN")
        list(reader.execute("SELECT count(*) FROM t"))  # as it is: the writer can move nothing past it
        log.commit(PAGES + 1)
        log.wait_moved()
        before = log.in_the_file()
        log.commit()
        reader.execute("COMMIT")
        log.commit()
        log.wait_moved()
        assert log.in_the_file() > before
        assert len(attempts) == 2
    finally:
        reader.close()
        log.close()


def test_closing_ends_the_thread_and_its_connection(log: Log) -> None:
    log.commit(PAGES + 1)
    log.wait_moved()
    log.checkpointer.close()
    assert not log.checkpointer._thread.is_alive()
    log.writer.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
    log.writer.execute("INSERT INTO t VALUES (1)")  # would be refused while another connection is open
