"""Bringing a database to the schema of this release.

Several processes may try at once: one works under a lock and the others find it done. A database that
a newer release has migrated is left alone; expand/contract migrations make it fit for this one too.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final, Literal

from scim_api.store import Store, create_store
from scim_api.store.schema import MIGRATIONS
from scim_api.store.scripts import Script, Statement
from scim_api.store.times import to_text

REQUIRED_VERSION: Final = MIGRATIONS[-1].number
"""The least schema version that this release works with."""

ADVISORY_LOCK: Final = 0x5C14_0001
"""Key of PostgreSQL's advisory lock for migrating."""


async def migrate(target: str | Store) -> int:
    """Apply what is missing, in one transaction; harmless when nothing is.

    Args:
        target: a database URL, or a store (open or not) of that database.

    Returns:
        The schema version afterwards: ``REQUIRED_VERSION``, or more after a newer release.

    Raises:
        Unavailable: the database cannot be reached or written; nothing was changed.
        ValueError: the URL is of no known form.
    """
    store = create_store(target) if isinstance(target, str) else target
    if store.dialect == "sqlite":
        return await asyncio.to_thread(_migrate_sqlite, store.url)
    return await _migrate_postgresql(store.url)


def _upgrade(dialect: Literal["sqlite", "postgresql"]) -> Script[int]:
    yield Statement(
        "CREATE TABLE IF NOT EXISTS schema_migration "
        "(version integer PRIMARY KEY, name text NOT NULL, applied_at text NOT NULL)"
    )
    [[version]] = yield Statement("SELECT coalesce(max(version), 0) FROM schema_migration")
    for migration in MIGRATIONS:
        if migration.number <= version:
            continue
        yield Statement(migration.sqlite if dialect == "sqlite" else migration.postgresql)
        yield Statement(
            "INSERT INTO schema_migration (version, name, applied_at) VALUES (?, ?, ?)",
            (migration.number, migration.name, to_text(datetime.now(UTC))),
        )
        version = migration.number
    return int(version)


def _migrate_sqlite(url: str) -> int:
    from scim_api.store import sqlite_file

    path = sqlite_file.path_of(url)
    connection = sqlite_file.connect(path)
    try:
        with sqlite_file.explained(path):
            connection.execute("BEGIN IMMEDIATE")
            version = sqlite_file.run(connection, _upgrade("sqlite"))
            connection.execute("COMMIT")
            return version
    finally:
        connection.close()  # rolls back what was not committed


async def _migrate_postgresql(url: str) -> int:
    from scim_api.store import postgres_pool

    async with postgres_pool.single_connection(url) as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        return await postgres_pool.run(connection, _upgrade("postgresql"))
