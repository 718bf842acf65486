"""When a job is quarantined, how slowly it runs then, and when it is disabled."""

from datetime import UTC, datetime, timedelta

import pytest

from entra_standin.quarantine import (
    Quarantine,
    Reason,
    after_cycle,
    is_disabled,
    next_cycle,
    reason_of_cycle,
    reason_of_test,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BAD = Quarantine(Reason.BAD_CREDENTIALS, NOW)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, None),
        (400, Reason.BAD_CREDENTIALS),
        (401, Reason.BAD_CREDENTIALS),
        (404, Reason.BAD_CREDENTIALS),
        (429, None),
        (500, None),
        (503, None),
    ],
)
def test_a_refused_test_connection_quarantines_at_once(status: int, reason: Reason | None) -> None:
    assert reason_of_test(status) is reason


@pytest.mark.parametrize(
    ("attempted", "failed", "proportion", "reason"),
    [
        (0, 0, 0.4, None),
        (10, 0, 0.0, None),
        (10, 4, 0.4, None),
        (10, 5, 0.4, Reason.TOO_MANY_FAILURES),
        (1, 1, 0.4, Reason.TOO_MANY_FAILURES),
        (10, 5, 0.5, None),
    ],
)
def test_more_than_the_proportion_of_failures_quarantines(
    attempted: int, failed: int, proportion: float, reason: Reason | None
) -> None:
    assert reason_of_cycle(attempted, failed, proportion) is reason


def test_a_quarantine_begins_with_the_first_failure_and_not_with_each() -> None:
    first = after_cycle(None, Reason.BAD_CREDENTIALS, NOW)
    assert first == BAD
    later = after_cycle(first, Reason.TOO_MANY_FAILURES, NOW + timedelta(days=3))
    assert later == Quarantine(Reason.TOO_MANY_FAILURES, NOW)


def test_a_good_cycle_ends_a_quarantine() -> None:
    assert after_cycle(BAD, None, NOW + timedelta(days=1)) is None


def test_cycles_run_every_forty_minutes_and_once_a_day_in_quarantine() -> None:
    assert next_cycle(NOW, None) == NOW + timedelta(minutes=40)
    assert next_cycle(NOW, BAD) == NOW + timedelta(days=1)


def test_a_job_is_disabled_after_four_weeks_in_quarantine() -> None:
    four_weeks = NOW + timedelta(weeks=4)
    assert is_disabled(BAD, four_weeks)
    assert not is_disabled(BAD, four_weeks - timedelta(seconds=1))
    assert not is_disabled(None, four_weeks)


def test_a_job_that_nobody_mends_runs_once_a_day_until_it_is_disabled() -> None:
    runs, at, quarantine = 0, NOW, after_cycle(None, Reason.BAD_CREDENTIALS, NOW)
    while (due := next_cycle(at, quarantine)) is not None:
        runs, at, quarantine = runs + 1, due, after_cycle(quarantine, Reason.BAD_CREDENTIALS, due)
    assert runs == 27
    assert at == NOW + timedelta(days=27)
