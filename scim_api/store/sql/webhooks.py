"""Webhooks as their owners see them: created, changed, resumed, sent again, and how they do.

What becomes of the deliveries is in ``deliveries``.
"""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from scim_api.store.change_log import FeedPosition, Unfinished
from scim_api.store.dialect import Dialect
from scim_api.store.errors import NamespaceMismatch, TenantImmutable, UnknownTenant, WebhookExists
from scim_api.store.feed_cursor import decode, encode
from scim_api.store.sql import change_log
from scim_api.store.sql.timestamps import from_text, text_after, to_text
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript
from scim_api.store.webhooks import PING, SealedSecret, WebhookSettings, WebhookStatus

_MARGIN: Final = 60.0
"""Seconds before the moment that is asked for: rows are numbered almost in the order of their times."""
_BACKLOG: Final = 100_000
"""Changes of the log that are counted."""
NOTICE: Final = timedelta(days=7)
"""How long before it happens it is said that changes will be lost."""

SETTINGS: Final = "t.name, w.url, w.types, w.content, w.timeout_seconds, w.suspended"
_STATUS: Final = f"""
SELECT w.pk, w.tenant, w.namespace, w.name, w.secrets, w.position, w.last_delivered_at, w.last_attempt_at, w.failing_since,
    w.failure, w.retry_at, w.stopped_at, w.gap_at, w.gap, {SETTINGS}
FROM webhook w JOIN tenant t ON t.pk = w.tenant
"""
_QUEUED: Final = """
SELECT count(*), count(CASE WHEN attempts > 0 THEN 1 END), min(at) FROM webhook_delivery WHERE webhook = ?
"""
_AFTER: Final = f"""
SELECT count(*), min(at) FROM (
    SELECT at FROM change WHERE tenant = ? AND pk > ? ORDER BY pk LIMIT {_BACKLOG}
) AS x
"""
_BEFORE: Final = """
SELECT pk, at || type || resource_id FROM change WHERE tenant = ? AND pk <= ? AND at < ? ORDER BY pk DESC LIMIT 1
"""
_CHANGED: Final = "revision = revision + 1"


def to_settings(row: Row) -> WebhookSettings:
    """From the columns of ``SETTINGS``."""
    tenant, url, types, content, timeout, suspended = row
    return WebhookSettings(
        tenant, url, frozenset(filter(None, types.split(","))), content, timeout, bool(suspended)
    )


def read_secrets(text: str, now: str) -> tuple[SealedSecret, ...]:
    """The secrets that are valid now, the current one first."""
    return tuple(
        SealedSecret(one["sealed"], None if one["until"] is None else from_text(one["until"]))
        for one in json.loads(text)
        if one["until"] is None or one["until"] > now
    )


def _secrets_text(secrets: Iterable[SealedSecret]) -> str:
    return json.dumps(
        [
            {"sealed": one.sealed, "until": None if one.until is None else to_text(one.until)}
            for one in secrets
        ]
    )


def head(dialect: Dialect, tenant: int) -> TransactionScript[FeedPosition]:
    """The position after everything that is committed."""
    rows = yield change_log.head_statement(dialect, tenant)
    return change_log.read_head(dialect, tenant, rows)


def position_before(
    dialect: Dialect, tenant: int, moment: str, former: FeedPosition | None
) -> TransactionScript[FeedPosition]:
    """A position from which everything is read that was made at a moment or later, and somewhat more.

    Args:
        dialect: of SQL.
        tenant: surrogate key.
        moment: as stored text.
        former: whose unfinished transactions are not to be lost; None: that is of no use any more.
    """
    there = yield from head(dialect, tenant)
    rows = yield Statement(_BEFORE, (tenant, there.pk, text_after(moment, -_MARGIN)))
    if rows:
        pk, mark = rows[0][0], change_log.checksum(rows[0][1])
    else:
        [[horizon]] = yield Statement("SELECT max(pk) FROM change_horizon WHERE tenant = ?", (tenant,))
        pk, mark = horizon or 0, 0
    ranges = [there.unfinished]
    if former is not None and former.epoch == there.epoch:
        ranges += [former.unfinished] + ([former.late.of] if former.late else [])
    return dataclasses.replace(there, pk=pk, mark=mark, unfinished=_union(ranges))


def _union(parts: Sequence[Unfinished]) -> Unfinished:
    """At least the transactions of all parts; what is between two ranges may be in it, too."""
    ranges = [(one.start, one.end) for one in parts if one.start < one.end]
    return Unfinished(
        tuple(sorted({xid for one in parts for xid in one.listed})),
        min((start for start, _ in ranges), default=0),
        max((end for _, end in ranges), default=0),
    )


def create(
    dialect: Dialect,
    namespace: str,
    name: str,
    settings: WebhookSettings,
    secret: SealedSecret,
    namespace_uid: str | None,
    now: str,
) -> TransactionScript[None]:
    """Add a webhook. Raises ``WebhookExists``, ``UnknownTenant`` and ``NamespaceMismatch``."""
    if (yield Statement("SELECT 1 FROM webhook WHERE namespace = ? AND name = ?", (namespace, name))):
        raise WebhookExists(
            f"there is a webhook {namespace}/{name} already; delete it first, or take another name"
        )
    found = yield Statement(
        "SELECT pk, namespace_uid FROM tenant WHERE namespace = ? AND name = ? AND state = 'active'",
        (namespace, settings.tenant),
    )
    if not found:
        raise UnknownTenant(f"there is no tenant {settings.tenant} in {namespace}; a connection makes one")
    [[tenant, owner]] = found
    if namespace_uid is not None and owner is not None and owner != namespace_uid:
        raise NamespaceMismatch(f"tenant {settings.tenant} belongs to a namespace {namespace} that is gone")
    position = yield from head(dialect, tenant)
    yield Statement(
        "INSERT INTO webhook (namespace, name, tenant, url, types, content, timeout_seconds, suspended, secrets,"
        " position, position_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (namespace, name, tenant, *_columns(settings), _secrets_text([secret]), encode(position), now),
    )


def _columns(settings: WebhookSettings) -> tuple[str, str, str, int, int]:
    types = ",".join(sorted(settings.types))
    return settings.url, types, settings.content, settings.timeout_seconds, int(settings.suspended)


def update(namespace: str, name: str, settings: WebhookSettings) -> TransactionScript[bool]:
    """Change what a webhook's owner wants; whether there is one. Raises ``TenantImmutable``."""
    found = yield Statement(
        "SELECT w.pk, t.name FROM webhook w JOIN tenant t ON t.pk = w.tenant WHERE w.namespace = ? AND w.name = ?",
        (namespace, name),
    )
    if not found:
        return False
    [[pk, tenant]] = found
    if tenant != settings.tenant:
        raise TenantImmutable(
            f"webhook {namespace}/{name} is of tenant {tenant}; make another for another tenant"
        )
    yield Statement(
        "UPDATE webhook SET url = ?, types = ?, content = ?, timeout_seconds = ?, suspended = ?,"
        f" {_CHANGED} WHERE pk = ?",
        (*_columns(settings), pk),
    )
    return True


def replace_secret(
    namespace: str, name: str, secret: SealedSecret, overlap: timedelta, now: str
) -> TransactionScript[bool]:
    """Sign with another secret, and with the one before for the overlap; whether there is such a webhook."""
    found = yield Statement(
        "SELECT pk, secrets FROM webhook WHERE namespace = ? AND name = ?", (namespace, name)
    )
    if not found:
        return False
    [[pk, text]] = found
    former = dataclasses.replace(read_secrets(text, now)[0], until=from_text(now) + overlap)
    yield Statement(
        f"UPDATE webhook SET secrets = ?, {_CHANGED} WHERE pk = ?", (_secrets_text([secret, former]), pk)
    )
    return True


def resume(namespace: str, name: str, now: str) -> TransactionScript[bool]:
    """End what keeps a webhook from being sent anything; whether there is one."""
    found = yield Statement(
        "UPDATE webhook SET suspended = 0, stopped_at = NULL, pause_level = 0, retry_at = NULL,"
        f" {_CHANGED} WHERE namespace = ? AND name = ? RETURNING pk",
        (namespace, name),
    )
    for (pk,) in found:
        yield Statement(
            "UPDATE webhook_delivery SET due_at = ? WHERE webhook = ? AND due_at > ?", (now, pk, now)
        )
    return bool(found)


def ping(namespace: str, name: str, now: str) -> TransactionScript[str | None]:
    """Queue a ping; its id."""
    found = yield Statement(
        f"UPDATE webhook SET {_CHANGED} WHERE namespace = ? AND name = ? RETURNING pk", (namespace, name)
    )
    if not found:
        return None
    number = int(from_text(now).timestamp() * 1_000_000)
    message_id = f"{PING}-{number:x}"
    data = orjson.dumps({"id": message_id, "webhook": f"{namespace}/{name}"}).decode()
    yield Statement(
        "INSERT INTO webhook_delivery (webhook, change, message_id, type, at, resource_id, data, attempts, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
        (found[0][0], -number, message_id, PING, now, message_id, data, now),
    )
    return message_id


def redeliver(dialect: Dialect, namespace: str, name: str, since: datetime) -> TransactionScript[bool]:
    """Move a webhook's position back; whether there is one."""
    locked = "" if dialect == "sqlite" else " FOR UPDATE"
    found = yield Statement(
        f"SELECT pk, tenant, position FROM webhook WHERE namespace = ? AND name = ?{locked}",
        (namespace, name),
    )
    if not found:
        return False
    [[pk, tenant, former]] = found
    position = yield from position_before(dialect, tenant, to_text(since), decode(former))
    yield Statement(
        f"UPDATE webhook SET position = ?, position_at = ?, {_CHANGED} WHERE pk = ?",
        (encode(position), to_text(since), pk),
    )
    return True


def delete(namespace: str, name: str) -> TransactionScript[bool]:
    """Forget a webhook; whether there was one."""
    rows = yield Statement(
        "DELETE FROM webhook WHERE namespace = ? AND name = ? RETURNING 1", (namespace, name)
    )
    return bool(rows)


def status(namespace: str, name: str, keep: timedelta, now: str) -> TransactionScript[WebhookStatus | None]:
    """How a webhook does."""
    rows = yield Statement(f"{_STATUS} WHERE w.namespace = ? AND w.name = ?", (namespace, name))
    return (yield from _to_status(rows[0], keep, now)) if rows else None


def statuses(keep: timedelta, now: str) -> TransactionScript[list[WebhookStatus]]:
    """How all webhooks do."""
    found: list[WebhookStatus] = []
    for row in (yield Statement(f"{_STATUS} ORDER BY w.namespace, w.name")):
        found.append((yield from _to_status(row, keep, now)))
    return found


def _to_status(row: Row, keep: timedelta, now: str) -> TransactionScript[WebhookStatus]:
    pk, tenant, namespace, name, secrets, position = row[:6]
    delivered, attempted, failing, failure, retry, stopped, gap_at, gap = row[6:14]
    [[queued, retrying, first]] = yield Statement(_QUEUED, (pk,))
    [[ahead, next_at]] = yield Statement(_AFTER, (tenant, decode(position).pk))
    oldest = min(filter(None, (first, next_at)), default=None)
    moment = from_text(now)
    age = timedelta() if oldest is None else moment - from_text(oldest)
    return WebhookStatus(
        namespace=namespace,
        name=name,
        settings=to_settings(row[14:]),
        secrets=read_secrets(secrets, now),
        last_delivered_at=_time(delivered),
        last_attempt_at=_time(attempted),
        failing_since=_time(failing),
        failure=failure,
        retry_at=_time(retry),
        stopped_at=_time(stopped),
        gap_at=_time(gap_at),
        gap=gap,
        backlog=queued + ahead,
        backlog_seconds=max(age.total_seconds(), 0.0),
        retrying=retrying,
        loses_events_at=moment - age + keep if oldest is not None and age > keep - NOTICE else None,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)
