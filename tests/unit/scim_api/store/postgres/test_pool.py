"""The pool of connections: nobody waits without need, no connection is lost, and none is lent in disorder."""

import asyncio

import asyncpg
import pytest

from scim_api.store.errors import ReadOnly, Unavailable
from scim_api.store.postgres import pool as module
from scim_api.store.postgres.pool import IDLE_SECONDS
from support.pool import Borrower, World, borrowing, finish, settle


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


class TestReadOnly:
    async def test_a_refused_write_ends_all_that_are_idle_and_those_that_are_lent_as_they_come_back(
        self,
    ) -> None:
        world = World(4)
        await finish(*await borrowing(world, 4))
        refused, lent = await borrowing(world, 2)
        refused.end.set_exception(asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"))
        await finish(refused)

        with pytest.raises(ReadOnly, match="cannot execute INSERT"):
            await refused.task
        assert world.open == [lent.held]
        await finish(lent)
        assert world.open == []
        await finish(*await borrowing(world, 4))
        assert len(world.opened) == 8

    async def test_what_was_opened_since_outlives_who_is_refused_later_on_an_old_connection(self) -> None:
        world = World(3)
        first, second = await borrowing(world, 2)
        for late in (first, second):
            late.end.set_exception(asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT"))
        await finish(first)
        await finish(*await borrowing(world, 1))
        await finish(second)

        assert world.open == [world.opened[2]]

    async def test_who_waits_gets_a_new_connection_and_not_the_old_one(self) -> None:
        world = World(1)
        holder, waiter = await borrowing(world, 2)
        world.pool.renew()
        await finish(holder)
        await settle()
        world.connect()
        await settle()

        assert waiter.held is world.opened[1]
        assert world.open == [world.opened[1]]
        await finish(waiter)

    async def test_a_write_on_a_standby_is_tried_once_more_and_no_oftener(self) -> None:
        tries = 0

        async def attempt() -> int:
            nonlocal tries
            tries += 1
            raise ReadOnly("a standby")

        with pytest.raises(ReadOnly):
            await module.with_retries(attempt)
        assert tries == 2


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
