"""A token bucket for each tenant, in this process alone."""

import time
from collections.abc import Callable
from typing import Final

from scim_api.contract.admin import RateLimit
from scim_api.contract.token_bucket import TokenBucket

BYTES_PER_REQUEST: Final = 16 * 1024
"""A body counts as one request, and as one more for each of these: what a request costs grows with its length."""


class RateLimiter:
    """Lets ``requests_per_second`` through on average and ``burst`` at once.

    Operations of bulk requests have a bucket of their own: together with single requests a tenant gets up
    to twice its rate, and never less for single requests because of a bulk request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[int, TokenBucket] = {}
        self._bulk: dict[int, TokenBucket] = {}

    def wait_seconds(self, tenant: int, limit: RateLimit) -> float:
        """0 when the request may pass (and is counted), else the seconds after which one may."""
        return self._take(self._buckets, tenant, limit, 1)

    def bulk_wait_seconds(self, tenant: int, limit: RateLimit, operations: int) -> float:
        """0 when a bulk request may begin, else the seconds after which one may.

        All of its operations are paid for at once, on credit: the next one waits until the debt is gone.
        """
        return self._take(self._bulk, tenant, limit, operations)

    def charge_body(self, tenant: int, size: int) -> None:
        """Count the body of a request that was let through: one request more for each ``BYTES_PER_REQUEST``.

        What the tenant has no tokens for is a debt, which its next requests wait for.
        """
        self._buckets[tenant].charge(size // BYTES_PER_REQUEST)

    def _take(self, buckets: dict[int, TokenBucket], tenant: int, limit: RateLimit, tokens: int) -> float:
        now = self._clock()
        bucket = buckets.get(tenant)
        if bucket is None:
            bucket = buckets[tenant] = TokenBucket(limit.burst, now)
        return bucket.take(tokens, burst=limit.burst, rate=limit.requests_per_second, now=now)
