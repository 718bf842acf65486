"""One who follows the changes and keeps a copy, and may be ended at any moment and begin again from what it saved."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from torture.changes.client import Unanswered
from torture.changes.copy import Copy, Reading, Told
from torture.changes.rules import Deliveries

RETRY_SECONDS: Final = 0.1


class Gone(Exception):
    """The cursor leads nowhere any more: a snapshot has to come in its place."""


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """What a source had after a cursor."""

    changes: Sequence[Told]
    cursor: str
    is_all: bool
    """Whether there was no more when it was asked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything, read after the cursor was taken."""

    cursor: str
    resources: Mapping[str, Reading]
    memberships: Iterable[tuple[str, str]]


class Source(Protocol):
    """A way to hear of changes. All methods raise ``Unanswered`` when nobody answers."""

    async def news(self, cursor: str | None) -> News:
        """Changes after a cursor, or from the oldest; waits a while for some. Raises ``Gone``."""

    async def read(self, changes: Sequence[Told]) -> Mapping[str, Reading | None]:
        """The resources that changes are about, as they are now, by their ids."""

    async def snapshot(self) -> Snapshot:
        """Everything there is."""

    def hurry(self) -> None:
        """Do not wait for changes any more."""

    async def close(self) -> None:
        """Leave no connection behind: the follower ends."""


class Follower:
    """Keeps a copy up to date until it is stopped.

    Args:
        name: for the table.
        source: what it hears of changes by.
        copy: what it keeps.
    """

    def __init__(self, name: str, source: Source, copy: Copy) -> None:
        self.name, self.source, self.copy = name, source, copy
        self.told = Deliveries()
        self.snapshots = 0
        self._life: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, from what was saved."""
        self._life = asyncio.create_task(self._run(), name=f"follower {self.name}")

    async def stop(self) -> None:
        """End it wherever it is. Raises what it failed with."""
        life, self._life = self._life, None
        if life is not None:
            life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await life
        await self.source.close()

    async def restart(self) -> None:
        """End it wherever it is, and begin again from what it saved."""
        await self.stop()
        self.copy.restart()
        self.told.runs += 1
        self.start()

    async def expire(self, cursor: str) -> None:
        """Restart it with a cursor that leads nowhere."""
        await self.stop()
        self.copy.begin()
        self.copy.save(cursor)
        self.start()

    async def finish(self, seconds: float) -> bool:
        """Restart it once more, and read to the end; False when that takes longer than this."""
        await self.stop()
        self.copy.restart()
        self.told.runs += 1
        self.source.hurry()
        try:
            async with asyncio.timeout(seconds):
                while not await self._step():
                    pass
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        while True:
            await self._step()

    async def _step(self) -> bool:
        """A page, or a snapshot when the cursor leads nowhere; whether there was no more."""
        try:
            return await self.follow()
        except Gone:
            await self._again(self.start_anew)
        except Unanswered:
            await asyncio.sleep(RETRY_SECONDS)
        return False

    async def _again(self, action: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await action()
            except Unanswered:
                await asyncio.sleep(RETRY_SECONDS)

    async def follow(self) -> bool:
        """One page into the copy; whether there was no more."""
        asked = time.time()
        news = await self.source.news(self.copy.cursor)
        pks = [change.pk for change in news.changes]
        self.told.receive(pks, asked, time.time(), is_all=news.is_all)
        await self._again(lambda: self._apply(news))
        self.told.apply(pks)
        return news.is_all

    async def _apply(self, news: News) -> None:
        read = await self.source.read(news.changes)
        self.copy.begin()
        self.copy.apply(news.changes, read)
        self.copy.save(news.cursor)

    async def start_anew(self) -> None:
        """A snapshot in the place of what it has."""
        snapshot = await self.source.snapshot()
        self.copy.begin()
        self.copy.forget()
        for identity, reading in snapshot.resources.items():
            self.copy.put(identity, reading)
        self.copy.add_members(snapshot.memberships)
        self.copy.save(snapshot.cursor)
        self.snapshots += 1
        self.told.runs += 1
