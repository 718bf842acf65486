"""What to do next about a ScimWebhook, from what is so. Pure.

One action at a time, in an order in which a process may die, or another overtake it, after any: the Secret never shows
a signing secret that the API does not sign with.
"""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from scim_api.contract.signing_secret import secret_id
from scim_api.contract.webhooks import PutWebhook, Redelivery, SigningSecret, Webhook
from scim_operator.api.custom_object import MANAGED_BY, MANAGED_BY_LABEL
from scim_operator.api.durations import parse_duration
from scim_operator.api.scimwebhook import (
    ANSWERED_ROTATE_ANNOTATION,
    WEBHOOK_LABEL,
    ScimWebhook,
    ScimWebhookSpec,
    rotation_period,
)
from scim_operator.planning.ports import SecretSnapshot
from scim_operator.planning.webhooks import signing_secrets
from scim_operator.planning.webhooks.signing_secrets import (
    PENDING_SECRET,
    SIGNING_SECRET,
    PublishedSecrets,
    WantedSecret,
)

_MAX_FIELDS: Final = 3
"""That one message names."""
INVALID_REDELIVER_FROM: Final = "the annotation scim-operator.io/redeliver-from is no time with its zone: write one such as 2026-11-23T14:00:00Z"


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """What is so: the API's state was read first, then ScimWebhook and Secret."""

    webhook: ScimWebhook
    api: Webhook
    secret: SecretSnapshot | None
    key_id: str
    """Of the dispatcher's present key."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delete:
    """Have the API forget it: its tenant is another, so it was another object's."""


@dataclasses.dataclass(frozen=True, slots=True)
class AdoptSecret:
    """Make the ScimWebhook the owner of a Secret of its own that came back without one."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteSecret:
    """Delete a Secret of an earlier ScimWebhook of this name."""


@dataclasses.dataclass(frozen=True, slots=True)
class MakeSecret:
    """Write a new signing secret beside the present one."""

    answered_rotate: str | None
    """The request that it answers."""


@dataclasses.dataclass(frozen=True, slots=True)
class WriteSecret:
    """Show the pending signing secret if there is one, and set labels and annotations right."""


@dataclasses.dataclass(frozen=True, slots=True)
class Put:
    """Tell the API what it should be."""

    secrets: tuple[WantedSecret, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Refuse:
    """Somebody has to change something, or something has to end first; nothing was touched."""

    reason: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Nothing is left to do."""

    next_rotation: datetime | None


Action = Delete | AdoptSecret | DeleteSecret | MakeSecret | WriteSecret | Put | Refuse | Done


def plan(observed: Observed) -> Action:
    """The next action."""
    webhook, api, secret = observed.webhook, observed.api, observed.secret
    spec = webhook.spec
    if spec is None:
        return Refuse("NotUnderstood", _not_understood(webhook))
    if api.exists and api.tenant != spec.tenant:
        return Delete()
    if secret is not None and not secret.owned:
        return _claim(webhook, secret, api)
    if secret is not None and secret.deleting:
        return _being_deleted(secret.name)
    published = PublishedSecrets() if secret is None else signing_secrets.read(secret.data)
    due = signing_secrets.next_rotation(published, api, rotation_period(spec))
    answered = None if secret is None else secret.annotations.get(ANSWERED_ROTATE_ANNOTATION)
    is_requested = webhook.rotate_request is not None and webhook.rotate_request != answered
    if published.pending is None and (
        published.current is None or is_requested or (due is not None and due <= api.now)
    ):
        return MakeSecret(webhook.rotate_request or answered)
    secrets = signing_secrets.wanted(published, api, observed.key_id, parse_duration(spec.overlap))
    if not _is_known(webhook, spec, api) or not signing_secrets.are_registered(secrets, api):
        return Put(secrets)
    if secret is None or published.pending is not None or _has_drifted(webhook, secret, published):
        return WriteSecret()
    return Done(due)


def _claim(webhook: ScimWebhook, secret: SecretSnapshot, api: Webhook) -> Action:
    """What to do about a Secret of the wanted name that this ScimWebhook does not own."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, WEBHOOK_LABEL: webhook.metadata.name}
    is_labelled = labels.items() <= secret.labels.items()
    if secret.deleting:
        return _being_deleted(secret.name)
    if secret.former_owner:
        return DeleteSecret() if is_labelled else _being_deleted(secret.name)
    shown = signing_secrets.read(secret.data).current
    is_known = shown is not None and (not api.exists or secret_id(shown) in signing_secrets.live(api))
    if is_labelled and secret.controller is None and is_known:
        return AdoptSecret()
    owner = f" ({secret.controller})" if secret.controller else ""
    return Refuse(
        "SecretNotOwned",
        f"Secret {secret.name} exists and belongs to somebody else{owner}: delete it, or create the ScimWebhook anew with"
        " another spec.secret.name",
    )


def _being_deleted(name: str) -> Refuse:
    return Refuse(
        "SecretDeleting",
        f"Secret {name} is being deleted; waiting until it is gone, then a new signing secret is made",
    )


def _is_known(webhook: ScimWebhook, spec: ScimWebhookSpec, api: Webhook) -> bool:
    """Whether the API has it as it should be, but for the secrets."""
    redelivery = redelivery_of(webhook)
    return (
        api.exists
        and api.owner_uid == webhook.metadata.uid
        and api.url == spec.url
        and set(api.types) == set(spec.types)
        and api.content == spec.content
        and api.timeout_seconds == _timeout(spec)
        and api.suspended == spec.suspend
        and webhook.test_request in (None, api.ping)
        and (redelivery is None or redelivery.request == api.redelivery)
    )


def _timeout(spec: ScimWebhookSpec) -> int:
    return int(parse_duration(spec.timeout).total_seconds())


def redelivery_of(webhook: ScimWebhook) -> Redelivery | None:
    """What the annotation asks for; None also for what is no time (``INVALID_REDELIVER_FROM``)."""
    text = webhook.redeliver_request
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else Redelivery(request=text, since=moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def is_redelivery_invalid(webhook: ScimWebhook) -> bool:
    """Whether the annotation is there and says nothing."""
    return webhook.redeliver_request is not None and redelivery_of(webhook) is None


def desired_state(
    webhook: ScimWebhook, spec: ScimWebhookSpec, secrets: tuple[SigningSecret, ...], namespace_uid: str
) -> PutWebhook:
    """What to tell the API."""
    return PutWebhook(
        tenant=spec.tenant,
        url=spec.url,
        types=tuple(sorted(spec.types)),
        content=spec.content,
        timeout_seconds=_timeout(spec),
        suspended=spec.suspend,
        secrets=secrets,
        ping=webhook.test_request,
        redelivery=redelivery_of(webhook),
        owner_uid=webhook.metadata.uid,
        namespace_uid=namespace_uid,
    )


def secret_data(published: PublishedSecrets) -> Mapping[str, str]:
    """A Secret's data."""
    both = {SIGNING_SECRET: published.current, PENDING_SECRET: published.pending}
    return {name: value for name, value in both.items() if value is not None}


def requeue_after(done: Done, now: datetime) -> timedelta | None:
    """When to look again though nothing happens."""
    return None if done.next_rotation is None else max(timedelta(), done.next_rotation - now)


def _has_drifted(webhook: ScimWebhook, secret: SecretSnapshot, published: PublishedSecrets) -> bool:
    return dict(secret.data) != secret_data(published) or secret.has_drifted(
        webhook.secret_labels(),
        webhook.secret_annotations(),
        besides=frozenset({ANSWERED_ROTATE_ANNOTATION}),
    )


def _not_understood(webhook: ScimWebhook) -> str:
    fields = webhook.not_understood[:_MAX_FIELDS]
    more = len(webhook.not_understood) - len(fields)
    named = ", ".join(fields) + (f" and {more} more" if more > 0 else "")
    return (
        f"this version of the operator does not understand {named}. Upgrade the operator, or write a value that it takes."
        " Until then messages are sent as before, and no change of spec takes effect"
    )
