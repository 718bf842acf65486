"""What a role that reads tenant A may try to learn of tenant B by, and that it learns nothing."""

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from scim_api.store.change_log import Actor
from scim_api.store.sql.published import VIEWS
from support.readers import Sharing, sharing
from support.stored import prepared

ACTOR = Actor("token")
DENIED = asyncpg.InsufficientPrivilegeError


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Sharing]:
    """One user of A, and some of B, whose names all begin with ``secret``."""
    async with sharing(postgres_url) as made:
        await made.store.create(made.a, "User", prepared("ours"), actor=ACTOR)
        for number in range(3):
            await made.store.create(made.b, "User", prepared(f"secret{number}"), actor=ACTOR)
        yield made


@pytest.fixture
async def attacker(shared: Sharing) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """The reader of A, who has switched off what only guards against accidents."""
    session = await shared.login(shared.reader_of_a)
    await session.execute(
        "SET default_transaction_read_only = off; SET search_path = pg_temp, published, public"
    )
    yield session
    await session.close()


async def test_no_table_and_no_sequence_can_be_read_or_written(
    shared: Sharing, attacker: "asyncpg.Connection[Any]"
) -> None:
    owner = await asyncpg.connect(shared.store.url)
    relations = await owner.fetch(
        "SELECT n.nspname || '.' || c.relname, c.relkind::text FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('public', 'published') AND c.relkind IN ('r', 'v', 'S')"
    )
    await owner.close()
    views = {f"published.{view}" for view in VIEWS}
    assert len(relations) > 20

    allowed = []
    for name, kind in relations:
        statements = ["SELECT 1 FROM {}", "DELETE FROM {}", "TRUNCATE {}"]
        if kind == "S":
            statements = ["SELECT last_value FROM {}", "SELECT nextval('{}')"]
        if name in views:
            statements = ["DELETE FROM {}", "INSERT INTO {} SELECT"]
        for statement in statements:
            try:
                await attacker.execute(statement.format(name))
            except (DENIED, asyncpg.ObjectNotInPrerequisiteStateError, asyncpg.WrongObjectTypeError):
                continue
            allowed.append(statement.format(name))

    assert allowed == []


FORBIDDEN = (
    "SET ROLE {b}",
    "SET SESSION AUTHORIZATION {b}",
    "GRANT {b} TO {a}",
    "ALTER ROLE {a} CREATEROLE",
    "CREATE ROLE another",
    "CREATE TABLE published.trap (id text)",
    "CREATE FUNCTION published.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
    "CREATE OR REPLACE VIEW published.users AS SELECT 1 AS id",
    "ALTER VIEW published.users SET (security_barrier = false)",
    "INSERT INTO published.reader SELECT 'x', 1, 1, 'x', false, 'x'",
    "SELECT starelid FROM pg_statistic",
    "SELECT rolpassword FROM pg_authid",
    "COPY published.users TO PROGRAM 'cat'",
    "SELECT pg_read_file('PG_VERSION')",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LEAKPROOF LANGUAGE sql AS 'SELECT true'",
)


async def test_no_right_leads_further(shared: Sharing, attacker: "asyncpg.Connection[Any]") -> None:
    allowed = []
    for statement in FORBIDDEN:
        try:
            await attacker.fetch(statement.format(a=shared.reader_of_a, b=shared.reader_of_b))
        except DENIED:
            continue
        allowed.append(statement)

    assert allowed == []


async def test_a_function_of_the_readers_own_is_shown_its_own_rows_alone(
    attacker: "asyncpg.Connection[Any]",
) -> None:
    """The classic way through a view: a condition that is cheaper than the view's, and tells what it is given."""
    seen: list[str] = []
    attacker.add_log_listener(lambda _, message: seen.append(str(message)))
    await attacker.execute(
        "CREATE FUNCTION pg_temp.tell(text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$"
    )
    for condition in (
        "pg_temp.tell(user_name)",
        "pg_temp.tell(id)",
        "pg_temp.tell(attributes::text)",
        "pg_temp.tell(user_name_key) OR id = 'x'",
        "CASE WHEN pg_temp.tell(external_id) THEN true END",
    ):
        assert len(await attacker.fetch(f"SELECT id FROM published.users WHERE {condition}")) == 1
    await attacker.fetch("SELECT * FROM published.work_emails WHERE pg_temp.tell(work_email_key)")
    await attacker.fetch("SELECT * FROM published.changes WHERE pg_temp.tell(resource_id || external_id)")

    assert len(seen) == 7
    assert "secret" not in "".join(seen)


async def test_an_error_of_a_condition_tells_of_its_own_rows_alone(
    attacker: "asyncpg.Connection[Any]",
) -> None:
    for condition in ("user_name::int = 1", "1 / (version - 1) = 1", "user_name_key::xml IS NOT NULL"):
        with pytest.raises(asyncpg.PostgresError) as raised:
            await attacker.fetch(
                f"SELECT id FROM published.users WHERE user_name <> 'ours' AND {condition}"
                " OR user_name = 'ours' AND user_name::int = 2"
            )
        assert "secret" not in str(raised.value)


async def test_an_operator_of_the_readers_own_does_not_get_past_the_barrier(
    attacker: "asyncpg.Connection[Any]",
) -> None:
    seen: list[str] = []
    attacker.add_log_listener(lambda _, message: seen.append(str(message)))
    await attacker.execute(
        "CREATE FUNCTION pg_temp.tell(text, text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE NOTICE 'seen %', $1; RETURN true; END $$;"
        " CREATE OPERATOR pg_temp.=== (FUNCTION = pg_temp.tell, LEFTARG = text, RIGHTARG = text)"
    )
    await attacker.fetch("SELECT * FROM published.users WHERE user_name_key OPERATOR(pg_temp.===) 'x'")

    assert seen
    assert "secret" not in "".join(seen)


async def test_statistics_of_the_tables_are_not_shown(
    shared: Sharing, attacker: "asyncpg.Connection[Any]"
) -> None:
    owner = await asyncpg.connect(shared.store.url)
    await owner.execute("ANALYZE")
    await owner.close()

    for view in ("pg_stats", "pg_stats_ext"):
        names = await attacker.fetch(
            f"SELECT tablename FROM {view} WHERE schemaname IN ('public', 'published')"
        )
        assert names == []
    queries = await attacker.fetch("SELECT query FROM pg_stat_activity WHERE usename <> current_user")
    assert {row[0] for row in queries} <= {"<insufficient privilege>", ""}


PROBES = [
    f"{column} {operator} '{value}'"
    for column in ("user_name_key", "external_id")
    for operator in ("=", "<", ">=")
    for value in ("a", "b5", "ext-secret00100", "secret00100", "secret00500", "zz")
]


async def test_the_planners_estimate_tells_nothing_of_names_and_addresses(
    shared: Sharing, attacker: "asyncpg.Connection[Any]"
) -> None:
    """It comes from statistics over all tenants: whoever compares estimates of many values would read names."""
    owner = await asyncpg.connect(shared.store.url)
    await owner.execute(
        "INSERT INTO resource (tenant, kind, id, name_key, external_key, version, created, modified, doc, keys)"
        " SELECT $1, 'User', gen_random_uuid(), 'secret' || to_char(n, 'FM00000'), 'ext-secret' ||"
        " to_char(n % 50, 'FM00000'), 1, '', '', '{}', '{\"#\": 2}' FROM generate_series(1, 1000) n",
        shared.b,
    )
    await owner.execute(
        "INSERT INTO resource_email SELECT pk, name_key || '@b.example', tenant, kind FROM resource"
        " WHERE name_key LIKE 'secret0%'"
    )
    await owner.execute(
        "INSERT INTO change (tenant, at, type, resource_id, external_id, member, credential, scim_token)"
        " SELECT $1, '', 'user.created', 'x', 'ext-secret00001', 'x', 'token', 'token' FROM generate_series(1, 1000)",
        shared.b,
    )
    await owner.execute("ANALYZE")
    await owner.close()

    async def estimates(view: str, probes: list[str]) -> dict[str, set[str]]:
        """Each operator with the numbers that EXPLAIN shows for it."""
        found: dict[str, set[str]] = {}
        for probe in probes:
            plan = await attacker.fetch(f"EXPLAIN SELECT * FROM published.{view} WHERE {probe}")
            top = re.search(r"rows=(\d+)", plan[0][0])
            assert top is not None
            found.setdefault(" ".join(probe.split()[:2]), set()).add(top[1])
        return found

    emails = [probe.replace("user_name_key", "work_email_key") for probe in PROBES if "user" in probe]
    for told in (await estimates("users", PROBES), await estimates("work_emails", emails)):
        assert all(len(rows) == 1 for rows in told.values()), told
    changes = [
        f"{column} = '{value}'"
        for column in ("resource_id", "external_id", "credential", "scim_token", "member_id", "type")
        for value in ("token", "x", "ext-secret00001", "user.created")
    ]
    assert all(len(rows) == 1 for rows in (await estimates("changes", changes)).values())


async def test_a_plan_does_not_count_rows_of_another_tenant_that_a_key_finds(
    shared: Sharing, attacker: "asyncpg.Connection[Any]"
) -> None:
    """EXPLAIN ANALYZE counts what a filter removes: so a key finds rows of the own tenant alone."""
    theirs = await shared.store.create(shared.b, "User", prepared("ours", match="other"), actor=ACTOR)
    await attacker.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
    for view, probe in (
        ("users", "user_name_key = 'ours'"),
        ("users", f"id = '{theirs.id}'"),
        ("users", "external_id = 'ext-ours'"),
        ("memberships", f"member_id = '{theirs.id}'"),
        ("memberships", f"group_id = '{theirs.id}'"),
        ("work_emails", "work_email_key = 'secret1@contoso.com'"),
    ):
        plan = await attacker.fetch(f"EXPLAIN (ANALYZE) SELECT * FROM published.{view} WHERE {probe}")
        text = "\n".join(row[0] for row in plan)
        assert "Index" in text, text
        assert "Rows Removed" not in text, (probe, text)


async def test_who_becomes_another_role_reads_what_that_one_reads(shared: Sharing) -> None:
    """An administrator, or an application that signs in as a member of the reader, as a pool does."""
    admin = await asyncpg.connect(shared.store.url)
    await admin.execute(f"SET ROLE {shared.reader_of_a}")
    names = await admin.fetch("SELECT user_name FROM published.users")
    await admin.close()

    assert [row[0] for row in names] == ["ours"]


async def test_a_role_that_only_has_the_name_or_the_oid_of_a_reader_is_none(shared: Sharing) -> None:
    """After a restore into another server a name, and an oid even more, may be somebody else's."""
    owner = await asyncpg.connect(shared.store.url)
    seen = []
    for changed in ("role_oid = 1", "role_oid = to_regrole(role), role = role || 'x'"):
        await owner.execute(f"UPDATE published.reader SET {changed} WHERE tenant = $1", shared.a)
        for view in VIEWS:
            seen += await shared.ask(shared.reader_of_a, f"SELECT * FROM published.{view}")
    await owner.close()

    assert seen == []
