"""When a delivery is tried again."""

import pytest

from scim_api.delivery.schedule import DELAYS, JITTER, delay

DAY = 86_400


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, 5), (2, 300), (3, 1800), (4, 7200), (5, 18_000), (6, 36_000), (7, 50_400), (8, 72_000), (9, DAY), (10, DAY),
     (90, DAY)],
)  # fmt: skip
def test_attempts_follow_the_schedule_of_the_specification(failures: int, seconds: int) -> None:
    assert delay(failures, 0.0) == seconds


def test_what_failed_together_does_not_come_together() -> None:
    for failures in range(1, len(DELAYS) + 1):
        assert delay(failures, 0) < delay(failures, 0.5) < delay(failures, 1)
        assert delay(failures, 1) == pytest.approx(delay(failures, 0) * (1 + JITTER))
