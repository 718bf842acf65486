"""What Entra asks all day long is answered from an index, on both databases."""

import apsw
import asyncpg
import pytest

from scim_api.core.model import Lookup
from scim_api.store.factory import create_store
from scim_api.store.postgres import statements as postgres_statements
from scim_api.store.protocol import ListQuery, Store
from scim_api.store.sql import statements
from scim_api.store.sql.transaction_script import number_placeholders
from support.stored import tenant_of

KEYED = (1, "User", "x")
QUERIES = {
    "access": (statements.ACCESS, (b"x" * 32,)),
    "get": (statements.GET, KEYED),
    **{f"lookup by {by}": tuple(statements.lookup("postgresql", 1, "User", by, "x")) for by in Lookup},
    "list": tuple(statements.list_page(1, "User", ListQuery(limit=100))),
    "list by cursor": tuple(statements.list_page(1, "User", ListQuery(after=7, limit=100))),
    "members": (statements.MEMBERS, (1, 1, 0, 1000)),
    "groups of users": tuple(statements.groups_of(1, (1, 2, 3))),
    "name taken": tuple(statements.name_taken(1, "User", "x", "y")),
    "last use": (statements.RECORD_USE, ("x", "x", "x", "x")),
}


async def plan(store: Store, sql: str, parameters: tuple[object, ...]) -> str:
    """The plan's text; tables that hold one row by design are not the question here."""
    if store.dialect == "sqlite":
        connection = apsw.Connection(store.url.removeprefix("sqlite:///"))
        steps = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
        connection.close()
        return "\n".join(str(step[3]) for step in steps)
    session = await asyncpg.connect(store.url)
    # The tables are empty here: without this the planner rightly reads them whole.
    await session.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    rows = await session.fetch(f"EXPLAIN {number_placeholders(sql)}", *parameters)
    await session.close()
    return "\n".join(str(row[0]) for row in rows)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_hot_query_uses_an_index_for_every_table(store: Store, query: str) -> None:
    sql, parameters = QUERIES[query]

    text = await plan(store, str(sql), tuple(parameters))

    tables = (
        "resource", "resource_email", "resource_count", "membership", "credential", "connection", "tenant",
    )  # fmt: skip
    scans = [
        line
        for line in text.splitlines()
        if "LEFT-JOIN" not in line  # the page itself, already cut out
        if "Seq Scan" in line
        or line.strip().removeprefix("SCAN ").split(" ")[0]
        in (*tables, "r", "e", "n", "m", "x", "k", "c", "t")
    ]
    assert "ndex" in text or "INDEX" in text or "PRIMARY KEY" in text
    assert scans == []


async def test_a_list_is_not_sorted(store: Store) -> None:
    sql, parameters = statements.list_page(1, "User", ListQuery(limit=100))

    text = await plan(store, sql, parameters)

    if store.dialect == "sqlite":
        assert "USING COVERING INDEX resource_order" in text or "USING INDEX resource_order" in text
    else:
        assert "resource_order" in text


CROWD = (
    "ALTER TABLE resource SET (autovacuum_enabled = false)",
    "ALTER TABLE resource_email SET (autovacuum_enabled = false)",
    """INSERT INTO resource (tenant, kind, id, match_key, name_key, external_key, version, created, modified,
           doc, keys)
       SELECT {tenant}, 'User', md5(n::text), 'm' || n, 'n' || n, 'e' || n, 1, '', '', repeat('x', 500), '{{}}'
       FROM generate_series(1, 20000) AS n""",
    "INSERT INTO resource_email SELECT pk, match_key, tenant, kind FROM resource",
)
PARAMETERS_OF_UPDATE = (
    1,
    "User",
    "x",
    1,
    "m",
    "n",
    "e",
    "{}",
    "{}",
    ["m"],
    "actor",
    "now",
    ["m"],
    None,
    ["t"],
    [None],
)


@pytest.mark.parametrize("statistics", ["young", "fresh"])
async def test_one_of_many_is_found_by_its_own_index_whatever_the_statistics(
    postgres_url: str, statistics: str
) -> None:
    store = create_store(postgres_url)
    await store.open()
    tenant = await tenant_of(store)
    await store.close()
    session = await asyncpg.connect(postgres_url)
    for statement in CROWD:
        await session.execute(statement.format(tenant=tenant))
    if statistics == "fresh":
        await session.execute("ANALYZE")
    wanted = {
        "resource_id": (statements.GET, (tenant, "User", "x")),
        "resource_name": statements.lookup("postgresql", tenant, "User", Lookup.NAME, "x"),
        "resource_external": statements.lookup("postgresql", tenant, "User", Lookup.EXTERNAL, "x"),
        "resource_email_key": statements.lookup("postgresql", tenant, "User", Lookup.WORK_EMAIL, "x"),
        "resource_id ": (postgres_statements.UPDATE, (tenant, *PARAMETERS_OF_UPDATE[1:])),
        "resource_id  ": (postgres_statements.DELETE, (tenant, "User", "x", None, "actor", None)),
    }

    plans = {
        index: "\n".join(
            row[0] for row in await session.fetch(f"EXPLAIN {number_placeholders(sql)}", *parameters)
        )
        for index, (sql, parameters) in wanted.items()
    }
    await session.close()

    assert {index: index.strip() in text for index, text in plans.items()} == dict.fromkeys(wanted, True)
    assert not [text for text in plans.values() if "Seq Scan on resource" in text or "resource_order" in text]
