"""A lock per tenant for searches that no index answers: one at a time.

There are few places for them, so that they leave the processor to reads by key; a tenant that sends many at
once must not take all of the places.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from scim_api.store.errors import TooSlow

WAIT_SECONDS: Final = 5.0
"""How long a search waits for its tenant's other ones."""


class TenantSearchLocks:
    """One lock for each tenant, first come, first served."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._locks: dict[int, asyncio.Lock] = {}
        self._waiting: dict[int, int] = {}

    @contextlib.asynccontextmanager
    async def hold(self, tenant: int) -> AsyncIterator[None]:
        """Hold the tenant's lock for the length of the block.

        Raises:
            TooSlow: the tenant's other searches took too long.
        """
        lock = self._locks.setdefault(tenant, asyncio.Lock())
        self._waiting[tenant] = self._waiting.get(tenant, 0) + 1
        try:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await lock.acquire()
            except TimeoutError:
                raise TooSlow("the tenant's other searches took too long") from None
            try:
                yield
            finally:
                lock.release()
        finally:
            self._waiting[tenant] -= 1
            if not self._waiting[tenant]:
                del self._waiting[tenant], self._locks[tenant]
