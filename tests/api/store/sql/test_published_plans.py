"""What people ask of the views is answered from an index, with as many rows as an installation has."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from support.readers import Sharing, sharing

FILL = (
    # Ten tenants of 300 users; A has 3,000.
    """INSERT INTO resource (tenant, kind, id, name_key, external_key, version, created, modified, doc, keys)
       SELECT t, 'User', md5(t || '-' || n), 'n' || n, 'e' || n, 1, '2026-11-23T14:00:00Z', '2026-11-23T14:00:00Z',
           '{}', '{"#": 2}'
       FROM unnest($1::bigint[]) t, generate_series(1, CASE t WHEN $2 THEN 3000 ELSE 300 END) n""",
    """INSERT INTO resource (tenant, kind, id, name_key, version, created, modified, doc, keys)
       SELECT t, 'Group', md5('g' || t || '-' || n), 'g' || n, 1, '2026-11-23T14:00:00Z', '2026-11-23T14:00:00Z',
           '{}', '{"#": 2}'
       FROM unnest($1::bigint[]) t, generate_series(1, CASE t WHEN $2 THEN 30 ELSE 3 END) n""",
    """INSERT INTO resource_email SELECT pk, name_key || '@x.example', tenant, kind FROM resource
       WHERE kind = 'User' AND tenant = ANY ($1::bigint[]) AND $2 > 0""",
    """INSERT INTO membership SELECT g.pk, u.pk, g.tenant FROM
           (SELECT *, row_number() OVER (PARTITION BY tenant ORDER BY pk) AS n FROM resource WHERE kind = 'Group') g
           JOIN (SELECT *, row_number() OVER (PARTITION BY tenant ORDER BY pk) AS n FROM resource WHERE kind = 'User') u
           ON u.tenant = g.tenant AND u.n BETWEEN g.n * 100 - 99 AND g.n * 100 + 200
       WHERE g.tenant = ANY ($1::bigint[]) AND $2 > 0""",
    # Each of its own transaction, as PATCHes make them; the last one is 2,000,000.
    """INSERT INTO change (tenant, xid, at, type, resource_id, credential)
       SELECT CASE n % 2 WHEN 0 THEN $2 ELSE ($1::bigint[])[n % 10 + 2] END, (1980000 + n)::text::xid8,
           '2026-11-23T14:00:00Z', 'user.updated', md5(n::text), 'c'
       FROM generate_series(1, 20000) n""",
)


@pytest.fixture
async def crowd(postgres_url: str) -> AsyncIterator[Sharing]:
    async with sharing(postgres_url) as shared:
        owner = await asyncpg.connect(postgres_url)
        tenants = [shared.a, *range(1000, 1010)]
        await owner.execute(
            "INSERT INTO tenant (pk, namespace, name, settings, settings_hash)"
            " OVERRIDING SYSTEM VALUE SELECT n, 'x', n::text, '', '' FROM generate_series(1000, 1009) n"
        )
        for table in ("resource", "resource_email", "membership", "change"):
            await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        for statement in FILL:
            await owner.execute(statement, tenants, shared.a)
        await owner.execute("ANALYZE resource, resource_email, membership, change, tenant, published.reader")
        await owner.close()
        yield shared


ONE = {
    "id": ("SELECT * FROM users WHERE id = md5('{a}-77')", "resource_id"),
    "user name": ("SELECT * FROM users WHERE user_name_key = 'n77'", "resource_name"),
    "external id": ("SELECT * FROM users WHERE external_id = 'e77'", "resource_external"),
    "work email": (
        (
            "SELECT * FROM users WHERE id = ANY (ARRAY(SELECT user_id FROM work_emails"
            " WHERE work_email_key = 'n77@x.example'))"
        ),
        "resource_email_key",
    ),
    "group": ("SELECT * FROM groups WHERE id = md5('g{a}-7')", "resource_id"),
    "group name": ("SELECT * FROM groups WHERE display_name_key = 'g7'", "resource_name"),
    "members": ("SELECT * FROM memberships WHERE group_id = md5('g{a}-7')", "membership_pkey"),
    "groups of a user": ("SELECT * FROM memberships WHERE member_id = md5('{a}-777')", "membership_member"),
    "users of a group": (
        (
            "SELECT id, user_name FROM users WHERE id = ANY (ARRAY(SELECT member_id FROM memberships"
            " WHERE group_id = md5('g{a}-7')))"
        ),
        "resource_id",
    ),
    "last id": ("SELECT last_id FROM position", "change_pkey"),
    "changes after an id": (
        "SELECT * FROM changes WHERE id > (SELECT last_id - 10 FROM position) AND id > 19000",
        "change_pkey",
    ),
    "changes since a snapshot": (
        (
            "SELECT * FROM changes WHERE xid >= pg_snapshot_xmax('1999900:1999990:1999900,1999910'::pg_snapshot)"
            " UNION ALL SELECT * FROM changes WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip("
            "'1999900:1999990:1999900,1999910'::pg_snapshot))) ORDER BY id"
        ),
        "change_by_transaction",
    ),
}


async def test_each_query_of_the_page_walks_an_index_and_a_join_reads_each_view_once(crowd: Sharing) -> None:
    session = await crowd.login(crowd.reader_of_a)
    for what, (sql, index) in ONE.items():
        plan = await session.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {sql.format(a=crowd.a)}")
        text = "\n".join(row[0] for row in plan)
        assert index in text, f"{what}\n{text}"
        scans = re.findall(r"Seq Scan on (\w+)", text)
        assert set(scans) <= {"reader", "tenant", "change_horizon"}, f"{what}\n{text}"
        rows = [float(number) for number in re.findall(r"actual rows=([\d.]+) ", text)]
        assert max(rows) <= 500, f"{what}\n{text}"

    # A join reads each view once, not again for each row of the other.
    for sql in (
        (
            "SELECT g.display_name, u.user_name FROM groups g JOIN memberships m ON m.group_id = g.id"
            " JOIN users u ON u.id = m.member_id WHERE g.display_name_key = 'g7'"
        ),
        "SELECT c.type, u.user_name FROM changes c JOIN users u ON u.id = c.resource_id WHERE c.id > 15000",
    ):
        plan = await session.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}")
        text = "\n".join(row[0] for row in plan)
        read = re.findall(r"on resource r\w*\s.*actual rows=([\d.]+) loops=(\d+)", text)
        assert read, text
        assert sum(float(rows) * int(loops) for rows, loops in read) <= 7_000, text
    await session.close()
