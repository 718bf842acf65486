"""Followers of the log of changes: a short campaign, and planted faults, which the judge finds out.

``make torture-changes`` runs longer campaigns.
"""

import dataclasses
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from scim_api.core.model import Resource
from scim_api.store.change_log import Actor
from scim_api.store.feed_cursor import decode, encode
from scim_api.store.postgres.store import PostgresStore
from support.stored import prepared, retitle, tenant_of
from torture.changes.campaign import Plan, campaign
from torture.changes.copy import Copy, Told
from torture.changes.follower import Follower, News, Source
from torture.changes.late import JOIN
from torture.changes.rules import PATIENCE, Fault, Row, differences, judge_deliveries
from torture.changes.sql import Table
from torture.changes.tables import Tables

ACTOR = Actor("writer")
CHANGES, SECONDS, CROWD = 50_000, 22.0, 2_000
SEED = 20261129


@pytest.mark.timeout(240)
def test_followers_miss_nothing_whatever_is_killed_and_left_open() -> None:
    result = campaign(Plan(SEED, CHANGES, SECONDS, CROWD, rounds=1), print)

    assert result.violations == [], result.table()
    assert result.changes > 5 * CROWD
    assert result.faults.total() >= 8
    assert result.late >= 1


@pytest.mark.timeout(120)
def test_a_follower_of_sqlite_misses_nothing_while_the_service_is_killed() -> None:
    result = campaign(Plan(SEED, 5_000, 4.0, 500, "sqlite", rounds=1), print)

    assert result.violations == [], result.table()
    assert result.changes > 1_000


class Paged(Table):
    """By pages of the store, as the feed reads them."""

    limit = 2

    def __init__(self, store: PostgresStore, tenant: int) -> None:
        super().__init__(store.url, tenant)
        self._store = store

    async def news(self, cursor: str | None) -> News:
        after = None if cursor is None else decode(cursor)
        page = await self._store.change_log.page(self.tenant, after, limit=self.limit)
        told = [Told(one.pk, one.type, one.resource_id, one.member) for one in page.changes]
        return News(told, encode(page.next), is_all=not page.has_more)


class ForgetsTheLatePage(Paged):
    """Goes on after the first page of what was committed late."""

    async def news(self, cursor: str | None) -> News:
        news = await super().news(cursor)
        return dataclasses.replace(news, cursor=encode(dataclasses.replace(decode(news.cursor), late=None)))


class LargestNumber(Table):
    """Remembers the largest number, and not who was unfinished."""

    async def news(self, cursor: str | None) -> News:
        news = await super().news(cursor)
        return dataclasses.replace(news, cursor=json.dumps([json.loads(news.cursor)[0], [], 2**62]))


class BelowTheOldest(Table):
    """Waits for the oldest transaction of the server, as is often advised."""

    async def news(self, cursor: str | None) -> News:
        below = "xid < pg_snapshot_xmin(pg_current_snapshot())"
        async with self._connected() as session:
            rows = await session.fetch(
                f"SELECT pk, type, resource_id, member FROM change WHERE tenant = $1 AND {below} ORDER BY pk",
                self.tenant,
            )
        told = [Told(*row) for row in rows if row[0] > int(cursor or 0)]
        return News(told, str(max([int(cursor or 0), *(one.pk for one in told)])), is_all=True)


class Drops(Table):
    """Loses one who joined."""

    async def news(self, cursor: str | None) -> News:
        news = await super().news(cursor)
        joined = [one for one in news.changes if one.type == "group.member_added"]
        return dataclasses.replace(news, changes=[one for one in news.changes if one not in joined[1:2]])


class Swaps(Table):
    """Has two changes of a resource in the other order."""

    async def news(self, cursor: str | None) -> News:
        news = await super().news(cursor)
        changes = list(news.changes)
        updated = [number for number, one in enumerate(changes) if one.type == "user.updated"]
        if len(updated) == 2:
            one, other = updated
            changes[one], changes[other] = changes[other], changes[one]
        return dataclasses.replace(news, changes=changes)


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    await store.open()
    yield store
    await store.close()


class Scene:
    """Users join a group in a transaction that is left open while others go on; a follower looks before and after."""

    def __init__(self, store: PostgresStore, tenant: int) -> None:
        self._store, self._tenant = store, tenant
        self._tables = Tables(store.url)

    async def play(self, follower: Follower) -> list[Row]:
        """All rows of the log in the end; those of before the first look were committed long before it."""
        ada, eve, bob = [await self._user(name) for name in ("ada", "eve", "bob")]
        team = await self._store.create(self._tenant, "Group", prepared("team"), actor=ACTOR)
        slow = await asyncpg.connect(self._store.url)
        try:
            await slow.execute("BEGIN")
            await slow.execute(JOIN, self._tenant, team.id, [ada.id, eve.id, bob.id])
            await self._user("mia")
            early = await self._tables.log(self._tenant)
            seen = {row.pk: time.time() - PATIENCE - 1 for row in early}
            await self._read_all(follower)
            await slow.execute("COMMIT")
        finally:
            slow.terminate()
        for title in ("one", "two"):
            transform = retitle(lambda _, title=title: title)  # type: ignore[misc]
            await self._store.modify(self._tenant, "User", eve.id, transform, actor=ACTOR)
        await self._read_all(follower)
        return [row._replace(committed=seen.get(row.pk)) for row in await self._tables.log(self._tenant)]

    async def _user(self, name: str) -> Resource:
        return await self._store.create(self._tenant, "User", prepared(name), actor=ACTOR)

    @staticmethod
    async def _read_all(follower: Follower) -> None:
        while not await follower.follow():
            pass


Make = Callable[[PostgresStore, int], Source]


def _table(of: type[Table]) -> Make:
    return lambda store, tenant: of(store.url, tenant)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_table(Table), set()),
        (Paged, set()),
        (_table(LargestNumber), {Fault.MISSED, Fault.COPY}),
        (ForgetsTheLatePage, {Fault.MISSED, Fault.COPY}),
        (_table(Drops), {Fault.MISSED, Fault.COPY}),
        (_table(Swaps), {Fault.DISORDER}),
        (_table(BelowTheOldest), {Fault.HELD_UP}),
    ],
    ids=["by SQL", "by pages", "largest number", "late page", "drops", "swaps", "below the oldest"],
)
async def test_a_fault_that_is_planted_in_a_follower_is_found_and_no_other(
    store: PostgresStore, tmp_path: Path, make: Make, expected: set[Fault]
) -> None:
    tenant = await tenant_of(store)
    follower = Follower("planted", make(store, tenant), Copy(tmp_path / "copy.db"))
    try:
        rows = await Scene(store, tenant).play(follower)
        truth = await Tables(store.url).state(tenant)
        found = [
            *judge_deliveries(rows, follower.told),
            *differences(Fault.COPY, "planted", follower.copy.state(), truth),
        ]
        assert {one.fault for one in found} == expected, found
    finally:
        await follower.stop()
        follower.copy.close()
