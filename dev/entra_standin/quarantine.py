"""When Entra puts a provisioning job into quarantine, and what that does to its cycles: pure rules.

Times are aware datetimes; nothing here looks at a clock.
"""

import dataclasses
import enum
from datetime import datetime, timedelta
from typing import Final

CYCLE_EVERY: Final = timedelta(minutes=40)
QUARANTINED_CYCLE_EVERY: Final = timedelta(days=1)
DISABLED_AFTER: Final = timedelta(weeks=4)
FAILURE_PROPORTION: Final = 0.4
"""Assumed, because the documentation that this is built from gives no number: callers may pass their own."""
_FATAL_TEST_STATUSES: Final = frozenset({400, 401, 404})


class Reason(enum.StrEnum):
    """Why a job is in quarantine, in the words of Microsoft Graph."""

    BAD_CREDENTIALS = "EncounteredQuarantineException"
    """Test Connection was refused: a bad token, or an endpoint that does not know the query."""
    TOO_MANY_FAILURES = "EncounteredEscrowProportionThreshold"
    """Too large a part of a cycle's operations failed."""


@dataclasses.dataclass(frozen=True)
class Quarantine:
    """A job's quarantine.

    Attributes:
        reason: why.
        since: when it began; further failures do not move it.
    """

    reason: Reason
    since: datetime


def reason_of_test(status: int) -> Reason | None:
    """What the status of a Test Connection leads to; anything but 400, 401 and 404 is tried again later."""
    return Reason.BAD_CREDENTIALS if status in _FATAL_TEST_STATUSES else None


def reason_of_cycle(attempted: int, failed: int, proportion: float = FAILURE_PROPORTION) -> Reason | None:
    """What the operations of a cycle lead to.

    Args:
        attempted: operations of the cycle.
        failed: those of them that failed.
        proportion: more than this part of failures, between 0 and 1, is too many.
    """
    return Reason.TOO_MANY_FAILURES if attempted and failed / attempted > proportion else None


def after_cycle(current: Quarantine | None, reason: Reason | None, now: datetime) -> Quarantine | None:
    """The job's quarantine after a cycle, or a Test Connection, that ended at ``now``.

    A cycle without a reason ends a quarantine; a reason during one keeps its beginning, because the four
    weeks run from there.
    """
    if reason is None:
        return None
    return Quarantine(reason, current.since if current else now)


def next_cycle(last: datetime, quarantine: Quarantine | None) -> datetime | None:
    """When the cycle after the one at ``last`` runs; ``None`` when the job is disabled by then."""
    due = last + (QUARANTINED_CYCLE_EVERY if quarantine else CYCLE_EVERY)
    return None if is_disabled(quarantine, due) else due


def is_disabled(quarantine: Quarantine | None, now: datetime) -> bool:
    """Whether the job was in quarantine for four weeks, after which Entra does not run it any more."""
    return quarantine is not None and now - quarantine.since >= DISABLED_AFTER
