"""What a role that reads one tenant sees by SQL, what it doesn't, and what it has to ask for to see it at once."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from scim_api.core.model import MemberChange, ResourceWrite
from scim_api.store.change_log import Actor
from scim_api.store.sql.published import NO_STATISTICS, VIEWS
from support.readers import Sharing, sharing
from support.stored import connect, prepared, tenant_of

ACTOR = Actor("token-a", "apps/entra")
PAGE = (Path(__file__).parents[4] / "docs/consumers.md").read_text(encoding="utf-8")


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Sharing]:
    async with sharing(postgres_url) as made:
        yield made


def user(name: str, **attributes: Any) -> ResourceWrite:
    """A user with a body as Entra sends it."""
    write = prepared(name)
    body = {
        **json.loads(write.doc),
        "active": True,
        "displayName": name.title(),
        "name": {"givenName": name.title(), "familyName": "Test"},
        "emails": [
            {"type": "home", "value": f"{name}@home.example", "primary": True},
            {"type": "work", "value": f"{name}.2@contoso.com"},
            {"type": "Work", "value": f"{name.upper()}@contoso.com", "primary": True},
        ],
        **attributes,
    }
    return ResourceWrite(
        doc=json.dumps(body),
        normal_form=write.normal_form,
        match_key=write.match_key,
        name_key=write.name_key,
        external_key=write.external_key,
        email_keys=(f"{name}@contoso.com", f"{name}.2@contoso.com"),
        unique_email_keys=write.unique_email_keys,
    )


def group(name: str, *members: str) -> ResourceWrite:
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name}
    return ResourceWrite(
        doc=json.dumps(body),
        normal_form=json.dumps({"displayname": name.lower()}),
        match_key=None,
        name_key=name.lower(),
        members=(MemberChange("add", members),) if members else (),
    )


async def test_a_reader_sees_users_groups_and_memberships_of_its_tenant(shared: Sharing) -> None:
    ada = await shared.store.create(shared.a, "User", user("ada"), actor=ACTOR)
    team = await shared.store.create(shared.a, "Group", group("Team", ada.id), actor=ACTOR)
    session = await shared.login(shared.reader_of_a)

    [row] = await session.fetch("SELECT * FROM published.users")
    [emails] = await session.fetch("SELECT array_agg(work_email_key ORDER BY 1) FROM published.work_emails")
    [found] = await session.fetch("SELECT * FROM published.groups")
    members = await session.fetch("SELECT * FROM published.memberships")
    await session.close()

    assert dict(row) == {
        "id": ada.id,
        "external_id": "ext-ada",
        "user_name": "ada",
        "user_name_key": "ada",
        "active": True,
        "display_name": "Ada",
        "given_name": "Ada",
        "family_name": "Test",
        "work_email": "ADA@contoso.com",
        "version": 1,
        "created": datetime.fromisoformat(ada.created),
        "last_modified": datetime.fromisoformat(ada.modified),
        "attributes": row["attributes"],
    }
    assert json.loads(row["attributes"]) == json.loads(ada.doc)
    assert emails[0] == ["ada.2@contoso.com", "ada@contoso.com"]
    assert dict(found) == {
        "id": team.id,
        "external_id": None,
        "display_name": "Team",
        "display_name_key": "team",
        "version": 1,
        "created": datetime.fromisoformat(team.created),
        "last_modified": datetime.fromisoformat(team.modified),
    }
    assert [tuple(member) for member in members] == [(team.id, ada.id, "User")]


async def test_what_a_body_does_not_have_is_null(shared: Sharing) -> None:
    await shared.store.create(shared.a, "User", prepared("bare"), actor=ACTOR)
    columns = "active, display_name, given_name, family_name, work_email"

    assert await shared.ask(shared.reader_of_a, f"SELECT {columns} FROM published.users") == [(None,) * 5]


async def test_a_reader_sees_the_changes_of_its_tenants_resources(shared: Sharing) -> None:
    ada = await shared.store.create(shared.a, "User", user("ada"), actor=ACTOR)
    team = await shared.store.create(shared.a, "Group", group("Team", ada.id), actor=ACTOR)
    session = await shared.login(shared.reader_of_a)
    rows = await session.fetch("SELECT * FROM published.changes ORDER BY id")
    [position] = await session.fetch("SELECT * FROM published.position")
    await session.close()

    created, formed, joined = map(dict, rows)
    assert created == {
        "id": created["id"],
        "xid": created["xid"],
        "at": datetime.fromisoformat(ada.created),
        "type": "user.created",
        "resource_type": "User",
        "resource_id": ada.id,
        "external_id": "ext-ada",
        "version": 1,
        "paths": None,
        "member_id": None,
        "credential": "token-a",
        "scim_token": "apps/entra",
    }
    assert (formed["type"], formed["resource_type"], formed["resource_id"]) == (
        "group.created",
        "Group",
        team.id,
    )
    assert (joined["type"], joined["member_id"]) == ("group.member_added", ada.id)
    assert (position["last_id"], position["horizon"]) == (joined["id"], 0)


async def test_paths_of_a_change_are_an_array(shared: Sharing) -> None:
    connection = await asyncpg.connect(shared.store.url)
    await connection.execute(
        "INSERT INTO change (tenant, at, type, resource_id, paths, credential)"
        " VALUES ($1, '2026-11-23T14:00:00.123456Z', 'user.updated', 'x', '[\"title\",\"name.givenName\"]', 'c')",
        shared.a,
    )
    await connection.close()

    assert await shared.ask(shared.reader_of_a, "SELECT paths FROM published.changes") == [
        (["title", "name.givenName"],)
    ]


async def test_columns_are_those_that_the_page_documents(shared: Sharing) -> None:
    rows = await shared.ask(
        shared.reader_of_a,
        "SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = 'published'::regnamespace AND c.relkind = 'v' ORDER BY c.relname, a.attnum",
    )
    there: dict[str, list[tuple[str, str]]] = {}
    for view, column, kind in rows:
        there.setdefault(view, []).append((column, kind.replace("timestamp with time zone", "timestamptz")))
    documented = {
        view: re.findall(r"^\| `(\w+)` \| ([\w\[\]]+) \|", part, re.MULTILINE)
        for view, part in re.findall(r"^#### `(\w+)`\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    }

    assert set(there) == set(VIEWS)
    assert documented == there


async def test_another_tenants_reader_and_a_role_that_is_none_see_nothing(shared: Sharing) -> None:
    ada = await shared.store.create(shared.a, "User", user("ada"), actor=ACTOR)
    await shared.store.create(shared.a, "Group", group("Team", ada.id), actor=ACTOR)

    for view in VIEWS:
        seen = await shared.ask(shared.reader_of_b, f"SELECT * FROM published.{view}")
        assert len(seen) == (view == "position"), view
        own = await shared.ask(shared.reader_of_a, f"SELECT * FROM published.{view}")
        assert own, view
    nobody = await asyncpg.connect(shared.store.url)  # a superuser, but no reader
    assert [await nobody.fetchval(f"SELECT count(*) FROM published.{view}") for view in VIEWS] == [0] * 6
    await nobody.close()


async def test_the_same_name_id_and_membership_elsewhere_make_no_difference(shared: Sharing) -> None:
    ours = await shared.store.create(shared.a, "User", user("ada"), actor=ACTOR)
    theirs = await shared.store.create(shared.b, "User", user("ada"), actor=ACTOR)
    ask = f"SELECT id FROM published.users WHERE user_name_key = 'ada' OR id IN ('{ours.id}', '{theirs.id}')"

    assert await shared.ask(shared.reader_of_a, ask) == [(ours.id,)]
    assert await shared.ask(shared.reader_of_b, ask) == [(theirs.id,)]


async def test_the_reader_of_a_deleted_tenant_sees_nothing_even_when_it_is_made_anew(
    shared: Sharing,
) -> None:
    await shared.store.create(shared.a, "User", user("ada"), actor=ACTOR)
    connection = await asyncpg.connect(shared.store.url)
    await connection.execute("UPDATE tenant SET state = 'purging' WHERE pk = $1", shared.a)
    while_it_goes = [len(await shared.ask(shared.reader_of_a, f"SELECT * FROM published.{v}")) for v in VIEWS]
    while await shared.store.purge():
        pass
    await connection.close()
    await connect(shared.store, name="anew", tenant="a")
    anew = await tenant_of(shared.store, "a")
    await shared.store.create(anew, "User", user("eve"), actor=ACTOR)

    assert anew != shared.a
    assert while_it_goes == [0] * len(VIEWS)
    for view in VIEWS:
        assert await shared.ask(shared.reader_of_a, f"SELECT * FROM published.{view}") == [], view


async def test_the_migration_takes_statistics_of_names_away_but_for_two_values(shared: Sharing) -> None:
    owner = await asyncpg.connect(shared.store.url)
    for number in range(9):
        await shared.store.create(shared.a, "User", prepared(f"u{number}"), actor=ACTOR)
    await owner.execute(NO_STATISTICS.partition("ANALYZE")[0].replace("STATISTICS 1", "STATISTICS 100"))
    await owner.execute("ANALYZE")
    bounds = (
        "SELECT attname, histogram_bounds::text::text[] FROM pg_stats WHERE tablename LIKE 'resource%'"
        " AND attname IN ('name_key', 'external_key', 'email_key') ORDER BY attname"
    )
    before = await owner.fetch(bounds)
    await owner.execute(NO_STATISTICS)
    await shared.store.create(shared.a, "User", prepared("zoe"), actor=ACTOR)
    await owner.execute("ANALYZE")
    after = await owner.fetch(bounds)
    await owner.close()

    assert [len(values) for _, values in before] == [9, 9, 9]
    assert [(name, len(values)) for name, values in after] == [
        ("email_key", 2),
        ("external_key", 2),
        ("name_key", 2),
    ]
    assert after[2][1] == ["u0", "u8"]
