"""When a job in quarantine is started again, and how. Pure."""

import enum
from datetime import datetime, timedelta
from typing import Final

from scim_operator.api.status import EntraStatus
from scim_operator.planning.entra.ports import Job

DISABLED_AFTER: Final = timedelta(days=28)
"""How long Entra keeps trying in quarantine before it disables the job (Microsoft Learn, quarantine status)."""
PROTECTIVE_REASONS: Final = frozenset({"TooManyDeletes", "QuarantinedOnDemand"})
"""Entra has stopped the job lest it does harm, or somebody has asked for that: only a person may go on."""
_LONGEST_PAUSE: Final = timedelta(hours=6)


class Recovery(enum.Enum):
    """How a job leaves its quarantine."""

    START = "start"
    RESTART = "restart"
    """With the quarantine forgotten, and nothing else: no full cycle."""


def next_recovery(job: Job, status: EntraStatus, now: datetime, check_period: timedelta) -> Recovery | None:
    """What may be done now about a job's quarantine, once Entra's Test Connection passes; None: nothing.

    The first time at once, by a start. When that did not help, by a restart, after pauses that double: a quarantine for
    other reasons than credentials would come back each time.

    Args:
        job: as it is.
        status: how often that was done since a cycle succeeded, and when.
        now: the present moment.
        check_period: how often jobs are looked at; the first pause is a little shorter.
    """
    quarantine = job.quarantine
    if quarantine is None or quarantine.reason in PROTECTIVE_REASONS or job.schedule_state == "Paused":
        return None
    if status.recovered_at is None or not status.recoveries:
        return Recovery.START
    pause = min(check_period * 0.8 * 2 ** min(status.recoveries - 1, 16), max(check_period, _LONGEST_PAUSE))
    return Recovery.RESTART if now >= status.recovered_at + pause else None
