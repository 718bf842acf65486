"""A user's change in PostgreSQL: a guess, some races, then the row's lock; and what a conflict names."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.core.errors import ScimError
from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict, Unavailable, VersionMismatch
from scim_api.store.postgres import statements
from scim_api.store.postgres.database import Database
from scim_api.store.postgres.resources import OPTIMISTIC_ATTEMPTS
from scim_api.store.postgres.store import PostgresStore
from support.change_rows import change_rows
from support.database import run_sql
from support.stored import connect, credential, digest_of, prepared, retitle, tenant_of

more = retitle(lambda title: f"{title}+")


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    store = PostgresStore(postgres_url, pool_size=4)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def tenant(store: PostgresStore) -> int:
    return await tenant_of(store)


async def touch(store: PostgresStore, one: Resource) -> None:
    """Somebody else was faster."""
    sql = f"UPDATE resource SET version = version + 1 WHERE id = '{one.id}' RETURNING version"
    await run_sql(store.url, sql)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which statements a change takes: ``read`` and ``write`` of the pool, ``lock`` of the row's lock."""
    said: list[str] = []
    read, write, borrow = Database.read, Database.write, Database.borrow

    async def noted_read(self: Database, sql: str, *parameters: object) -> Sequence[Any]:
        said.append("read")
        return await read(self, sql, *parameters)

    async def noted_write(self: Database, sql: str, *parameters: Any) -> Sequence[Any]:
        said.append("write")
        assert sql == statements.UPDATE
        return await write(self, sql, *parameters)

    def noted_borrow(self: Database) -> Any:
        said.append("lock")
        return borrow(self)

    monkeypatch.setattr(Database, "read", noted_read)
    monkeypatch.setattr(Database, "write", noted_write)
    monkeypatch.setattr(Database, "borrow", noted_borrow)
    return said


def title(one: Resource | None) -> str:
    assert one is not None
    return str(json.loads(one.doc)["title"])


@pytest.fixture
async def ada(store: PostgresStore, tenant: int) -> Resource:
    return await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))


async def test_a_user_seen_last_is_changed_without_being_read(
    store: PostgresStore, tenant: int, ada: Resource, asked: list[str]
) -> None:
    for number in range(1, 4):
        assert title(await store.modify(tenant, "User", ada.id, more, actor=Actor("c"))) == "+" * number
    assert asked == ["write"] * 3


async def test_a_guess_that_no_longer_holds_is_read_anew(
    store: PostgresStore, tenant: int, ada: Resource, asked: list[str]
) -> None:
    await touch(store, ada)
    after = await store.modify(tenant, "User", ada.id, more, actor=Actor("c"))
    assert asked == ["write", "read", "write"]
    assert after is not None
    assert (after.version, title(after)) == (3, "+")


async def test_a_guess_of_another_version_than_the_expected_one_is_not_tried(
    store: PostgresStore, tenant: int, ada: Resource, asked: list[str]
) -> None:
    await touch(store, ada)
    after = await store.modify(tenant, "User", ada.id, more, actor=Actor("c"), expected_version=2)
    assert after is not None
    assert after.version == 3
    assert asked == ["read", "write"]
    with pytest.raises(VersionMismatch, match="at version 3, not 1"):
        await store.modify(tenant, "User", ada.id, more, actor=Actor("c"), expected_version=1)


async def test_a_change_that_the_guess_refuses_is_tried_on_what_is_there(
    store: PostgresStore, tenant: int, ada: Resource, asked: list[str]
) -> None:
    def refuse_the_first(resource: Resource) -> ResourceWrite:
        if resource.version == 1:
            raise ScimError(400, "There is no such value.", "noTarget")
        return prepared("ada", title="found")

    await touch(store, ada)
    assert title(await store.modify(tenant, "User", ada.id, refuse_the_first, actor=Actor("c"))) == "found"
    assert asked == ["read", "write"]


async def test_a_writer_that_loses_every_race_queues_for_the_rows_lock(
    store: PostgresStore, tenant: int, ada: Resource, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = Database.write

    async def too_late(self: Database, sql: str, *parameters: Any) -> Sequence[Any]:
        await touch(store, ada)
        return await noted(self, sql, *parameters)

    monkeypatch.setattr(Database, "write", too_late)
    after = await store.modify(tenant, "User", ada.id, more, actor=Actor("c"))
    assert asked == ["write", *["read", "write"] * OPTIMISTIC_ATTEMPTS, "lock"]
    assert after is not None
    assert (after.version, title(after)) == (3 + OPTIMISTIC_ATTEMPTS, "+")
    changes = "SELECT count(*) FROM change WHERE type = 'user.updated'"
    assert await run_sql(store.url, changes) == [(1,)]


@pytest.mark.parametrize("attempts", [0, OPTIMISTIC_ATTEMPTS], ids=["locked", "optimistic"])
@pytest.mark.parametrize(
    ("taken", "matching", "attribute"),
    [
        (prepared("bob", email="ada@contoso.com"), Matching.WORK_EMAIL, "userName"),
        (prepared("ada", match="bob@contoso.com"), Matching.WORK_EMAIL, "emails"),
        (prepared("ada", match="bob@contoso.com"), Matching.EXTERNAL_ID, "externalId"),
    ],
)
async def test_a_conflict_names_the_attribute_whose_key_is_taken(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, attempts: int,
    taken: ResourceWrite, matching: Matching, attribute: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("scim_api.store.postgres.resources.OPTIMISTIC_ATTEMPTS", attempts)
    await connect(store, credential(), settings=TenantSettings(matching=matching))
    access = await store.access(digest_of("c1"))
    assert access is not None
    ada = await store.create(access.tenant, "User", prepared("ada"), actor=Actor("c"))
    await store.create(access.tenant, "User", prepared("bob"), actor=Actor("c"))
    change: Callable[[Resource], ResourceWrite] = lambda _: taken  # noqa: E731
    store._resource_cache.pop(access.tenant, ada.id)
    with pytest.raises(Conflict) as refused:
        await store.modify(access.tenant, "User", ada.id, change, actor=Actor("c"))
    assert refused.value.attribute == attribute
    assert await store.get(access.tenant, "User", ada.id) == ada


async def test_a_group_of_a_name_that_is_taken_is_told_by_its_name(store: PostgresStore, tenant: int) -> None:
    await store.create(tenant, "Group", prepared("staff", email=""), actor=Actor("c"))
    team = await store.create(tenant, "Group", prepared("team", email=""), actor=Actor("c"))
    for attempt in (
        store.create(tenant, "Group", prepared("staff", email=""), actor=Actor("c")),
        store.modify(tenant, "Group", team.id, lambda _: prepared("staff", email=""), actor=Actor("c")),
    ):
        with pytest.raises(Conflict) as refused:
            await attempt
        assert refused.value.attribute == "displayName"


async def test_a_tenant_that_is_gone_is_no_conflict(store: PostgresStore) -> None:
    with pytest.raises(Unavailable, match="the tenant was deleted"):
        await store.create(999, "User", prepared("ada"), actor=Actor("c"))


@asynccontextmanager
async def another_transaction(store: PostgresStore, *statements: str) -> AsyncIterator[Any]:
    """Statements of somebody else, not committed yet."""
    session = await asyncpg.connect(store.url)
    try:
        await session.execute("BEGIN")
        for statement in statements:
            await session.execute(statement)
        yield session
    finally:
        await session.close()


async def until_it_waits(session: Any, for_whom: "asyncio.Task[Any]") -> None:
    """Until a task waits for what the session has locked."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    async with asyncio.timeout(10):
        while not await session.fetchval(blocked):
            assert not for_whom.done()
            await asyncio.sleep(0.01)


async def team_with(store: PostgresStore, tenant: int, *members: Resource) -> Resource:
    joined = MemberChange("add", tuple(one.id for one in members))
    write = dataclasses.replace(prepared("team"), members=(joined,))
    return await store.create(tenant, "Group", write, actor=Actor("c"))


def _lock(group: Resource) -> str:
    return f"UPDATE resource SET version = version + 1 WHERE id = '{group.id}'"


async def _leavings(store: PostgresStore) -> list[tuple[str | None, int | None]]:
    """Who left a group, and the group's version since, by the log."""
    rows = await change_rows(store)
    return [(row.member, row.version) for row in rows if row.type == "group.member_removed"]


async def test_one_who_joins_a_group_while_being_deleted_leaves_it_in_the_log(
    store: PostgresStore, tenant: int
) -> None:
    ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
    team = await team_with(store, tenant)
    join = f"INSERT INTO membership (container, member, tenant) VALUES ({team.pk}, {ada.pk}, {tenant})"
    async with another_transaction(store, _lock(team), join) as other:
        deleting = asyncio.create_task(store.delete(tenant, "User", ada.id, actor=Actor("c")))
        await until_it_waits(other, deleting)
        await other.execute("COMMIT")
        assert await deleting

    assert await _leavings(store) == [(ada.id, 3)]


async def test_one_who_leaves_a_group_while_being_deleted_leaves_it_once_in_the_log(
    store: PostgresStore, tenant: int
) -> None:
    ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
    team = await team_with(store, tenant, ada)
    leave = f"DELETE FROM membership WHERE container = {team.pk} AND member = {ada.pk}"
    async with another_transaction(store, _lock(team), leave) as other:
        deleting = asyncio.create_task(store.delete(tenant, "User", ada.id, actor=Actor("c")))
        await until_it_waits(other, deleting)
        await other.execute("COMMIT")
        assert await deleting

    assert await _leavings(store) == []
    left = await store.get(tenant, "Group", team.id)
    assert left is not None
    assert left.version == 2  # of the other transaction


async def test_a_deletion_for_a_version_that_ends_meanwhile_takes_nobody_out_of_a_group(
    store: PostgresStore, tenant: int
) -> None:
    ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
    team = await team_with(store, tenant, ada)
    async with another_transaction(store, _lock(ada)) as other:
        deleting = asyncio.create_task(
            store.delete(tenant, "User", ada.id, actor=Actor("c"), expected_version=1)
        )
        await until_it_waits(other, deleting)
        await other.execute("COMMIT")
        with pytest.raises(VersionMismatch):
            await deleting

    assert await _leavings(store) == []
    left = await store.get(tenant, "Group", team.id)
    assert left is not None
    assert left.version == 1
