"""Many tenants on one worker: what one of them does to the others, and how much all of them get.

Run by ``make bench-tenants``. First a quiet tenant's latencies, alone and beside a neighbour's initial
cycle: one that waits when it is told to, as Entra does, and one that hammers on sixteen connections. Then a
hundred tenants together, at rates that grow until the timetable is not kept any more.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import statistics
import sys
import tempfile
from collections.abc import Generator, Sequence
from pathlib import Path

import uvloop

from bench import contenders, loading
from bench.contenders import OURS, Contender
from bench.load import Client, Exchange, Sample, Turns, percentile
from bench.population import identity
from bench.workloads import Asked, turns_of
from scim_api.contract.admin import RateLimit
from support.postgres import PostgresServer, own_server

TENANTS, PEOPLE = 100, 100
"""And two more for the first part."""
PER_TENANT = 25
"""Requests per second that Microsoft asks for each tenant."""
GOAL_P99 = 1.3
"""Of a tenant beside a neighbour's initial cycle at its rate, times that of the tenant alone."""
GOAL_ALL_P99_SECONDS = 0.02
"""Of a hundred tenants, each at its rate."""
KEPT = 0.98
"""Of the timetable, to say that a rate was carried."""
SLOWEST_SECONDS = 1.0


def _hammering(asked: Asked) -> Turns:
    """Reads without a pause, whatever the answer is."""
    numbers = itertools.cycle(range(asked.count))

    def turn() -> Generator[Exchange, bytes, None]:
        yield Exchange(asked.get(identity(next(numbers))).request)

    return Turns(turn)


def _of_all(tenants: Sequence[Asked], seed: int) -> Turns:
    """New people's initial cycles, of one tenant after the other."""
    endless = itertools.cycle([turns_of(asked, "Entra mix", seed) for asked in tenants])

    def turn() -> Generator[Exchange, bytes, None]:
        yield from next(endless).begin()

    return Turns(turn, 4)


async def _neighbours(contender: Contender, quiet: Asked, loud: Asked, rounds: int) -> dict[str, list[float]]:
    """The quiet tenant's p99 in seconds, per round, by what the neighbour does."""
    found: dict[str, list[float]] = {"alone": [], "beside one at its rate": [], "beside one that hammers": []}
    limit = RateLimit().requests_per_second
    for turn in range(rounds):
        for name, latencies in found.items():
            async with contender.client() as mine, contender.client() as theirs:
                seconds = 4.0
                other: asyncio.Future[Sample] | None = None
                if name == "beside one at its rate":
                    pace = theirs.pace(turns_of(loud, "Entra mix", turn), seconds, limit * 0.9)
                    other = asyncio.ensure_future(pace)
                elif name == "beside one that hammers":
                    other = asyncio.ensure_future(theirs.saturate(_hammering(loud), seconds))
                sample = await mine.pace(turns_of(quiet, "get", turn), seconds, PER_TENANT)
                latencies.append(percentile(sample.latencies, 0.99))
                if other is not None:
                    await other
    return found


async def _ramp(contender: Contender, tenants: Sequence[Asked], rates: Sequence[int]) -> dict[int, float]:
    """p99 in seconds of each rate, in requests per second of all together, that was carried."""
    carried: dict[int, float] = {}
    for turn, rate in enumerate(rates):
        async with Client("127.0.0.1", contender.port, 200) as client:
            sample = await client.pace(_of_all(tenants, turn), 5.0, rate)
        p50, p99 = (percentile(sample.latencies, share) * 1000 for share in (0.5, 0.99))
        kept = sample.rate >= KEPT * rate and p99 < SLOWEST_SECONDS * 1000
        print(
            f"  {rate:5} requests/s of {len(tenants)} tenants, {rate / len(tenants):.1f} each:"
            f" p50 {p50:.1f} ms, p99 {p99:.1f} ms{'' if kept else ', not carried'}",
            flush=True,
        )
        if not kept:
            break
        carried[rate] = p99 / 1000
    return carried


async def measure(name: str, server: PostgresServer, rounds: int) -> bool:
    """Print the figures of one database; whether the goals are met."""
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        url = await stack.enter_async_context(contenders.database(name.partition(", ")[2], directory, server))
        contender = await stack.enter_async_context(contenders.ours(name, url, PEOPLE, directory))
        tenants = []
        for number in range(TENANTS + 2):
            # Those of the second part are limited at what the machine can do, not at what Entra needs.
            rate = RateLimit() if number < 2 else loading.FAST
            key, token = await loading.connect_tenant(url, f"tenant-{number}", rate)
            await loading.load(url, key, PEOPLE, first=(number + 1) * PEOPLE)
            first = (number + 1) * PEOPLE
            asked = Asked(token, lambda one, first=first: identity(first + one), PEOPLE)  # type: ignore[misc]
            asked.fresh = itertools.count(1_000_000 * (number + 1))
            tenants.append(asked)
        print(name, flush=True)
        async with contender.client() as client:
            await client.saturate(_of_all(tenants[2:], 77), 2.0)
        found = await _neighbours(contender, tenants[0], tenants[1], rounds)
        alone = statistics.median(found["alone"])
        for what, p99s in found.items():
            middle = statistics.median(p99s)
            print(f"  p99 of a tenant at {PER_TENANT} requests/s {what}: {middle * 1000:.1f} ms,"
                  f" {middle / alone:.2f} times")  # fmt: skip
        carried = await _ramp(contender, tenants[2:], range(500, 5_001, 250))
        most = max(carried, default=0)
        print(f"  carried: {most} requests/s; {PER_TENANT} each for {most // PER_TENANT} tenants")
        beside = statistics.median(found["beside one at its rate"]) / alone
        together = carried.get(TENANTS * PER_TENANT, math.inf)
        print(f"  {'ok    ' if beside <= GOAL_P99 else 'MISSED'} beside a neighbour: {beside:.2f} times,"
              f" goal {GOAL_P99}")  # fmt: skip
        print(f"  {'ok    ' if together < GOAL_ALL_P99_SECONDS else 'MISSED'} {TENANTS} tenants at {PER_TENANT}"
              f" requests/s each: p99 {together * 1000:.1f} ms, goal {GOAL_ALL_P99_SECONDS * 1000:.0f} ms")  # fmt: skip
        return beside <= GOAL_P99 and together < GOAL_ALL_P99_SECONDS


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="make bench-tenants", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    async def both(server: PostgresServer) -> list[bool]:
        return [await measure(name, server, arguments.rounds) for name in OURS]

    with (
        own_server(settings=contenders.POSTGRES_SETTINGS, on_disk=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return 0 if all(runner.run(both(server))) else 1


if __name__ == "__main__":
    sys.exit(main())
