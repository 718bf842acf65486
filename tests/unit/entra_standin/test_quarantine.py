"""When a job is quarantined, how slowly it runs then, and when it is disabled."""

from datetime import UTC, datetime, timedelta

import pytest

from entra_standin.quarantine import (
    Quarantine,
    Reason,
    Schedule,
    after_cycle,
    is_disabled,
    next_cycle,
    reason_of_cycle,
    reason_of_deletes,
    reason_of_outage,
    reason_of_test,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BAD = Quarantine(Reason.BAD_CREDENTIALS, NOW, NOW)


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
    later = NOW + timedelta(days=3)
    assert after_cycle(first, Reason.TOO_MANY_FAILURES, later) == Quarantine(
        Reason.TOO_MANY_FAILURES, NOW, imposed=later, count=2
    )


def test_a_good_cycle_ends_a_quarantine() -> None:
    assert after_cycle(BAD, None, NOW + timedelta(days=1)) is None


def test_an_outage_quarantines_when_it_lasts_for_several_cycles() -> None:
    assert [reason_of_outage(successive) for successive in range(5)] == [
        None, None, None, Reason.BAD_CREDENTIALS, Reason.BAD_CREDENTIALS,
    ]  # fmt: skip
    assert reason_of_outage(1, cycles=1) is Reason.BAD_CREDENTIALS


def test_more_deletes_than_the_threshold_quarantine() -> None:
    assert reason_of_deletes(5, None) is None
    assert reason_of_deletes(5, 5) is None
    assert reason_of_deletes(6, 5) is Reason.TOO_MANY_DELETES


def test_cycles_run_every_forty_minutes() -> None:
    assert next_cycle(NOW, None) == NOW + timedelta(minutes=40)


@pytest.mark.parametrize(
    ("elapsed", "retry"), [(0, 6), (6, 12), (7, 12), (12, 24), (24, 48), (30, 48), (48, 72), (600, 624)]
)
def test_retries_in_quarantine_come_after_6_12_and_24_hours_and_then_daily(elapsed: int, retry: int) -> None:
    assert next_cycle(NOW + timedelta(hours=elapsed), BAD) == NOW + timedelta(hours=retry)


def test_a_job_is_disabled_after_four_weeks_in_quarantine() -> None:
    four_weeks = NOW + timedelta(weeks=4)
    assert is_disabled(BAD, four_weeks)
    assert not is_disabled(BAD, four_weeks - timedelta(seconds=1))
    assert not is_disabled(None, four_weeks)


def test_a_job_that_nobody_mends_runs_once_a_day_until_it_is_disabled() -> None:
    runs, at, quarantine = 0, NOW, after_cycle(None, Reason.BAD_CREDENTIALS, NOW)
    while (due := next_cycle(at, quarantine)) is not None:
        runs, at, quarantine = runs + 1, due, after_cycle(quarantine, Reason.BAD_CREDENTIALS, due)
    assert runs == 2 + 27
    assert at == NOW + timedelta(days=27)


def test_a_compressed_schedule_keeps_its_proportions() -> None:
    fast = Schedule().compressed(1200)
    assert next_cycle(NOW, None, fast) == NOW + timedelta(seconds=2)
    assert next_cycle(NOW, BAD, fast) == NOW + timedelta(seconds=18)
    assert is_disabled(BAD, NOW + timedelta(seconds=2016), fast)
    assert not is_disabled(BAD, NOW + timedelta(seconds=2015), fast)
