"""Tenants that come, are written to, and are purged while all else goes on."""

import asyncio
import contextlib
from typing import Final

from scim_api.store.errors import Unavailable
from torture.changes.rules import Fault, State, Violation, judge_log
from torture.changes.world import World
from torture.changes.writers import Writers

CONNECTIONS: Final = 3
SECONDS: Final = 2.0
"""For how long each is written to."""
PURGE_ROUNDS: Final = 1_000


class Leaving:
    """Makes such tenants.

    Args:
        world: where.
        seed: of what is written.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._seed = world, seed
        self._tenants: dict[str, int] = {}
        self.changes = 0
        self.failed: list[Violation] = []

    async def one(self) -> None:
        """One comes and goes."""
        name = f"leaving-{len(self._tenants)}"
        with contextlib.suppress(Unavailable):
            self._tenants[name], token = await self._world.new_tenant(name)
            writers = Writers(self._world.ports, token, self._seed, 50)
            stop = asyncio.Event()
            writing = asyncio.create_task(writers.run(stop, CONNECTIONS))
            try:
                await asyncio.sleep(SECONDS)
                await self._world.delete_tenant(name)
            finally:
                stop.set()
                await writing
                self.failed += writers.failed

    async def finish(self) -> list[Violation]:
        """See all of them off: each row of the log has its end."""
        found = list(self.failed)
        for name, tenant in self._tenants.items():
            await self._world.delete_tenant(name)
            if not await self._is_purged(tenant):
                found.append(Violation(Fault.STUCK, f"tenant {name} was not purged"))
            rows = await self._world.tables.log(tenant)
            self.changes += len(rows)
            found += judge_log(rows, State())
        return found

    async def _is_purged(self, tenant: int) -> bool:
        """Purge as the service does every few seconds, and look."""
        async with self._world.store() as store:
            for _ in range(PURGE_ROUNDS):
                await store.purge()
                if await self._world.tables.is_purged(tenant):
                    return True
        return False
