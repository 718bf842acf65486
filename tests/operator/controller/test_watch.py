"""One watch on a real API server: it waits for what is in its way, says so, and ends when it is asked to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from localcluster import ControlPlane
from scim_operator.adapters.watch_access import Obstacle, WatchTarget
from scim_operator.controller.watch import Watch
from scim_operator.controller.watch_events import WatchEvent
from support.installed import applied, manifest


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, polling; fails the test when the time is over."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


class Case:
    """A watch on one namespace, with what is in its way and what it has seen."""

    def __init__(self, namespace: str) -> None:
        self.obstacle: Obstacle | None = None
        self.asked = 0
        self.seen: list[WatchEvent] = []
        self.watch = Watch(
            WatchTarget("scimtokens", namespace),
            put=self.seen.append,
            find_obstacle=self.find_obstacle,
            restarted=lambda: None,
        )

    async def find_obstacle(self, _target: WatchTarget) -> Obstacle | None:
        self.asked += 1
        return self.obstacle


@pytest.fixture
async def case(
    quiet_namespace: str, operator_kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Case]:
    monkeypatch.setenv("KUBECONFIG", str(operator_kubeconfig))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    made = Case(quiet_namespace)
    yield made
    made.watch.ask_to_stop()
    assert await asyncio.to_thread(made.watch.join, 10)


async def test_it_is_not_open_before_nothing_is_in_the_way_any_more(
    case: Case, installed: ControlPlane, quiet_namespace: str
) -> None:
    case.obstacle = Obstacle("not permitted", in_namespace_only=True)
    case.watch.start()
    await until(lambda: case.asked > 1)
    assert (case.watch.is_open, case.watch.obstacle) == (False, case.obstacle)
    case.obstacle = None
    await until(lambda: case.watch.is_open)
    assert case.watch.obstacle is None
    await asyncio.to_thread(applied, installed, manifest("entra", quiet_namespace))
    await until(lambda: bool(case.seen))


async def test_it_ends_when_it_is_asked_to_also_while_something_is_in_the_way(case: Case) -> None:
    case.obstacle = Obstacle("not permitted", in_namespace_only=True)
    case.watch.start()
    await until(lambda: case.asked > 0)
    assert case.watch.silent_seconds() < 5
    case.watch.ask_to_stop()
    assert await asyncio.to_thread(case.watch.join, 10)
    assert not case.watch.is_open


async def test_one_that_was_never_started_has_ended() -> None:
    watch = Case("anywhere").watch
    watch.ask_to_stop()
    assert watch.join(0)
