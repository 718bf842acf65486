"""Waking those who wait for changes: one look at the log for all of them, and only while somebody waits.

PostgreSQL's NOTIFY would save the look and cost every writer: it takes a lock of the whole server at each commit, and it
does not pass a pooler in transaction mode. So each process that has somebody waiting asks ten times a second which
tenants' changes were committed since: one statement by an index, however many wait.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import structlog

from scim_api.store.change_log import ChangeLog, CommitWatch
from scim_api.store.errors import Unavailable

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.1
"""Between two looks at the log."""
RESERVED_CONNECTIONS: Final = 100
"""Connections of the public port that waiting requests leave to others, where there are twice as many."""


def most_waiting(connections: int) -> int:
    """How many requests may wait at a time, each on a connection of its own; those beyond are answered at once.

    Args:
        connections: that the public port takes.
    """
    return max(connections - RESERVED_CONNECTIONS, connections // 2)


class ChangeWatch:
    """Who waits for changes of which tenant, in one process.

    Args:
        change_log: the store's.
        limit: requests that may wait at a time.
        seconds: between two looks.
    """

    def __init__(self, change_log: ChangeLog, *, limit: int, seconds: float = LOOK_SECONDS) -> None:
        self._change_log, self._limit, self._seconds = change_log, limit, seconds
        self._waiting: dict[int, set[asyncio.Event]] = {}
        self._number = 0
        self._begun: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._number

    @contextlib.asynccontextmanager
    async def changes_of(self, tenant: int) -> AsyncIterator[asyncio.Event | None]:
        """An event that is set for whatever is committed in the tenant from here on; sometimes for nothing.

        None when too many wait already, or the process is about to end.

        Raises:
            Unavailable: the database does not answer.
        """
        if self._stopped or self._number >= self._limit:
            yield None
            return
        event = asyncio.Event()
        self._waiting.setdefault(tenant, set()).add(event)
        self._number += 1
        try:
            await self._begin()
            yield event
        finally:
            self._number -= 1
            self._waiting[tenant].discard(event)
            if not self._waiting[tenant]:
                del self._waiting[tenant]

    def stop(self) -> None:
        """Have everybody answered now: the process is about to end."""
        self._stopped = True
        self._wake(None)

    async def _begin(self) -> None:
        """Return once whatever is committed from now on will be seen. Raises what the first look does."""
        if self._begun is None:
            self._begun = asyncio.create_task(self._first_look(), name="change watch begins")
            self._begun.add_done_callback(_take_exception)  # everybody may have gone
        await asyncio.shield(self._begun)

    async def _first_look(self) -> None:
        commits = CommitWatch(self._change_log)
        try:
            await commits.look()
        except BaseException:
            self._begun = None
            raise
        self._looking = asyncio.create_task(self._look(commits), name="change watch")

    async def _look(self, commits: CommitWatch) -> None:
        """Look while somebody waits."""
        try:
            while self._waiting:
                await asyncio.sleep(self._seconds)
                with contextlib.suppress(Unavailable):  # who waits asks the database at the end, and tells
                    self._wake(await commits.look())
        finally:
            self._begun = None
            self._wake(None)  # there are some only after an error

    def _wake(self, tenants: frozenset[int] | None) -> None:
        """Wake those who wait for changes of some tenants; None: all."""
        for tenant in tuple(self._waiting) if tenants is None else tenants:
            for event in self._waiting.get(tenant, ()):
                event.set()


def _take_exception(task: "asyncio.Task[None]") -> None:
    if not task.cancelled():
        task.exception()
