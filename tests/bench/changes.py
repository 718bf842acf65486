"""What it costs to let applications wait for changes, and how soon they hear of one.

Run by ``make bench-changes``, on each database: the memory and the processor time of a thousand requests that wait, and
the time from a change's commit to its answer while two hundred changes a second are made. At the end, what it costs
writers that no reader misses anything: see ``change_order``.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import orjson
import uvloop

from bench import change_order, contenders, pushed_changes
from bench.contenders import OURS, Contender
from bench.load import body_of, percentile, status_of
from bench.workloads import turns_of
from scim_api.http.paths import CHANGES_PATH
from support.postgres import PostgresServer, own_server

PEOPLE: Final = 1_000
WAITING: Final = 1_000
CHANGES_PER_SECOND: Final = 200.0
FOLLOWERS: Final = 10
GOAL_MEMORY: Final = 100 * 1024 * 1024
"""Bytes that ``WAITING`` requests may take."""
GOAL_CPU: Final = 0.02
"""Of one core, while they wait."""
GOAL_P99: Final = 0.300
"""Seconds from the commit to the follower."""
GOAL_PUSHED_P99: Final = 1.0
"""Seconds from the commit to a webhook's receiver."""


def say(text: str) -> None:
    """Progress."""
    print(text, flush=True)


class Feed:
    """One connection that asks for changes.

    Args:
        contender: whom.
        token: with it.
    """

    def __init__(self, contender: Contender, token: str) -> None:
        self._port, self._token = contender.port, token
        self.cursor = "now"
        self.lags: list[float] = []

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, wait: int) -> list[dict[str, Any]]:
        """The next page, which may be waited for, in seconds."""
        head = f"GET {CHANGES_PATH}?after={self.cursor}&wait={wait}&limit=1000 HTTP/1.1\r\nHost: scim.example.com\r\n"
        self._writer.write(f"{head}Authorization: Bearer {self._token}\r\n\r\n".encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        answer += await self._reader.readexactly(length)
        if status_of(answer) != 200:
            raise SystemExit(answer.decode())
        page = orjson.loads(body_of(answer))
        self.cursor = page["next"]
        return list(page["changes"])

    async def follow(self) -> None:
        """Ask again and again; keeps how old each change is."""
        while True:
            changes = await self.ask(30)
            now = time.time()
            self.lags += [now - datetime.fromisoformat(change["at"]).timestamp() for change in changes]


async def _waiting(contender: Contender, token: str, seconds: float) -> bool:
    """What requests cost that wait for nothing."""
    async with contextlib.AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(Feed(contender, token)) for _ in range(WAITING)]
        for feed in feeds:
            await feed.ask(0)
        memory, alone = contender.resident(), contender.cpu()
        await asyncio.sleep(seconds)
        alone = contender.cpu() - alone
        asking = [asyncio.create_task(feed.ask(30)) for feed in feeds]
        await asyncio.sleep(2)
        cpu = contender.cpu()
        await asyncio.sleep(seconds)
        cpu = (contender.cpu() - cpu - alone) / seconds
        memory = contender.resident() - memory
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    met = memory < GOAL_MEMORY and cpu < GOAL_CPU
    say(
        f"  {WAITING} waiting: {memory / 2**20:.1f} MiB, {cpu * 100:.2f} % of a core {'' if met else 'MISSED'}"
    )
    return met


async def _latency(contender: Contender, token: str, seconds: float) -> bool:
    """How soon followers hear of changes."""
    async with contextlib.AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(Feed(contender, token)) for _ in range(FOLLOWERS)]
        for feed in feeds:
            await feed.ask(0)
        following = [asyncio.create_task(feed.follow()) for feed in feeds]
        async with contender.client() as client:
            sample = await client.pace(turns_of(contender.asked, "patch", 0), seconds, CHANGES_PER_SECOND)
        await asyncio.sleep(0.5)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
    lags = sorted(lag for feed in feeds for lag in feed.lags)
    told = len(lags) / FOLLOWERS / seconds
    met = percentile(lags, 0.99) < GOAL_P99
    say(
        f"  {sample.rate:.0f} changes/s to {FOLLOWERS} followers, each told {told:.0f}/s: "
        f"p50 {percentile(lags, 0.5) * 1000:.0f} ms, p99 {percentile(lags, 0.99) * 1000:.0f} ms"
        f" {'' if met else 'MISSED'}"
    )
    return met


async def _pushed(contender: Contender, url: str, directory: Path, seconds: float) -> bool:
    """How soon a webhook's receiver hears of changes, and of how many a second."""
    async with pushed_changes.delivering(url, "demo", "contoso", directory) as receiver:
        lags = await pushed_changes.latency(contender, receiver, seconds, CHANGES_PER_SECOND)
        most = await pushed_changes.throughput(contender, receiver, seconds)
    met = percentile(lags, 0.99) < GOAL_PUSHED_P99
    say(
        f"  {CHANGES_PER_SECOND:.0f} changes/s to a webhook: p50 {percentile(lags, 0.5) * 1000:.0f} ms, "
        f"p99 {percentile(lags, 0.99) * 1000:.0f} ms {'' if met else 'MISSED'}; at most {most:.0f} messages/s"
    )
    return met


async def measure(name: str, server: PostgresServer, seconds: float) -> bool:
    """Both on one database; whether the goals are met."""
    kind = name.partition(", ")[2]
    say(f"== {name}")
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        directory = Path(made)
        async with (
            contenders.database(kind, directory, server) as url,
            contenders.ours(name, url, PEOPLE, directory, options=("--max-connections", "4000")) as contender,
        ):
            token = contender.asked.token
            return all(
                [
                    await _waiting(contender, token, seconds),
                    await _latency(contender, token, seconds),
                    await _pushed(contender, url, directory, seconds),
                ]
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="bench.changes", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement (default: 10)")
    options = parser.parse_args(arguments)
    with own_server(settings=contenders.POSTGRES_SETTINGS, on_disk=True) as server:
        met = [uvloop.run(measure(name, server, options.seconds)) for name in OURS]
        say("== changes of one tenant per second, PostgreSQL, 16 connections")
        for way, rate in uvloop.run(change_order.measure(server, options.seconds / 2)).items():
            say(f"  {way}: {rate:.0f}")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
