"""The credential cache's idea of the database's clock."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from scim_api.http.authentication import Authenticator
from scim_api.store.protocol import AuthGeneration, Store

READINGS = st.lists(
    st.tuples(st.floats(0, 10), st.floats(0, 5), st.floats(0, 1)), min_size=1, max_size=30
)  # how long after the one before, how long the answer took, where in between the database looked


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def error_after(offset: float, readings: list[tuple[float, float, float]]) -> list[float]:
    """How far off the database's clock the cache is after each reading, in seconds."""
    clock, errors = Clock(), []
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
    clock = Clock()
    credentials = Authenticator(cast("Store", None), clock=clock)
    for jump in (0.0, 120.0, -120.0):
        clock.now += 1
        reading = AuthGeneration(1, clock.now + jump)
        credentials.observe(reading, asked_at=clock.now, answered_at=clock.now + 0.001)
        assert abs(credentials.now() - (clock.now + jump)) < 0.01
