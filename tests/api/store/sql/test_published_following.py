"""The page's recipe for following changes by SQL misses nothing, whatever is under way."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from scim_api.store.change_log import Actor
from support.readers import Sharing, sharing
from support.stored import prepared, retitle

SECTION = (
    (Path(__file__).parents[4] / "docs/consumers.md")
    .read_text(encoding="utf-8")
    .partition("\n### Following changes without a gap\n")[2]
    .partition("\n### ")[0]
)
COPY, FOLLOW = re.findall(r"```sql\n(.*?)```", SECTION, re.DOTALL)
EXAMPLE = "'795:799:795,797'"


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Sharing]:
    async with sharing(postgres_url) as made:
        yield made


class Follower:
    """An application that does what the page says."""

    def __init__(self, session: "asyncpg.Connection[Any]") -> None:
        self.session = session
        self.epoch = self.snapshot = ""
        self.last_id = 0

    async def _run(self, block: str) -> list[Any]:
        """The block's statements; the position is kept, and the rows of the others given back."""
        rows: list[Any] = []
        for statement in block.split(";\n"):
            if not statement.strip():
                continue
            found = await self.session.fetch(statement.replace(EXAMPLE, f"'{self.snapshot}'"))
            if "published.position" in statement:
                [(self.epoch, at, self.last_id, _)] = found
            else:
                rows += found
        xmin, xmax, xip = at
        self.snapshot = f"{xmin}:{xmax}:{','.join(map(str, xip))}"
        return rows

    async def copy(self) -> list[str]:
        return [row["user_name"] for row in await self._run(COPY)]

    async def follow(self) -> list[str]:
        return [row["resource_id"] for row in await self._run(FOLLOW)]


@pytest.fixture
async def follower(shared: Sharing) -> AsyncIterator[Follower]:
    session = await shared.login(shared.reader_of_a)
    made = Follower(session)
    await made.copy()
    yield made
    await session.close()


class Writer:
    """A transaction that writes changes and is committed when a test says so."""

    def __init__(self, connection: "asyncpg.Connection[Any]", tenant: int) -> None:
        self.connection, self.tenant = connection, tenant

    async def write(self, *names: str) -> None:
        for name in names:
            await self.connection.execute(
                "INSERT INTO change (tenant, at, type, resource_id, credential)"
                " VALUES ($1, '2026-11-23T14:00:00Z', 'user.updated', $2, 'c')",
                self.tenant,
                name,
            )

    async def commit(self) -> None:
        await self.connection.execute("COMMIT")


@asynccontextmanager
async def writers(shared: Sharing, count: int) -> AsyncIterator[list[Writer]]:
    """Transactions that are under way, in the order of their ids."""
    made = [Writer(await asyncpg.connect(shared.store.url), shared.a) for _ in range(count)]
    try:
        for writer in made:
            await writer.connection.execute("BEGIN")
            await writer.connection.execute("SELECT pg_current_xact_id()")
        yield made
    finally:
        for writer in made:
            await writer.connection.close()


async def test_a_change_that_is_committed_late_is_read_late(shared: Sharing, follower: Follower) -> None:
    async with writers(shared, 2) as (slow, fast):
        await slow.write("a", "b")
        await fast.write("c")
        await slow.write("d")
        await fast.commit()
        first = await follower.follow()
        await slow.commit()
        second, third = await follower.follow(), await follower.follow()

    assert (first, second, third) == (["c"], ["a", "b", "d"], [])


async def test_a_transaction_that_is_younger_than_the_last_one_that_ended_is_not_overtaken(
    shared: Sharing, follower: Follower
) -> None:
    """The snapshot does not list it, though its changes are numbered already."""
    async with writers(shared, 2) as (older, younger):
        await younger.write("a", "b")
        await older.write("c")
        await older.commit()
        first = await follower.follow()
        await younger.commit()
        second = await follower.follow()

    assert (first, second) == (["c"], ["a", "b"])


async def test_what_is_under_way_while_the_copy_is_taken_follows(shared: Sharing, follower: Follower) -> None:
    async with writers(shared, 3) as (left_open, early, late):
        for writer, name in ((left_open, "left open"), (early, "early"), (late, "late")):
            await writer.write(name)
        await early.commit()
        await follower.copy()
        await late.commit()
        first = await follower.follow()
        await shared.store.create(shared.a, "User", prepared("ada"), actor=Actor("c"))
        second = await follower.follow()

    assert first == ["late"]
    assert len(second) == 1


async def test_of_changes_under_way_at_once_none_is_missed_and_none_comes_twice(
    shared: Sharing, follower: Follower
) -> None:
    users = [
        await shared.store.create(shared.a, "User", prepared(f"u{n}"), actor=Actor("w")) for n in range(6)
    ]
    await follower.copy()

    async def change(number: int) -> None:
        for step in range(6):
            await shared.store.modify(
                shared.a,
                "User",
                users[step].id,
                retitle(lambda _: f"{number}-{step}"),  # noqa: B023 (called at once)
                actor=Actor("w"),
            )

    seen: list[str] = []
    writing = asyncio.gather(*(change(number) for number in range(8)))
    while not writing.done():
        seen += await follower.follow()
    await writing
    seen += await follower.follow()

    assert sorted(seen) == sorted(user.id for user in users for _ in range(8))


async def test_changes_that_may_be_gone_and_another_history_are_told(
    shared: Sharing, follower: Follower
) -> None:
    before = follower.epoch
    await shared.store.create(shared.a, "User", prepared("ada"), actor=Actor("c"))
    owner = await asyncpg.connect(shared.store.url)
    await owner.execute("INSERT INTO change_horizon SELECT $1, max(pk) FROM change", shared.a)
    [[horizon]] = await shared.ask(shared.reader_of_a, "SELECT horizon FROM published.position")
    assert horizon > follower.last_id
    await owner.execute("ALTER TABLE change RENAME TO saved")
    await owner.close()

    [[epoch]] = await shared.ask(shared.reader_of_a, "SELECT epoch FROM published.position")
    assert (
        epoch == before
    )  # a new name is the same history; a restored table has another oid, which is part of it
    assert epoch.endswith(str(await _oid_of_log(shared)))


async def _oid_of_log(shared: Sharing) -> int:
    owner = await asyncpg.connect(shared.store.url)
    try:
        return int(await owner.fetchval("SELECT 'saved'::regclass::oid"))
    finally:
        await owner.close()
