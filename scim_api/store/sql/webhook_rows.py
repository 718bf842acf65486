"""Columns of ``webhook`` as records, and back."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from scim_api.store.sql.timestamps import from_text, to_text
from scim_api.store.sql.transaction_script import Row
from scim_api.store.webhooks import SealedSecret, WebhookSettings

SETTINGS: Final = "t.name, w.url, w.types, w.content, w.timeout_seconds, w.suspended"


def to_settings(row: Row) -> WebhookSettings:
    """From the columns of ``SETTINGS``."""
    tenant, url, types, content, timeout, suspended = row
    return WebhookSettings(
        tenant, url, frozenset(filter(None, types.split(","))), content, timeout, bool(suspended)
    )


def types_text(types: Iterable[str]) -> str:
    """Types of changes, in an order of their own."""
    return ",".join(sorted(set(types)))


def all_secrets(text: str) -> tuple[SealedSecret, ...]:
    """All secrets, the current one first; those of a release before ids have none."""
    return tuple(
        SealedSecret(
            one["sealed"], to_time(one["until"]), id=one.get("id", ""), issued_at=to_time(one.get("issued"))
        )
        for one in json.loads(text)
    )


def read_secrets(text: str, now: str) -> tuple[SealedSecret, ...]:
    """The secrets that are valid now, the current one first."""
    moment = from_text(now)
    return tuple(one for one in all_secrets(text) if one.until is None or one.until > moment)


def secrets_text(secrets: Iterable[SealedSecret]) -> str:
    """What ``all_secrets`` reads. A release before ids reads it too, and leaves ids and times out when it writes."""
    return json.dumps(
        [
            {
                "id": one.id,
                "sealed": one.sealed,
                "issued": None if one.issued_at is None else to_text(one.issued_at),
                "until": None if one.until is None else to_text(one.until),
            }
            for one in secrets
        ]
    )


def revision_of(pk: int, number: int) -> str:
    """A webhook's revision: surrogate keys are never used again, so that none comes back."""
    return f"{pk}.{number}"


def to_time(text: str | None) -> datetime | None:
    """A stored time, which there may not be."""
    return None if text is None else from_text(text)
