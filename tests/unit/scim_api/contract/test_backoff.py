"""Pauses grow, up to a limit, and are random in part."""

import pytest

from scim_api.contract.backoff import Backoff


def test_half_of_a_pause_is_random_as_a_rule() -> None:
    low, high = Backoff(1, 60, rand=lambda: 0.0), Backoff(1, 60, rand=lambda: 0.999)
    assert [low.seconds(n) for n in (1, 2, 3, 50)] == [0.5, 1, 2, 30]
    assert all(low.seconds(n) < high.seconds(n) <= 60 for n in range(1, 100))


@pytest.mark.parametrize(("jitter", "shortest"), [(0.0, 4.0), (0.5, 2.0), (1.0, 0.0)])
def test_the_random_part_is_as_large_as_asked_for(jitter: float, shortest: float) -> None:
    assert Backoff(1, 60, jitter, rand=lambda: 0.0).seconds(3) == shortest
    assert Backoff(1, 60, jitter, rand=lambda: 1.0).seconds(3) == 4.0


def test_no_number_of_failures_is_too_large() -> None:
    assert Backoff(0.5, 60.0, jitter=0.0).seconds(10**6) == 60.0
