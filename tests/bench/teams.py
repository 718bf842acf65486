"""What a group's size costs: one member added and removed, the whole group read, all groups listed.

Run by ``make bench-groups``. Groups of 10 and of many members stand side by side on both databases, and the
same requests go to each in turn.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import apsw
import asyncpg
import orjson
import uvloop

from bench import contenders
from bench.contenders import OURS, Contender
from bench.load import Client, Exchange, Turns, body_of
from bench.population import identity
from bench.workloads import Asked
from support.postgres import PostgresServer, own_server

SMALL = 10
GROUPS = "/scim/v2/Groups"
_JOIN = (
    "INSERT INTO membership (container, member, tenant, member_id, member_kind)"
    " SELECT g.pk, u.pk, g.tenant, u.id, u.kind FROM resource g"
    " JOIN resource u ON u.tenant = g.tenant AND u.kind = 'User'"
    " WHERE g.id = '{group}' AND u.pk <= (SELECT min(pk) FROM resource WHERE kind = 'User') + {count} - 1"
)
_SERVE = (sys.executable, "-m", "bench.watched", *contenders.SERVE[3:])
GOAL_ADD, GOAL_READ_BYTES = 1.2, 32 * 1024 * 1024
GOAL_REPLACE_SECONDS, GOAL_HELD_MS = 5.0, 20.0


async def _fill(url: str, group: str, count: int) -> None:
    """The first ``count`` people become members at once: as many requests would take hours."""
    sql = _JOIN.format(group=group, count=count)
    if url.startswith("sqlite:"):
        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.set_busy_timeout(10_000)
        connection.execute(sql)
        connection.close()
        return
    session = await asyncpg.connect(url)
    await session.execute(sql)
    await session.execute("VACUUM ANALYZE")
    await session.close()


def _patch(asked: Asked, group: str, op: str, member: str) -> Exchange:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": op, "path": "members", "value": [{"value": member}]}],
    }
    return Exchange(asked.request("PATCH", f"{GROUPS}/{group}", body), (200, 204))


def _changes(asked: Asked, group: str, newcomers: range) -> Turns:
    """Somebody who is not in it joins and leaves again."""
    endless = itertools.cycle(newcomers)

    def turn() -> Generator[Exchange, bytes, None]:
        member = identity(next(endless))
        yield _patch(asked, group, "Add", member)
        yield _patch(asked, group, "Remove", member)

    return Turns(turn, 2)


def _always(exchange: Exchange) -> Turns:
    def turn() -> Generator[Exchange, bytes, None]:
        yield exchange

    return Turns(turn)


async def _interleaved(
    client: Client, kinds: Mapping[str, Callable[[], Turns]], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Milliseconds per request of each kind, in each round."""
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, turns in kinds.items():
            sample = await client.saturate(turns(), seconds)
            found[name].append(statistics.median(sample.latencies) * 1000)
    return found


async def measure(name: str, size: int, server: PostgresServer, rounds: int) -> bool:
    """Print the figures of one database; whether the goals are met."""
    async with contextlib.AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        url = await stack.enter_async_context(contenders.database(name.partition(", ")[2], directory, server))
        os.environ["WATCHED"] = str(directory / "held")
        started = contenders.ours(
            name, url, 2 * size + 1_000, directory, options=("--group-body-mib", "32"), serve=_SERVE
        )
        contender = await stack.enter_async_context(started)
        asked = contender.asked
        async with Client("127.0.0.1", contender.port, 1) as client:
            groups = [
                orjson.loads(await client.once(_created(asked, f"group of {count}")))["id"]
                for count in (SMALL, size)
            ]
            for group, count in zip(groups, (SMALL, size), strict=True):
                await _fill(url, group, count)
            newcomers = range(size + 10, size + 1_000)
            kinds = {
                str(count): functools.partial(_changes, asked, group, newcomers)
                for group, count in zip(groups, (SMALL, size), strict=True)
            }
            changed = await _interleaved(client, kinds, rounds, 1.0)
            listing = Exchange(asked.request("GET", f"{GROUPS}?excludedAttributes=members"), (200,))
            listed = await _interleaved(client, {"list": lambda: _always(listing)}, 1, 1.0)
        before = contender.resident()
        peak, members = await _read(contender, groups[1])
        reading = Exchange(asked.request("GET", f"{GROUPS}/{groups[1]}"), (200,))
        processor = contender.cpu()
        async with Client("127.0.0.1", contender.port, 1) as client:
            whole = await client.saturate(_always(reading), 3.0)
        processor = (contender.cpu() - processor) / whole.answers
        small, large = (statistics.median(changed[str(count)]) for count in (SMALL, size))
        print(f"{name}")
        print(f"  one member added or removed: {small:.2f} ms at {SMALL}, {large:.2f} ms at {size:,}")
        print(f"  by that at {SMALL}: {large / small:.2f} (goal: {GOAL_ADD} at most)")
        print(f"  groups listed without members: {statistics.median(listed['list']):.2f} ms")
        print(
            f"  group of {members:,} read whole: {(peak - before) / 1024**2:.1f} MiB more memory than before"
            f" (goal: {GOAL_READ_BYTES / 1024**2:.0f} at most)"
        )
        print(
            f"  read whole: {whole.rate:.1f} a second, each {processor * 1000:.0f} ms of the service's processor"
        )
        replaced, stood = await _replace_members(contender, groups[1], size, directory / "held")
        print(
            f"  longest replacement: {replaced:.2f} s (goal: {GOAL_REPLACE_SECONDS} at most),"
            f" loop held for {stood:.1f} ms (goal: {GOAL_HELD_MS} at most)"
        )
        return (
            large / small <= GOAL_ADD
            and peak - before <= GOAL_READ_BYTES
            and members == size
            and replaced <= GOAL_REPLACE_SECONDS
            and stood <= GOAL_HELD_MS
        )


def _held(contender: Contender, path: Path) -> float:
    """The longest time, in milliseconds, for which the server's loop stood still since it was asked last."""
    path.unlink(missing_ok=True)
    contender.process.send_signal(signal.SIGUSR1)
    while not path.exists():
        time.sleep(0.01)
    return float(path.read_text())


async def _replace_members(contender: Contender, group: str, size: int, held: Path) -> tuple[float, float]:
    """Print how long it takes to replace all members, and how long the server's loop stood still meanwhile.

    Returns:
        The longest of both: seconds, milliseconds.
    """
    asked, patch = contender.asked, "urn:ietf:params:scim:api:messages:2.0:PatchOp"
    path = f"{GROUPS}/{group}"
    _held(contender, held)
    await asyncio.sleep(1)
    print(f"  event loop held in a second without requests: {_held(contender, held):.1f} ms at most")
    longest, longest_held = 0.0, 0.0
    for what, first in (("none differ", 0), ("ten differ", 10), ("all differ", size)):
        new, old = (
            [{"value": identity(number)} for number in range(start, start + size)] for start in (first, 0)
        )
        operation = {"op": "replace", "path": "members", "value": new}
        for method, exchange in (
            ("PATCH", asked.request("PATCH", path, {"schemas": [patch], "Operations": [operation]})),
            (
                "PUT",
                asked.request(
                    "PUT",
                    f"{path}?excludedAttributes=members",
                    {"displayName": f"group of {size}", "members": old},
                ),
            ),
        ):
            began = time.perf_counter()
            async with Client("127.0.0.1", contender.port, 1) as client:
                await client.once(Exchange(exchange, (200, 204)))
            seconds, stood = time.perf_counter() - began, _held(contender, held)
            longest, longest_held = max(longest, seconds), max(longest_held, stood)
            print(
                f"  {method} of {size:,} members, {what}: {seconds:.2f} s, loop held for {stood:.1f} ms at most"
            )
    return longest, longest_held


def _created(asked: Asked, name: str) -> Exchange:
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name}
    return Exchange(asked.request("POST", GROUPS, body), (201,))


async def _read(contender: Contender, group: str) -> tuple[int, int]:
    """Read a whole group, slowly enough to watch: the most memory the server had, and the members found."""
    reader, writer = await asyncio.open_connection("127.0.0.1", contender.port)
    writer.write(contender.asked.request("GET", f"{GROUPS}/{group}"))
    peak, text = contender.resident(), bytearray()
    while not text.endswith(b"\r\n0\r\n\r\n"):
        text += await reader.read(65536)
        peak = max(peak, contender.resident())
    writer.close()
    return peak, body_of(bytes(text)).count(b'"$ref"')


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="make bench-groups", description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="members of the large group")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    async def both(server: PostgresServer) -> list[bool]:
        return [await measure(name, arguments.size, server, arguments.rounds) for name in OURS]

    with (
        own_server(settings=contenders.POSTGRES_SETTINGS, on_disk=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return 0 if all(runner.run(both(server))) else 1


if __name__ == "__main__":
    sys.exit(main())
