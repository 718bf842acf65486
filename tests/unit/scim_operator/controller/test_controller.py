"""The controller: each key once at a time, the earliest moment wins, failures back off, only leaders act."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from scim_api.contract.backoff import Backoff
from scim_operator.controller.controller import Controller
from scim_operator.controller.workqueue import Result
from scim_operator.metrics import Metrics
from scim_operator.planning.ports import Conflict, Key, NotLeading
from support.clock import Clock

A, B, C = Key("ns", "a"), Key("ns", "b"), Key("ns", "c")


class Work:
    """A reconcile that a test lets end, one call at a time."""

    def __init__(self) -> None:
        self.calls: list[Key] = []
        self._ends: dict[Key, asyncio.Future[Result]] = {}

    async def __call__(self, key: Key) -> Result:
        self.calls.append(key)
        end = self._ends[key] = asyncio.Future()
        return await end

    async def end(self, key: Key, result: Result | Exception | None = None) -> None:
        end = self._ends.pop(key)
        if isinstance(result, Exception):
            end.set_exception(result)
        else:
            end.set_result(result or Result())
        await settle()


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def work() -> Work:
    return Work()


Make = Callable[..., Controller]


@pytest.fixture
async def make(clock: Clock, work: Work) -> AsyncIterator[Make]:
    made: list[Controller] = []

    def factory(
        workers: int = 8,
        longest: float | None = None,
        *,
        lead: bool = True,
        rand: Callable[[], float] = lambda: 0.0,
    ) -> Controller:
        controller = Controller(
            work,
            workers=workers,
            max_interval=lambda _key: longest,
            metrics=Metrics(),
            clock=clock,
            backoff=Backoff(first=1, longest=8, rand=lambda: 1.0),
            rand=rand,
        )
        if lead:
            controller.resume()
        made.append(controller)
        return controller

    yield factory
    for controller in made:
        await controller.drain(0)


async def go(controller: Controller) -> float | None:
    pause = controller.dispatch()
    await settle()
    return pause


async def test_a_due_key_is_reconciled(make: Make, work: Work) -> None:
    controller = make()
    controller.add(A)
    await go(controller)
    assert work.calls == [A]


async def test_many_events_for_one_key_are_one_reconcile(make: Make, work: Work) -> None:
    controller = make()
    for _ in range(50):
        controller.add(A)
    await go(controller)
    await work.end(A)
    await go(controller)
    assert work.calls == [A]


async def test_a_key_under_way_is_not_started_a_second_time_but_right_after(make: Make, work: Work) -> None:
    controller = make()
    controller.add(A)
    await go(controller)
    controller.add(A)
    controller.add(A)
    await go(controller)
    assert work.calls == [A]
    await work.end(A)
    await go(controller)
    assert work.calls == [A, A]


async def test_a_later_moment_waits_for_it_and_an_earlier_one_wins(
    make: Make, work: Work, clock: Clock
) -> None:
    controller = make()
    controller.add(A, 100)
    controller.add(A, 30)
    controller.add(A, 60)
    assert await go(controller) == 30
    clock.now += 29.9
    await go(controller)
    assert work.calls == []
    clock.now += 0.2
    await go(controller)
    assert work.calls == [A]
    await work.end(A)
    clock.now += 1000
    await go(controller)
    assert work.calls == [A]


async def test_no_more_than_the_workers_run_at_once(make: Make, work: Work) -> None:
    controller = make(workers=2)
    for key in (A, B, C):
        controller.add(key)
    await go(controller)
    assert work.calls == [A, B]
    await work.end(A)
    await go(controller)
    assert work.calls == [A, B, C]


async def test_the_next_look_of_the_outcome_is_kept(make: Make, work: Work, clock: Clock) -> None:
    controller = make()
    controller.add(A)
    await go(controller)
    await work.end(A, Result(requeue_after=timedelta(days=30)))
    assert await go(controller) == timedelta(days=30).total_seconds()
    clock.now += timedelta(days=30).total_seconds()
    await go(controller)
    assert work.calls == [A, A]


@pytest.mark.parametrize(
    ("wait", "part", "due"),
    [(40, 0.0, 40), (40, 1.0, 40.8), (5_184_000, 0.5, 5_184_030), (5_184_000, 1.0, 5_184_060)],
)
async def test_what_is_planned_for_one_moment_is_spread_behind_it_by_a_share_of_the_wait_and_a_minute_at_most(
    make: Make, work: Work, wait: float, part: float, due: float
) -> None:
    controller = make(rand=lambda: part)
    controller.add(A)
    await go(controller)
    await work.end(A, Result(requeue_after=timedelta(seconds=wait)))
    assert await go(controller) == pytest.approx(due)


async def test_nobody_rests_longer_than_the_recheck(make: Make, work: Work) -> None:
    controller = make(longest=3600)
    controller.add(A)
    await go(controller)
    await work.end(A, Result(requeue_after=timedelta(days=30)))
    assert await go(controller) == 3600


async def test_failures_back_off_exponentially_to_a_limit_and_success_forgets_them(
    make: Make, work: Work, clock: Clock
) -> None:
    controller = make()
    controller.add(A)
    pauses = []
    for failure in (
        RuntimeError("x"),
        Conflict(),
        Result(requeue=True),
        RuntimeError("x"),
        RuntimeError("x"),
    ):
        await go(controller)
        await work.end(A, failure)
        pause = await go(controller)
        assert pause is not None
        pauses.append(pause)
        clock.now += pause
    assert pauses == [1, 2, 4, 8, 8]
    await go(controller)
    await work.end(A)
    controller.add(A)
    await go(controller)
    await work.end(A, Conflict())
    assert await go(controller) == 1


async def test_one_that_fails_does_not_hold_up_the_others(make: Make, work: Work) -> None:
    controller = make(workers=1)
    controller.add(A)
    controller.add(B)
    await go(controller)
    await work.end(A, RuntimeError("broken"))
    await go(controller)
    assert work.calls == [A, B]


async def test_a_standby_starts_nothing(make: Make, work: Work) -> None:
    controller = make(lead=False)
    controller.add(A)
    assert await go(controller) is None
    assert work.calls == []


async def test_lost_leadership_forgets_the_plan_and_plans_nothing_new(
    make: Make, work: Work, clock: Clock
) -> None:
    controller = make()
    controller.add(A)
    controller.add(B, 50)
    await go(controller)
    controller.pause()
    await work.end(A, NotLeading())
    controller.resume()
    clock.now += 1000
    await go(controller)
    assert work.calls == [A]
    assert controller.depth == 0


async def test_what_runs_at_shutdown_ends_or_is_cancelled(make: Make, work: Work) -> None:
    controller = make()
    controller.add(A)
    await go(controller)
    await controller.drain(0)
    assert controller.active_workers == 0


async def test_the_loop_wakes_for_a_key_added_from_outside(make: Make, work: Work) -> None:
    controller = make()
    loop = asyncio.create_task(controller.run())
    await settle()
    controller.add(A)
    await settle()
    assert work.calls == [A]
    loop.cancel()


@pytest.mark.parametrize("rounds", range(6))
async def test_it_ends_when_it_is_cancelled_while_a_reconcile_comes_to_its_end(
    make: Make, work: Work, rounds: int
) -> None:
    controller = make()
    running = asyncio.create_task(controller.run())
    controller.resume()
    controller.add(A)
    controller.add(B, 100.0)
    await settle()
    work._ends.pop(A).set_result(Result())
    for _ in range(rounds):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running}, timeout=1)
    assert running.cancelled(), "it goes on, and the process with it, until it is killed"
