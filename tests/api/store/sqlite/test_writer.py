"""Group commit: many requests in one transaction, each as if it were alone."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from scim_api.store.errors import Conflict, Unavailable
from scim_api.store.sqlite.connection import connect, translate_error
from scim_api.store.sqlite.writer import BATCH, GroupCommitWriter

Work = Callable[[apsw.Connection], Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = connect(tmp_path / "scim.db")
    connection.execute("CREATE TABLE t (x UNIQUE)")
    connection.close()
    return tmp_path / "scim.db"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[GroupCommitWriter]:
    writer = GroupCommitWriter(
        functools.partial(connect, path, lock_wait_ms=100), functools.partial(translate_error, path=path)
    )
    yield writer
    await writer.close()


def add(x: object, then: Exception | None = None) -> Work:
    def work(connection: apsw.Connection) -> object:
        connection.execute("INSERT INTO t VALUES (?)", (x,))
        if then is not None:
            raise then
        return x

    return work


def stored(path: Path) -> list[Any]:
    """What any other process sees."""
    reader = apsw.Connection(str(path))
    rows = [row[0] for row in reader.execute("SELECT x FROM t ORDER BY rowid")]
    reader.close()
    return rows


async def at_once(writer: GroupCommitWriter, *works: Work) -> list[Any]:
    """All of them wait while the writer is busy, so that it takes them together."""
    gate, began = threading.Event(), threading.Event()

    def hold(_connection: apsw.Connection) -> None:
        began.set()
        gate.wait(10)

    first = asyncio.create_task(writer.write(hold))
    assert await asyncio.to_thread(began.wait, 10)
    tasks = [asyncio.create_task(writer.write(work)) for work in works]
    await asyncio.sleep(0)
    gate.set()
    results: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    return results


async def test_an_answer_comes_after_the_commit_that_holds_it(writer: GroupCommitWriter, path: Path) -> None:
    for number in range(5):
        assert await writer.write(add(number)) == number
        assert stored(path) == list(range(number + 1))


async def test_requests_that_wait_together_are_committed_together_and_in_order(
    writer: GroupCommitWriter, path: Path
) -> None:
    seen: list[tuple[bool, list[Any]]] = []

    def look(connection: apsw.Connection) -> None:
        seen.append((bool(connection.in_transaction), stored(path)))

    results = await at_once(writer, add("a"), look, add("b"), add("c"), look)
    assert results == ["a", None, "b", "c", None]
    assert seen == [(True, []), (True, [])]  # nothing of the batch shows before its end
    assert stored(path) == ["a", "b", "c"]


async def test_a_commit_holds_no_more_than_a_batch(writer: GroupCommitWriter, path: Path) -> None:
    seen: list[int] = []

    def look(_connection: apsw.Connection) -> None:
        seen.append(len(stored(path)))

    await at_once(writer, *(add(number) for number in range(BATCH)), look)
    assert seen == [BATCH]
    assert stored(path) == list(range(BATCH))


async def test_a_work_that_fails_is_taken_back_and_leaves_its_batch_alone(
    writer: GroupCommitWriter, path: Path
) -> None:
    before, failed, after = await at_once(writer, add("a"), add("b", Conflict("userName")), add("c"))
    assert (before, after) == ("a", "c")
    assert isinstance(failed, Conflict)
    assert stored(path) == ["a", "c"]


def counted(runs: list[object], x: object) -> Work:
    def work(connection: apsw.Connection) -> object:
        runs.append(x)
        return add(x)(connection)

    return work


def refuse(_connection: apsw.Connection) -> None:
    raise Conflict("userName")


@pytest.mark.parametrize(
    ("failing", "runs"), [(refuse, ["a", "c"]), (add("b", Conflict("userName")), ["a", "a", "c"])]
)
async def test_a_batch_is_run_again_only_if_what_failed_had_changed_something(
    writer: GroupCommitWriter, path: Path, failing: Work, runs: list[object]
) -> None:
    seen: list[object] = []
    before, failed, after = await at_once(writer, counted(seen, "a"), failing, counted(seen, "c"))
    assert (before, type(failed), after) == ("a", Conflict, "c")
    assert seen == runs
    assert stored(path) == ["a", "c"]


async def test_what_fails_alone_leaves_nothing(writer: GroupCommitWriter, path: Path) -> None:
    with pytest.raises(Conflict):
        await writer.write(add("b", Conflict("userName")))
    assert await writer.write(add("c")) == "c"
    assert stored(path) == ["c"]


async def test_one_that_fails_only_when_run_again_leaves_nothing(
    writer: GroupCommitWriter, path: Path
) -> None:
    runs: list[int] = []

    def unsteady(connection: apsw.Connection) -> None:
        runs.append(1)
        add("x", Conflict("userName") if len(runs) == 2 else None)(connection)

    results = await at_once(writer, unsteady, add("b", Conflict("userName")), add("c"))
    assert [type(result) for result in results] == [Conflict, Conflict, str]
    assert stored(path) == ["c"]


async def test_an_error_of_sqlite_in_one_work_is_of_that_work_alone(
    writer: GroupCommitWriter, path: Path
) -> None:
    await writer.write(add("taken"))
    results = await at_once(writer, add("a"), add("taken"), add("b"))
    assert [results[0], results[2]] == ["a", "b"]
    assert isinstance(results[1], Unavailable)
    assert "ConstraintError" in str(results[1])
    assert stored(path) == ["taken", "a", "b"]


async def test_a_lock_that_does_not_go_away_refuses_the_whole_batch_at_once(
    writer: GroupCommitWriter, path: Path
) -> None:
    rival = apsw.Connection(str(path))
    rival.execute("BEGIN IMMEDIATE")
    results = await asyncio.gather(*(writer.write(add(n)) for n in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 3
    rival.execute("ROLLBACK")
    rival.close()
    assert await writer.write(add("later")) == "later"
    assert stored(path) == ["later"]


async def test_a_request_whose_caller_has_left_is_not_begun(writer: GroupCommitWriter, path: Path) -> None:
    gate, began = threading.Event(), threading.Event()

    def hold(_connection: apsw.Connection) -> None:
        began.set()
        gate.wait(10)

    first = asyncio.create_task(writer.write(hold))
    assert await asyncio.to_thread(began.wait, 10)
    left = asyncio.create_task(writer.write(add("left")))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.sleep(0)
    gate.set()
    await first
    assert await writer.write(add("stayed")) == "stayed"
    assert stored(path) == ["stayed"]


async def test_closing_finishes_what_was_submitted_and_refuses_the_rest(
    writer: GroupCommitWriter, path: Path
) -> None:
    tasks = [asyncio.create_task(writer.write(add(number))) for number in range(100)]
    await asyncio.sleep(0)
    await writer.close()
    await writer.close()
    assert await asyncio.gather(*tasks) == list(range(100))
    assert stored(path) == list(range(100))
    with pytest.raises(Unavailable, match="the database is closed"):
        await writer.write(add("late"))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sqlite-")]


async def test_a_connection_that_cannot_even_roll_back_is_replaced(
    writer: GroupCommitWriter, path: Path
) -> None:
    def break_down(connection: apsw.Connection) -> None:
        connection.close(True)

    with pytest.raises(Unavailable):
        await writer.write(break_down)
    assert await writer.write(add("again")) == "again"
    assert stored(path) == ["again"]
