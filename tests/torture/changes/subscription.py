"""A webhook, who receives its messages, and the copy that they keep up to date."""

import functools
from collections.abc import Collection, Sequence
from typing import NamedTuple

from localcluster.ports import free_port
from torture.changes.copy import Copy
from torture.changes.dispatchers import Dispatchers
from torture.changes.feed import Feed
from torture.changes.follower import Follower
from torture.changes.pushed import FATES, Fates, Pushed
from torture.changes.rules import (
    Fault,
    Row,
    State,
    Violation,
    differences,
    judge_deliveries,
    judge_messages,
    of_types,
)
from torture.changes.sql import Table
from torture.changes.world import World


class Subscribed(NamedTuple):
    """The tenant whose changes a webhook is sent."""

    name: str
    key: int
    token: str


class Subscription:
    """A webhook of the dispatchers, and its receiver.

    Args:
        name: of the webhook, and of the follower.
        world: the processes.
        dispatchers: who delivers.
        types: of changes; none: all.
        fates: what comes of messages.
    """

    def __init__(
        self,
        name: str,
        world: World,
        dispatchers: Dispatchers,
        *,
        types: Collection[str] = (),
        fates: Fates = FATES,
    ) -> None:
        self.name, self._world, self._dispatchers = name, world, dispatchers
        self._types, self._fates = types, fates
        self.copy = Copy(world.directory / f"{name}.db")
        self._follower: Follower | None = None

    @property
    def follower(self) -> Follower:
        """Who keeps the copy, since ``begin``."""
        assert self._follower is not None
        return self._follower

    async def begin(self, tenant: Subscribed, seed: int) -> Follower:
        """Make the webhook, which is sent what is committed from now on, and its receiver, which is not started yet.

        Args:
            tenant: whose changes.
            seed: of what comes of each message.
        """
        port, copies = free_port(), Feed(self._world.ports, tenant.token, seed)
        url = f"http://127.0.0.1:{port}/hook"
        self.receiver = Pushed(
            port,
            await self._dispatchers.add(self.name, tenant.name, url, self._types),
            seed,
            # As cheaply as the database lets us.
            reads=copies if self._world.is_file else Table(self._world.url, tenant.key),
            copies=copies,
            backlog=functools.partial(self._dispatchers.backlog, self.name),
            fates=self._fates,
        )
        self._follower = Follower(self.name, self.receiver, self.copy)
        return self._follower

    async def finish(self, seconds: float) -> list[Violation]:
        """Receive to the end; what is wrong when that takes longer than this."""
        is_done = await self.follower.finish(seconds)
        return [] if is_done else [Violation(Fault.STUCK, self.name)]

    def judge(self, rows: Sequence[Row], truth: State) -> list[Violation]:
        """What is wrong with what was received and with the copy: by the tenant's log, and by its tables."""
        told, outages = self.follower.told, self._world.outages
        found = [
            *judge_deliveries(rows, told, outages, types=self._types),
            *judge_messages(rows, self.receiver.taken),
            *self.receiver.failed,
        ]
        named = [Violation(one.fault, f"{self.name}: {one.detail}") for one in found]
        return [
            *named,
            *differences(Fault.COPY, self.name, self.copy.state(), of_types(self._types, truth)),
        ]

    def fates(self) -> str:
        """What came of messages, for the table."""
        return "".join(f", {what} {number:,}" for what, number in self.receiver.fates.most_common())

    async def stop(self) -> None:
        """End the receiver."""
        if self._follower is not None:
            await self._follower.stop()
        self.copy.close()
