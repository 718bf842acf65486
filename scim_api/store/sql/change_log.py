"""The log of changes: how rows get in, and how a reader misses none of them.

A row gets its number before its transaction commits, so rows become visible out of order: who remembers the largest
number alone overtakes slow writers. A position therefore also names the transactions that were unfinished when it was
taken, and the next page begins with the rows of those that have finished since, however small their numbers. Nobody
waits for anybody: a transaction that is left open stays in the list and holds nothing up.

That each change of a resource has a larger number than the one before needs no order of commits: a row is numbered
while its resource is locked, hence after the one before was committed. So a page in order of numbers is in order for
each resource, and since what comes late is numbered after what it follows, so are pages one after the other.

PostgreSQL's snapshot calls unfinished what it lists, and everything from its ``xmax`` on, which is the one after the
last that has finished. Ids beyond may have been given already: ``end`` is the first that had not. No row that is
numbered up to the position's ``pk`` belongs to a transaction from ``end`` on, because a transaction has its id before
its rows have their numbers.
"""

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from scim_api.core.types import ResourceKind
from scim_api.store.change_log import (
    CHANGE_PAGE,
    Actor,
    Change,
    ChangePage,
    FeedPosition,
    LatePage,
    Unfinished,
)
from scim_api.store.dialect import Dialect
from scim_api.store.errors import ChangesGone, Unavailable
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript

ADMINISTRATION: Final = 0
"""The tenant of changes that belong to none: of connections and of tenants themselves."""

COLUMNS: Final = "pk, at, type, resource_id, external_id, version, paths, member, credential, scim_token"
"""Of a ``Change``, in its order."""
_INSERT: Final = (
    "INSERT INTO change (tenant, at, type, resource_id, external_id, version, paths, member, credential,"
    " scim_token) VALUES "
)
RECORD: Final = f"{_INSERT}(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
"""Parameters: tenant, at, type, resource id, externalId, version, paths, member, credential, ScimToken."""


def record(
    tenant: int,
    now: str,
    change_type: str,
    resource_id: str,
    actor: Actor,
    *,
    external_id: str | None = None,
    version: int | None = None,
    paths: str | None = None,
    member: str | None = None,
) -> Statement:
    """A row of the log."""
    columns = (tenant, now, change_type, resource_id, external_id, version, paths, member, *actor)
    return Statement(RECORD, columns)


def record_all(statements: Sequence[Statement]) -> Statement:
    """Rows of the log, each from ``record``, in one statement."""
    parameters = tuple(value for statement in statements for value in statement.parameters)
    return Statement(_INSERT + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(statements)), parameters)


def type_of(kind: ResourceKind, what: str) -> str:
    """The type of a change, such as ``user.created``."""
    return f"{kind.lower()}.{what}"


_LATE: Final = f"""
SELECT {COLUMNS} FROM (
    SELECT * FROM change WHERE xid = ANY ($3::text[]::xid8[]) AND tenant = $1 AND pk > $8 AND pk <= $2
    UNION ALL
    SELECT * FROM change WHERE xid >= $4::text::xid8 AND xid < $5::text::xid8 AND tenant = $1 AND pk > $8
        AND pk <= $2
) AS x
WHERE NOT (xid = ANY ($9::text[]::xid8[]) OR (xid >= $10::text::xid8 AND xid < $11::text::xid8))
ORDER BY pk LIMIT $6"""
_POSTGRESQL_EPOCH: Final = """CASE WHEN NOT pg_is_in_recovery() THEN (SELECT system_identifier FROM pg_control_system())::text
    || left(pg_walfile_name(pg_current_wal_lsn()), 8) || 'change'::regclass::oid END"""
"""Server, timeline and table; NULL on a standby, which can't name its timeline."""
_MARK: Final = "(SELECT at || type || resource_id FROM change WHERE tenant = {tenant} AND pk = {pk})"
_HORIZON: Final = "(SELECT pk FROM change_horizon WHERE tenant = {tenant})"
_NEXT_TRANSACTION: Final = "CASE WHEN pg_current_xact_id_if_assigned() IS NULL THEN age('3'::xid) END"
"""The last transaction id that was given, minus three, in 32 bits; it gives none away. A transaction that has an id
would be told that one: NULL."""
_ANY_TRANSACTION: Final = 2**63 - 1

POSTGRESQL_PAGE: Final = f"""
WITH late AS MATERIALIZED ({_LATE}), news AS MATERIALIZED (
    SELECT {COLUMNS} FROM change WHERE tenant = $1 AND pk > $2 ORDER BY pk LIMIT $7
)
SELECT pg_current_snapshot()::text, {_NEXT_TRANSACTION}, {_POSTGRESQL_EPOCH},
    {_HORIZON.format(tenant="$1")}, {_MARK.format(tenant="$1", pk="$2")}, c.*
FROM (SELECT 1) AS one LEFT JOIN (SELECT * FROM late UNION ALL SELECT * FROM news) AS c ON true ORDER BY c.pk
"""
POSTGRESQL_HEAD: Final = f"""
SELECT pg_current_snapshot()::text, {_NEXT_TRANSACTION}, {_POSTGRESQL_EPOCH},
    greatest((SELECT max(pk) FROM change WHERE tenant = $1), {_HORIZON.format(tenant="$1")}),
    (SELECT at || type || resource_id FROM change WHERE tenant = $1 ORDER BY pk DESC LIMIT 1)
"""
POSTGRESQL_CHANGED: Final = """
SELECT pg_current_snapshot()::text, ARRAY(
    SELECT tenant FROM change WHERE xid = ANY ($1::text[]::xid8[])
    UNION SELECT tenant FROM change WHERE xid >= $2::text::xid8
)
"""
SQLITE_PAGE: Final = f"""
SELECT {_HORIZON.format(tenant="?1")}, {_MARK.format(tenant="?1", pk="?2")}, c.*
FROM (SELECT 1) AS one LEFT JOIN (
    SELECT {COLUMNS} FROM change WHERE tenant = ?1 AND pk > ?2 ORDER BY pk LIMIT ?3
) AS c ON true ORDER BY c.pk
"""
SQLITE_HEAD: Final = f"""
SELECT max(coalesce((SELECT max(pk) FROM change WHERE tenant = ?1), 0), coalesce({_HORIZON.format(tenant="?1")}, 0)),
    (SELECT at || type || resource_id FROM change WHERE tenant = ?1 ORDER BY pk DESC LIMIT 1)
"""
SQLITE_CHANGED: Final = "SELECT max(pk), tenant FROM change WHERE pk > ? GROUP BY tenant"

_OLDEST: Final = """
SELECT tenant, max(pk) FROM (SELECT tenant, pk, at FROM change ORDER BY {order} LIMIT ?) AS x
WHERE at < ? GROUP BY tenant ORDER BY tenant
"""
_REMEMBER_HORIZON: Final = """
INSERT INTO change_horizon (tenant, pk) VALUES (?, ?)
ON CONFLICT (tenant) DO UPDATE SET pk = excluded.pk WHERE change_horizon.pk < excluded.pk
"""


def forget(dialect: Dialect, oldest: str, batch: int) -> TransactionScript[int]:
    """Delete some ``batch`` changes of before a moment, and what was recorded before there was a log of changes.

    Returns:
        How many were deleted.
    """
    audit = "SELECT pk FROM audit WHERE at < ? LIMIT ?"
    recorded = yield Statement(f"DELETE FROM audit WHERE pk IN ({audit}) RETURNING 1", (oldest, batch))
    order = "xid, pk" if dialect == "postgresql" else "pk"
    ended = yield Statement(_OLDEST.format(order=order), (batch, oldest))
    deleted = len(recorded)
    for tenant, pk in ended:
        yield Statement(_REMEMBER_HORIZON, (tenant, pk))
        gone = yield Statement("DELETE FROM change WHERE tenant = ? AND pk <= ? RETURNING 1", (tenant, pk))
        deleted += len(gone)
    return deleted


class FoundRows(NamedTuple):
    """What the database says for a page: rows of ``COLUMNS``, in order of ``pk``, and where it stands."""

    rows: Sequence[Row]
    unfinished: Unfinished
    """Transactions that the rows do not come from, because they had not finished."""
    epoch: int
    horizon: int
    """Rows up to this one may be gone; 0: none."""
    mark: int
    """Of the row that the position names; 0: there is none."""


def rows_wanted(limit: int, types: frozenset[str]) -> int:
    """How many rows one page looks at: with one more it is known whether that was all."""
    return (CHANGE_PAGE if types else limit) + 1


def page_parameters(
    tenant: int, position: FeedPosition, limit: int, types: frozenset[str]
) -> tuple[Any, ...]:
    """The parameters of ``POSTGRESQL_PAGE``."""
    wanted = rows_wanted(limit, types)
    late, but = position.unfinished, Unfinished()
    after, news = 0, wanted
    if position.late is not None:
        late, but = position.late.of, position.unfinished
        after, news = position.late.after, 0
    return (
        tenant, position.pk, _texts(late), str(late.start), str(late.end), wanted, news,
        after, _texts(but), str(but.start), str(but.end),
    )  # fmt: skip


def _texts(unfinished: Unfinished) -> list[str]:
    return [str(xid) for xid in unfinished.listed]


def page_statement(
    dialect: Dialect, tenant: int, after: FeedPosition | None, limit: int, types: frozenset[str]
) -> Statement:
    """What to ask for the page after a position."""
    position = FeedPosition(tenant, 0) if after is None else after
    if dialect == "sqlite":
        return Statement(SQLITE_PAGE, (tenant, position.pk, rows_wanted(limit, types)))
    return Statement(POSTGRESQL_PAGE, page_parameters(tenant, position, limit, types))


def read_page(
    dialect: Dialect,
    rows: Sequence[Row],
    tenant: int,
    after: FeedPosition | None,
    limit: int,
    types: frozenset[str],
) -> ChangePage:
    """The page in rows of ``page_statement``. Raises ``ChangesGone``."""
    found = to_found_in_order(rows) if dialect == "sqlite" else to_found(rows)
    return to_page(after, tenant, found, limit, types)


def head_statement(dialect: Dialect, tenant: int) -> Statement:
    """What to ask for the position after everything that is committed."""
    return Statement(SQLITE_HEAD if dialect == "sqlite" else POSTGRESQL_HEAD, (tenant,))


def read_head(dialect: Dialect, tenant: int, rows: Sequence[Row]) -> FeedPosition:
    """The position in the row of ``head_statement``."""
    if dialect == "sqlite":
        [[pk, mark]] = rows
        return FeedPosition(tenant, 0, pk, checksum(mark))
    [[snapshot, age, epoch, pk, mark]] = rows
    return FeedPosition(tenant, read_epoch(epoch), pk or 0, checksum(mark), read_snapshot(snapshot, age))


def to_found(rows: Sequence[Row]) -> FoundRows:
    """What rows of ``POSTGRESQL_PAGE`` say."""
    snapshot, age, epoch, horizon, mark = rows[0][:5]
    return FoundRows(
        [row[5:] for row in rows if row[5] is not None],
        read_snapshot(snapshot, age),
        read_epoch(epoch),
        horizon or 0,
        checksum(mark),
    )


def read_epoch(text: str | None) -> int:
    """The epoch of a server. Raises ``Unavailable`` for a standby: what it lacks yet would be missed for good."""
    if text is None:
        raise Unavailable("PostgreSQL: it is a standby, and changes are read from the primary alone")
    return checksum(text)


def to_found_in_order(rows: Sequence[Row]) -> FoundRows:
    """What rows of ``SQLITE_PAGE`` say: its writers come one after the other."""
    horizon, mark = rows[0][:2]
    return FoundRows(
        [row[2:] for row in rows if row[2] is not None], Unfinished(), 0, horizon or 0, checksum(mark)
    )


def read_snapshot(text: str, age: int | None) -> Unfinished:
    """Who had not finished, by ``pg_current_snapshot`` and the ``age`` of transaction 3 (32 bits of 64).

    Without the age it is everybody from ``xmax`` on: as right, and once slower for who reads on after a long time.
    """
    _, xmax, listed = text.split(":")
    start = int(xmax)
    end = _ANY_TRANSACTION if age is None else start + (age + 3 + 1 - start) % 2**32
    return Unfinished(tuple(int(xid) for xid in listed.split(",") if xid), start, end)


def checksum(text: str | None) -> int:
    """32 bits that are hardly ever the same for two texts; 0 for none."""
    return 0 if text is None else zlib.crc32(text.encode())


def mark_of(row: Row) -> int:
    """The mark of a row of ``COLUMNS``."""
    return Change(*row).mark


def check_position(position: FeedPosition, tenant: int, found: FoundRows) -> None:
    """Raises ``ChangesGone`` when a reader can't go on where it was."""
    if position.tenant != tenant:
        raise ChangesGone("it is of another tenant")
    if position.epoch != found.epoch:
        raise ChangesGone("it is of before a restore or a failover of the database")
    if position.pk < found.horizon:
        raise ChangesGone("changes after it are kept no longer")
    if position.pk > found.horizon and (not found.mark or position.mark != found.mark):
        raise ChangesGone("it is of before a restore of the database")


def to_page(
    after: FeedPosition | None, tenant: int, found: FoundRows, limit: int, types: frozenset[str]
) -> ChangePage:
    """The page after a position, and the position after the page.

    Args:
        after: from which ``found`` was read; None: from the beginning.
        tenant: whose changes are asked for.
        found: at most ``rows_wanted`` late rows, and as many new ones.
        limit: changes at most.
        types: those wanted; none: all.

    Raises:
        ChangesGone: see ``check_position``.
    """
    if after is not None:
        check_position(after, tenant, found)
    position = FeedPosition(tenant, found.epoch) if after is None else after
    late = [row for row in found.rows if row[0] <= position.pk]
    news = found.rows[len(late) :]
    looked_at = rows_wanted(limit, types) - 1
    taken, reached = _take(late, limit, looked_at, types)
    if reached < len(late):
        of = position.unfinished if position.late is None else position.late.of
        unfinished = found.unfinished if position.late is None else position.unfinished
        there = dataclasses.replace(position, unfinished=unfinished, late=LatePage(of, late[reached - 1][0]))
        return ChangePage(taken, there, has_more=True)
    if position.late is not None:
        return ChangePage(taken, dataclasses.replace(position, late=None), has_more=True)
    more, reached = _take(news, limit - len(taken), looked_at, types)
    last = news[reached - 1] if reached else None
    there = dataclasses.replace(
        position,
        unfinished=found.unfinished,
        pk=position.pk if last is None else last[0],
        mark=position.mark if last is None else mark_of(last),
    )
    return ChangePage([*taken, *more], there, has_more=reached < len(news))


def _take(rows: Sequence[Row], limit: int, looked_at: int, types: frozenset[str]) -> tuple[list[Change], int]:
    """The first changes of some types, and how many rows that takes."""
    changes: list[Change] = []
    for number, row in enumerate(rows):
        if len(changes) == limit or number == looked_at:
            return changes, number
        if not types or row[2] in types:
            changes.append(Change(*row))
    return changes, len(rows)
