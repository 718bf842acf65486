"""When Entra puts a provisioning job into quarantine, and what that does to its cycles: pure rules.

Times are aware datetimes; nothing here looks at a clock.
"""

import dataclasses
import enum
from datetime import datetime, timedelta
from typing import Final

OUTAGE_CYCLES: Final = 3
"""Assumed: how many cycles in a row get no answer, or 5xx, before the job is quarantined."""
FAILURE_PROPORTION: Final = 0.4
"""Assumed, because the documentation that this is built from gives no number: callers may pass their own."""
_FATAL_TEST_STATUSES: Final = frozenset({400, 401, 404})


class Reason(enum.StrEnum):
    """Why a job is in quarantine, in the words of Microsoft Graph."""

    BAD_CREDENTIALS = "EncounteredQuarantineException"
    """Test Connection was refused, or got no answer again and again: a bad token, an endpoint that does not know the
    query, or one that is out of reach."""
    TOO_MANY_FAILURES = "EncounteredEscrowProportionThreshold"
    """Too large a part of a cycle's operations failed."""
    TOO_MANY_DELETES = "TooManyDeletes"
    """A cycle would have deleted more than the application's threshold allows: nothing was deleted."""
    BASE_ESCROW_THRESHOLD = "EncounteredBaseEscrowThreshold"
    TOTAL_ESCROW_THRESHOLD = "EncounteredTotalEscrowThreshold"
    QUARANTINED_ON_DEMAND = "QuarantinedOnDemand"
    INGESTION_INTERRUPTED = "IngestionInterrupted"
    UNKNOWN = "Unknown"


@dataclasses.dataclass(frozen=True)
class Quarantine:
    """A job's quarantine.

    Attributes:
        reason: why.
        since: when it began (Graph: ``seriesBegan``); further failures do not move it.
        imposed: when it was imposed last (``currentBegan``); each further failure does.
        count: how often it was imposed (``seriesCount``).
    """

    reason: Reason
    since: datetime
    imposed: datetime
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    """When cycles run (Microsoft Learn: application provisioning in quarantine status).

    Attributes:
        cycle_every: between the cycles of a healthy job.
        retries: in quarantine, counted from its beginning.
        then_every: between the retries after those.
        disabled_after: how long a quarantine may last.
    """

    cycle_every: timedelta = timedelta(minutes=40)
    retries: tuple[timedelta, ...] = (timedelta(hours=6), timedelta(hours=12), timedelta(hours=24))
    then_every: timedelta = timedelta(days=1)
    disabled_after: timedelta = timedelta(days=28)

    def compressed(self, factor: float) -> "Schedule":
        """The same, so many times as fast."""
        return Schedule(
            self.cycle_every / factor,
            tuple(retry / factor for retry in self.retries),
            self.then_every / factor,
            self.disabled_after / factor,
        )


SCHEDULE: Final = Schedule()


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


def reason_of_outage(successive: int, cycles: int = OUTAGE_CYCLES) -> Reason | None:
    """What cycles that could not begin lead to.

    Args:
        successive: how many there were in a row; the endpoint gave no answer, or one such as 503.
        cycles: so many are too many.
    """
    return Reason.BAD_CREDENTIALS if successive >= cycles else None


def reason_of_deletes(deletes: int, threshold: int | None) -> Reason | None:
    """What the deletes that a cycle is about to send lead to (Microsoft Learn: accidental deletions prevention).

    Args:
        deletes: how many users.
        threshold: more are too many; None is no limit.
    """
    return Reason.TOO_MANY_DELETES if threshold is not None and deletes > threshold else None


def after_cycle(current: Quarantine | None, reason: Reason | None, now: datetime) -> Quarantine | None:
    """The job's quarantine after a cycle, or a Test Connection, that ended at ``now``.

    A cycle without a reason ends a quarantine; a reason during one keeps its beginning, because the four
    weeks run from there.
    """
    if reason is None:
        return None
    if current is None:
        return Quarantine(reason, now, now)
    return Quarantine(reason, current.since, now, current.count + 1)


def next_cycle(
    last: datetime, quarantine: Quarantine | None, schedule: Schedule = SCHEDULE
) -> datetime | None:
    """When the cycle after the one at ``last`` runs; ``None`` when the job is disabled by then."""
    if quarantine is None:
        return last + schedule.cycle_every
    due = _next_retry(last - quarantine.since, schedule) + quarantine.since
    return None if is_disabled(quarantine, due, schedule) else due


def is_disabled(quarantine: Quarantine | None, now: datetime, schedule: Schedule = SCHEDULE) -> bool:
    """Whether the job was in quarantine for four weeks, after which Entra does not run it any more."""
    return quarantine is not None and now - quarantine.since >= schedule.disabled_after


def _next_retry(elapsed: timedelta, schedule: Schedule) -> timedelta:
    """The first retry after ``elapsed``; both count from the beginning of the quarantine."""
    for retry in schedule.retries:
        if retry > elapsed:
            return retry
    *_, last = schedule.retries
    return last + schedule.then_every * ((elapsed - last) // schedule.then_every + 1)
