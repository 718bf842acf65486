"""Bringing a database to the schema of this release.

Several processes may try at once: one works under a lock and the others find it done. A database that
a newer release has migrated is left alone; expand/contract migrations make it fit for this one too.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from scim_api.store.dialect import Dialect
from scim_api.store.factory import create_store
from scim_api.store.protocol import KeyRebuild, Store
from scim_api.store.sql.schema import ADVISORY_LOCK, MIGRATIONS
from scim_api.store.sql.timestamps import to_text
from scim_api.store.sql.transaction_script import Statement, TransactionScript

REQUIRED_VERSION: Final = MIGRATIONS[-1].number
"""The least schema version that this release works with."""


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


async def rebuild_all_keys(url: str, progress: Callable[[KeyRebuild], None]) -> None:
    """Rebuild the keys that an earlier release wrote, to the end; begun and ended anew at any time.

    Args:
        url: of a database that is migrated.
        progress: told each batch.

    Raises:
        Unavailable: the database cannot be reached or written; what was done is done.
    """
    store = create_store(url)
    await store.open()
    try:
        while (done := await store.rebuild_keys()).looked_at:
            progress(done)
    finally:
        await store.close()


def _upgrade(dialect: Dialect) -> TransactionScript[int]:
    yield Statement(
        "CREATE TABLE IF NOT EXISTS schema_migration "
        "(version integer PRIMARY KEY, name text NOT NULL, applied_at text NOT NULL)"
    )
    [[version]] = yield Statement("SELECT coalesce(max(version), 0) FROM schema_migration")
    for migration in MIGRATIONS:
        if migration.number <= version:
            continue
        if sql := migration.sqlite if dialect == "sqlite" else migration.postgresql:
            yield Statement(sql)
        yield Statement(
            "INSERT INTO schema_migration (version, name, applied_at) VALUES (?, ?, ?)",
            (migration.number, migration.name, to_text(datetime.now(UTC))),
        )
        version = migration.number
    return int(version)


def _migrate_sqlite(url: str) -> int:
    from scim_api.store.sqlite import connection as sqlite_connection

    path = sqlite_connection.path_of(url)
    connection = sqlite_connection.connect(path)
    try:
        with sqlite_connection.translated_errors(path):
            connection.execute("BEGIN IMMEDIATE")
            version = sqlite_connection.run_script(connection, _upgrade("sqlite"))
            connection.execute("COMMIT")
            return version
    finally:
        connection.close()  # rolls back what was not committed


async def _migrate_postgresql(url: str) -> int:
    from scim_api.store.postgres import pool as postgres_pool

    async with postgres_pool.single_connection(url) as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", ADVISORY_LOCK)
        return await postgres_pool.run_script(connection, _upgrade("postgresql"))
