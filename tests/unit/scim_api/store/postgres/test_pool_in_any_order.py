"""The pool of connections, borrowed from in any order: what must hold after every step."""

import asyncio
import functools
from collections.abc import Callable

import asyncpg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from scim_api.store.postgres.pool import IDLE_SECONDS
from support.pool import Borrower, World, settle

ENDS: st.SearchStrategy[Exception | None] = st.one_of(
    st.none(),
    st.builds(TimeoutError),
    st.builds(asyncpg.InterfaceError, st.just("in use")),
    st.builds(asyncpg.UniqueViolationError, st.just("taken")),
    st.builds(asyncpg.ConnectionDoesNotExistError, st.just("gone")),
    st.builds(asyncpg.ReadOnlySQLTransactionError, st.just("cannot execute INSERT")),
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

    @rule()
    def renew(self) -> None:
        """Somebody else found out that the server takes no writes."""
        self.run(self.world.pool.renew)
        assert not self.world.pool._idle

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
    def what_is_outdated_is_lent_and_never_idle(self) -> None:
        assert self.world.pool._outdated <= self.world.pool._borrowed

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
    suppress_health_check=[HealthCheck.too_slow],
)
