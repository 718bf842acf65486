"""The audit log as it stands in a database, read past the store."""

from typing import NamedTuple

import apsw
import asyncpg

from scim_api.store.protocol import Store

_ROWS = "SELECT at, tenant, kind, resource_id, action, actor FROM audit ORDER BY pk"
_INSERT = "INSERT INTO audit (at, tenant, kind, resource_id, action, actor) VALUES ({})"


class AuditRow(NamedTuple):
    """One line of the log."""

    at: str
    tenant: int | None
    kind: str
    resource_id: str
    action: str
    actor: str


async def audit_log(store: Store) -> list[AuditRow]:
    """All rows, in the order of writing."""
    if store.dialect == "sqlite":
        reader = apsw.Connection(store.url.removeprefix("sqlite:///"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return [AuditRow(*row) for row in reader.execute(_ROWS)]
        finally:
            reader.close()
    connection = await asyncpg.connect(store.url)
    try:
        return [AuditRow(*row) for row in await connection.fetch(_ROWS)]
    finally:
        await connection.close()


async def add_to_audit_log(store: Store, row: AuditRow) -> None:
    """Write a row that no store would write now."""
    if store.dialect == "sqlite":
        writer = apsw.Connection(store.url.removeprefix("sqlite:///"))
        try:
            writer.execute(_INSERT.format("?, ?, ?, ?, ?, ?"), row)
        finally:
            writer.close()
        return
    connection = await asyncpg.connect(store.url)
    try:
        await connection.execute(_INSERT.format("$1, $2, $3, $4, $5, $6"), *row)
    finally:
        await connection.close()
