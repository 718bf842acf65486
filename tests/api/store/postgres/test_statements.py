"""PostgreSQL's writes, each one statement: everything that belongs together is written, or nothing is."""

import re
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from scim_api.store.postgres import statements
from scim_api.store.postgres.store import PostgresStore
from scim_api.store.sql.timestamps import from_text, to_text
from support.stored import tenant_of

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def tenant(postgres_url: str) -> int:
    store = PostgresStore(postgres_url)
    await store.open()
    tenant = await tenant_of(store)
    await store.close()
    return tenant


@pytest.fixture
async def session(postgres_url: str) -> AsyncIterator[Session]:
    session = await asyncpg.connect(postgres_url)
    yield session
    await session.close()


async def create(session: Session, tenant: int, name: str = "ada", *emails: str) -> Any:
    return await session.fetchrow(
        statements.CREATE,
        tenant,
        "User",
        f"id-{name}",
        f"m-{name}",
        name,
        None,
        "{}",
        "{}",
        list(emails),
        "c",
        [],
        "apps/entra",
    )


async def held(session: Session, tenant: int) -> dict[str, Any]:
    """What all tables say of the tenant."""
    return {
        "users": await session.fetchval("SELECT count(*) FROM resource WHERE tenant = $1", tenant),
        "counted": await session.fetchval(
            "SELECT coalesce(sum(number), 0)::int FROM resource_count WHERE tenant = $1", tenant
        ),
        "emails": [
            row[0] for row in await session.fetch("SELECT email_key FROM resource_email ORDER BY email_key")
        ],
        "changes": [
            row[0] for row in await session.fetch("SELECT type FROM change WHERE tenant > 0 ORDER BY pk")
        ],
    }


async def test_the_time_has_the_form_that_is_stored(session: Session) -> None:
    now = await session.fetchval(f"SELECT {statements.NOW}")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", now)
    assert to_text(from_text(now)) == now


async def test_a_user_comes_with_counter_mail_keys_and_changes(session: Session, tenant: int) -> None:
    created, pk = await create(session, tenant, "ada", "a@x", "b@x")
    row = await session.fetchrow("SELECT pk, version, created, modified FROM resource")
    assert tuple(row or ()) == (pk, 1, created, created)
    assert await held(session, tenant) == {
        "users": 1, "counted": 1, "emails": ["a@x", "b@x"], "changes": ["user.created"],
    }  # fmt: skip


async def test_a_user_whose_key_is_taken_leaves_nothing(session: Session, tenant: int) -> None:
    await create(session, tenant)
    before = await held(session, tenant)
    with pytest.raises(asyncpg.UniqueViolationError):
        await create(session, tenant, "ada", "new@x")
    assert await held(session, tenant) == before


async def test_of_many_users_those_whose_key_is_taken_are_left_out(session: Session, tenant: int) -> None:
    await create(session, tenant)
    names = ["bob", "ada", "eve"]
    written = await session.fetch(
        statements.CREATE_MANY, [tenant] * 3, [f"new-{name}" for name in names], [None] * 3, names, [None] * 3,
        ["{}"] * 3, ["{}"] * 3, ["c"] * 3, ["new-bob", "new-bob", "new-ada"], ["b1@x", "b2@x", "a@x"],
        [None] * 3, [None] * 3,
    )  # fmt: skip
    assert {row["id"] for row in written} == {"new-bob", "new-eve"}
    assert await held(session, tenant) == {
        "users": 3, "counted": 3, "emails": ["b1@x", "b2@x"], "changes": ["user.created"] * 3,
    }  # fmt: skip


async def test_an_update_needs_the_version_and_the_moment_that_it_was_made_for(
    session: Session, tenant: int
) -> None:
    created, _ = await create(session, tenant, "ada", "old@x", "kept@x")
    before = await held(session, tenant)

    async def update(version: int, modified: str, of: int = tenant) -> Any:
        return await session.fetchval(
            statements.UPDATE, of, "User", "id-ada", version, "m", "n", "e", '{"a":1}', "{}",
            ["kept@x", "new@x"], "c", modified, [], None, ["user.updated"], ['["title"]'],
        )  # fmt: skip

    for wrong in ((2, created), (1, "another moment"), (1, created, tenant + 1)):
        assert await update(*wrong) is None
    assert await held(session, tenant) == before

    moment = await update(1, created)
    row = await session.fetchrow(
        "SELECT version, modified, match_key, name_key, external_key, doc FROM resource"
    )
    assert tuple(row or ()) == (2, moment, "m", "n", "e", '{"a":1}')
    assert await held(session, tenant) == {
        "users": 1, "counted": 1, "emails": ["kept@x", "new@x"], "changes": ["user.created", "user.updated"],
    }  # fmt: skip


async def test_a_deletion_tells_whether_it_was_and_which_version_is_there(
    session: Session, tenant: int
) -> None:
    await create(session, tenant, "ada", "a@x")

    async def delete(identity: str, version: int | None) -> tuple[Any, ...]:
        return tuple(
            await session.fetchrow(statements.DELETE, tenant, "User", identity, version, "c", None) or ()
        )

    assert await delete("nobody", None) == (False, None)
    assert await delete("id-ada", 7) == (False, 1)
    assert (await held(session, tenant))["users"] == 1
    assert await delete("id-ada", 1) == (True, 1)
    assert await held(session, tenant) == {
        "users": 0, "counted": 0, "emails": [], "changes": ["user.created", "user.deleted"],
    }  # fmt: skip
