"""Decides whether a revocation waits because many connections lost their ScimToken at once. Pure.

A deleted CRD, a prune gone wrong or the wrong cluster look like so many deletions, and a revocation can't be undone.
"""

import dataclasses
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from scim_operator.api.custom_object import GROUP
from scim_operator.api.scimtoken import ScimToken

CONFIRM_DELETION_ANNOTATION: Final = f"{GROUP}/confirm-deletion"
"""On a ScimToken that is being deleted: ``true``. On the operator's Lease: a time, RFC 3339, which confirms every
loss that was noticed up to then."""
WINDOW: Final = timedelta(minutes=1)
"""Losses within it are counted together."""
SETTLE: Final = timedelta(seconds=3)
"""How long a revocation waits to see whether it is one of many."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeletionLimit:
    """How many connections may lose their ScimToken within a minute; what exceeds both numbers waits."""

    count: int
    percent: float

    def is_exceeded(self, lost: int, connections: int) -> bool:
        """Whether losing so many of so many looks like a mistake."""
        return lost > self.count and 100 * lost > self.percent * connections

    def can_be_exceeded(self, connections: int) -> bool:
        """Whether losing all of so many would exceed it; 0 stands for a number that nobody knows yet."""
        return connections == 0 or connections > self.count


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """A revocation that does not happen yet."""

    until: datetime
    is_held: bool
    """Whether the limit is exceeded; otherwise it is only not clear yet that it is not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """A connection whose ScimToken is gone or being deleted."""

    since: datetime
    """When the operator noticed."""
    hold_from: datetime
    """From when its hold counts: the time of the deletion where Kubernetes tells it."""
    is_confirmed: bool
    """Whether a person has said that it is to go."""


def decide(
    loss: Loss,
    others: Sequence[datetime],
    *,
    limit: DeletionLimit,
    connections: int,
    hold: timedelta,
    now: datetime,
) -> Wait | None:
    """Whether a revocation waits; None when it may happen.

    Args:
        loss: whose connection would be revoked.
        others: when each loss of late was noticed, this one included, in order; those whose ScimToken came back
            count on.
        limit: how many may be lost within a minute.
        connections: how many there are, or were before these losses; 0 when nobody knows.
        hold: how long a person has to object.
        now: the operator's clock, UTC.
    """
    if loss.is_confirmed or not limit.can_be_exceeded(connections) or now >= loss.hold_from + hold:
        return None
    if now < loss.since + SETTLE:
        return Wait(loss.since + SETTLE, is_held=False)
    if _is_one_of_many(loss.since, others, limit, connections):
        return Wait(loss.hold_from + hold, is_held=True)
    return None


def _is_one_of_many(
    moment: datetime, losses: Sequence[datetime], limit: DeletionLimit, connections: int
) -> bool:
    """Whether some minute that holds ``moment`` holds more losses than the limit allows."""
    starts = range(bisect_left(losses, moment - WINDOW), bisect_right(losses, moment))
    return any(
        limit.is_exceeded(bisect_right(losses, losses[start] + WINDOW) - start, connections)
        for start in starts
    )


def deletion_time(token: ScimToken | None) -> datetime | None:
    """When a ScimToken was deleted, as far as Kubernetes tells."""
    text = token.metadata.deletion_timestamp if token is not None else None
    return None if text is None else read_time(text)


def is_confirmed(token: ScimToken | None) -> bool:
    """Whether an annotation on the ScimToken says that it is to go."""
    if token is None:
        return False
    return token.deletion_is_forced or token.metadata.annotations.get(CONFIRM_DELETION_ANNOTATION) == "true"


def read_time(text: str) -> datetime | None:
    """A time in RFC 3339, without a zone in UTC; None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
