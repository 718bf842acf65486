"""What Entra asks is answered from an index among 1,000 and among 100,000 people, on both databases.

The plans are read as the databases make them: nothing is forced, statistics are those of a tenant that has
just been filled, or fresh ones.
"""

import re
from collections.abc import Mapping

import apsw
import asyncpg
import pytest

from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.model import Lookup, Resource
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.postgres import pool as postgres_pool
from scim_api.store.protocol import Store
from scim_api.store.sql import groups, statements
from scim_api.store.sql.transaction_script import Statement, number_placeholders
from support.scim_core import profile_of

TENANT = profile_of()
GROUP, PERSON = "00000000-0000-4000-8000-aaaaaaaaaaaa", "00000000-0000-4000-8000-000000000500"
_FILL = (
    """INSERT INTO resource (tenant, kind, id, name_key, version, created, modified, doc, keys)
       VALUES ({tenant}, 'Group', '{group}', 'staff', 1, '', '', '{{}}', '{{}}')""",
    """INSERT INTO resource (tenant, kind, id, match_key, name_key, external_key, version, created, modified,
           doc, keys)
       SELECT {tenant}, 'User', {id}, 'm' || n, 'n' || n, 'e' || n, 1, '', '', '{{}}', '{{}}' FROM {numbers}""",
    """INSERT INTO resource_email (resource, email_key, tenant, kind)
       SELECT pk, match_key, tenant, kind FROM resource WHERE kind = 'User'""",
    """INSERT INTO membership (container, member, tenant) SELECT g.pk, u.pk, u.tenant
       FROM resource g, resource u WHERE g.kind = 'Group' AND u.kind = 'User'""",
)
_QUESTIONS: Mapping[str, tuple[ResourceKind, str]] = {
    "userName": ("User", 'userName eq "n500"'),
    "externalId": ("User", 'externalId eq "e500"'),
    "work e-mail": ("User", 'emails[type eq "work"].value eq "m500"'),
    "id and manager": ("User", f'id eq "{PERSON}" and manager eq "{PERSON}"'),
    "displayName": ("Group", 'displayName eq "staff"'),
    "id and member": ("Group", f'id eq "{GROUP}" and members[value eq "{PERSON}"]'),
    "id and member, the other way": ("Group", f'members eq "{PERSON}" and id eq "{GROUP}"'),
}
"""What Entra asks, as it asks it."""
_LARGER: Mapping[str, str] = {
    "min_parallel_index_scan_size": "0",
    "min_parallel_table_scan_size": "0",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
}
"""From some size on a plan with several processes looks cheaper: here from the first row on."""


def asked(store: Store, tenant: int) -> dict[str, Statement]:
    """The statements behind the questions, behind reads by id, and behind the steps of a group's change."""
    found: dict[str, Statement] = {}
    for name, (kind, text) in _QUESTIONS.items():
        wanted = parse_filter(TENANT, kind, text)
        assert isinstance(wanted, IndexedLookup), text
        found[name] = statements.lookup(store.dialect, tenant, kind, wanted.by, wanted.key, wanted.rest)
    found["get"] = statements.lookup(store.dialect, tenant, "User", Lookup.ID, PERSON)
    found["a page of members"] = Statement(statements.MEMBERS, (1, tenant, 500, 100))
    found["a rendered page of members"] = statements.rendered_members(
        store.dialect, tenant, 1, "https://scim.test", 500, 100
    )
    found["groups of users"] = statements.groups_of(tenant, (2, 3))
    group = Resource(GROUP, 2, "", "", "{}", 1, "Group")
    changes = groups._MemberChanges(store.dialect, tenant, group, None, Actor("c1"), "")
    for name, script in {
        "one member is found": changes._find((PERSON,)),
        "one member joins": changes._add((2,)),
        "one member leaves": changes._remove_by_id((PERSON,)),
    }.items():
        found[name] = next(script)
        script.close()
    return found


def _filled(tenant: int, dialect: str, count: int) -> list[str]:
    numbers = f"generate_series(1, {count}) AS n"
    identity = "'00000000-0000-4000-8000-' || lpad(n::text, 12, '0')"
    if dialect == "sqlite":
        numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c)"
        identity = "'00000000-0000-4000-8000-' || substr('000000000000' || n, -12)"
    return [statement.format(tenant=tenant, group=GROUP, id=identity, numbers=numbers) for statement in _FILL]


async def plans(store: Store, tenant: int, count: int, *, fresh: bool) -> dict[str, str]:
    """The plan of each statement in a database with so many people."""
    wanted = asked(store, tenant)
    if store.dialect == "sqlite":
        database = apsw.Connection(store.url.removeprefix("sqlite:///"))
        for statement in [*_filled(tenant, "sqlite", count), *(["ANALYZE"] if fresh else [])]:
            database.execute(statement)
        found = {
            name: "\n".join(
                str(step[3]) for step in database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            )
            for name, (sql, parameters) in wanted.items()
        }
        database.close()
        return found
    settings = {**_LARGER, **postgres_pool.INDEX_ONLY_PLANNER}
    session = await asyncpg.connect(store.url, server_settings=settings)
    for table in ("resource", "resource_email", "membership"):
        await session.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    for statement in [*_filled(tenant, "postgresql", count), *(["ANALYZE"] if fresh else [])]:
        await session.execute(statement)
    found = {}
    for name, (sql, parameters) in wanted.items():
        rows = await session.fetch(f"EXPLAIN {number_placeholders(sql)}", *parameters)
        found[name] = "\n".join(str(row[0]) for row in rows)
    await session.close()
    return found


@pytest.mark.parametrize("count", [1_000, 100_000])
@pytest.mark.parametrize("fresh", [False, True], ids=["young", "fresh"])
async def test_what_entra_asks_walks_an_index_to_a_few_rows(
    store: Store, tenant: int, count: int, fresh: bool
) -> None:
    found = await plans(store, tenant, count, fresh=fresh)

    for name, text in found.items():
        if store.dialect == "sqlite":
            scans = [
                line
                for line in text.splitlines()
                if re.match(r"SCAN (r|x|m|e|resource|membership|resource_email)\b", line.strip())
            ]
        else:
            scans = re.findall(
                r"Seq Scan on (?:resource|membership|resource_email)\b|resource_order|Bitmap|Gather", text
            )
        assert scans == [], f"{name}:\n{text}"
