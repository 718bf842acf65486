"""How often a client gets an access token, in this process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from scim_api.contract.token_bucket import TokenBucket

BURST: Final = 30
"""At once: some Test Connections in a row, several jobs that start together, a validator's run."""
SECONDS_PER_TOKEN: Final = 10.0
"""Afterwards. A client that keeps its token asks once an hour; one that never keeps any gets at most 360 an hour, so
that it cannot have more than some 2,200 rows in the database for each process, with the longest lifetime of 6 hours."""
MAX_CLIENTS: Final = 50_000
"""Whose buckets are kept at a time; beyond it the one that asked longest ago begins anew."""


class TokenRate:
    """A token bucket for each client. Only clients that have authenticated have one: no stranger can empty it.

    Args:
        clock: seconds; monotonic.
        limit: clients at a time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, limit: int = MAX_CLIENTS) -> None:
        self._clock, self._limit = clock, limit
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def wait_seconds(self, client_id: str) -> float:
        """0 when the client may have a token (which is counted), else the seconds after which it may."""
        now = self._clock()
        bucket = self._buckets.get(client_id)
        if bucket is None:
            if len(self._buckets) >= self._limit:
                self._buckets.popitem(last=False)
            bucket = self._buckets[client_id] = TokenBucket(BURST, now)
        self._buckets.move_to_end(client_id)
        return bucket.take(1.0, burst=BURST, rate=1 / SECONDS_PER_TOKEN, now=now)
