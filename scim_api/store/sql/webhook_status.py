"""What is said of webhooks, to the operator and on the command line."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from scim_api.contract.admin import UNKNOWN_REVISION
from scim_api.contract.webhooks import Backlog, SigningSecretStatus, Webhook, WebhookPage
from scim_api.store.feed_cursor import decode
from scim_api.store.sql.timestamps import from_text
from scim_api.store.sql.transaction_script import Row, Statement, TransactionScript
from scim_api.store.sql.webhook_rows import SETTINGS, read_secrets, revision_of, to_settings, to_time
from scim_api.store.webhooks import SealedSecret

_BACKLOG: Final = 100_000
"""Changes of the log that are counted."""
NOTICE: Final = timedelta(days=7)
"""How long before it happens it is said that changes will be lost."""
_WEBHOOK: Final = f"""
SELECT w.pk, w.tenant, w.position, w.namespace, w.name, w.revision, w.secrets, w.owner_uid, w.ping_request,
    w.redelivery_request, w.lease_until, w.last_delivered_at, w.last_attempt_at, w.failing_since, w.failure, w.retry_at,
    w.stopped_at, w.gap_at, w.gap, {SETTINGS}
FROM webhook w JOIN tenant t ON t.pk = w.tenant
"""
_QUEUED: Final = """
SELECT webhook, count(*), count(CASE WHEN attempts > 0 THEN 1 END), min(at) FROM webhook_delivery
WHERE webhook IN ({places}) GROUP BY webhook
"""
_AHEAD: Final = f"""
SELECT {{number}}, (SELECT count(*) FROM (SELECT 1 FROM change WHERE tenant = ? AND pk > ? LIMIT {_BACKLOG}) AS x),
    (SELECT at FROM change WHERE tenant = ? AND pk > ? ORDER BY pk LIMIT 1)
"""


def read_webhook(namespace: str, name: str, keep: timedelta, now: str) -> TransactionScript[Webhook]:
    """What is held of one webhook, and how it does."""
    rows = yield Statement(f"{_WEBHOOK} WHERE w.namespace = ? AND w.name = ?", (namespace, name))
    if not rows:
        return unknown_webhook(namespace, name, now)
    [answer] = yield from _answers(rows, keep, now)
    return answer


def unknown_webhook(namespace: str, name: str, now: str) -> Webhook:
    """The answer for a name that no webhook has."""
    return Webhook(
        namespace=namespace, name=name, exists=False, revision=UNKNOWN_REVISION, now=from_text(now)
    )


def read_page(after: str | None, limit: int, keep: timedelta, now: str) -> TransactionScript[WebhookPage]:
    """A page of all webhooks, in three queries."""
    start = tuple((after or "/").split("/", 1))
    rows = yield Statement(
        f"{_WEBHOOK} WHERE (w.namespace, w.name) > (?, ?) ORDER BY w.namespace, w.name LIMIT ?",
        (*start, limit + 1),
    )
    items = yield from _answers(rows[:limit], keep, now)
    end = f"{items[-1].namespace}/{items[-1].name}" if len(rows) > limit else None
    return WebhookPage(now=from_text(now), items=items, next=end)


class _Backlog(NamedTuple):
    """What is to be sent: in the queue, and in the log after it."""

    queued: int = 0
    retrying: int = 0
    first: str | None = None
    ahead: int = 0
    next: str | None = None


def _answers(rows: Sequence[Row], keep: timedelta, now: str) -> TransactionScript[tuple[Webhook, ...]]:
    """The answers for rows of ``_WEBHOOK``."""
    if not rows:
        return ()
    keys = tuple(row[0] for row in rows)
    queued = yield Statement(_QUEUED.format(places=", ".join("?" * len(keys))), keys)
    positions = [(row[1], decode(row[2]).pk) for row in rows]
    ahead = yield Statement(
        " UNION ALL ".join(_AHEAD.format(number=number) for number in range(len(rows))),
        tuple(value for position in positions for value in (*position, *position)),
    )
    backlogs = {pk: _Backlog(*found) for pk, *found in queued}
    for number, *found in ahead:
        pk = keys[number]
        backlogs[pk] = _Backlog(*backlogs.get(pk, _Backlog())[:3], *found)
    return tuple(_answer(row, backlogs.get(row[0], _Backlog()), keep, now) for row in rows)


def _answer(row: Row, backlog: _Backlog, keep: timedelta, now: str) -> Webhook:
    pk, _, _, namespace, name, revision, secrets, owner, ping, redelivery, lease = row[:11]
    delivered, attempted, failing, failure, retry, stopped, gap_at, gap = row[11:19]
    settings, moment = to_settings(row[19:]), from_text(now)
    oldest = min(filter(None, (backlog.first, backlog.next)), default=None)
    age = timedelta() if oldest is None else moment - from_text(oldest)
    return Webhook(
        namespace=namespace,
        name=name,
        exists=True,
        revision=revision_of(pk, revision),
        now=moment,
        tenant=settings.tenant,
        url=settings.url,
        types=tuple(sorted(settings.types)),
        content=settings.content,
        timeout_seconds=settings.timeout_seconds,
        suspended=settings.suspended,
        secrets=tuple(map(_secret, read_secrets(secrets, now))),
        ping=ping,
        redelivery=redelivery,
        owner_uid=owner,
        is_dispatched=lease is not None and lease > now,
        last_delivered_at=to_time(delivered),
        last_attempt_at=to_time(attempted),
        failing_since=to_time(failing),
        failure=failure,
        retry_at=to_time(retry) if retry is not None and retry > now else None,
        stopped_at=to_time(stopped),
        gap_at=to_time(gap_at),
        gap=gap,
        backlog=Backlog(
            events=backlog.queued + backlog.ahead,
            seconds=max(age.total_seconds(), 0.0),
            retrying=backlog.retrying,
        ),
        loses_events_at=moment - age + keep if oldest is not None and age > keep - NOTICE else None,
    )


def _secret(secret: SealedSecret) -> SigningSecretStatus:
    _, _, rest = secret.sealed.partition(".")  # see contract.sealing
    return SigningSecretStatus(
        id=secret.id,
        key_id=rest.partition(".")[0],
        issued_at=secret.issued_at,
        until=secret.until,
    )
