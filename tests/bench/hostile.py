"""What a tenant that sends the most expensive requests does to a quiet one on the same worker.

Run by ``make bench-hostile``. The quiet tenant reads at the rate that Microsoft asks for; beside it another one
sends, three times a second, what costs most for its size. It does so once with the rate limit that every tenant has
by default, and once with one that is out of the way, as an author of ScimTokens may set it.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final

import orjson
import uvloop

from bench import contenders, loading
from bench.contenders import OURS, Contender
from bench.load import Exchange, Turns, percentile
from bench.population import identity
from bench.workloads import PATH, Asked, turns_of
from scim_api.contract.admin import RateLimit
from scim_api.contract.urns import BULK_REQUEST, CORE_USER, PATCH_OP
from scim_api.core.limits import MAX_BODY, MAX_BULK_OPERATIONS
from support.postgres import PostgresServer, own_server

PEOPLE: Final = 100
PER_SECOND: Final = 3.0
"""Requests of the hostile tenant."""
QUIET_PER_SECOND: Final = 25.0
GOAL_P95: Final = 0.010
"""Seconds, for the quiet tenant in its best round, whatever the hostile one sends at the rate limit that every tenant has
by default. The best round, because what else the machine does only adds."""
_START: Final = b'{"schemas":["' + CORE_USER.encode() + b'"],"userName":"hostile",'
_HEAD: Final = _START + b'"emails":[{"type":"work","value":"hostile@contoso.com"}],'
"""Of somebody who may be created."""


def _filled(head: bytes, piece: bytes, tail: bytes) -> bytes:
    return head + piece * ((MAX_BODY - len(head) - len(tail)) // len(piece)) + tail


def _failing_operations() -> bytes:
    """A thousand operations, each of which fails after it was looked for in the database."""
    data = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    operations = [
        {"method": "PATCH", "path": f"/Users/{identity(10_000_000 + number)}", "data": data}
        for number in range(MAX_BULK_OPERATIONS)
    ]
    return orjson.dumps({"schemas": [BULK_REQUEST], "Operations": operations})


def _keys_and_numbers() -> bytes:
    """Near the most values there may be, and each step of reading them takes its long way."""
    pairs = b",".join(b'"k%d":1.10' % number for number in range(24_500))
    return _HEAD + b'"title":"\\":","x":{' + pairs + b'},"y":{' + pairs + b"}}"


BODIES: Final[Mapping[str, tuple[str, bytes]]] = {
    "1 MiB of [],[],": (PATH, _filled(_START + b'"emails":[', b"[],", b"[]]}")),
    "1 MiB of \\u0000": (PATH, _filled(_HEAD + b'"title":"', b"\\u0000", b'"}')),
    "1 MiB of letters": (PATH, _filled(_HEAD + b'"title":"', "Äß".encode(), b'"}')),
    "49,000 keys and numbers": (PATH, _keys_and_numbers()),
    "1,000 failing bulk operations": ("/scim/v2/Bulk", _failing_operations()),
}
"""What is sent -> where, and the body."""


def _sending(asked: Asked, target: str, body: bytes) -> Turns:
    head = (
        asked.request("POST", target, {})
        .removesuffix(b"{}")
        .replace(b"Content-Length: 2", b"Content-Length: %d" % len(body))
    )
    exchange = Exchange(head + body)

    def turn() -> Generator[Exchange, bytes, None]:
        yield exchange

    return Turns(turn)


async def _quiet(
    contender: Contender, quiet: Asked, seconds: float, beside: tuple[Asked, str, bytes] | None
) -> list[float]:
    """The quiet tenant's latencies in seconds."""
    async with contender.client() as mine, contender.client() as theirs:
        other = (
            None
            if beside is None
            else asyncio.ensure_future(theirs.pace(_sending(*beside), seconds, PER_SECOND))
        )
        sample = await mine.pace(turns_of(quiet, "get", 1), seconds, QUIET_PER_SECOND)
        if other is not None:
            await other
    return sample.latencies


async def measure(name: str, server: PostgresServer, rounds: int, seconds: float, only: str) -> bool:
    """Print the figures of one database; whether the goal is met."""
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        url = await stack.enter_async_context(contenders.database(name.partition(", ")[2], directory, server))
        contender = await stack.enter_async_context(contenders.ours(name, url, PEOPLE, directory))
        tenants = []
        for number, rate in enumerate((RateLimit(), RateLimit(), loading.FAST)):
            key, token = await loading.connect_tenant(url, f"tenant-{number}", rate)
            await loading.load(url, key, PEOPLE, first=(number + 1) * PEOPLE)
            first = (number + 1) * PEOPLE
            tenants.append(Asked(token, lambda one, first=first: identity(first + one), PEOPLE))  # type: ignore[misc]
        quiet, limited, unlimited = tenants
        await _quiet(contender, quiet, 1.0, None)
        scenes: dict[str, tuple[Asked, str, bytes] | None] = {"alone": None}
        for what, (target, body) in BODIES.items():
            if only not in what:
                continue
            scenes[f"beside {what}"] = (limited, target, body)
            scenes[f"beside {what}, no rate limit"] = (unlimited, target, body)
        found: dict[str, list[list[float]]] = {what: [] for what in scenes}
        for _ in range(rounds):
            for what, beside in scenes.items():
                found[what].append(await _quiet(contender, quiet, seconds, beside))
        print(
            f"{name}: a tenant at {QUIET_PER_SECOND:.0f} requests/s, p95 of the best round and of the median one"
        )
        met = True
        for what, samples in found.items():
            p95s = sorted(percentile(one, 0.95) * 1000 for one in samples)
            kept = p95s[0] < GOAL_P95 * 1000
            met = met and (kept or "no rate limit" in what)
            print(
                f"  {what}: {p95s[0]:.1f} ms, {statistics.median(p95s):.1f} ms{'' if kept else ', over the goal'}"
            )
        return met


def main() -> int:
    """Print the figures; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(prog="make bench-hostile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default="", help="part of the name of what is sent")
    arguments = parser.parse_args()

    async def both(server: PostgresServer) -> list[bool]:
        return [
            await measure(name, server, arguments.rounds, arguments.seconds, arguments.only) for name in OURS
        ]

    with (
        own_server(settings=contenders.POSTGRES_SETTINGS, on_disk=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return 0 if all(runner.run(both(server))) else 1


if __name__ == "__main__":
    sys.exit(main())
