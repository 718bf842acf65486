"""What Entra asks all day long is answered from an index, on both databases."""

import apsw
import asyncpg
import pytest

from scim_api.core.records import Lookup
from scim_api.store import Store, statements
from scim_api.store.scripts import numbered

KEYED = (1, "User", "x")
QUERIES = {
    "access": (statements.ACCESS, (b"x" * 32,)),
    "get": (statements.GET, KEYED),
    **{f"lookup by {by}": (statements.LOOKUP[by], KEYED) for by in Lookup},
    "list": tuple(statements.list_page(1, "User", offset=0, limit=100)),
    "name taken": tuple(statements.taken_by_name(1, "User", "x", "y")),
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
    rows = await session.fetch(f"EXPLAIN {numbered(sql)}", *parameters)
    await session.close()
    return "\n".join(str(row[0]) for row in rows)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_hot_query_uses_an_index_for_every_table(store: Store, query: str) -> None:
    sql, parameters = QUERIES[query]

    text = await plan(store, str(sql), tuple(parameters))

    tables = ("resource", "resource_email", "resource_count", "credential", "connection", "tenant")
    scans = [
        line
        for line in text.splitlines()
        if "Seq Scan" in line
        or line.strip().removeprefix("SCAN ").split(" ")[0] in (*tables, "r", "e", "n", "k", "c", "t")
    ]
    assert "ndex" in text or "INDEX" in text
    assert scans == []


async def test_a_list_is_not_sorted(store: Store) -> None:
    sql, parameters = statements.list_page(1, "User", offset=0, limit=100)

    text = await plan(store, sql, parameters)

    if store.dialect == "sqlite":
        assert "USING COVERING INDEX resource_order" in text or "USING INDEX resource_order" in text
    else:
        assert "resource_order" in text
