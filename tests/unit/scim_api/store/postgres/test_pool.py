"""The pool of connections: nobody waits without need, no connection is lost, and none is lent in disorder.

Connections are fakes, opened when the test says so, and time stands still unless the test moves it.
"""

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scim_api.store.errors import Unavailable
from scim_api.store.postgres import pool as module
from scim_api.store.postgres.pool import IDLE_SECONDS, Connection, Pool

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


class TestLending:
    async def test_what_comes_back_is_lent_again_and_the_one_needed_last_first(self) -> None:
        world = World(3)
        first, second = await borrowing(world, 2)
        connections = [first.held, second.held]
        await finish(first)
        await finish(second)

        [third] = await borrowing(world, 1)

        assert third.held is connections[1]
        assert world.opened == connections
        await finish(third)

    async def test_waiters_are_served_in_their_order(self) -> None:
        world = World(1)
        holder, *waiters = await borrowing(world, 4)
        served = []
        await finish(holder)
        for _ in range(3):
            await settle()
            [now] = [one for one in waiters if one.held is not None]
            served.append(now)
            await finish(now)

        assert served == waiters
        assert len(world.opened) == 1

    async def test_a_newcomer_does_not_overtake_who_was_served_but_has_not_awoken(self) -> None:
        world = World(1)
        holder, waiter = await borrowing(world, 2)
        holder.end.set_result(None)
        newcomer = Borrower(world)
        await settle()

        assert waiter.held is world.opened[0]
        assert newcomer.held is None
        await finish(holder, waiter, newcomer)

    async def test_a_waiter_that_is_cancelled_as_it_is_served_passes_the_connection_on(self) -> None:
        world = World(1)
        holder, gone, next_one = await borrowing(world, 3)
        holder.end.set_result(None)
        while not world.pool._waiting[0].done() and len(world.pool._waiting) == 2:
            await asyncio.sleep(0)  # until it is handed over; the waiter has not run yet
        gone.task.cancel()
        await settle()

        assert gone.task.cancelled()
        assert next_one.held is world.opened[0]
        assert not world.opened[0].closed
        await finish(holder, next_one)
        assert len(world.pool._idle) == 1

    async def test_a_waiter_that_is_cancelled_as_it_may_open_one_passes_the_right_on(self) -> None:
        world = World(1)
        first = Borrower(world)
        await settle()
        gone, next_one = Borrower(world), Borrower(world)
        await settle()
        world.opening[0].set_exception(OSError("refused"))
        while len(world.pool._waiting) == 2:
            await asyncio.sleep(0)
        gone.task.cancel()
        await settle()

        assert len(world.opening) == 1
        world.connect()
        await settle()
        assert next_one.held is world.opened[0]
        await finish(first, gone, next_one)

    async def test_who_waits_too_long_gets_unavailable_and_nothing_is_kept_for_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World(1)
        [holder] = await borrowing(world, 1)
        monkeypatch.setattr(module, "ACQUIRE_SECONDS", 0.0)

        with pytest.raises(Unavailable, match="no answer in time"):
            await world.pool.fetch("SELECT 1", ())

        await finish(holder)
        assert await world.pool.fetch("SELECT 1", ()) == []
        assert len(world.opened) == 1


class TestConnecting:
    async def test_one_that_cannot_be_opened_frees_its_place_and_whoever_waits_tries(self) -> None:
        world = World(1)
        unlucky, waiter = Borrower(world), Borrower(world)
        await settle()
        assert len(world.opening) == 1

        world.opening[0].set_exception(ConnectionRefusedError("refused"))
        await settle()

        with pytest.raises(Unavailable, match="refused"):
            await unlucky.task
        connection = world.connect()
        await settle()
        assert waiter.held is connection
        await finish(waiter)

    async def test_who_is_cancelled_while_connecting_frees_its_place(self) -> None:
        world = World(1)
        gone, waiter = Borrower(world), Borrower(world)
        await settle()
        gone.task.cancel()
        await settle()

        connection = world.connect()
        await settle()
        assert waiter.held is connection
        await finish(waiter)

    async def test_a_connection_that_the_server_closed_is_not_lent_and_frees_its_place(self) -> None:
        world = World(1)
        await finish(*await borrowing(world, 1))
        world.opened[0].closed = True

        [later] = await borrowing(world, 1)

        assert later.held is world.opened[1]
        await finish(later)

    async def test_a_connection_that_nobody_needed_for_long_is_ended(self) -> None:
        world = World(2)
        await finish(*await borrowing(world, 2))
        world.now = IDLE_SECONDS
        await finish(*await borrowing(world, 1))
        assert len(world.open) == 2

        world.now += 0.5
        await finish(*await borrowing(world, 1))

        assert world.open == [world.opened[1]]
        await finish(*await borrowing(world, 2))
        assert len(world.opened) == 3


class TestAfterFailure:
    @pytest.mark.parametrize(
        "error",
        [
            TimeoutError(),
            asyncpg.InterfaceError("another operation is in progress"),
            asyncio.CancelledError(),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_a_connection_that_may_still_be_at_work_is_ended(self, error: BaseException) -> None:
        world = World(1)
        await finish(*await borrowing(world, 1))
        world.opened[0].answer = error

        with pytest.raises((Unavailable, asyncio.CancelledError)):
            await world.pool.fetch("SELECT 1", ())

        assert world.opened[0].closed
        [later] = await borrowing(world, 1)
        assert later.held is world.opened[1]
        await finish(later)

    async def test_an_error_of_sql_keeps_the_connection(self) -> None:
        world = World(1)
        await finish(*await borrowing(world, 1))
        world.opened[0].answer = asyncpg.UniqueViolationError("taken")

        with pytest.raises(asyncpg.UniqueViolationError):
            await world.pool.fetch("INSERT", ())

        world.opened[0].answer = []
        assert await world.pool.fetch("SELECT 1", ()) == []
        assert world.opened == world.open

    async def test_a_transaction_that_a_failure_left_open_does_not_come_back(self) -> None:
        world = World(1)
        [borrower] = await borrowing(world, 1)
        world.opened[0].in_transaction = True
        borrower.end.set_exception(asyncpg.UniqueViolationError("taken"))
        await finish(borrower)

        assert world.opened[0].closed

    async def test_a_transaction_that_a_borrower_forgot_does_not_come_back(self) -> None:
        world = World(1)
        [borrower] = await borrowing(world, 1)
        world.opened[0].in_transaction = True
        await finish(borrower)

        assert world.opened[0].closed


class TestClosing:
    async def test_it_waits_for_borrowers_and_then_refuses(self) -> None:
        world = World(2)
        await finish(*await borrowing(world, 2))
        [holder] = await borrowing(world, 1)
        closing = asyncio.create_task(world.pool.close())
        await settle()

        assert not closing.done()
        assert world.opened == world.open
        await finish(holder)
        await closing

        assert all(one.ended_in_order for one in world.opened)
        with pytest.raises(Unavailable, match="closed"):
            await world.pool.fetch("SELECT 1", ())

    async def test_who_waits_is_refused(self) -> None:
        world = World(1)
        holder, waiter = await borrowing(world, 2)
        closing = asyncio.create_task(world.pool.close())

        with pytest.raises(Unavailable, match="closed"):
            await waiter.task
        await finish(holder)
        await closing

    async def test_a_connection_that_comes_to_be_afterwards_is_ended(self) -> None:
        world = World(1)
        late = Borrower(world)
        await settle()
        await world.pool.close()

        world.connect()
        await settle()

        assert late.held is None
        with pytest.raises(Unavailable, match="closed"):
            await late.task
        assert world.open == []


ENDS: st.SearchStrategy[Exception | None] = st.one_of(
    st.none(),
    st.builds(TimeoutError),
    st.builds(asyncpg.InterfaceError, st.just("in use")),
    st.builds(asyncpg.UniqueViolationError, st.just("taken")),
    st.builds(asyncpg.ConnectionDoesNotExistError, st.just("gone")),
)


class Lending(RuleBasedStateMachine):
    """Borrowers come, wait, hold, fail and are cancelled, connections are refused and lost, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.borrowers: list[Borrower] = []

    def run(self, *steps: Callable[[], object]) -> None:
        """Do all of it before anybody else has a turn, and then let everybody have as many as they want."""

        async def together() -> None:
            for step in steps:
                step()
            await settle()

        self.loop.run_until_complete(together())
        for one in self.borrowers:
            for done in (one.task, one.end):
                if done.done() and not done.cancelled():
                    done.exception()  # is seen, so that nothing is logged of it
        self.borrowers = [one for one in self.borrowers if not one.task.done()]

    @initialize(size=st.integers(1, 3))
    def begin(self, size: int) -> None:
        self.world = World(size)

    @property
    def holders(self) -> list[Borrower]:
        return [one for one in self.borrowers if one.held is not None and not one.end.done()]

    @rule(number=st.integers(1, 3))
    def come(self, number: int) -> None:
        self.run(*[lambda: self.borrowers.append(Borrower(self.world))] * number)

    @precondition(lambda self: self.world.opening)
    @rule(which=st.integers(0, 9), error=st.one_of(st.none(), st.builds(OSError, st.just("refused"))))
    def connect(self, which: int, error: Exception | None) -> None:
        position = which % len(self.world.opening)
        if error is None:
            self.run(lambda: self.world.connect(position))
        else:
            self.run(lambda: self.world.opening[position].set_exception(error))

    @precondition(lambda self: self.holders)
    @rule(
        which=st.integers(0, 9), end=ENDS, closed=st.sampled_from([False, False, True]), open_=st.booleans()
    )
    def let_go(self, which: int, end: Exception | None, closed: bool, open_: bool) -> None:
        self.run(*self._letting_go(self.holders[which % len(self.holders)], end, closed=closed, open_=open_))

    @precondition(lambda self: self.holders and len(self.borrowers) > 1)
    @rule(holder=st.integers(0, 9), gone=st.integers(0, 9), turns=st.integers(0, 4), end=ENDS)
    def let_go_and_cancel_another(self, holder: int, gone: int, turns: int, end: Exception | None) -> None:
        """The other one is cancelled before, while or after it is served."""
        one = self.holders[holder % len(self.holders)]
        others = [other for other in self.borrowers if other is not one]
        self.loop.run_until_complete(self._one_after_the_other(one, others[gone % len(others)], turns, end))
        self.run()

    async def _one_after_the_other(
        self, one: Borrower, other: Borrower, turns: int, end: Exception | None
    ) -> None:
        for step in self._letting_go(one, end, closed=False, open_=False):
            step()
        for _ in range(turns):
            await asyncio.sleep(0)
        other.task.cancel()

    def _letting_go(
        self, one: Borrower, end: Exception | None, *, closed: bool, open_: bool
    ) -> list[Callable[[], object]]:
        held = one.held
        assert held is not None

        def go() -> None:
            held.closed = held.closed or closed
            held.in_transaction = open_
            if end is None:
                one.end.set_result(None)
            else:
                one.end.set_exception(end)

        return [go]

    @precondition(lambda self: self.borrowers)
    @rule(which=st.integers(0, 9), more=st.integers(0, 2))
    def cancel(self, which: int, more: int) -> None:
        at = which % len(self.borrowers)
        self.run(*[one.task.cancel for one in self.borrowers[at : at + 1 + more]])

    @precondition(lambda self: self.world.opened)
    @rule(which=st.integers(0, 9))
    def lose(self, which: int) -> None:
        """The server ends a connection, idle or lent."""
        self.world.opened[which % len(self.world.opened)].closed = True

    @rule(seconds=st.sampled_from([1.0, IDLE_SECONDS + 1]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @invariant()
    def every_place_is_accounted_for(self) -> None:
        pool = self.world.pool
        assert pool._free + len(pool._borrowed) + len(pool._idle) + len(self.world.opening) == self.world.size
        assert pool._free >= 0
        assert len(self.world.open) + len(self.world.opening) <= self.world.size

    @invariant()
    def every_connection_is_held_by_one(self) -> None:
        held = [id(one.held) for one in self.borrowers if one.held is not None]
        assert len(held) == len(set(held))
        assert set(held) == {id(one) for one in self.world.pool._borrowed}
        idle = {id(one) for _, one in self.world.pool._idle}
        assert not idle & set(held)
        assert {id(one) for one in self.world.open} <= idle | set(held)

    @invariant()
    def nobody_waits_without_need(self) -> None:
        if any(not waiter.done() for waiter in self.world.pool._waiting):
            assert not self.world.pool._free
            assert not self.world.pool._idle

    @invariant()
    def none_comes_back_in_a_transaction(self) -> None:
        assert not any(one.is_in_transaction() for _, one in self.world.pool._idle)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for _ in range(2 * len(self.borrowers)):  # each opens what is asked for, or lets go
                for one in self.holders:
                    self.run(functools.partial(one.end.set_result, None))
                while self.world.opening:
                    self.run(self.world.connect)
            left, self.borrowers = self.borrowers, []
            for one in left:  # which is wrong; a task that is left would hide why
                one.task.cancel()
            self.loop.run_until_complete(settle())
            self.loop.run_until_complete(self.world.pool.close())
            assert (self.world.open, left) == ([], [])
        self.loop.close()


TestLendingInAnyOrder = Lending.TestCase
TestLendingInAnyOrder.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
