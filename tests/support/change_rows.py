"""The log of changes as it stands in a database, read past the store."""

from typing import NamedTuple

import apsw
import asyncpg

from scim_api.store.protocol import Store

COLUMNS = "at, tenant, type, resource_id, external_id, version, paths, member, credential, scim_token"
_INSERT = f"INSERT INTO change ({COLUMNS}) VALUES ({{}})"


class ChangeRow(NamedTuple):
    """One line of the log."""

    at: str
    tenant: int
    type: str
    resource_id: str
    external_id: str | None = None
    version: int | None = None
    paths: str | None = None
    member: str | None = None
    credential: str = "writer"
    scim_token: str | None = None


async def change_rows(store: Store) -> list[ChangeRow]:
    """All rows, in the order of their numbers."""
    rows = f"SELECT {COLUMNS} FROM change ORDER BY pk"
    if store.dialect == "sqlite":
        reader = apsw.Connection(store.url.removeprefix("sqlite:///"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return [ChangeRow(*row) for row in reader.execute(rows)]
        finally:
            reader.close()
    connection = await asyncpg.connect(store.url)
    try:
        return [ChangeRow(*row) for row in await connection.fetch(rows)]
    finally:
        await connection.close()


async def add_change_row(store: Store, *rows: ChangeRow) -> None:
    """Write rows that no store would write now."""
    columns = len(ChangeRow._fields)
    if store.dialect == "sqlite":
        writer = apsw.Connection(store.url.removeprefix("sqlite:///"))
        try:
            with writer:
                writer.executemany(_INSERT.format(", ".join("?" * columns)), rows)
        finally:
            writer.close()
        return
    connection = await asyncpg.connect(store.url)
    try:
        places = ", ".join(f"${number}" for number in range(1, columns + 1))
        await connection.executemany(_INSERT.format(places), rows)
    finally:
        await connection.close()
