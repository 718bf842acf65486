"""The schema's history, and that both databases come to the same by it."""

from pathlib import Path
from typing import Any

import pytest

from scim_api.store.migrate import migrate
from scim_api.store.sql.schema import MIGRATIONS
from support.database import run_sql

TYPES = {
    "INTEGER": {"integer", "bigint"},
    "TEXT": {"text", "jsonb"},
    "BLOB": {"bytea"},
}
"""What SQLite's types are in PostgreSQL."""


@pytest.fixture
async def urls(tmp_path: Path, empty_postgres_url: str) -> tuple[str, str]:
    """Both databases, each migrated from nothing."""
    sqlite = f"sqlite:///{tmp_path / 'scim.db'}"
    for url in (sqlite, empty_postgres_url):
        await migrate(url)
    return sqlite, empty_postgres_url


def test_migrations_are_numbered_from_1_without_gaps_and_named() -> None:
    assert [migration.number for migration in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    assert all(migration.name and migration.postgresql for migration in MIGRATIONS)
    assert [one.number for one in MIGRATIONS if not one.sqlite] == [8]  # roles are PostgreSQL's
    assert not any("{" in text for one in MIGRATIONS for text in (one.sqlite, one.postgresql))


async def test_the_journal_holds_every_migration_in_either_database(urls: tuple[str, str]) -> None:
    for url in urls:
        journal = await run_sql(url, "SELECT version, name FROM schema_migration ORDER BY version")
        assert journal == [(migration.number, migration.name) for migration in MIGRATIONS]


async def test_both_databases_have_the_same_tables_and_columns_in_one_order(urls: tuple[str, str]) -> None:
    sqlite: dict[str, list[Any]] = {}
    for table, column, kind, required in await run_sql(
        urls[0],
        'SELECT m.name, c.name, c.type, c."notnull" OR c.pk FROM sqlite_master m, pragma_table_info(m.name) c'
        " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid",
    ):
        sqlite.setdefault(table, []).append((column, kind.upper(), bool(required)))
    postgresql: dict[str, list[Any]] = {}
    for table, column, kind, nullable in await run_sql(
        urls[1],
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' AND (table_name, column_name) <> ('change', 'xid')"
        " ORDER BY table_name, ordinal_position",
    ):
        postgresql.setdefault(table, []).append((column, kind, nullable == "NO"))

    assert len(sqlite) > 10
    assert {table: [(column[0], column[2]) for column in columns] for table, columns in sqlite.items()} == {
        table: [(column[0], column[2]) for column in columns] for table, columns in postgresql.items()
    }
    for table, columns in sqlite.items():
        for ours, theirs in zip(columns, postgresql[table], strict=True):
            assert theirs[1] in TYPES[ours[1]], (table, ours, theirs)


async def test_both_databases_have_the_same_indexes(urls: tuple[str, str]) -> None:
    sqlite = await run_sql(
        urls[0], "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    )
    postgresql = await run_sql(
        urls[1],
        "SELECT indexname, tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE '%_key' OR indexname = 'resource_email_key'",
    )
    # Of the log of changes PostgreSQL has the order of tenants in its primary key, and transactions to look for.
    assert {(name, table, "UNIQUE" in sql) for name, table, sql in sqlite if name != "change_of_tenant"} == {
        (name, table, "UNIQUE" in sql) for name, table, sql in postgresql if name != "change_by_transaction"
    }
    assert len(sqlite) > 8


async def test_keys_are_ordered_by_code_points_in_either_database(urls: tuple[str, str]) -> None:
    words = ("b", "B", "a", "ä", "_", "Z")
    for url in urls:
        for word in words:
            await run_sql(
                url,
                "INSERT INTO tenant (namespace, name, settings, settings_hash)"
                f" VALUES ('demo', '{word}', '', '')",
            )
        found = await run_sql(url, "SELECT name FROM tenant ORDER BY name")
        assert [word for (word,) in found] == sorted(words)
