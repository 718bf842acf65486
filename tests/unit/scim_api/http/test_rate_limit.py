"""How many requests a tenant may send."""

import pytest

from scim_api.contract.admin import RateLimit
from scim_api.http.rate_limit import BYTES_PER_REQUEST, RateLimiter

LIMIT = RateLimit(requests_per_second=50, burst=25)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock)


def passed(limiter: RateLimiter, attempts: int, tenant: int = 1) -> int:
    return sum(limiter.wait_seconds(tenant, LIMIT) == 0 for _ in range(attempts))


def test_a_burst_passes_at_once_and_then_the_rate(limiter: RateLimiter, clock: Clock) -> None:
    assert passed(limiter, 100) == 25
    clock.now += 0.2
    assert passed(limiter, 100) == 10


def test_one_that_has_to_wait_is_told_for_how_long(limiter: RateLimiter, clock: Clock) -> None:
    passed(limiter, 25)
    wait = limiter.wait_seconds(1, LIMIT)
    assert wait == pytest.approx(1 / 50)
    clock.now += wait * 1.001
    assert limiter.wait_seconds(1, LIMIT) == 0


def test_tenants_do_not_share_a_bucket(limiter: RateLimiter) -> None:
    assert passed(limiter, 100, tenant=1) == 25
    assert passed(limiter, 100, tenant=2) == 25


def test_a_bulk_request_is_paid_for_by_the_next_one(limiter: RateLimiter, clock: Clock) -> None:
    assert limiter.bulk_wait_seconds(1, LIMIT, 1000) == 0
    assert limiter.bulk_wait_seconds(1, LIMIT, 1) == pytest.approx((1000 - 25 + 1) / 50)
    clock.now += 19.6
    assert limiter.bulk_wait_seconds(1, LIMIT, 1) == 0


def test_a_bulk_request_leaves_single_ones_alone(limiter: RateLimiter) -> None:
    limiter.bulk_wait_seconds(1, LIMIT, 1000)
    assert passed(limiter, 100) == 25


def test_a_limit_that_changes_counts_at_once(limiter: RateLimiter, clock: Clock) -> None:
    passed(limiter, 25)
    clock.now += 1
    assert (
        sum(limiter.wait_seconds(1, RateLimit(requests_per_second=100, burst=60)) == 0 for _ in range(99))
        == 60
    )


def test_a_long_body_counts_as_more_requests_which_the_next_ones_wait_for(
    limiter: RateLimiter, clock: Clock
) -> None:
    assert passed(limiter, 1) == 1
    limiter.charge_body(1, BYTES_PER_REQUEST * 64 + 5)
    assert passed(limiter, 10) == 0
    assert limiter.wait_seconds(1, LIMIT) == pytest.approx((1 + 64 - 24) / 50)
    assert passed(limiter, 1, tenant=2) == 1
    clock.now += 41 / 50 + 0.001
    assert passed(limiter, 10) == 1
