"""Which secrets a webhook's messages are signed with, and when the one in its Secret is replaced. Pure.

Whatever the Secret shows has to be among what messages are signed with, at every moment: a receiver may read the
Secret at any. So a new secret is written beside the present one first (``next-signing-secret``), then registered at the
API, and only then shown; the one before signs on until the overlap is over.
"""

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.signing_secret import is_signing_secret, secret_id
from scim_api.contract.webhooks import SigningSecretStatus, Webhook

SIGNING_SECRET: Final = "signing-secret"  # noqa: S105 (a key of a Secret)
PENDING_SECRET: Final = "next-signing-secret"  # noqa: S105 (likewise)
MAX_SUPERSEDED: Final = 4
"""Secrets that sign on at a time; of more rotations within one overlap the oldest end sooner."""


@dataclasses.dataclass(frozen=True, slots=True)
class PublishedSecrets:
    """What a Secret holds. ``repr`` never shows it."""

    current: str | None = dataclasses.field(repr=False, default=None)
    """None: there is none that could be used."""
    pending: str | None = dataclasses.field(repr=False, default=None)
    """The next one, which is not shown yet."""

    @property
    def listed(self) -> Mapping[str, str]:
        """Plaintext by id, the pending one first."""
        return {secret_id(one): one for one in (self.pending, self.current) if one is not None}


@dataclasses.dataclass(frozen=True, slots=True)
class WantedSecret:
    """A secret that messages are to be signed with."""

    id: str
    issued_at: datetime
    until: datetime | None
    needs_sealing: bool
    """Whether the API lacks it, or has it sealed to another key than the dispatcher's present one."""


def read(data: Mapping[str, str]) -> PublishedSecrets:
    """What of a Secret's data can be used."""
    found = [data.get(name) for name in (SIGNING_SECRET, PENDING_SECRET)]
    current, pending = (one if one is not None and is_signing_secret(one) else None for one in found)
    return PublishedSecrets(current, None if pending == current else pending)


def live(webhook: Webhook) -> Mapping[str, SigningSecretStatus]:
    """By id, those that the API signs with now."""
    return {one.id: one for one in webhook.secrets if one.until is None or one.until > webhook.now}


def next_rotation(published: PublishedSecrets, webhook: Webhook, period: timedelta | None) -> datetime | None:
    """When the secret is to be replaced; None: not by itself.

    Args:
        published: in the Secret.
        webhook: as the API has it.
        period: how old a secret may get; None: as old as it likes.
    """
    if published.current is None or period is None:
        return None
    known = live(webhook).get(secret_id(published.current))
    issued = None if known is None else known.issued_at
    return None if issued is None else issued + period


def wanted(
    published: PublishedSecrets, webhook: Webhook, key_id: str, overlap: timedelta
) -> tuple[WantedSecret, ...]:
    """What messages are to be signed with now, first those of the Secret.

    Args:
        published: in the Secret.
        webhook: as the API has it.
        key_id: of the dispatcher's present key.
        overlap: how long a secret signs on that is not in the Secret any more.
    """
    known, now = live(webhook), webhook.now
    listed = [
        WantedSecret(
            name,
            (known[name].issued_at if name in known else None) or now,
            None,
            needs_sealing=name not in known or known[name].key_id != key_id,
        )
        for name in published.listed
    ]
    ends = now + overlap
    superseded = [
        WantedSecret(name, one.issued_at or now, min(one.until or ends, ends), needs_sealing=False)
        for name, one in known.items()
        if name and name not in published.listed
    ]
    newest = sorted(superseded, key=lambda one: (one.until or ends, one.issued_at), reverse=True)
    return (*listed, *newest[:MAX_SUPERSEDED])


def are_registered(secrets: tuple[WantedSecret, ...], webhook: Webhook) -> bool:
    """Whether the API signs with just these."""
    present = [(one.id, one.issued_at, one.until) for one in live(webhook).values()]
    desired = [(one.id, one.issued_at, one.until) for one in secrets]
    return sorted(present, key=_by_id) == sorted(desired, key=_by_id) and not any(
        one.needs_sealing for one in secrets
    )


def _by_id(one: tuple[str, datetime | None, datetime | None]) -> str:
    return one[0]
