"""A token bucket for each tenant, in this process alone."""

import time
from collections.abc import Callable

from scim_api.contract.admin import RateLimit
from scim_api.contract.token_bucket import TokenBucket


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

    def _take(self, buckets: dict[int, TokenBucket], tenant: int, limit: RateLimit, tokens: int) -> float:
        now = self._clock()
        bucket = buckets.get(tenant)
        if bucket is None:
            bucket = buckets[tenant] = TokenBucket(limit.burst, now)
        return bucket.take(tokens, burst=limit.burst, rate=limit.requests_per_second, now=now)
