"""A follower saves its copy and its cursor together, may end at any moment, and takes a snapshot when it has to."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import pytest

from torture.changes.client import Unanswered
from torture.changes.copy import Copy, Reading, Told
from torture.changes.follower import Follower, Gone, News, Snapshot
from torture.changes.rules import State

LOG = (
    Told(1, "user.created", "ada", None),
    Told(2, "group.created", "staff", None),
    Told(3, "group.member_added", "staff", "ada"),
    Told(4, "user.created", "eve", None),
    Told(5, "group.member_added", "staff", "eve"),
    Told(6, "group.member_removed", "staff", "ada"),
    Told(7, "user.deleted", "ada", None),
)
TABLES = {"eve": Reading(1, active=True), "staff": Reading(4, active=None)}
WHOLE = State({"eve": (True, 1)}, {"staff": 4}, {("staff", "eve")})


class Scripted:
    """Two changes at a time; the cursor is the number of the last."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.reading = asyncio.Event()
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def news(self, cursor: str | None) -> News:
        if cursor == "gone":
            raise Gone
        if self.failures:
            raise self.failures.pop()
        after = int(cursor or 0)
        page = LOG[after : after + 2]
        if not page:
            await asyncio.sleep(0.001)
        return News(page, str(after + len(page)), is_all=after + len(page) == len(LOG))

    async def read(self, changes: Sequence[Told]) -> Mapping[str, Reading | None]:
        self.reading.set()
        await self.may_read.wait()
        if self.failures:
            raise self.failures.pop()
        return {one.resource: TABLES.get(one.resource) for one in changes}

    async def snapshot(self) -> Snapshot:
        return Snapshot("5", TABLES, [("staff", "eve"), ("staff", "ada")])

    def hurry(self) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.fixture
def source() -> Scripted:
    return Scripted()


@pytest.fixture
async def follower(source: Scripted, tmp_path: Path) -> AsyncIterator[Follower]:
    made = Follower("scripted", source, Copy(tmp_path / "copy.db"))
    yield made
    await made.stop()
    made.copy.close()


async def test_its_copy_becomes_what_the_tables_are(follower: Follower) -> None:
    assert await follower.finish(5)
    assert follower.copy.state() == WHOLE
    assert list(follower.told.applied) == [1, 2, 3, 4, 5, 6, 7]


async def test_one_that_ends_within_a_page_gets_it_again_and_applies_it_once(
    source: Scripted, follower: Follower
) -> None:
    await follower.follow()
    source.may_read.clear()
    source.reading.clear()
    follower.start()
    await source.reading.wait()
    await follower.restart()
    source.may_read.set()

    assert follower.copy.cursor == "2"
    assert await follower.finish(5)
    assert follower.copy.state() == WHOLE
    assert list(follower.told.applied) == [1, 2, 3, 4, 5, 6, 7]
    assert follower.told.repeated == []


async def test_one_whose_cursor_leads_nowhere_takes_a_snapshot_and_goes_on_from_it(
    follower: Follower,
) -> None:
    await follower.follow()
    await follower.expire("gone")
    assert await follower.finish(5)
    assert follower.snapshots == 1
    assert follower.copy.state() == WHOLE
    assert list(follower.told.applied) == [1, 2, 6, 7]


async def test_a_service_that_does_not_answer_is_asked_again(source: Scripted, follower: Follower) -> None:
    source.failures = [Unanswered("news"), Unanswered("read"), Unanswered("read")]
    assert await follower.finish(5)
    assert follower.copy.state() == WHOLE


async def test_one_that_does_not_come_to_the_end_says_so(source: Scripted, follower: Follower) -> None:
    source.may_read.clear()
    assert not await follower.finish(0.01)
