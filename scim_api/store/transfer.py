"""Moving everything from one database to another: what is copied, in which order, and how it is verified.

All goes over as it is, surrogate keys included, so that tokens, ETags, cursors and the operator's revisions
hold. It is one transaction at the target: whatever ends the copy early leaves the target empty. Before the
commit each table is read back, and its digest must be that of what was read at the source.
"""

import contextlib
from collections.abc import Callable, Mapping

from scim_api.store.errors import TransferRefused
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.sql.transfer_tables import TABLES, Digest, Pages, Source, Table, Target, TransferDatabase
from scim_api.store.urls import read_url, redact_url

Progress = Callable[[Table, int, int], None]
"""Told the table, how many of its rows are copied, and how many there are."""


async def copy(source_url: str, target_url: str, progress: Progress) -> Mapping[str, int]:
    """Copy everything.

    Args:
        source_url: the database to read; nobody else may have it open.
        target_url: the database to fill. It is migrated, and must be empty.
        progress: told after each page and at the end of each table.

    Returns:
        The number of rows by table. They were read back and are the same in both.

    Raises:
        CopyRefused: with nothing changed, apart perhaps from an empty target's schema.
        Unavailable: as above, when a database cannot be used.
        ValueError: a URL is of no known form.
    """
    source_url, target_url = read_url(source_url), read_url(target_url)
    source_place, target_place = database_of(source_url), database_of(target_url)
    if source_place.url == target_place.url:
        raise TransferRefused("source and target are the same database")
    async with source_place.source() as source:
        _check_source(redact_url(source_url), await source.version())
        await _prepare(target_place)
        async with target_place.target() as target:
            await _check_target(redact_url(target_url), source, target)
            counts = {}
            for table in TABLES:
                counts[table.name] = await _copy_table(table, source, target, progress)
            await target.analyze()
    return counts


def database_of(url: str) -> TransferDatabase:
    """Where a URL leads. Raises ``ValueError`` when it is of no known form."""
    from scim_api.store.factory import create_store

    store = create_store(url)
    if store.dialect == "sqlite":
        from scim_api.store.sqlite.transfer import SqliteTransferDatabase

        return SqliteTransferDatabase(url)
    from scim_api.store.postgres.transfer import PostgresTransferDatabase

    return PostgresTransferDatabase(url)


def _check_source(name: str, version: int) -> None:
    if version == 0:
        raise TransferRefused(f"{name} has no tables of scim-api; is it the right database?")
    if version > REQUIRED_VERSION:
        raise TransferRefused(
            f"{name} has schema version {version}, and this release knows {REQUIRED_VERSION};"
            " copy with the release that migrated it"
        )
    if version < REQUIRED_VERSION:
        raise TransferRefused(
            f"{name} has schema version {version} of an earlier release;"
            " bring it to this one first with `scim-api migrate`"
        )


async def _prepare(target: TransferDatabase) -> None:
    """Migrate the target, but only an empty one: a database that is refused is left as it is."""
    version, empty = await target.inspect()
    if version > REQUIRED_VERSION:
        raise TransferRefused(
            f"{redact_url(target.url)} has schema version {version}, and this release knows {REQUIRED_VERSION};"
            " copy with the release that migrated it"
        )
    if not empty:
        raise _not_empty(target.url)
    await migrate(target.url)


def _not_empty(url: str) -> TransferRefused:
    return TransferRefused(f"{redact_url(url)} is not empty; nothing was changed. Name an empty database")


async def _check_target(name: str, source: Source, target: Target) -> None:
    """Look again now that nobody else can write."""
    if not await target.is_empty():
        raise _not_empty(name)
    theirs, ours = await target.installation(), await source.installation()
    if theirs is not None and theirs != ours:
        raise TransferRefused(f"{name} belongs to another installation ({theirs}); name a new database")


async def _copy_table(table: Table, source: Source, target: Target, progress: Progress) -> int:
    total = await source.count(table)
    read = Digest(table)
    progress(table, 0, total)
    async with contextlib.aclosing(_read(source.pages(table), read, total, progress)) as pages:
        await target.write(table, pages)
    if table.numbered:
        await target.continue_numbering_after(table, await source.highest(table))
    written = Digest(table)
    async for page in target.pages(table):
        written.update(page)
    if (written.rows, written.hex) != (read.rows, read.hex):
        raise TransferRefused(
            f"table {table.name}: what was written ({written.rows} rows) is not what was read"
            f" ({read.rows} rows); the copy was taken back"
        )
    return read.rows


async def _read(pages: Pages, digest: "Digest", total: int, progress: Progress) -> Pages:
    async for page in pages:
        digest.update(page)
        yield page
        progress(digest.table, digest.rows, total)
