"""The follower by webhook, with a tenant and writers of its own.

A message about a resource waits for the one before, and each takes a turn of the dispatcher: a group whose members change
by the thousand would hold up the million changes that the other followers have by then.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import asyncpg

from localcluster.ports import free_port
from torture.changes.copy import Copy
from torture.changes.dispatchers import Dispatchers
from torture.changes.feed import Feed
from torture.changes.follower import Follower
from torture.changes.late import LateTransactions
from torture.changes.pushed import Pushed
from torture.changes.rules import Fault, Row, Violation, differences, judge_deliveries, judge_log
from torture.changes.sql import Table
from torture.changes.world import Database, World
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
    """Dispatchers, a receiver, and who writes what they deliver.

    Args:
        world: the processes.
        seed: of what is written, and of what comes of each message.
        database: resources are read as cheaply as it lets us.
        dispatchers: names of their processes.
    """

    def __init__(self, world: World, seed: int, database: Database, dispatchers: Sequence[str]) -> None:
        self._world, self._seed, self._is_file = world, seed, database == "sqlite"
        self.dispatchers = Dispatchers(world, tuple(dispatchers))
        self.copy = Copy(world.directory / "webhook.db")
        self._tenant, self._there = 0, 0

    async def start(self) -> None:
        """Have a tenant with users, then its webhook, then a snapshot."""
        self._tenant, token = await self._world.new_tenant(TENANT)
        self.writers = Writers(self._world.ports, token, self._seed, LARGEST)
        self.late = LateTransactions(self._world.url, self._tenant)
        await self.writers.gather_crowd(CROWD)
        port, copies = free_port(), Feed(self._world.ports, token, self._seed)
        secret = await self.dispatchers.start(TENANT, f"http://127.0.0.1:{port}/hook")
        self.receiver = Pushed(
            port,
            secret,
            self._seed,
            reads=copies if self._is_file else Table(self._world.url, self._tenant),
            copies=copies,
            backlog=self.dispatchers.backlog,
        )
        self.follower = Follower("webhook", self.receiver, self.copy)
        self.follower.told.began = await self._world.tables.last_change(self._tenant)
        self._there = await self._world.tables.number_of_changes(self._tenant)
        await self.follower.start_anew()
        self.follower.start()

    async def write(self, stop: asyncio.Event) -> None:
        """Write until ``stop``; wait for the receiver meanwhile."""
        writing = asyncio.create_task(self.writers.run(stop, CONNECTIONS))
        try:
            while not stop.is_set():
                with contextlib.suppress(
                    OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError
                ):
                    number = await self._world.tables.number_of_changes(self._tenant)
                    behind = number - self._there - len(self.follower.told.applied)
                    (self.writers.go.clear if behind > BACKLOG else self.writers.go.set)()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self.writers.go.set()
            await writing

    async def judge(self, seconds: float) -> tuple[list[Row], list[Violation]]:
        """Its log, and what is wrong when the receiver has had so many seconds to catch up."""
        found = [*self.writers.failed, *self.dispatchers.failed]
        if not await self.follower.finish(seconds):
            found.append(Violation(Fault.STUCK, self.follower.name))
        rows, truth = await self._world.tables.log(self._tenant), await self._world.tables.state(self._tenant)
        delivered = judge_deliveries(rows, self.follower.told, self._world.outages)
        found += judge_log(rows, truth)
        found += [
            Violation(one.fault, f"webhook: {one.detail}") for one in [*delivered, *self.receiver.failed]
        ]
        return rows, [*found, *differences(Fault.COPY, "webhook", self.copy.state(), truth)]

    def fates(self) -> str:
        """What came of messages, for the table."""
        return "".join(f", {what} {number:,}" for what, number in self.receiver.fates.most_common())

    async def stop(self) -> None:
        """End all of it."""
        if self._tenant:
            await self.follower.stop()
        self.copy.close()
        await self.dispatchers.stop()
