"""Moving everything from one database to another: what is copied, in which order, and how it is proved.

All goes over as it is, surrogate keys included, so that tokens, ETags, cursors and the operator's revisions
hold. It is one transaction at the target: whatever ends the copy early leaves the target empty. Before the
commit each table is read back, and its digest must be that of what was read at the source.
"""

import contextlib
import dataclasses
import decimal
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from scim_api.store import StoreError
from scim_api.store.migrations import REQUIRED_VERSION, migrate
from scim_api.store.scripts import Row

PAGE: Final = 500
"""Rows in memory at a time."""


class CopyRefused(StoreError):
    """It cannot be copied as asked; nothing was changed. The message says what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """What is copied of one table."""

    name: str
    key: tuple[str, ...]
    """Its primary key: the order of reading, the same in both databases."""
    others: tuple[str, ...]
    """Its other columns."""
    json: tuple[str, ...] = ()
    """Columns that PostgreSQL writes in its own way, so that their meaning is compared."""
    numbered: bool = False
    """Whether the database numbers its rows."""
    seeded: bool = False
    """Whether the schema comes with a row."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them, in the order of a copied row."""
        return (*self.key, *self.others)

    @property
    def select(self) -> str:
        """Reads all rows, in order, through the primary key."""
        return f"SELECT {', '.join(self.columns)} FROM {self.name} ORDER BY {', '.join(self.key)}"


TABLES: Final = (
    Table("installation", ("singleton",), ("id", "public_url"), seeded=True),
    Table("auth_generation", ("singleton",), ("number",), seeded=True),
    Table("tenant", ("pk",), ("namespace", "name", "settings", "settings_hash", "state"), numbered=True),
    Table("connection", ("pk",), ("namespace", "name", "tenant", "revision", "state"), numbered=True),
    Table(
        "credential",
        ("id",),
        (
            "connection", "kind", "parent", "digest", "issued_at", "expires_at", "retires_at", "revoked_at",
            "last_used_at", "user_agent",
        ),
    ),
    Table(
        "resource",
        ("pk",),
        (
            "tenant", "kind", "id", "match_key", "name_key", "external_key", "version", "created", "modified",
            "doc", "keys",
        ),
        json=("keys",),
        numbered=True,
    ),
    Table("resource_email", ("resource", "email_key"), ("tenant", "kind")),
    Table("membership", ("container", "member"), ("tenant",)),
    Table("resource_count", ("tenant", "kind", "shard"), ("number",)),
    Table("audit", ("pk",), ("at", "tenant", "kind", "resource_id", "action", "actor"), numbered=True),
)  # fmt: skip
"""All but the journal of migrations, which is the target's own; those that are referred to come first."""

EMPTY: Final = "SELECT NOT EXISTS (SELECT 1 FROM connection) AND NOT EXISTS (SELECT 1 FROM tenant)"
"""Whether nobody has brought anything: rows of connections are never deleted."""

Pages = AsyncGenerator[list[Row], None]


class Source(Protocol):
    """A database that nobody changes while it is read."""

    async def version(self) -> int:
        """Number of its last migration; 0 without a schema."""

    async def count(self, table: Table) -> int:
        """How many rows there are."""

    async def is_empty(self) -> bool:
        """Whether it has a schema at most, see ``EMPTY``."""

    async def installation(self) -> str | None:
        """The installation that it belongs to."""

    def pages(self, table: Table) -> Pages:
        """All rows in order of their key."""

    async def highest(self, table: Table) -> int:
        """The highest number that was ever given to a row, even if the row is gone; 0 for none."""


class Target(Source, Protocol):
    """A database in one transaction, with which nobody interferes."""

    async def write(self, table: Table, pages: Pages) -> None:
        """Put rows in, after taking those out that come with the schema."""

    async def go_on_after(self, table: Table, number: int) -> None:
        """Number new rows from the next one on."""

    async def settle(self) -> None:
        """Let the planner know what is there now."""


class Place(Protocol):
    """A database that a URL names."""

    @property
    def url(self) -> str:
        """The URL, not for showing."""

    def source(self) -> AbstractAsyncContextManager[Source]:
        """Open it for the length of the block, unchanging. Raises ``CopyRefused`` when it is in use."""

    async def look(self) -> tuple[int, bool]:
        """Version of the schema, and whether it is empty. Raises ``CopyRefused`` when it is in use."""

    def target(self) -> AbstractAsyncContextManager[Target]:
        """One transaction: committed when the block ends, rolled back when it raises."""


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
    source_place, target_place = place(source_url), place(target_url)
    if source_place.url == target_place.url:
        raise CopyRefused("source and target are the same database")
    async with source_place.source() as source:
        _check_source(shown(source_url), await source.version())
        await _prepare(target_place)
        async with target_place.target() as target:
            await _check_target(shown(target_url), source, target)
            counts = {}
            for table in TABLES:
                counts[table.name] = await _copy_table(table, source, target, progress)
            await target.settle()
    return counts


def place(url: str) -> Place:
    """Where a URL leads. Raises ``ValueError`` when it is of no known form."""
    from scim_api.store import create_store

    store = create_store(url)
    if store.dialect == "sqlite":
        from scim_api.store.copy_sqlite import SqlitePlace

        return SqlitePlace(url)
    from scim_api.store.copy_postgres import PostgresPlace

    return PostgresPlace(url)


def shown(url: str) -> str:
    """A database URL as it may be shown: without password and parameters."""
    return re.sub(r"^(\w+://[^:/@]*):.*@", r"\1@", url, flags=re.DOTALL).split("?", 1)[0]


def _check_source(name: str, version: int) -> None:
    if version == 0:
        raise CopyRefused(f"{name} has no tables of scim-api; is it the right database?")
    if version > REQUIRED_VERSION:
        raise CopyRefused(
            f"{name} has schema version {version}, and this release knows {REQUIRED_VERSION};"
            " copy with the release that migrated it"
        )
    if version < REQUIRED_VERSION:
        raise CopyRefused(
            f"{name} has schema version {version} of an earlier release;"
            " bring it to this one first with `scim-api migrate`"
        )


async def _prepare(target: Place) -> None:
    """Migrate the target, but only an empty one: a database that is refused is left as it is."""
    version, empty = await target.look()
    if version > REQUIRED_VERSION:
        raise CopyRefused(
            f"{shown(target.url)} has schema version {version}, and this release knows {REQUIRED_VERSION};"
            " copy with the release that migrated it"
        )
    if not empty:
        raise _not_empty(target.url)
    await migrate(target.url)


def _not_empty(url: str) -> CopyRefused:
    return CopyRefused(f"{shown(url)} is not empty; nothing was changed. Name an empty database")


async def _check_target(name: str, source: Source, target: Target) -> None:
    """Look again now that nobody else can write."""
    if not await target.is_empty():
        raise _not_empty(name)
    theirs, ours = await target.installation(), await source.installation()
    if theirs is not None and theirs != ours:
        raise CopyRefused(f"{name} belongs to another installation ({theirs}); name a new database")


async def _copy_table(table: Table, source: Source, target: Target, progress: Progress) -> int:
    total = await source.count(table)
    read = Digest(table)
    progress(table, 0, total)
    async with contextlib.aclosing(_read(source.pages(table), read, total, progress)) as pages:
        await target.write(table, pages)
    if table.numbered:
        await target.go_on_after(table, await source.highest(table))
    written = Digest(table)
    async for page in target.pages(table):
        written.update(page)
    if (written.rows, written.hex) != (read.rows, read.hex):
        raise CopyRefused(
            f"table {table.name}: what was written ({written.rows} rows) is not what was read"
            f" ({read.rows} rows); the copy was taken back"
        )
    return read.rows


async def _read(pages: Pages, digest: "Digest", total: int, progress: Progress) -> Pages:
    async for page in pages:
        digest.update(page)
        yield page
        progress(digest.table, digest.rows, total)


class Digest:
    """SHA-256 over the rows of a table, the same for the same content in either database."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows = 0
        self._json = [table.columns.index(column) for column in table.json]
        self._hash = hashlib.sha256()

    def update(self, page: list[Row]) -> None:
        """Take in the next rows."""
        for row in page:
            values = list(row)
            for column in self._json:
                values[column] = _meaning(values[column])
            self._hash.update(repr(values).encode())
        self.rows += len(page)

    @property
    def hex(self) -> str:
        """Of all rows so far."""
        return self._hash.hexdigest()


_EXACT: Final = decimal.Context(prec=1000)


def _number(text: str) -> decimal.Decimal:
    """PostgreSQL keeps the value of a number, not its spelling (1e2 is 100)."""
    number = decimal.Decimal(text)
    return number.normalize(_EXACT) if number else decimal.Decimal(0)


def _meaning(text: str) -> str:
    """JSON without what two spellings of the same may differ in."""
    value: Any = json.loads(text, parse_int=_number, parse_float=_number)
    return json.dumps(value, sort_keys=True, default=repr)
