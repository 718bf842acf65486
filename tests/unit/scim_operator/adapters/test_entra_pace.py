"""Requests to Microsoft keep to a rate, to its pauses, and to its limit for provisioning on demand."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest

from scim_operator.adapters.entra_pace import DEFAULT_PAUSE, REMEMBERED, EntraPace
from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.ports import Application, EntraError, Obstacle
from support.microsoft import APPLICATION, application


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> EntraPace:
    return EntraPace(2.0, clock=clock, sleep=clock.sleep)


def refused(pace: EntraPace, of: Application = APPLICATION) -> EntraError:
    with pytest.raises(EntraError) as told:
        asyncio.run(pace.admit(of))
    assert told.value.obstacle is Obstacle.UNREACHABLE
    return told.value


def other_tenant() -> Application:
    return dataclasses.replace(APPLICATION, tenant_id="0" * 32)


async def test_requests_keep_to_the_rate_after_a_burst(pace: EntraPace, clock: Clock) -> None:
    await asyncio.gather(*(pace.admit(APPLICATION) for _ in range(6)))
    assert sum(clock.slept) == pytest.approx(2.0)
    await asyncio.gather(*(pace.admit(other_tenant()) for _ in range(4)))
    assert sum(clock.slept) == pytest.approx(4.0)


async def test_a_rate_below_one_lets_the_first_request_go_at_once(clock: Clock) -> None:
    slow = EntraPace(0.1, clock=clock, sleep=clock.sleep)
    await slow.admit(APPLICATION)
    assert clock.slept == []
    await slow.admit(APPLICATION)
    assert sum(clock.slept) == pytest.approx(10.0)


async def test_who_came_first_goes_first(clock: Clock) -> None:
    gate, admitted = asyncio.Event(), list[str]()

    async def until_opened(_seconds: float) -> None:
        await gate.wait()
        await asyncio.sleep(0)

    async def admit(name: str) -> None:
        await narrow.admit(APPLICATION)
        admitted.append(name)

    narrow = EntraPace(1.0, clock=clock, sleep=until_opened)
    await admit("burst")
    waiting = asyncio.create_task(admit("first"))
    await asyncio.sleep(0)
    clock.now += 1
    late = asyncio.create_task(admit("second"))
    await asyncio.sleep(0)
    assert admitted == ["burst"]
    gate.set()
    await waiting
    assert admitted == ["burst", "first"]
    clock.now += 1
    await late


def test_a_pause_is_told_to_everybody_of_the_tenant_and_nobody_waits(pace: EntraPace, clock: Clock) -> None:
    pace.pause(APPLICATION, timedelta(seconds=120))
    clock.now += 20
    error = refused(pace, dataclasses.replace(APPLICATION, service_principal_id="another"))
    assert error.retry_after == timedelta(seconds=100)
    assert "429" in error.message
    asyncio.run(pace.admit(other_tenant()))
    asyncio.run(pace.admit(application(GraphCloud.CHINA)))
    assert clock.slept == []
    clock.now += 100
    asyncio.run(pace.admit(APPLICATION))


def test_a_pause_that_says_no_time_takes_ten_seconds(pace: EntraPace) -> None:
    pace.pause(APPLICATION, None)
    assert refused(pace).retry_after == DEFAULT_PAUSE == timedelta(seconds=10)


def test_a_later_pause_makes_no_earlier_one_shorter(pace: EntraPace) -> None:
    pace.pause(APPLICATION, timedelta(seconds=120))
    pace.pause(APPLICATION, timedelta(seconds=1))
    assert refused(pace).retry_after == timedelta(seconds=120)


async def test_a_pause_that_begins_while_a_request_waits_counts_for_it(pace: EntraPace, clock: Clock) -> None:
    for _ in range(2):
        await pace.admit(APPLICATION)
    waiting = asyncio.create_task(pace.admit(APPLICATION))
    await asyncio.sleep(0)
    pace.pause(APPLICATION, timedelta(seconds=120))
    with pytest.raises(EntraError, match="429"):
        await waiting


def test_no_more_tenants_are_remembered_than_a_bound(pace: EntraPace) -> None:
    for number in range(REMEMBERED + 1):
        pace.pause(Application(GraphCloud.PUBLIC, str(number), "x"), timedelta(seconds=60))
    assert len(pace._paused_until) == REMEMBERED
    refused(pace, Application(GraphCloud.PUBLIC, str(REMEMBERED), "x"))


def test_an_application_is_provisioned_on_demand_five_times_in_ten_seconds(
    pace: EntraPace, clock: Clock
) -> None:
    for _ in range(5):
        pace.admit_on_demand(APPLICATION)
    with pytest.raises(EntraError, match="5 times in 10 seconds") as told:
        pace.admit_on_demand(APPLICATION)
    assert told.value.obstacle is Obstacle.UNREACHABLE
    assert told.value.retry_after == timedelta(seconds=2)
    pace.admit_on_demand(dataclasses.replace(APPLICATION, service_principal_id="another"))
    clock.now += 2
    pace.admit_on_demand(APPLICATION)
