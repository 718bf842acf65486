"""The follower by webhook of everything, with a tenant and writers of its own.

A message about a resource waits for the one before, and each takes a turn of the dispatcher: a group whose members change
by the thousand would hold up the million changes that the other followers have by then.
"""

import asyncio
import contextlib
from typing import Final

import asyncpg

from torture.changes.dispatchers import Dispatchers
from torture.changes.late import LateTransactions
from torture.changes.rules import Row, Violation, judge_log
from torture.changes.subscription import Subscribed, Subscription
from torture.changes.world import World
from torture.changes.writers import Writers

CONNECTIONS: Final = 6
CROWD: Final = 400
LARGEST: Final = 20
"""Members that come or go at a time, at most."""
BACKLOG: Final = 2_000
"""Messages that the receiver may be behind before the writers wait for it: more than are queued at a time."""
LOOK_SECONDS: Final = 0.25
TENANT: Final = "pushed"


class WebhookSide:
    """A tenant of its own, who writes to it, and a webhook of all its changes.

    Args:
        world: the processes.
        dispatchers: who delivers.
        seed: of what is written, and of what comes of each message.
    """

    def __init__(self, world: World, dispatchers: Dispatchers, seed: int) -> None:
        self._world, self._seed = world, seed
        self.subscription = Subscription("webhook", world, dispatchers)
        self._tenant, self._there = 0, 0

    async def start(self) -> None:
        """Have a tenant with users, then its webhook, then a snapshot."""
        self._tenant, token = await self._world.new_tenant(TENANT)
        self.writers = Writers(self._world.ports, token, self._seed, LARGEST)
        self.late = LateTransactions(self._world.url, self._tenant)
        await self.writers.gather_crowd(CROWD)
        follower = await self.subscription.begin(Subscribed(TENANT, self._tenant, token), self._seed)
        follower.told.began = await self._world.tables.last_change(self._tenant)
        self._there = await self._world.tables.number_of_changes(self._tenant)
        await follower.start_anew()
        follower.start()

    async def write(self, stop: asyncio.Event) -> None:
        """Write until ``stop``; wait for the receiver meanwhile."""
        writing = asyncio.create_task(self.writers.run(stop, CONNECTIONS))
        try:
            while not stop.is_set():
                with contextlib.suppress(
                    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError
                ):
                    number = await self._world.tables.number_of_changes(self._tenant)
                    behind = number - self._there - len(self.subscription.follower.told.applied)
                    (self.writers.go.clear if behind > BACKLOG else self.writers.go.set)()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self.writers.go.set()
            await writing

    async def judge(self, seconds: float) -> tuple[list[Row], list[Violation]]:
        """Its log, and what is wrong when the receiver has had so many seconds to catch up."""
        found = [*self.writers.failed, *await self.subscription.finish(seconds)]
        rows, truth = await self._world.tables.log(self._tenant), await self._world.tables.state(self._tenant)
        return rows, [*found, *judge_log(rows, truth), *self.subscription.judge(rows, truth)]
