"""The follower by webhook of the tenant that the others follow, too: of users alone, from the first change to the last.

It asks for what examples/consumers/webhook.yaml asks for. Users are many and each is changed seldom, so their messages need
not wait for each other, and a webhook keeps up with them.
"""

from typing import Final

from torture.changes.dispatchers import Dispatchers
from torture.changes.pushed import Fates
from torture.changes.rules import USER_TYPES
from torture.changes.subscription import Subscribed, Subscription
from torture.changes.world import World

CONNECTIONS: Final = 4
"""Of those who write users alone."""
PART: Final = 1 / 12
"""Of all changes, up to which they write: without them hardly one in a hundred would be of a user."""
BACKLOG: Final = 1_000
"""Messages that the receiver may be behind before all writers wait for it, besides those that it was behind at its best: at
first all the users that there are.
"""
FATES: Final[Fates] = (("take", 9_980), ("refuse", 8), ("drop", 4), ("forget", 4), ("slow", 4))
"""Fewer faults than with the other webhook: it is to get through a million changes."""


class UsersWebhook:
    """A webhook of a tenant's users.

    Args:
        world: the processes.
        dispatchers: who delivers.
        tenant: which has no change yet.
        seed: of what comes of each message.
    """

    def __init__(self, world: World, dispatchers: Dispatchers, tenant: Subscribed, seed: int) -> None:
        self._world, self._tenant, self._seed = world, tenant, seed
        self.subscription = Subscription("users", world, dispatchers, types=USER_TYPES, fates=FATES)
        self._wanted, self._last = 0, 0
        self._began: tuple[int, int] | None = None
        """How far both were at the first look, when there were users alone."""
        self.behind, self._least = 0, 0
        """Messages that are to come, about (changes that were committed late are not counted), and the least so far."""

    async def start(self) -> None:
        """Receive from now on. There is no snapshot: nothing happened before."""
        (await self.subscription.begin(self._tenant, self._seed)).start()

    async def look(self) -> None:
        """See how far it is behind."""
        tables = self._world.tables
        number, self._last = await tables.changes_of_users(self._tenant.key, self._last)
        self._wanted += number
        self.behind = max(0, self._wanted - len(self.subscription.follower.told.applied))
        self._least = self.behind if self._began is None else min(self._least, self.behind)
        self._began = self._began or (self._wanted, self._last)

    @property
    def is_far_behind(self) -> bool:
        """Whether nobody should write."""
        return self.behind > self._least + BACKLOG

    @property
    def are_enough(self) -> bool:
        """Whether nobody should write users alone: there are messages enough, or more than ``PART`` of the changes since the
        first look are of users.
        """
        wanted, last = self._began or (0, 0)
        return self.behind > BACKLOG or self._wanted - wanted > (self._last - last) * PART
