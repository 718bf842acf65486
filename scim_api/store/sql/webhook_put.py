"""What a PUT or DELETE of a webhook changes: the operator's whole desired state, fenced by a revision.

The row is locked first, as a dispatcher's turn does it, so that neither overwrites what the other decides.
"""

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from scim_api.contract.admin import UNKNOWN_REVISION
from scim_api.contract.webhooks import PutWebhook, Webhook
from scim_api.store.dialect import Dialect
from scim_api.store.errors import RevisionMismatch, SigningSecretNotFound, TenantImmutable
from scim_api.store.feed_cursor import decode, encode
from scim_api.store.sql.transaction_script import Statement, TransactionScript
from scim_api.store.sql.webhook_rows import all_secrets, revision_of, secrets_text, types_text
from scim_api.store.sql.webhook_status import read_webhook, unknown_webhook
from scim_api.store.sql.webhooks import (
    check_namespace,
    head,
    moved_back,
    queue_ping,
    tenant_for,
    try_at_once,
)
from scim_api.store.webhooks import SealedSecret

_OWNED: Final = (
    "url", "types", "content", "timeout_seconds", "suspended", "secrets", "owner_uid", "ping_request",
    "redelivery_request",
)  # fmt: skip
"""Columns that an owner decides."""
_STORED: Final = f"""
SELECT w.pk, w.revision, w.tenant, t.name, t.namespace_uid, w.position, {", ".join(f"w.{name}" for name in _OWNED)}
FROM webhook w JOIN tenant t ON t.pk = w.tenant WHERE w.namespace = ? AND w.name = ?
"""
_NOT_STOPPED: Final = {"stopped_at": None}
_NOT_PAUSED: Final = {**_NOT_STOPPED, "pause_level": 0, "retry_at": None}
_NOT_FAILING: Final = {**_NOT_PAUSED, "failing_since": None, "failure": None}


@dataclasses.dataclass(frozen=True, slots=True)
class _StoredWebhook:
    """A row of ``webhook``, as far as a PUT depends on it."""

    pk: int
    number: int
    """Of the revision."""
    tenant: int
    tenant_name: str
    namespace_uid: str | None
    position: str
    columns: dict[str, Any]
    """Those of ``_OWNED``."""


def put(
    dialect: Dialect,
    namespace: str,
    name: str,
    desired: PutWebhook,
    *,
    if_match: str,
    keep: timedelta,
    now: str,
) -> TransactionScript[Webhook]:
    """Make the state so, and answer with it. Raises what ``WebhookStore.put`` does."""
    stored = yield from _load(dialect, namespace, name)
    _check_revision(namespace, name, stored, if_match)
    if stored is None:
        yield from _insert(dialect, namespace, name, desired, now)
    else:
        if stored.tenant_name != desired.tenant:
            raise TenantImmutable(
                f"webhook {namespace}/{name} is of tenant {stored.tenant_name}; make another for another tenant"
            )
        check_namespace(namespace, desired.tenant, stored.namespace_uid, desired.namespace_uid)
        yield from _update(dialect, f"{namespace}/{name}", stored, desired, now)
    return (yield from read_webhook(namespace, name, keep, now))


def delete_at(namespace: str, name: str, *, if_match: str, now: str) -> TransactionScript[Webhook]:
    """Forget a webhook, and answer that there is none. Raises ``RevisionMismatch``."""
    stored = yield from _load("sqlite", namespace, name)  # not locked: a turn changes nothing of a revision
    _check_revision(namespace, name, stored, if_match)
    if stored is not None:
        yield Statement("DELETE FROM webhook WHERE pk = ?", (stored.pk,))
    return unknown_webhook(namespace, name, now)


def _load(dialect: Dialect, namespace: str, name: str) -> TransactionScript[_StoredWebhook | None]:
    locked = "" if dialect == "sqlite" else " FOR UPDATE OF w"
    rows = yield Statement(_STORED + locked, (namespace, name))
    if not rows:
        return None
    pk, number, tenant, tenant_name, namespace_uid, position, *owned = rows[0]
    columns = dict(zip(_OWNED, owned, strict=True))
    return _StoredWebhook(pk, number, tenant, tenant_name, namespace_uid, position, columns)


def _check_revision(namespace: str, name: str, stored: _StoredWebhook | None, if_match: str) -> None:
    revision = UNKNOWN_REVISION if stored is None else revision_of(stored.pk, stored.number)
    if if_match != revision:
        raise RevisionMismatch(f"{namespace}/{name} is at revision {revision}, not {if_match}")


def _insert(
    dialect: Dialect, namespace: str, name: str, desired: PutWebhook, now: str
) -> TransactionScript[None]:
    """Add a webhook that is sent what is committed from now on, or was since the moment that is asked for."""
    tenant = yield from tenant_for(namespace, desired.tenant, desired.namespace_uid)
    columns = _wanted(desired, ())
    there = yield from head(dialect, tenant)
    position, moment = encode(there), now
    if desired.redelivery is not None:
        position, moment = yield from moved_back(dialect, tenant, desired.redelivery.since, there, now)
    columns |= {
        "namespace": namespace,
        "name": name,
        "tenant": tenant,
        "position": position,
        "position_at": moment,
    }
    [[pk]] = yield Statement(
        f"INSERT INTO webhook ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) RETURNING pk",
        tuple(columns.values()),
    )
    if desired.ping is not None:
        yield queue_ping(pk, f"{namespace}/{name}", now)[0]


def _update(
    dialect: Dialect, name: str, stored: _StoredWebhook, desired: PutWebhook, now: str
) -> TransactionScript[None]:
    """Change what is to be changed, if anything, with what follows from it."""
    wanted = _wanted(desired, all_secrets(stored.columns["secrets"]))
    changed = {column: value for column, value in wanted.items() if value != stored.columns[column]}
    if not changed:
        return
    is_new_place = "url" in changed
    is_pinged = "ping_request" in changed
    is_tried = is_new_place or is_pinged or ("suspended" in changed and not desired.suspended)
    effects: dict[str, Any] = {}
    if desired.redelivery is not None and "redelivery_request" in changed:
        since, former = desired.redelivery.since, decode(stored.position)
        position, moment = yield from moved_back(dialect, stored.tenant, since, former, now)
        effects = {**_NOT_STOPPED, "position": position, "position_at": moment}
    if is_tried:
        effects |= _NOT_FAILING if is_new_place else _NOT_PAUSED
    columns = changed | effects
    yield Statement(
        f"UPDATE webhook SET {', '.join(f'{column} = ?' for column in columns)}, revision = revision + 1 WHERE pk = ?",
        (*columns.values(), stored.pk),
    )
    if is_new_place:
        yield Statement(
            "UPDATE webhook_delivery SET attempts = 0 WHERE webhook = ? AND attempts > 0", (stored.pk,)
        )
    if is_tried:
        yield try_at_once(stored.pk, now)
    if is_pinged:
        yield queue_ping(stored.pk, name, now)[0]


def _wanted(desired: PutWebhook, secrets: Sequence[SealedSecret]) -> dict[str, Any]:
    """The columns that an owner decides; those of requests only when there is one. Raises ``SigningSecretNotFound``."""
    wanted: dict[str, Any] = {
        "url": desired.url,
        "types": types_text(desired.types),
        "content": desired.content,
        "timeout_seconds": desired.timeout_seconds,
        "suspended": int(desired.suspended),
        "secrets": secrets_text(_secrets(desired, secrets)),
        "owner_uid": desired.owner_uid,
    }
    if desired.ping is not None:
        wanted["ping_request"] = desired.ping
    if desired.redelivery is not None:
        wanted["redelivery_request"] = desired.redelivery.request
    return wanted


def _secrets(desired: PutWebhook, stored: Sequence[SealedSecret]) -> list[SealedSecret]:
    """The secrets as they are listed; those without sealed text keep the one that is stored."""
    kept = {one.id: one.sealed for one in stored if one.id}
    missing = tuple(one.id for one in desired.secrets if one.sealed is None and one.id not in kept)
    if missing:
        raise SigningSecretNotFound(missing)
    return [
        SealedSecret(
            kept[one.id] if one.sealed is None else one.sealed, one.until, id=one.id, issued_at=one.issued_at
        )
        for one in desired.secrets
    ]
