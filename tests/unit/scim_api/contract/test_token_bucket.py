"""A bucket against the plainest account of what it should hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.token_bucket import TokenBucket


def test_a_burst_passes_and_not_one_more() -> None:
    bucket = TokenBucket(3, now=0.0)
    waits = [bucket.take(1, burst=3, rate=2, now=0.0) for _ in range(4)]
    assert waits == [0.0, 0.0, 0.0, 0.5]


def test_the_wait_that_is_told_is_enough_and_no_longer_than_needed() -> None:
    bucket = TokenBucket(1, now=0.0)
    assert bucket.take(1, burst=1, rate=4, now=0.0) == 0.0
    assert bucket.take(1, burst=1, rate=4, now=0.0) == 0.25
    assert bucket.take(1, burst=1, rate=4, now=0.2499) > 0.0
    assert bucket.take(1, burst=1, rate=4, now=0.25) == 0.0


def test_a_refusal_takes_nothing() -> None:
    bucket = TokenBucket(1, now=0.0)
    bucket.take(1, burst=1, rate=1, now=0.0)
    for _ in range(5):
        assert bucket.take(1, burst=1, rate=1, now=0.5) == 0.5
    assert bucket.take(1, burst=1, rate=1, now=1.0) == 0.0


def test_after_a_long_rest_it_holds_a_burst_and_no_more() -> None:
    bucket = TokenBucket(2, now=0.0)
    assert [bucket.take(1, burst=2, rate=10, now=1000.0) for _ in range(3)] == [0.0, 0.0, 0.1]


def test_more_than_there_are_leaves_a_debt_that_is_paid_before_the_next() -> None:
    bucket = TokenBucket(2, now=0.0)
    assert bucket.take(5, burst=2, rate=1, now=0.0) == 0.0
    assert bucket.take(1, burst=2, rate=1, now=0.0) == 4.0
    assert bucket.take(1, burst=2, rate=1, now=4.0) == 0.0


def test_a_burst_that_is_made_smaller_counts_at_once() -> None:
    bucket = TokenBucket(100, now=0.0)
    assert [bucket.take(1, burst=1, rate=1, now=0.0) for _ in range(2)] == [0.0, 1.0]


@given(
    burst=st.integers(1, 20),
    rate=st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    steps=st.lists(st.tuples(st.integers(0, 8), st.integers(1, 5)), max_size=60),
)
def test_nobody_gets_more_than_burst_and_rate_allow(
    burst: int, rate: float, steps: list[tuple[int, int]]
) -> None:
    """Exact arithmetic: pauses are quarters of a second, and all numbers are sums of powers of two."""
    bucket, now, level = TokenBucket(burst, now=0.0), 0.0, float(burst)
    for quarters, amount in steps:
        now += quarters / 4
        level = min(float(burst), level + quarters / 4 * rate)
        wait = bucket.take(amount, burst=burst, rate=rate, now=now)
        assert (wait == 0.0) == (level >= 1.0)
        if wait:
            assert wait == pytest.approx((1.0 - level) / rate)
        else:
            level -= amount
