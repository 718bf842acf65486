"""Many people into a database at once: the rows that as many POSTs would have left, without their hours."""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import apsw
import asyncpg
import orjson

from bench.bare import CREATE, TABLE, marks
from bench.population import identity, person
from scim_api.contract.admin import Credential, OAuthClient, PutConnection, RateLimit, TenantSettings
from scim_api.contract.tokens import digest, new_token
from scim_api.core.model import ResourceWrite
from scim_api.core.resources.users import create_user
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate, rebuild_all_keys
from scim_api.store.protocol import Store
from support.scim_service import connect

BATCH: Final = 10_000
MOMENT: Final = "2026-01-01T00:00:00.000000Z"
CLIENTS: Final = 500
"""So many that none of them has to wait at the token endpoint."""
FAST: Final = RateLimit(requests_per_second=10_000, burst=10_000)
"""Out of the way, but counted on each request."""


async def connect_tenant(url: str, name: str, rate: RateLimit = FAST) -> tuple[int, str]:
    """A new connection and tenant: the tenant's key in the database, and a token."""
    await migrate(url)
    await rebuild_all_keys(
        url, lambda _done: None
    )  # else a service walks through all that is loaded, while it is asked
    store = create_store(url)
    await store.open()
    try:
        token = await connect(store, name, rate_limit=rate)
        access = await store.access(digest(token))
        if access is None:
            raise RuntimeError("the new token is not accepted")
        return access.tenant, token
    finally:
        await store.close()


async def connect_clients(url: str) -> list[tuple[str, str]]:
    """New clients of the token endpoint, all of one tenant: client ids and secrets."""
    store = create_store(url)
    await store.open()
    try:
        return [await _connect_client(store, number) for number in range(CLIENTS)]
    finally:
        await store.close()


async def _connect_client(store: Store, number: int) -> tuple[str, str]:
    secret, now = new_token("ClientSecret"), datetime.now(UTC)
    credential = Credential(
        id=f"secret-{number}",
        kind="ClientSecret",
        digest=digest(secret).hex(),
        issued_at=now,
        expires_at=now + timedelta(days=1),
    )
    client = OAuthClient(client_id=f"client-{number}")
    wanted = PutConnection(tenant="clients", credentials=(credential,), oauth_client=client)
    await store.put_connection("bench", f"client-{number}", wanted, if_match=None)
    return client.client_id, secret


def _prepared(first: int, end: int) -> Iterator[tuple[int, ResourceWrite]]:
    settings = TenantSettings(rate_limit=FAST)
    tenant = compile_tenant_schema(settings, "bench")
    for number in range(first, end):
        yield number, create_user(tenant, person(number))


def _row(tenant: int, number: int, one: ResourceWrite) -> tuple[object, ...]:
    keys = (one.match_key, one.name_key, one.external_key)
    return (tenant, "User", identity(number), *keys, 1, MOMENT, MOMENT, one.doc, one.normal_form)


_COLUMNS: Final = (
    "tenant", "kind", "id", "match_key", "name_key", "external_key", "version", "created", "modified", "doc",
    "keys",
)  # fmt: skip


def load_sqlite(path: str, tenant: int, count: int, *, first: int = 0) -> None:
    """People ``first`` to ``first + count`` of a tenant in our SQLite file."""
    connection = apsw.Connection(path)
    connection.set_busy_timeout(10_000)  # the service writes, too
    connection.execute("PRAGMA cache_size = -500000")
    base: Any = connection.execute("SELECT coalesce(max(pk), 0) + 1 FROM resource").fetchall()[0][0]
    insert = f"INSERT INTO resource (pk, {', '.join(_COLUMNS)}) VALUES (?{', ?' * len(_COLUMNS)})"
    mail = (
        "INSERT INTO resource_email (resource, email_key, tenant, kind, unique_key)"
        " VALUES (?1, ?2, ?3, 'User', ?2)"
    )
    for start in range(first, first + count, BATCH):
        rows, mails = [], []
        for number, one in _prepared(start, min(start + BATCH, first + count)):
            rows.append((base + number - first, *_row(tenant, number, one)))
            mails += [(base + number - first, email, tenant) for email in one.email_keys]
        with connection:
            connection.executemany(insert, rows)
            connection.executemany(mail, mails)
    with connection:
        connection.execute(
            "INSERT INTO resource_count (tenant, kind, shard, number) VALUES (?, 'User', 0, ?)"
            " ON CONFLICT (tenant, kind, shard) DO UPDATE SET number = number + excluded.number",
            (tenant, count),
        )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def load_postgres(url: str, tenant: int, count: int, *, first: int = 0) -> None:
    """People ``first`` to ``first + count`` of a tenant in our PostgreSQL database."""
    connection = await asyncpg.connect(url)
    base = await connection.fetchval("SELECT coalesce(max(pk), 0) + 1 FROM resource")
    for start in range(first, first + count, BATCH):
        rows, mails = [], []
        for number, one in _prepared(start, min(start + BATCH, first + count)):
            rows.append((base + number - first, *_row(tenant, number, one)))
            mails += [(base + number - first, email, tenant, "User", email) for email in one.email_keys]
        await connection.copy_records_to_table("resource", records=rows, columns=("pk", *_COLUMNS))
        await connection.copy_records_to_table("resource_email", records=mails)
    await connection.execute("SELECT setval(pg_get_serial_sequence('resource', 'pk'), max(pk)) FROM resource")
    await connection.execute(
        "INSERT INTO resource_count (tenant, kind, shard, number) VALUES ($1, 'User', 0, $2)"
        " ON CONFLICT (tenant, kind, shard) DO UPDATE SET number = resource_count.number + excluded.number",
        tenant,
        count,
    )
    await _settle(connection)
    await connection.close()


async def _settle(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """What a database does by itself in the minutes after: statistics, and its pages on disk."""
    await connection.execute("VACUUM ANALYZE", timeout=600)
    await connection.execute("CHECKPOINT", timeout=600)


def _bare_rows(start: int, end: int) -> list[tuple[str, str, str, str]]:
    rows = []
    for number in range(start, end):
        doc = person(number)
        email = doc["emails"][0]["value"]
        text = f'{{"id":"{identity(number)}",{orjson.dumps(doc).decode()[1:]}'
        rows.append((identity(number), doc["userName"], email, text))
    return rows


def load_bare_sqlite(path: str, count: int) -> None:
    """The same people for the bare reference on SQLite."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in TABLE:
        connection.execute(statement)
    for start in range(0, count, BATCH):
        connection.executemany(marks(CREATE), _bare_rows(start, min(start + BATCH, count)))
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


async def load_bare_postgres(url: str, count: int) -> None:
    """The same people for the bare reference on PostgreSQL."""
    connection = await asyncpg.connect(url)
    for statement in TABLE:
        await connection.execute(statement)
    for start in range(0, count, BATCH):
        rows = _bare_rows(start, min(start + BATCH, count))
        await connection.copy_records_to_table("person", records=rows)
    await _settle(connection)
    await connection.close()


async def load(url: str, tenant: int, count: int, *, first: int = 0) -> None:
    """People of a tenant in our database, whichever it is."""
    if url.startswith("sqlite:"):
        await asyncio.to_thread(load_sqlite, url.removeprefix("sqlite:///"), tenant, count, first=first)
    else:
        await load_postgres(url, tenant, count, first=first)
