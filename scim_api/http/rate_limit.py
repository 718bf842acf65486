"""A token bucket for each tenant, in this worker process alone."""

import dataclasses
import time
from collections.abc import Callable

from scim_api.admin_models import RateLimit


@dataclasses.dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """Lets ``requests_per_second`` through on average and ``burst`` at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[int, _Bucket] = {}

    def wait_seconds(self, tenant: int, limit: RateLimit) -> float:
        """0 when the request may pass (and is counted), else the seconds after which one may."""
        now = self._clock()
        bucket = self._buckets.get(tenant)
        if bucket is None:
            bucket = self._buckets[tenant] = _Bucket(float(limit.burst), now)
        rate = limit.requests_per_second
        bucket.tokens = min(float(limit.burst), bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / rate
