"""The history of a tenant: whatever is looked for, pages have each row once, and an index leads to it."""

import contextlib
import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import apsw
import asyncpg
import pytest

from scim_api.store.change_log import Actor, Change, HistoryQuery
from scim_api.store.postgres import pool as postgres_pool
from scim_api.store.protocol import Store
from scim_api.store.sql import change_history
from scim_api.store.sql.timestamps import from_text, to_text
from scim_api.store.sql.transaction_script import Row, number_placeholders
from support.change_rows import ChangeRow, add_change_row, change_rows
from support.stored import prepared, tenant_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TENANT, STRANGER = 7, 8
SECOND = timedelta(seconds=1)


def at(seconds: float) -> str:
    return to_text(NOON + timedelta(seconds=seconds))


async def pages(
    store: Store, query: HistoryQuery, *, tenant: int = TENANT, limit: int = 10
) -> list[list[Change]]:
    """All pages, one after the other."""
    found, before = [], None
    while True:
        page = await store.change_log.history(tenant, query, before=before, limit=limit)
        assert len(page.changes) <= limit
        found.append(list(page.changes))
        if page.next is None:
            return found
        before = page.next


async def ids(store: Store, query: HistoryQuery, **options: Any) -> list[str]:
    """Of whom the pages tell, the newest first."""
    return [change.resource_id for page in await pages(store, query, **options) for change in page]


class TestPages:
    async def test_the_newest_come_first_and_each_once_whatever_is_written_meanwhile(
        self, store: Store, tenant: int
    ) -> None:
        made = [
            (
                await store.create(
                    tenant, "User", prepared(f"u{number}"), actor=Actor("writer", "apps/entra")
                )
            ).id
            for number in range(7)
        ]
        read: list[Change] = []
        before = None
        for _ in range(3):
            page = await store.change_log.history(tenant, HistoryQuery(), before=before, limit=3)
            read += page.changes
            before = page.next
            await store.create(tenant, "User", prepared(f"later{len(read)}"), actor=Actor("writer"))

        assert [change.resource_id for change in read] == made[::-1]
        assert before is None
        assert (read[0].type, read[0].scim_token) == ("user.created", "apps/entra")

    async def test_together_they_have_what_a_look_at_every_row_finds(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With so many of others between them that they are in several buckets of SQLite's index."""
        monkeypatch.setattr(change_history, "LOOKED_AT", 5)
        monkeypatch.setattr(change_history, "BUCKETS", 1)
        dice = random.Random(5)
        rows = [_row(dice, second) for second in range(120)]
        others = [ChangeRow(at(0), STRANGER, "user.created", "a")] * 40
        await add_change_row(store, *(one for row in rows for one in (row, *others)))
        for query in [HistoryQuery(), *(_query(dice) for _ in range(60))]:
            expected = [row for row in reversed(rows) if _meets(row, query)]
            for limit in (1, 4, 200):
                found = [change for page in await pages(store, query, limit=limit) for change in page]
                assert [
                    (one.at, one.type, one.resource_id, one.external_id, one.member, one.credential)
                    for one in found
                ] == [
                    (row.at, row.type, row.resource_id, row.external_id, row.member, row.credential)
                    for row in expected
                ], query

    async def test_one_looks_at_so_many_rows_and_says_where_to_go_on(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(change_history, "LOOKED_AT", 4)
        await add_change_row(
            store,
            *(
                ChangeRow(
                    at(second),
                    TENANT,
                    "user.created",
                    f"u{second}",
                    credential="rare" if second == 1 else "k",
                )
                for second in range(10)
            ),
        )

        assert [
            [change.resource_id for change in page]
            for page in await pages(store, HistoryQuery(credential="rare"))
        ] == [[], [], ["u1"]]

    async def test_a_page_of_memberships_and_own_changes_goes_as_far_back_as_both_were_looked_at(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(change_history, "LOOKED_AT", 2)
        await add_change_row(
            store,
            ChangeRow(at(0), TENANT, "user.created", "ada"),
            *(ChangeRow(at(n), TENANT, "group.member_added", f"g{n}", member="ada") for n in range(1, 6)),
        )

        found = await pages(store, HistoryQuery(resource="ada", credential="writer"))

        assert [[change.resource_id for change in page] for page in found] == [
            ["g5", "g4"],
            ["g3", "g2"],
            ["g1", "ada"],
        ]

    async def test_what_is_kept_no_longer_is_not_there_and_pages_end(self, store: Store) -> None:
        await add_change_row(
            store, *(ChangeRow(at(second), TENANT, "user.created", f"u{second}") for second in range(6))
        )
        first = await store.change_log.history(TENANT, HistoryQuery(), limit=2)
        await store.change_log.forget(timedelta(0))

        assert await store.change_log.history(TENANT, HistoryQuery(), before=first.next, limit=2) == (
            type(first)([], None)
        )


class TestWhatIsFound:
    async def test_of_a_person_their_own_changes_and_the_memberships_that_they_came_to(
        self, store: Store
    ) -> None:
        rows = [
            ChangeRow(at(1), TENANT, "user.created", "ada"),
            ChangeRow(at(2), TENANT, "group.created", "staff"),
            ChangeRow(at(3), TENANT, "group.member_added", "staff", member="ada"),
            ChangeRow(at(4), TENANT, "group.member_added", "staff", member="bob"),
            ChangeRow(at(5), TENANT, "user.updated", "ada"),
        ]
        await add_change_row(store, *rows)

        found = [change for page in await pages(store, HistoryQuery(resource="ada")) for change in page]

        assert [(change.type, change.member) for change in found] == [
            ("user.updated", None),
            ("group.member_added", "ada"),
            ("user.created", None),
        ]

    async def test_by_external_id_the_deletions_of_exactly_that_one(self, store: Store) -> None:
        await add_change_row(
            store,
            ChangeRow(at(1), TENANT, "user.created", "ada", "e-1"),
            ChangeRow(at(2), TENANT, "user.deleted", "ada", "e-1"),
            ChangeRow(at(3), TENANT, "group.member_removed", "staff", "e-1", member="ada"),
            ChangeRow(at(4), TENANT, "user.deleted", "eve", "E-1"),
            ChangeRow(at(5), TENANT, "group.deleted", "staff", "e-1"),
            ChangeRow(at(6), TENANT, "user.deleted", "bob"),
        )

        assert await ids(store, HistoryQuery(external_id="e-1")) == ["staff", "ada"]

    async def test_since_is_in_and_until_is_not(self, store: Store) -> None:
        await add_change_row(
            store, *(ChangeRow(at(second), TENANT, "user.created", f"u{second}") for second in range(5))
        )
        query = HistoryQuery(since=NOON + SECOND, until=NOON + 3 * SECOND)

        assert await ids(store, query) == ["u2", "u1"]

    async def test_rows_of_transactions_that_ran_side_by_side_are_found_by_their_times(
        self, store: Store
    ) -> None:
        """A long one has an early time and a late number."""
        slack = change_history.SLACK_SECONDS
        times = [200, *[200 - slack + 1] * 3, *[200 + slack - 1] * 4, 200, 400]
        await add_change_row(
            store, *(ChangeRow(at(time), TENANT, "user.created", f"u{n}") for n, time in enumerate(times))
        )

        since, until = NOON + timedelta(seconds=200), NOON + timedelta(seconds=201)
        assert await ids(store, HistoryQuery(since=since, until=until)) == ["u8", "u0"]
        assert (await ids(store, HistoryQuery(since=since)))[-1] == "u0"
        assert (await ids(store, HistoryQuery(until=until)))[0] == "u8"

    async def test_the_ends_of_time_are_times(self, store: Store) -> None:
        await add_change_row(store, ChangeRow(at(0), TENANT, "user.created", "ada"))

        for zone in (UTC, timezone(timedelta(hours=23)), timezone(timedelta(hours=-23))):
            first, last = datetime(1, 1, 1, tzinfo=zone), datetime(9999, 12, 31, 23, 59, 59, tzinfo=zone)
            assert await ids(store, HistoryQuery(since=first, until=last)) == ["ada"]
            assert await ids(store, HistoryQuery(since=last)) == []
            assert await ids(store, HistoryQuery(until=first)) == []

    async def test_nothing_of_another_tenant_or_of_the_administration(
        self, store: Store, tenant: int
    ) -> None:
        stranger = await tenant_of(store, "fabrikam")
        theirs = await store.create(stranger, "User", prepared("ada"), actor=Actor("writer"))
        await store.delete(stranger, "User", theirs.id, actor=Actor("writer"))
        own = await store.create(tenant, "User", prepared("eve"), actor=Actor("writer"))

        for query in (
            HistoryQuery(),
            HistoryQuery(credential="writer"),
            HistoryQuery(since=NOON - 9999 * SECOND),
        ):
            assert await ids(store, query, tenant=tenant) == [own.id]
        for query in (HistoryQuery(resource=theirs.id), HistoryQuery(external_id="ext-ada")):
            assert await ids(store, query, tenant=tenant) == []
        assert {row.tenant for row in await change_rows(store)} == {0, tenant, stranger}


def _row(dice: random.Random, second: int) -> ChangeRow:
    """Of few resources, so that many filters meet; a third is another tenant's."""
    joins = dice.random() < 0.6
    kind = "group.member_added" if joins else dice.choice(["user.created", "user.deleted", "group.deleted"])
    return ChangeRow(
        at(second),
        dice.choice([TENANT, TENANT, STRANGER]),
        kind,
        dice.choice("gga" if joins else "abc"),
        dice.choice(["x", "y", None]),
        member=dice.choice("abc") if joins else None,
        credential=dice.choice(["k1", "k2"]),
    )


def _query(dice: random.Random) -> HistoryQuery:
    def maybe(value: Any) -> Any:
        return value if dice.random() < 0.4 else None

    return HistoryQuery(
        resource=maybe(dice.choice("abc")),
        external_id=maybe(dice.choice("xy")),
        credential=maybe(dice.choice(["k1", "k2", "k3"])),
        types=maybe(frozenset(dice.sample(["user.created", "user.deleted", "group.member_added"], 2)))
        or frozenset(),
        since=maybe(NOON + timedelta(seconds=dice.randrange(120))),
        until=maybe(NOON + timedelta(seconds=dice.randrange(120))),
    )


def _meets(row: ChangeRow, query: HistoryQuery) -> bool:
    moment, deleted = from_text(row.at), row.type in {"user.deleted", "group.deleted"}
    return (
        row.tenant == TENANT
        and (query.resource is None or query.resource in {row.resource_id, row.member})
        and (query.external_id is None or (deleted and row.external_id == query.external_id))
        and (query.credential is None or row.credential == query.credential)
        and (not query.types or row.type in query.types)
        and (query.since is None or moment >= query.since)
        and (query.until is None or moment < query.until)
    )


COUNT = 20_000
_FILL = """
INSERT INTO change (tenant, at, type, resource_id, external_id, version, member, credential)
SELECT CASE n % 10 WHEN 0 THEN 8 ELSE 7 END, '2026-11-23T12:00:00.' || (100000 + n) || 'Z',
    CASE n % 5 WHEN 0 THEN 'group.member_added' WHEN 1 THEN 'user.deleted' ELSE 'user.updated' END,
    CASE n % 5 WHEN 0 THEN 'staff' ELSE 'u' || (n % 2000) END, 'e' || (n % 2000), 1,
    CASE n % 5 WHEN 0 THEN 'u' || (n % 2000) END, 'k' || (n % 3)
FROM {numbers}
"""
_LOOKED_FOR = {
    "anything": (HistoryQuery(), {"change_of_tenant"}),
    "resource": (HistoryQuery(resource="u77"), {"change_of_tenant", "change_of_resource", "change_of_member"}),
    "large group": (HistoryQuery(resource="staff"), {"change_of_tenant", "change_of_resource", "change_of_member"}),
    "externalId": (HistoryQuery(external_id="e77"), {"change_of_external"}),
    "credential": (HistoryQuery(credential="k1"), {"change_of_tenant"}),
    "times": (HistoryQuery(since=NOON, until=NOON + SECOND), {"change_of_tenant"}),
    "all": (
        HistoryQuery("u77", "e77", "k1", frozenset({"user.deleted"}), NOON, NOON + SECOND),
        {"change_of_tenant", "change_of_resource", "change_of_member", "change_of_external"},
    ),
}  # fmt: skip
"""What is looked for, and by which indexes."""


@pytest.mark.parametrize("statistics", ["young", "fresh"])
async def test_whatever_is_looked_for_an_index_has_it_in_order(store: Store, statistics: str) -> None:
    numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {COUNT}) SELECT n FROM c) AS x"
    fill = [_FILL.format(numbers=numbers), *(["ANALYZE"] if statistics == "fresh" else [])]
    found: dict[str, str] = {}
    if store.dialect == "sqlite":
        database = apsw.Connection(store.url.removeprefix("sqlite:///"))
        for sql in fill:
            database.execute(sql)
        for name, (query, _) in _LOOKED_FOR.items():

            def explained(sql: str, values: Sequence[Any], name: str = name) -> list[Row]:
                plan = [str(step[3]) for step in database.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
                found[name] = "\n".join([found.get(name, ""), *plan])
                return list(database.execute(sql, values))

            script = change_history.history("sqlite", TENANT, query, None, 100)
            with contextlib.suppress(StopIteration):
                statement = next(script)
                while True:
                    statement = script.send(explained(*statement))
        database.close()
        searched = r"SEARCH (?:change|c) USING (?:COVERING )?INDEX (\w+)"
        scans = r"SCAN (?:change|c)\b|SEARCH (?:change|c) USING INTEGER PRIMARY KEY \(rowid[<>]"
    else:
        session = await asyncpg.connect(store.url, server_settings=dict(postgres_pool.INDEX_ONLY_PLANNER))
        await session.execute("ALTER TABLE change SET (autovacuum_enabled = false)")
        for sql in fill:
            await session.execute(sql)
        for mode in ("force_custom_plan", "force_generic_plan"):
            await session.execute(f"SET plan_cache_mode = {mode}")
            for name, (query, _) in _LOOKED_FOR.items():
                script = change_history.history("postgresql", TENANT, query, None, 100)
                with contextlib.suppress(StopIteration):
                    sql, values = next(script)
                    while True:
                        sql = number_placeholders(sql)
                        plan = await session.fetch(f"EXPLAIN (ANALYZE) {sql}", *values)
                        found[name] = "\n".join([found.get(name, ""), *(str(row[0]) for row in plan)])
                        rows = [tuple(row) for row in await session.fetch(sql, *values)]
                        sql, values = script.send(rows)
        await session.close()
        searched = r"Index (?:Only )?Scan (?:Backward )?using (\w+) on change"
        scans = r"Seq Scan on change|Bitmap|Sort  \("

    for name, (_, indexes) in _LOOKED_FOR.items():
        names = {
            index.replace("change_pkey", "change_of_tenant") for index in re.findall(searched, found[name])
        }
        assert names, f"{name}:\n{found[name]}"
        assert names <= indexes, f"{name}:\n{found[name]}"
        assert re.findall(scans, found[name]) == [], f"{name}:\n{found[name]}"
