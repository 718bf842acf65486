"""What dispatchers do with webhooks: hold them by leases, and queue, take and finish deliveries.

A turn is one transaction. It reads a page of the log after the webhook's position, queues it and moves the position; so
a change is queued once, whoever is killed when. A delivery is due when nothing earlier of its resource is queued, which
keeps the order of each resource and delays no other.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import orjson

from scim_api.store.change_document import change_document
from scim_api.store.change_log import Change, ChangePage
from scim_api.store.dialect import Dialect
from scim_api.store.errors import ChangesGone
from scim_api.store.feed_cursor import decode, encode
from scim_api.store.sql import change_log
from scim_api.store.sql.timestamps import from_text, text_after, to_text
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript
from scim_api.store.sql.webhook_rows import SETTINGS, read_secrets, to_settings
from scim_api.store.sql.webhooks import position_before
from scim_api.store.webhooks import (
    PING,
    QUEUE_LIMIT,
    AttemptResults,
    Delivery,
    LeasedWebhook,
    Turn,
)

PAGE: Final = 500
"""Changes that one turn reads."""
_ROWS: Final = 100
"""In one INSERT."""
_GAP_MARGIN: Final = 3600.0
"""Seconds before the last change that was read, from where it goes on after a restore."""
RENEWED: Final = 2 / 3
"""A lease is renewed when less than this part of it is left."""

_LEASABLE: Final = "suspended = 0 AND stopped_at IS NULL"
_WEBHOOK: Final = f"""
SELECT w.pk, w.namespace, w.name, w.tenant, w.secrets, w.pause_level, w.retry_at, w.position, w.position_at, w.stopped_at,
    w.revision, {SETTINGS}
FROM webhook w JOIN tenant t ON t.pk = w.tenant WHERE w.pk = ? AND w.lease_holder = ? AND w.lease_until > ?
"""
_INSERT: Final = """
INSERT INTO webhook_delivery (webhook, change, message_id, type, at, resource_id, data, attempts, due_at) VALUES
"""
_VALUES: Final = "(?, ?, ?, ?, ?, ?, ?, 0, ?)"
_FIRST_OF_ITS_RESOURCE: Final = """
FROM webhook_delivery d WHERE d.webhook = ? AND d.due_at {compared} ? AND NOT EXISTS (
    SELECT 1 FROM webhook_delivery e
    WHERE e.webhook = d.webhook AND e.resource_id = d.resource_id AND e.change < d.change
)
"""
_DELIVERY: Final = "SELECT d.change, d.message_id, d.type, d.at, d.resource_id, d.data, d.attempts"
_PROBE: Final = (
    _DELIVERY + _FIRST_OF_ITS_RESOURCE.format(compared="<=") + " ORDER BY d.attempts, d.change LIMIT ?"
)
_DUE: Final = f"""
{_DELIVERY} FROM webhook_delivery d LEFT JOIN (
    SELECT resource_id, min(change) AS first FROM webhook_delivery WHERE webhook = ? AND due_at > ? GROUP BY resource_id
) AS late ON late.resource_id = d.resource_id
WHERE d.webhook = ? AND d.due_at <= ? AND (late.first IS NULL OR d.change < late.first) ORDER BY d.change LIMIT ?
"""
"""In order, and of no resource anything after what is not due: so with all that comes before them, of those that are
read or under way.
"""
_NEXT: Final = "SELECT min(d.due_at)" + _FIRST_OF_ITS_RESOURCE.format(compared=">")
_QUEUED: Final = "SELECT count(*), min(at) FROM webhook_delivery WHERE webhook = ?"


def lease(
    dialect: Dialect, holder: str, seconds: float, most: int, now: str
) -> TransactionScript[dict[int, tuple[int, int]]]:
    """Take webhooks that nobody holds, and hold one's own for longer; tenant and revision of all that are held."""
    skip = "" if dialect == "sqlite" else " FOR UPDATE SKIP LOCKED"
    until = text_after(now, seconds)
    free = yield Statement(
        f"SELECT pk FROM webhook WHERE {_LEASABLE} AND (lease_until IS NULL OR lease_until <= ?)"
        f" ORDER BY pk LIMIT ?{skip}",
        (now, most),
    )
    mine = yield Statement(
        f"SELECT pk FROM webhook WHERE {_LEASABLE} AND lease_holder = ? AND lease_until > ? AND lease_until < ?"
        f" ORDER BY pk{skip}",
        (holder, now, text_after(now, seconds * RENEWED)),
    )
    for (pk,) in [*free, *mine]:
        yield Statement(
            "UPDATE webhook SET lease_holder = ?, lease_until = ? WHERE pk = ?", (holder, until, pk)
        )
    held = yield Statement(
        f"SELECT pk, tenant, revision FROM webhook WHERE {_LEASABLE} AND lease_holder = ? AND lease_until > ?",
        (holder, now),
    )
    return {pk: (tenant, revision) for pk, tenant, revision in held}


def release(holder: str) -> TransactionScript[None]:
    """Give all leases of a holder back."""
    yield Statement(
        "UPDATE webhook SET lease_holder = NULL, lease_until = NULL WHERE lease_holder = ?", (holder,)
    )


def turn(
    dialect: Dialect,
    webhook: int,
    holder: str,
    results: AttemptResults | None,
    *,
    in_flight: frozenset[int],
    most: int,
    keep: timedelta,
    now: str,
) -> TransactionScript[Turn | None]:
    """See ``WebhookStore.turn``."""
    rows = yield Statement(_WEBHOOK, (webhook, holder, now))
    if not rows:
        return None
    # Before anything is written: a transaction that writes is told less of those that are under way.
    read = yield from _read(dialect, rows[0], 0 if results is None else len(results.delivered))
    locked = "" if dialect == "sqlite" else " FOR UPDATE OF w"
    rows = yield Statement(_WEBHOOK + locked, (webhook, holder, now))
    if not rows:
        return None
    if results is not None:
        yield from _write(webhook, results, rows[0][10], now)
        rows = yield Statement(_WEBHOOK, (webhook, holder, now))
    leased, retry_at, stopped_at = _leased(rows[0], now), rows[0][6], rows[0][9]
    if stopped_at is not None or leased.settings.suspended:
        return None
    yield from _drop_old(webhook, keep, now)
    has_more = True
    if rows[0][7] == read.position:  # else somebody has had it begin elsewhere meanwhile
        has_more = yield from _queue(dialect, leased, read, rows[0][8], now)
    [[queued, oldest]] = yield Statement(_QUEUED, (webhook,))
    wanted, wait_at = most, None
    if leased.pause_level:
        wanted = 0 if in_flight else min(most, 1)
    if retry_at is not None and retry_at > now:
        wanted, wait_at = 0, retry_at if queued else None
    else:
        [[wait_at]] = yield Statement(_NEXT, (webhook, now))
    due: list[Delivery] = []
    if wanted:
        limit = wanted + len(in_flight)
        found = yield (
            Statement(_PROBE, (webhook, now, limit))
            if leased.pause_level
            else Statement(_DUE, (webhook, now, webhook, now, limit))
        )
        due = [Delivery(*row) for row in found if row[0] not in in_flight][:wanted]
    return Turn(
        leased,
        due,
        None if wait_at is None else _seconds(now, wait_at),
        has_more,
        queued,
        0.0 if oldest is None else max(_seconds(oldest, now), 0.0),
    )


def _seconds(start: str, end: str) -> float:
    return (from_text(end) - from_text(start)).total_seconds()


def _leased(row: Row, now: str) -> LeasedWebhook:
    pk, namespace, name, tenant, secrets, level = row[:6]
    return LeasedWebhook(
        pk, namespace, name, tenant, to_settings(row[11:]), read_secrets(secrets, now), level, row[10]
    )


def _write(webhook: int, results: AttemptResults, revision: int, now: str) -> TransactionScript[None]:
    """Write what came of attempts. What failed before the last change of the administration is due still, and says nothing
    of the receiver as it is wanted now.
    """
    is_outdated = results.revision is not None and results.revision != revision
    for numbers in _chunks(results.delivered):
        places = ", ".join("?" * len(numbers))
        yield Statement(
            f"DELETE FROM webhook_delivery WHERE webhook = ? AND change IN ({places})", (webhook, *numbers)
        )
    yield Statement("UPDATE webhook SET last_attempt_at = ? WHERE pk = ?", (now, webhook))
    if results.delivered:
        yield Statement("UPDATE webhook SET last_delivered_at = ? WHERE pk = ?", (now, webhook))
    if not is_outdated:
        yield from _write_failures(webhook, results, now)
    if results.delivered and (is_outdated or results.failure is None):
        yield Statement(
            "UPDATE webhook SET failing_since = NULL, failure = NULL WHERE pk = ? AND failing_since IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.webhook = webhook.pk AND d.attempts > 0)",
            (webhook,),
        )


def _write_failures(webhook: int, results: AttemptResults, now: str) -> TransactionScript[None]:
    for failed in results.failed:
        yield Statement(
            "UPDATE webhook_delivery SET attempts = attempts + 1, due_at = ? WHERE webhook = ? AND change = ?",
            (text_after(now, failed.retry_seconds), webhook, failed.change),
        )
    yield Statement("UPDATE webhook SET pause_level = ? WHERE pk = ?", (results.pause_level, webhook))
    if results.pause_seconds is not None or not results.pause_level:
        pause = results.pause_seconds
        until = None if pause is None else text_after(now, pause)
        yield Statement("UPDATE webhook SET retry_at = ? WHERE pk = ?", (until, webhook))
    if results.failure is not None:
        yield Statement(
            "UPDATE webhook SET failing_since = coalesce(failing_since, ?), failure = ? WHERE pk = ?",
            (now, results.failure, webhook),
        )
    if results.is_stopped:
        yield Statement("UPDATE webhook SET stopped_at = ? WHERE pk = ?", (now, webhook))


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), _ROWS):
        yield numbers[start : start + _ROWS]


def _drop_old(webhook: int, keep: timedelta, now: str) -> TransactionScript[None]:
    """Drop deliveries whose change is kept no longer."""
    oldest = to_text(from_text(now) - keep)
    gone = yield Statement(
        "DELETE FROM webhook_delivery WHERE webhook = ? AND at < ? AND type <> ? RETURNING 1",
        (webhook, oldest, PING),
    )
    if gone:
        yield from _note_gap(webhook, "changes are kept no longer that were not delivered", now)


def _note_gap(webhook: int, reason: str, now: str) -> TransactionScript[None]:
    yield Statement("UPDATE webhook SET gap_at = ?, gap = ? WHERE pk = ?", (now, reason, webhook))


class _Read(NamedTuple):
    """What the log has after a position."""

    position: str
    page: ChangePage | None
    """None: the queue is full, or the position leads nowhere any more."""
    gap: str | None = None
    """Why it leads nowhere."""


def _read(dialect: Dialect, row: Row, delivered: int) -> TransactionScript[_Read]:
    """The next changes, as many as there is room for once what was delivered is gone from the queue."""
    pk, tenant, position, types = row[0], row[3], row[7], to_settings(row[11:]).types
    [[queued, _]] = yield Statement(_QUEUED, (pk,))
    limit = min(QUEUE_LIMIT - queued + delivered, PAGE)
    if limit <= 0:
        return _Read(position, None)
    after = decode(position)
    found = yield change_log.page_statement(dialect, tenant, after, limit, types)
    try:
        return _Read(position, change_log.read_page(dialect, found, tenant, after, limit, types))
    except ChangesGone as error:
        return _Read(position, None, str(error))


def _queue(
    dialect: Dialect, webhook: LeasedWebhook, read: _Read, position_at: str, now: str
) -> TransactionScript[bool]:
    """Queue what was read; whether there may be more at once."""
    page = read.page
    if read.gap is not None:
        yield from _note_gap(webhook.pk, read.gap, now)
        moment = text_after(position_at, -_GAP_MARGIN)
        there = yield from position_before(dialect, webhook.tenant, moment, None)
        page = ChangePage((), there, has_more=True)
    if page is None:
        return False
    for start in range(0, len(page.changes), _ROWS):
        rows = [_row(webhook.pk, change, now) for change in page.changes[start : start + _ROWS]]
        yield Statement(
            f"{_INSERT}{', '.join([_VALUES] * len(rows))} ON CONFLICT (webhook, change) DO NOTHING",
            tuple(value for row in rows for value in row),
        )
    after = encode(page.next)
    if after != read.position:
        read_at = page.changes[-1].at if page.changes else position_at
        yield Statement(
            "UPDATE webhook SET position = ?, position_at = ? WHERE pk = ?", (after, read_at, webhook.pk)
        )
    return page.has_more


def _row(webhook: int, change: Change, now: str) -> tuple[object, ...]:
    data = orjson.dumps(change_document(change)).decode()
    return webhook, change.pk, change.id, change.type, change.at, change.resource_id, data, now
