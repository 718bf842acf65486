"""Two ways to let a reader miss no change, by what they cost writers: PATCHes of one tenant's people, straight to PostgreSQL.

Run by ``make bench-changes``. *Positions that name unfinished transactions* is what the store does: writers know nothing
of each other. *One writer of a tenant at a time* takes an advisory lock before the change is numbered and holds it to
the commit, so that numbers are in the order of commits and the largest one is a cursor.
"""

import asyncio
import statistics
import time
from typing import Any, Final

import asyncpg

from bench import loading
from bench.population import identity
from scim_api.store.postgres import statements
from support.postgres import PostgresServer, execute

CONNECTIONS: Final = 16
PEOPLE: Final = 1_000
ROUNDS: Final = 3
WAYS: Final = {
    "positions that name unfinished transactions": statements.UPDATE,
    "one writer of a tenant at a time": statements.UPDATE.replace(
        "WITH changed AS (",
        "WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock($1::bigint)), changed AS (",
        1,
    ).replace(
        "WHERE tenant + 0 = $1::bigint AND",
        "WHERE (SELECT count(*) FROM locked) = 1 AND tenant + 0 = $1::bigint AND",
        1,
    ),
}


async def measure(server: PostgresServer, seconds: float) -> dict[str, float]:
    """Changes per second of each way, the median of rounds in which they take turns."""
    await execute(server.url, "CREATE DATABASE bench_order")
    url = server.url_of("bench_order")
    tenant, _ = await loading.connect_tenant(url, "contoso")
    await loading.load(url, tenant, PEOPLE)
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(ROUNDS):
        for way, sql in WAYS.items() if turn % 2 == 0 else reversed(WAYS.items()):
            rates[way].append(await _rate(url, tenant, sql, seconds))
    return {way: statistics.median(found) for way, found in rates.items()}


async def _rate(url: str, tenant: int, sql: str, seconds: float) -> float:
    connections = [await asyncpg.connect(url) for _ in range(CONNECTIONS)]
    deadline = time.perf_counter() + seconds
    made = await asyncio.gather(
        *(_write(connection, tenant, sql, number, deadline) for number, connection in enumerate(connections))
    )
    for connection in connections:
        await connection.close()
    return sum(made) / seconds


async def _write(
    connection: "asyncpg.Connection[Any]", tenant: int, sql: str, number: int, deadline: float
) -> int:
    """Change people that nobody else changes, one after the other; how many changes were made."""
    people = [identity(index) for index in range(number, PEOPLE, CONNECTIONS)]
    rows = await connection.fetch(
        "SELECT id, version, modified, match_key, name_key, external_key, doc, keys::text FROM resource"
        " WHERE tenant + 0 = $1 AND kind = 'User' AND id = ANY ($2::text[])",
        tenant,
        people,
    )
    states = [list(row) for row in rows]
    made = 0
    while time.perf_counter() < deadline:
        state = states[made % len(states)]
        identity_, version, modified, match, name, external, doc, keys = state
        changed = await connection.fetchval(
            sql, tenant, "User", identity_, version, match, name, external, doc, keys, [], "c", modified, [],
            None, ["user.updated"], ['["title"]'],
        )  # fmt: skip
        if changed is None:
            raise RuntimeError("somebody else changed it")
        state[1], state[2] = version + 1, changed
        made += 1
    return made
