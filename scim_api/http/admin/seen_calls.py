"""Which admin calls this process has taken, so that a captured one is not taken again."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from scim_api.contract.signing import LONGEST_VALIDITY

MAX_CALLS: Final = 50_000
"""Calls remembered at a time, of some 200 bytes each: 138 a second for as long as a signature can hold."""


class SeenCalls:
    """Nonces of calls, each for as long as its signature can hold; in the memory of one process.

    Only the operator's key can add one. Beyond ``limit`` the oldest is forgotten: a busy operator is not refused.

    Args:
        limit: nonces at a time.
        clock: seconds; monotonic.
    """

    def __init__(self, limit: int = MAX_CALLS, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def is_first(self, nonce: str) -> bool:
        """Whether this nonce comes for the first time; remembers it."""
        now = self._clock()
        while self._seen and next(iter(self._seen.values())) <= now:
            self._seen.popitem(last=False)
        if nonce in self._seen:
            return False
        if len(self._seen) >= self._limit:
            self._seen.popitem(last=False)
        self._seen[nonce] = now + LONGEST_VALIDITY.total_seconds()
        return True
