"""What is copied between databases, in which order, and how two of them are compared."""

import dataclasses
import decimal
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from scim_api.store.sql.transaction_script import Row

PAGE: Final = 500
"""Rows in memory at a time."""


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
    """Whether the schema comes with rows, or fills it by triggers while other tables are written."""

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
    Table("tenant", ("pk",), ("namespace", "name", "settings", "settings_hash", "state", "namespace_uid"), numbered=True),
    Table(
        "connection",
        ("pk",),
        (
            "namespace", "name", "tenant", "revision", "state", "owner_uid", "revoked_before", "client_id",
            "access_token_seconds", "last_refusal", "access",
        ),
        numbered=True,
    ),
    Table(
        "credential",
        ("id",),
        (
            "connection", "kind", "parent", "digest", "issued_at", "expires_at", "retires_at", "revoked_at",
            "last_used_at", "user_agent", "trust", "inspected_at",
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
    Table("resource_email", ("resource", "email_key"), ("tenant", "kind", "unique_key")),
    Table("membership", ("container", "member"), ("tenant", "member_id", "member_kind")),
    Table("key_rebuild", ("singleton",), ("after_pk",), seeded=True),
    Table("key_rebuild_queue", ("resource",), (), seeded=True),
    Table("key_conflict", ("resource", "attribute", "key"), ("tenant", "kind")),
    Table("issuer_keys", ("url",), ("keys", "fetched_at")),
    Table("resource_count", ("tenant", "kind", "shard"), ("number",)),
    Table("audit", ("pk",), ("at", "tenant", "kind", "resource_id", "action", "actor"), numbered=True),
    Table(
        "change",
        ("pk",),
        (
            "tenant", "at", "type", "resource_id", "external_id", "version", "paths", "member", "credential",
            "scim_token",
        ),
        numbered=True, seeded=True,
    ),
    Table("change_horizon", ("tenant",), ("pk",)),
    Table(
        "webhook",
        ("pk",),
        (
            "namespace", "name", "tenant", "url", "types", "content", "timeout_seconds", "suspended", "secrets",
            "position", "position_at", "revision", "lease_holder", "lease_until", "pause_level", "retry_at",
            "last_delivered_at", "last_attempt_at", "failing_since", "failure", "stopped_at", "gap_at", "gap",
            "owner_uid", "ping_request", "redelivery_request",
        ),
        numbered=True,
    ),
    Table(
        "webhook_delivery",
        ("webhook", "change"),
        ("message_id", "type", "at", "resource_id", "data", "attempts", "due_at"),
    ),
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

    async def continue_numbering_after(self, table: Table, number: int) -> None:
        """Number new rows from the next one on."""

    async def analyze(self) -> None:
        """Let the planner know what is there now."""


class TransferDatabase(Protocol):
    """A database that a URL names."""

    @property
    def url(self) -> str:
        """The URL, not for showing."""

    def source(self) -> AbstractAsyncContextManager[Source]:
        """Open it for the length of the block, unchanging. Raises ``CopyRefused`` when it is in use."""

    async def inspect(self) -> tuple[int, bool]:
        """Version of the schema, and whether it is empty. Raises ``CopyRefused`` when it is in use."""

    def target(self) -> AbstractAsyncContextManager[Target]:
        """One transaction: committed when the block ends, rolled back when it raises."""


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
                values[column] = _canonical_json(values[column])
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


def _canonical_json(text: str) -> str:
    """JSON without what two spellings of the same may differ in."""
    value: Any = json.loads(text, parse_int=_number, parse_float=_number)
    return json.dumps(value, sort_keys=True, default=repr)
