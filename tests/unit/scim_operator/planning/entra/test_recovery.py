"""When a job in quarantine is started again, and how."""

from datetime import timedelta

import pytest

from scim_operator.api.status import EntraStatus
from scim_operator.planning.entra.ports import Job, Quarantine
from scim_operator.planning.entra.recovery import PROTECTIVE_REASONS, Recovery, next_recovery
from support.operator_world import START

PERIOD = timedelta(minutes=5)


def job(reason: str | None, schedule: str = "Active") -> Job:
    quarantine = None if reason is None else Quarantine(reason, START, None)
    return Job("scim.1", "scim", "Active", schedule, quarantine=quarantine)


BAD = job("EncounteredQuarantineException")


def test_a_healthy_job_is_left_alone() -> None:
    assert next_recovery(job(None), EntraStatus(), START, PERIOD) is None


def test_the_first_time_it_is_started_at_once() -> None:
    assert next_recovery(BAD, EntraStatus(), START, PERIOD) is Recovery.START


@pytest.mark.parametrize("reason", sorted(PROTECTIVE_REASONS))
def test_what_entra_stopped_on_purpose_stays_stopped(reason: str) -> None:
    assert next_recovery(job(reason), EntraStatus(), START, PERIOD) is None


def test_what_somebody_has_paused_stays_paused() -> None:
    assert next_recovery(job("Unknown", schedule="Paused"), EntraStatus(), START, PERIOD) is None


@pytest.mark.parametrize(
    ("recoveries", "pause"),
    [
        (1, PERIOD * 0.8),
        (2, PERIOD * 1.6),
        (3, PERIOD * 3.2),
        (40, timedelta(hours=6)),
        (10**6, timedelta(hours=6)),
    ],
)
def test_after_that_it_is_restarted_after_pauses_that_double(recoveries: int, pause: timedelta) -> None:
    status = EntraStatus(recoveries=recoveries, recovered_at=START)
    assert next_recovery(BAD, status, START + pause - timedelta(seconds=1), PERIOD) is None
    assert next_recovery(BAD, status, START + pause, PERIOD) is Recovery.RESTART


def test_the_look_after_the_first_recovery_is_late_enough_for_the_second() -> None:
    status = EntraStatus(recoveries=1, recovered_at=START)
    assert next_recovery(BAD, status, START + PERIOD, PERIOD) is Recovery.RESTART
