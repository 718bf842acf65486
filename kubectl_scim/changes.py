"""What a person asks of a ScimToken, and when that is done. Pure; ``main`` sends it and waits."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from kubectl_scim.scimtoken import GROUP, Credential, ScimToken
from kubectl_scim.text import seen, stamp

ROTATE: Final = f"{GROUP}/rotate"
REVOKE: Final = f"{GROUP}/revoke"


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """Something to be asked for."""

    patch: Mapping[str, Any]
    """Merge patch of the ScimToken (RFC 7396)."""
    warning: str | None
    """What is rejected by it; None: nothing."""
    is_done: Callable[[ScimToken], bool]
    done: Callable[[ScimToken], str]
    """What to say in the end."""


def rotate(token: ScimToken, now: datetime) -> Change:
    """Replace the active credential now."""
    before = token.active
    overlap = str(token.spec.get("overlap", "untilExpiry"))
    warning = None
    if overlap == "0s" and before is not None:
        warning = f"overlap is 0s: {before.id} is rejected at once, until Entra has the new one; {_use(before, now)}{_later([before])}"

    def is_done(one: ScimToken) -> bool:
        return one.is_settled and one.active is not None and one.active.id != (before.id if before else None)

    def done(one: ScimToken) -> str:
        active = one.active
        assert active is not None  # noqa: S101 (it is done)
        former = next((item for item in one.credentials if before is not None and item.id == before.id), None)
        said = f"Secret {one.secret_name} has {active.id}"
        if former is not None and former.state == "Superseded" and former.expires_at is not None:
            said += (
                f"; {former.id} is accepted until {stamp(former.expires_at)} ({seen(former.expires_at, now)})"
            )
        return said

    # To the microsecond: the same value once more asks for nothing.
    return Change(_annotated(ROTATE, now.isoformat()), warning, is_done, done)


def revoke(token: ScimToken, ids: Sequence[str], request: str, now: datetime) -> Change:
    """End credentials before their time.

    Args:
        token: whose.
        ids: of those that end.
        request: the annotation's value.
        now: the time.
    """
    ended = [one for one in token.credentials if one.id in ids]
    uses = "; ".join(f"{one.id} ({one.state}), {_use(one, now)}" for one in ended)

    def is_done(one: ScimToken) -> bool:
        return one.is_settled and not any(
            item.id in ids and item.state != "Revoked" for item in one.credentials
        )

    def done(one: ScimToken) -> str:
        active = "" if one.active is None else f"; Secret {one.secret_name} has {one.active.id}"
        return f"rejected from now on: {', '.join(ids)}{active}"

    return Change(_annotated(REVOKE, request), f"rejected at once: {uses}{_later(ended)}", is_done, done)


def leak_limit(token: ScimToken, now: datetime) -> datetime:
    """The least time of ``all-before`` that ends every credential; the status tells when one was issued to the second.

    The operator refuses a time that has not come: whoever asks within that second waits for its end.

    Args:
        token: whose credentials.
        now: where it has none.
    """
    issued = [one.issued_at for one in token.credentials if one.issued_at is not None]
    return max(issued, default=now).replace(microsecond=0) + timedelta(seconds=1)


def suspend(token: ScimToken) -> Change:
    """Freeze rotation."""
    ends = token.active.expires_at if token.active is not None else None
    until = "" if ends is None else f"; its credential ends at {stamp(ends)} and is not replaced"
    return Change(
        {"spec": {"suspend": True}},
        None,
        lambda one: one.is_suspended and one.observed_generation >= one.generation,
        lambda _one: f"rotation is suspended{until}",
    )


def resume(_token: ScimToken) -> Change:
    """Rotate again, at once what is overdue."""
    return Change(
        {"spec": {"suspend": False}},
        None,
        lambda one: not one.is_suspended and one.is_settled,
        lambda one: f"rotation goes on; next at {one.status.get('nextRotation', 'no time that is known')}",
    )


def _annotated(name: str, value: str) -> Mapping[str, Any]:
    return {"metadata": {"annotations": {name: value}}}


def _use(one: Credential, now: datetime) -> str:
    """When it was last seen in use; the status says that to the day."""
    if one.last_used_at is None:
        return "no use recorded"
    return f"last recorded use {seen(one.last_used_at, now)}"


def _later(ended: Sequence[Credential]) -> str:
    """What the recorded uses do not say."""
    if all(one.last_used_at is None for one in ended):
        return ""
    return f"; {'it' if len(ended) == 1 else 'each'} may have been used up to a day later"


def patch_text(change: Change) -> str:
    """As kubectl takes it."""
    return json.dumps(change.patch)
