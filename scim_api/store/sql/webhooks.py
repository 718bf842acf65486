"""Webhooks as somebody changes them by hand: created, changed, resumed, sent again.

What the operator wants of them is in ``webhook_put``, how they do in ``webhook_status``, and what becomes of the deliveries
in ``deliveries``.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from scim_api.store.change_log import FeedPosition, Unfinished
from scim_api.store.dialect import Dialect
from scim_api.store.errors import NamespaceMismatch, TenantPurging, UnknownTenant, WebhookExists
from scim_api.store.feed_cursor import decode, encode
from scim_api.store.sql import change_log
from scim_api.store.sql.timestamps import from_text, text_after, to_text
from scim_api.store.sql.transaction_script import Statement, TransactionScript
from scim_api.store.sql.webhook_rows import read_secrets, secrets_text, types_text
from scim_api.store.webhooks import PING, SealedSecret, WebhookSettings

_MARGIN: Final = 60.0
"""Seconds before the moment that is asked for: rows are numbered almost in the order of their times."""
_FIRST_MOMENT: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE: Final = """
SELECT pk, at || type || resource_id FROM change WHERE tenant = ? AND pk <= ? AND at < ? ORDER BY pk DESC LIMIT 1
"""
_CHANGED: Final = "revision = revision + 1"


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
    tenant = yield from tenant_for(namespace, settings.tenant, namespace_uid)
    position = yield from head(dialect, tenant)
    yield Statement(
        "INSERT INTO webhook (namespace, name, tenant, url, types, content, timeout_seconds, suspended, secrets,"
        " position, position_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            namespace,
            name,
            tenant,
            *_columns(settings),
            secrets_text([_issued(secret, now)]),
            encode(position),
            now,
        ),
    )


def tenant_for(namespace: str, name: str, namespace_uid: str | None) -> TransactionScript[int]:
    """The surrogate key of the tenant that a new webhook is of. Raises ``UnknownTenant``, ``TenantPurging`` and
    ``NamespaceMismatch``.
    """
    found = yield Statement(
        "SELECT pk, state, namespace_uid FROM tenant WHERE namespace = ? AND name = ?", (namespace, name)
    )
    if not found:
        raise UnknownTenant(f"there is no tenant {name} in {namespace}; a connection makes one")
    [[tenant, state, owner]] = found
    if state == "purging":
        raise TenantPurging(f"tenant {name} is being deleted; wait until its users are gone")
    check_namespace(namespace, name, owner, namespace_uid)
    return int(tenant)


def check_namespace(namespace: str, tenant: str, owner: str | None, namespace_uid: str | None) -> None:
    """Raises ``NamespaceMismatch`` when a tenant is of a namespace of this name that is gone."""
    if namespace_uid is not None and owner is not None and owner != namespace_uid:
        raise NamespaceMismatch(f"tenant {tenant} belongs to a namespace {namespace} that is gone")


def _issued(secret: SealedSecret, now: str) -> SealedSecret:
    return dataclasses.replace(secret, issued_at=secret.issued_at or from_text(now))


def _columns(settings: WebhookSettings) -> tuple[str, str, str, int, int]:
    types = types_text(settings.types)
    return settings.url, types, settings.content, settings.timeout_seconds, int(settings.suspended)


def suspend(namespace: str, name: str) -> TransactionScript[bool]:
    """Send a webhook nothing; whether there is one."""
    found = yield Statement(
        f"UPDATE webhook SET suspended = 1, {_CHANGED} WHERE namespace = ? AND name = ? RETURNING pk",
        (namespace, name),
    )
    return bool(found)


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
    until = from_text(now) + overlap
    former = [dataclasses.replace(one, until=until) for one in read_secrets(text, now)[:1]]
    yield Statement(
        f"UPDATE webhook SET secrets = ?, {_CHANGED} WHERE pk = ?",
        (secrets_text([_issued(secret, now), *former]), pk),
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
        yield try_at_once(pk, now)
    return bool(found)


def try_at_once(webhook: int, now: str) -> Statement:
    """Have what is queued tried now, whenever it was to be."""
    return Statement(
        "UPDATE webhook_delivery SET due_at = ? WHERE webhook = ? AND due_at > ?", (now, webhook, now)
    )


def ping(namespace: str, name: str, now: str) -> TransactionScript[str | None]:
    """Queue a ping; its id."""
    found = yield Statement(
        f"UPDATE webhook SET {_CHANGED} WHERE namespace = ? AND name = ? RETURNING pk", (namespace, name)
    )
    if not found:
        return None
    statement, message_id = queue_ping(found[0][0], f"{namespace}/{name}", now)
    yield statement
    return message_id


def queue_ping(webhook: int, name: str, now: str) -> tuple[Statement, str]:
    """What queues a ping, and its id."""
    number = int(from_text(now).timestamp() * 1_000_000)
    message_id = f"{PING}-{number:x}"
    data = orjson.dumps({"id": message_id, "webhook": name}).decode()
    statement = Statement(
        "INSERT INTO webhook_delivery (webhook, change, message_id, type, at, resource_id, data, attempts, due_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
        (webhook, -number, message_id, PING, now, message_id, data, now),
    )
    return statement, message_id


def redeliver(
    dialect: Dialect, namespace: str, name: str, since: datetime, now: str
) -> TransactionScript[bool]:
    """Move a webhook's position back; whether there is one."""
    locked = "" if dialect == "sqlite" else " FOR UPDATE"
    found = yield Statement(
        f"SELECT pk, tenant, position FROM webhook WHERE namespace = ? AND name = ?{locked}",
        (namespace, name),
    )
    if not found:
        return False
    [[pk, tenant, former]] = found
    moved = yield from moved_back(dialect, tenant, since, decode(former), now)
    yield Statement(
        f"UPDATE webhook SET position = ?, position_at = ?, {_CHANGED} WHERE pk = ?", (*moved, pk)
    )
    return True


def moved_back(
    dialect: Dialect, tenant: int, since: datetime, former: FeedPosition, now: str
) -> TransactionScript[tuple[str, str]]:
    """A position from which what was made since a moment is read again, and nothing left out that was not read yet; with
    the moment, both as they are stored.
    """
    aware = since if since.tzinfo else since.replace(tzinfo=UTC)
    moment = to_text(min(max(aware, _FIRST_MOMENT), from_text(now)))
    there = yield from position_before(dialect, tenant, moment, former)
    is_behind = former.epoch == there.epoch and former.pk <= there.pk
    return encode(former if is_behind else there), moment


def delete(namespace: str, name: str) -> TransactionScript[bool]:
    """Forget a webhook; whether there was one."""
    rows = yield Statement(
        "DELETE FROM webhook WHERE namespace = ? AND name = ? RETURNING 1", (namespace, name)
    )
    return bool(rows)
