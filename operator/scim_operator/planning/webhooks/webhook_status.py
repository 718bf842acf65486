"""From the outcome of a reconcile to the status of a ScimWebhook, pure.

``Ready`` says that the API has it and that the Secret shows what messages are signed with. ``Delivering`` says whether
the receiver takes them. ``Stalled`` is there only while somebody has to act: kstatus reads it. What moves all the time is
written when it has moved by enough to be worth a write to etcd (``is_worth_writing``).
"""

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, Literal

from scim_api.contract.webhooks import SigningSecretStatus as RegisteredSecret
from scim_api.contract.webhooks import Webhook
from scim_operator.api.scimwebhook import ScimWebhook
from scim_operator.api.status import Condition, format_time
from scim_operator.api.webhook_status import (
    DELIVERING,
    BacklogStatus,
    ScimWebhookStatus,
    SigningSecretStatus,
)
from scim_operator.planning.webhooks import plan, signing_secrets

ConditionStatus = Literal["True", "False", "Unknown"]
Fields = tuple[str, ConditionStatus, str, str]
"""Type, status, reason and message of a condition."""
PENDING: Final = "Pending"
NOT_DISPATCHED: Final = "NotDispatched"
SECRET_METADATA_DENIED: Final = "SecretMetadataDenied"  # noqa: S105 (a condition's type)
PATIENCE: Final = timedelta(seconds=30)
"""How long a webhook may be without a process that delivers it: one that is killed holds it for half of that."""
TRANSIENT_REASONS: Final = frozenset({"TenantNotFound", "SecretDeleting", "Unavailable"})
"""Failures that may end without anybody acting."""
_STEP: Final = timedelta(minutes=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a reconcile."""

    reason: str
    message: str
    status: ConditionStatus = "False"


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """Of a reconcile."""

    webhook: ScimWebhook
    api: Webhook | None
    """None: it did not answer."""
    shown_secret: str | None = None
    """Id of the secret in the Secret."""
    done: plan.Done | None = None
    failure: Failure | None = None


def build_status(outcome: Outcome, now: datetime) -> ScimWebhookStatus:
    """The whole status to write.

    Args:
        outcome: of the reconcile.
        now: for ``lastTransitionTime``; the database's clock where there was one, UTC.
    """
    webhook, api, old = outcome.webhook, outcome.api, outcome.webhook.status
    judged = [_ready(outcome), _delivering(outcome, now), _stalled(outcome), _denied(webhook)]
    known = ScimWebhookStatus() if api is None else _known(api, outcome.shown_secret)
    if api is None:
        known = old
    return known.model_copy(
        update={
            "tenant": old.tenant if webhook.spec is None else webhook.spec.tenant,
            "secret_name": webhook.secret_name if outcome.done is not None else old.secret_name,
            "conditions": tuple(_condition(webhook, now, *item) for item in judged if item is not None),
            "observed_generation": webhook.metadata.generation,
            "next_rotation": outcome.done.next_rotation if outcome.done is not None else old.next_rotation,
        }
    )


def _known(api: Webhook, shown_secret: str | None) -> ScimWebhookStatus:
    """What the API tells."""
    return ScimWebhookStatus(
        secrets=tuple(
            _secret_status(one, is_shown=one.id == shown_secret)
            for one in sorted(signing_secrets.live(api).values(), key=lambda one: one.id != shown_secret)
        ),
        last_delivered_at=api.last_delivered_at,
        backlog=BacklogStatus(
            events=api.backlog.events, seconds=int(api.backlog.seconds), retrying=api.backlog.retrying
        )
        if api.exists
        else None,
        failing_since=api.failing_since,
        failure=api.failure if api.failing_since is not None else None,
        retry_at=api.retry_at if api.retry_at is not None and api.retry_at > api.now else None,
        stopped_at=api.stopped_at,
        loses_events_at=api.loses_events_at,
        gap_at=api.gap_at,
        gap=api.gap,
        answered_test=api.ping,
        answered_redeliver_from=api.redelivery,
    )


def _secret_status(one: RegisteredSecret, *, is_shown: bool) -> SigningSecretStatus:
    return SigningSecretStatus(
        id=one.id, state="Active" if is_shown else "Superseded", issued_at=one.issued_at, expires_at=one.until
    )


def _ready(outcome: Outcome) -> Fields:
    failure = outcome.failure
    if failure is not None:
        return ("Ready", failure.status, failure.reason, failure.message)
    message = f"messages are signed with the secret in Secret {outcome.webhook.secret_name}"
    if outcome.done is not None and outcome.done.next_rotation is not None:
        message += f", which is replaced at {format_time(outcome.done.next_rotation)}"
    if plan.is_redelivery_invalid(outcome.webhook):
        message += f". {plan.INVALID_REDELIVER_FROM}"
    return ("Ready", "True", "Ready", message)


def _stalled(outcome: Outcome) -> Fields | None:
    failure = outcome.failure
    if failure is None or failure.status != "False" or failure.reason in TRANSIENT_REASONS:
        return None
    return ("Stalled", "True", failure.reason, failure.message)


def _denied(webhook: ScimWebhook) -> Fields | None:
    """Which labels and annotations the Secret does not get."""
    if not webhook.denied_keys:
        return None
    message = (
        f"not put on Secret {webhook.secret_name}: {', '.join(webhook.denied_keys[:3])}. Who runs the operator has denied"
        " labels and annotations with such a domain (in the chart operator.deniedSecretMetadata) and can allow them;"
        " otherwise take them off spec.secret"
    )
    return (SECRET_METADATA_DENIED, "True", "Denied", message)


def _delivering(outcome: Outcome, now: datetime) -> Fields:
    """Whether the receiver takes what is sent, as the API has it."""
    webhook, api = outcome.webhook, outcome.api
    before = webhook.status.condition(DELIVERING)
    if api is None and before is not None:
        return (DELIVERING, before.status, before.reason, before.message)
    if api is None or not api.exists:
        return (DELIVERING, "Unknown", "NotRegistered", "the SCIM API does not have it yet; Ready says why")
    waiting = _backlog(api)
    if api.suspended:
        return (DELIVERING, "False", "Suspended", f"nothing is sent, by spec.suspend. {waiting}")
    if api.stopped_at is not None:
        message = (
            f"the receiver answered 410 at {format_time(api.stopped_at)}: it wants no more. Change spec.url, or set"
            f" spec.suspend and take it back, or annotate scim-operator.io/test to begin anew. {waiting}"
        )
        return (DELIVERING, "False", "Stopped", message)
    if not api.is_dispatched:
        return _undispatched(before, now, waiting)
    if api.failing_since is not None:
        retried = "" if api.retry_at is None else f"; it is tried again at {format_time(api.retry_at)}"
        message = (
            f"the receiver has not taken everything since {format_time(api.failing_since)}, last: {api.failure}{retried}."
            f" {waiting}"
        )
        return (DELIVERING, "False", "Failing", message)
    return (DELIVERING, "True", "Delivering", waiting)


def _undispatched(before: Condition | None, now: datetime, waiting: str) -> Fields:
    """No process has it. One that was just made, or whose process was just killed, is about to be taken."""
    is_late = before is not None and (
        before.reason == NOT_DISPATCHED
        or (before.reason == PENDING and now - before.last_transition_time >= PATIENCE)
    )
    if not is_late:
        return (DELIVERING, "Unknown", PENDING, f"waiting for a process that delivers it. {waiting}")
    message = (
        "no process delivers webhooks: install the chart with webhooks.enabled=true, or look at the pods of the Deployment"
        f" whose name ends with -deliver. {waiting}"
    )
    return (DELIVERING, "False", NOT_DISPATCHED, message)


def _backlog(api: Webhook) -> str:
    """What waits, and what will be or was lost."""
    count, seconds = api.backlog.events, api.backlog.seconds
    text = "Nothing waits" if not count else f"{count} changes wait, the oldest for {_age(seconds)}"
    if api.loses_events_at is not None:
        text += f"; from {format_time(api.loses_events_at)} on the oldest are lost"
    if api.gap_at is not None:
        text += f". Lost, as seen at {format_time(api.gap_at)}: {api.gap}"
    return text


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def news(
    status: ScimWebhookStatus, before: ScimWebhookStatus
) -> Iterator[tuple[Literal["Normal", "Warning"], str, str]]:
    """Events that go with a change of status: kind, reason and message."""
    for kind, quiet in (("Ready", ()), (DELIVERING, (PENDING, "NotRegistered", "Suspended"))):
        old, new = before.condition(kind), status.condition(kind)
        if new is None or new.reason in quiet:
            continue
        if old is None or (old.status, old.reason) != (new.status, new.reason):
            yield "Normal" if new.status == "True" else "Warning", new.reason, new.message
    if _says_invalid(status) and not _says_invalid(before):
        yield "Warning", "InvalidRedeliverFrom", plan.INVALID_REDELIVER_FROM
    if status.gap_at is not None and status.gap_at != before.gap_at:
        yield "Warning", "EventsLost", f"changes left the log before they were delivered: {status.gap}"
    if status.loses_events_at is not None and before.loses_events_at is None:
        at = format_time(status.loses_events_at)
        yield "Warning", "LosesEvents", f"from {at} on changes leave the log before they are delivered"


def _says_invalid(status: ScimWebhookStatus) -> bool:
    ready = status.condition("Ready")
    return ready is not None and plan.INVALID_REDELIVER_FROM in ready.message


def is_waiting(status: ScimWebhookStatus) -> bool:
    """Whether it is to be looked at again soon, because a process is about to take it."""
    delivering = status.condition(DELIVERING)
    return delivering is not None and delivering.reason == PENDING


def digest(api: Webhook) -> object:
    """What of the API's answer a status shows; equal while there is nothing new to write."""
    known = _coarse(_known(api, None))
    return (api.revision, api.exists, api.is_dispatched, repr(sorted(known.items())))


def is_worth_writing(status: ScimWebhookStatus, before: ScimWebhookStatus) -> bool:
    """Whether a status says something else than the one before, but for numbers that have hardly moved."""
    return _coarse(status) != _coarse(before)


def _coarse(status: ScimWebhookStatus) -> dict[str, object]:
    """With what moves all the time in steps."""
    content = status.to_object()
    delivered = status.last_delivered_at
    if delivered is not None:
        content["lastDeliveredAt"] = delivered.timestamp() // _STEP.total_seconds()
    if status.backlog is not None:
        content["backlog"] = [
            _two_digits(status.backlog.events),
            status.backlog.seconds // 60
            if status.backlog.seconds < 3600
            else _two_digits(status.backlog.seconds),
            _two_digits(status.backlog.retrying),
        ]
    for condition in content.get("conditions", ()):
        if condition["type"] == DELIVERING:
            condition["message"] = ""  # it counts what waits, and is made of what is compared here
    return content


def _two_digits(number: int) -> int:
    """The first two digits of it."""
    step = int(10 ** max(0, len(str(number)) - 2))
    return number // step * step


def _condition(
    webhook: ScimWebhook, now: datetime, kind: str, status: ConditionStatus, reason: str, message: str
) -> Condition:
    before = webhook.status.condition(kind)
    return Condition.judged(before, now, webhook.metadata.generation, kind, status, reason, message)
