"""The credential cache's idea of the database's clock, by which tokens end."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from scim_api.http.authentication import Authenticator
from scim_api.store.protocol import AuthGeneration, Store
from support.clock import Clock

READINGS = st.lists(
    st.tuples(st.floats(0, 10), st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=30
)  # how long after the one before, how long the answer took, where in between the database looked


def error_after(offset: float, readings: list[tuple[float, float, float]]) -> list[float]:
    """How far off the database's clock the cache is after each reading, in seconds."""
    clock, errors = Clock(100.0), []
    credentials = Authenticator(cast("Store", None), clock=clock)
    for pause, took, where in readings:
        clock.now += pause
        asked_at = clock.now
        clock.now += took
        reading = AuthGeneration(1, asked_at + took * where + offset)
        credentials.observe(reading, asked_at=asked_at, answered_at=clock.now)
        errors.append(abs(credentials.now() - (clock.now + offset)))
    return errors


@given(offset=st.floats(-7200, 7200), readings=READINGS)
def test_it_is_never_further_off_than_the_quickest_answer_took(
    offset: float, readings: list[tuple[float, float, float]]
) -> None:
    errors = error_after(offset, readings)
    quickest = float("inf")
    for error, (_, took, _) in zip(errors, readings, strict=True):
        quickest = min(quickest, took)
        assert error <= quickest + 1e-6


def test_an_answer_that_took_seconds_ends_no_token_seconds_early_or_late() -> None:
    quick, early, late = (0.25, 0.001, 0.5), (0.25, 3.0, 1.0), (0.25, 3.0, 0.0)
    assert max(error_after(0.0, [quick, early, quick, late])) < 0.01


def test_a_database_whose_clock_was_set_is_followed_at_once() -> None:
    clock = Clock(100.0)
    credentials = Authenticator(cast("Store", None), clock=clock)
    for jump in (0.0, 120.0, -120.0):
        clock.now += 1
        reading = AuthGeneration(1, clock.now + jump)
        credentials.observe(reading, asked_at=clock.now, answered_at=clock.now + 0.001)
        assert abs(credentials.now() - (clock.now + jump)) < 0.01


def test_before_the_first_reading_its_own_clock_counts() -> None:
    assert Authenticator(cast("Store", None), clock=lambda: 7.0).now() == 7.0


def test_the_first_reading_is_taken_for_the_middle_of_the_answer() -> None:
    credentials = Authenticator(cast("Store", None), clock=lambda: 0.0)
    credentials.observe(AuthGeneration(1, 1000.0), asked_at=10.0, answered_at=14.0)
    assert credentials.now() == 988.0
