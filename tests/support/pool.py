"""A pool of connections that the test opens, and borrowers that do as they are told.

Connections are fakes, opened when the test says so, and time stands still unless the test moves it.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from scim_api.store.postgres.connecting import Connection
from scim_api.store.postgres.pool import Pool

TURNS = 8
"""Passes of the event loop after which everything that can happen without the test has happened."""


class FakeConnection:
    """What the pool asks of a connection."""

    def __init__(self) -> None:
        self.closed = self.in_transaction = self.ended_in_order = False
        self.answer: Sequence[Any] | BaseException = []

    def is_closed(self) -> bool:
        return self.closed

    def is_in_transaction(self) -> bool:
        return self.in_transaction

    def terminate(self) -> None:
        self.closed = True

    async def close(self, *, timeout: float) -> None:
        assert timeout > 0
        self.closed = self.ended_in_order = True

    async def fetch(self, sql: str, *parameters: object) -> Sequence[Any]:
        await asyncio.sleep(0)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class World:
    """A pool, the clock it reads, and the connections it has opened or is about to open."""

    def __init__(self, size: int) -> None:
        self.now = 0.0
        self.size = size
        self.opened: list[FakeConnection] = []
        self.opening: list[asyncio.Future[FakeConnection]] = []
        self.pool = Pool(cast("Callable[[], Awaitable[Connection]]", self._connect), size, lambda: self.now)

    async def _connect(self) -> FakeConnection:
        connecting: asyncio.Future[FakeConnection] = asyncio.get_running_loop().create_future()
        self.opening.append(connecting)
        try:
            return await connecting
        finally:
            self.opening.remove(connecting)

    def connect(self, position: int = 0) -> FakeConnection:
        """One of the connections under way comes to be."""
        self.opened.append(FakeConnection())
        self.opening[position].set_result(self.opened[-1])
        return self.opened[-1]

    @property
    def open(self) -> list[FakeConnection]:
        return [one for one in self.opened if not one.closed]


@dataclasses.dataclass(eq=False)
class Borrower:
    """A request: it waits for a connection, holds it until the test lets it go, and ends as it is told."""

    world: World
    held: FakeConnection | None = None
    task: asyncio.Task[None] = dataclasses.field(init=False)
    end: asyncio.Future[None] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.end = loop.create_future()
        self.task = loop.create_task(self._borrow())

    async def _borrow(self) -> None:
        async with self.world.pool.connection() as connection:
            self.held = cast("FakeConnection", connection)
            try:
                await self.end
            finally:
                self.held = None


async def settle() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def borrowing(world: World, number: int) -> list[Borrower]:
    """So many borrowers of whom each holds a connection of its own, or waits."""
    borrowers = []
    for _ in range(number):
        borrowers.append(Borrower(world))
        await settle()
        if world.opening:
            world.connect()
            await settle()
    return borrowers


async def finish(*borrowers: Borrower) -> None:
    for one in borrowers:
        if not one.end.done():
            one.end.set_result(None)
    await asyncio.gather(*(one.task for one in borrowers), return_exceptions=True)
