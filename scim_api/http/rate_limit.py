"""A token bucket for each tenant, in this worker process alone."""

import dataclasses
import time
from collections.abc import Callable

from scim_api.contract.admin import RateLimit


@dataclasses.dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """Lets ``requests_per_second`` through on average and ``burst`` at once.

    Operations of bulk requests have a bucket of their own: together with single requests a tenant gets up
    to twice its rate, and never less for single requests because of a bulk request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[int, _Bucket] = {}
        self._bulk: dict[int, _Bucket] = {}

    def wait_seconds(self, tenant: int, limit: RateLimit) -> float:
        """0 when the request may pass (and is counted), else the seconds after which one may."""
        return self._take(self._buckets, tenant, limit, 1)

    def charge_bulk(self, tenant: int, limit: RateLimit, operations: int) -> float:
        """0 when a bulk request may begin, else the seconds after which one may.

        All of its operations are paid for at once, on credit: the next one waits until the debt is gone.
        """
        return self._take(self._bulk, tenant, limit, operations)

    def _take(self, buckets: dict[int, _Bucket], tenant: int, limit: RateLimit, tokens: int) -> float:
        now = self._clock()
        bucket = buckets.get(tenant)
        if bucket is None:
            bucket = buckets[tenant] = _Bucket(float(limit.burst), now)
        rate = limit.requests_per_second
        bucket.tokens = min(float(limit.burst), bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens >= 1.0:
            bucket.tokens -= tokens
            return 0.0
        return (1.0 - bucket.tokens) / rate
