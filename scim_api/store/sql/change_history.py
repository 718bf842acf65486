"""The history of a tenant: its changes from the newest back, with bounded work for each page.

Rows are walked in the order of their numbers, by an index of whatever narrows them most. A number once passed is not
passed again, and numbers never change: so no page repeats or leaves out what was there before the first. (What commits
late has a number that was passed already; the feed is for those who must not miss it.)

In SQLite the index by resource is cut into buckets of numbers (``history_schema``), which are asked from the newest back
until a page is full.

Times have no index. Rows of a tenant are in the order of time but for transactions that ran side by side, so the place
of a moment is found by bisection, with ``SLACK_SECONDS`` to either side in which each row is looked at.
"""

import dataclasses
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from scim_api.store.change_log import Change, HistoryPage, HistoryQuery
from scim_api.store.dialect import Dialect
from scim_api.store.sql.change_log import COLUMNS
from scim_api.store.sql.history_schema import BUCKET, DELETION
from scim_api.store.sql.timestamps import to_text
from scim_api.store.sql.transaction_script import Statement, TransactionScript

LOOKED_AT: Final = 4_000
"""Rows that one page looks at, for what no index answers: some milliseconds."""
SLACK_SECONDS: Final = 60
"""How far rows may be out of the order of time: no transaction is open for so long, and clocks are kept by NTP."""
BUCKETS: Final = 1_024
"""How many buckets of SQLite's index by resource one page goes through, or some more: a million changes."""
_NEWEST: Final = 2**63 - 1
_NOTHING: Final = Statement("")

_SEEK: Final = """
WITH RECURSIVE seek (pk, step) AS (
    SELECT CAST(0 AS bigint), CAST(4611686018427387904 AS bigint)
    UNION ALL
    SELECT CASE WHEN (
            SELECT c.at FROM change c {by_tenant} WHERE c.tenant = ? AND c.pk >= seek.pk + seek.step
            ORDER BY c.pk LIMIT 1
        ) < ? THEN seek.pk + seek.step ELSE seek.pk END, seek.step / 2
    FROM seek WHERE seek.step > 0
)
SELECT max(pk) FROM seek
"""
"""tenant, moment -> the number of its last row of before the moment, by 63 look-ups of one row; 0: there is none."""


_ENDS: Final = """
SELECT (SELECT pk FROM change INDEXED BY change_of_tenant WHERE tenant = ? ORDER BY pk LIMIT 1),
    (SELECT pk FROM change INDEXED BY change_of_tenant WHERE tenant = ? ORDER BY pk DESC LIMIT 1)
"""
_IN_BUCKETS: Final = f"""
WITH RECURSIVE bucket (n) AS (SELECT ? UNION ALL SELECT n - 1 FROM bucket WHERE n > ?)
SELECT pk FROM bucket CROSS JOIN change INDEXED BY change_of_resource
WHERE tenant = ? AND pk / {BUCKET} = bucket.n AND resource_id = ? AND pk < ? AND pk > ?
ORDER BY pk DESC LIMIT ?
"""
"""Newest and oldest bucket, tenant, id, newest, oldest, how many -> numbers of rows. SQLite alone."""


def _by(dialect: Dialect, index: str) -> str:
    """SQLite, without statistics, takes a range of numbers for few rows, and with them walks through other tenants'."""
    return f"INDEXED BY {index}" if dialect == "sqlite" else ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Walk:
    """Rows that an index has in order: those that meet its conditions on all columns but the number."""

    index: str
    sql: str
    parameters: tuple[Any, ...]

    def rows(
        self, dialect: Dialect, columns: str, newest: int, end: int, tail: str, rest: Statement = _NOTHING
    ) -> Statement:
        """Rows before ``newest`` and after ``end``, from the newest back."""
        return Statement(
            f"SELECT {columns} FROM change {_by(dialect, self.index)}"
            f" WHERE {self.sql} AND pk < ? AND pk > ?{rest.sql} ORDER BY pk DESC {tail}",
            (*self.parameters, newest, end, *rest.parameters),
        )


def history(
    dialect: Dialect, tenant: int, query: HistoryQuery, before: int | None, limit: int
) -> TransactionScript[HistoryPage]:
    """The script of ``ChangeLog.history``; it needs no transaction around it."""
    newest, oldest = _NEWEST if before is None else before, 0
    if query.since is not None:
        [[oldest]] = yield _seek(dialect, tenant, query.since, -SLACK_SECONDS)
    if query.until is not None:
        [[last]] = yield _seek(dialect, tenant, query.until, SLACK_SECONDS)
        newest = min(newest, last + 1)
    walks, rest = _walks(tenant, query), _rest(query)
    end, own = oldest, []
    if dialect == "sqlite" and query.resource is not None:
        wanted = LOOKED_AT if rest.sql else limit + 1
        numbers, end, oldest = yield from _in_buckets(tenant, query.resource, newest, oldest, wanted)
        own, walks = [numbers], walks[1:]
    if rest.sql:
        for walk in walks:
            found = yield walk.rows(dialect, "pk", newest, end, f"LIMIT 1 OFFSET {LOOKED_AT}")
            end = max([end, *(pk for [pk] in found)])
    rows = yield _page(
        [
            *(_numbered(numbers, end, rest) for numbers in own),
            *(walk.rows(dialect, COLUMNS, newest, end, "LIMIT ?", rest) for walk in walks),
        ],
        limit + 1,
    )
    changes = [Change(*row) for row in rows[:limit]]
    if len(rows) > limit:
        return HistoryPage(changes, changes[-1].pk)
    return HistoryPage(changes, end + 1 if end > oldest else None)


def _in_buckets(
    tenant: int, resource: str, newest: int, oldest: int, wanted: int
) -> TransactionScript[tuple[list[int], int, int]]:
    """The newest rows of a resource in SQLite, from bucket to bucket, and ever more of these at a time.

    Returns:
        Their numbers; after which one all are found; and after which one there can be any.
    """
    [[least, most]] = yield Statement(_ENDS, (tenant, tenant))
    newest, oldest = min(newest, (most or 0) + 1), max(oldest, (least or 1) - 1)
    first = bucket = (newest - 1) // BUCKET
    last, step = (oldest + 1) // BUCKET, 1
    found: list[int] = []
    while bucket >= last and len(found) < wanted and first - bucket < BUCKETS:
        until = max(last, bucket - step + 1)
        rows = yield Statement(
            _IN_BUCKETS,
            (bucket, until, tenant, resource, newest, oldest, wanted - len(found)),
        )
        found += (pk for [pk] in rows)
        bucket, step = until - 1, step * 4
    end = found[-1] - 1 if len(found) == wanted else (bucket + 1) * BUCKET - 1
    return found, max(oldest, end), oldest


def _numbered(numbers: list[int], end: int, rest: Statement) -> Statement:
    """Of rows with these numbers, in SQLite, those after ``end``."""
    listed = "pk IN (SELECT value FROM json_each(?))"
    return Statement(
        f"SELECT {COLUMNS} FROM change WHERE {listed} AND pk > ?{rest.sql} ORDER BY pk DESC LIMIT ?",
        (json.dumps(numbers), end, *rest.parameters),
    )


def _walks(tenant: int, query: HistoryQuery) -> list[_Walk]:
    """What to walk: together they have all that is looked for, and no row is in two."""
    if query.resource is not None:
        resource = query.resource
        return [
            _Walk("change_of_resource", "tenant = ? AND resource_id = ?", (tenant, resource)),
            _Walk(
                "change_of_member",
                "tenant = ? AND member = ? AND resource_id <> ?",
                (tenant, resource, resource),
            ),
        ]
    if query.external_id is not None:
        sql = f"tenant = ? AND external_id = ? AND {DELETION}"
        return [_Walk("change_of_external", sql, (tenant, query.external_id))]
    return [_Walk("change_of_tenant", "tenant = ?", (tenant,))]


def _rest(query: HistoryQuery) -> Statement:
    """What else a row has to meet, each with `` AND `` before it."""
    conditions: list[tuple[str, tuple[Any, ...]]] = []
    if query.resource is not None and query.external_id is not None:
        conditions.append((f"external_id = ? AND {DELETION}", (query.external_id,)))
    if query.credential is not None:
        conditions.append(("credential = ?", (query.credential,)))
    if query.types:
        places = ", ".join("?" * len(query.types))
        conditions.append((f"type IN ({places})", tuple(sorted(query.types))))
    if query.since is not None:
        conditions.append(("at >= ?", (to_text(query.since),)))
    if query.until is not None:
        conditions.append(("at < ?", (to_text(query.until),)))
    return Statement(
        "".join(f" AND {sql}" for sql, _ in conditions),
        tuple(value for _, values in conditions for value in values),
    )


def _page(parts: Sequence[Statement], limit: int) -> Statement:
    """The newest rows of several walks, of which each is cut at the page's length."""
    union = " UNION ALL ".join(
        f"SELECT * FROM ({part.sql}) AS w{number}" for number, part in enumerate(parts)
    )
    values = [value for part in parts for value in (*part.parameters, limit)]
    return Statement(f"{union} ORDER BY pk DESC LIMIT ?", (*values, limit))


def _seek(dialect: Dialect, tenant: int, moment: datetime, shift: float) -> Statement:
    """The number of the last row of before a moment, and so many seconds."""
    try:
        text = to_text(moment.astimezone(UTC) + timedelta(seconds=shift))
    except OverflowError:  # before the first year or after the last
        text = to_text(moment)
    return Statement(_SEEK.format(by_tenant=_by(dialect, "change_of_tenant")), (tenant, text))
