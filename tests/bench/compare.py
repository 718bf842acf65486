"""Requests per second and latencies: ours on both databases, bare references, and other SCIM servers.

Run by ``make bench``. Every contender is a fresh process with one worker; the client and all databases
share its machine. Contenders take turns within each round, so that noise hits all alike, and only ratios
within a round are judged.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from bench import contenders, goals, peers, picture
from bench.contenders import ALL, BARE, OURS, Contender
from bench.load import Client, Exchange, Turns
from bench.results import Key, Results, inserted, latencies, markdown, raw, table
from bench.workloads import NAMES, READS_AND_PATCH, check, turns_of
from localcluster.ports import free_port
from support.postgres import PostgresServer, own_server

WARM_UP_SECONDS = 0.4
COMPILED_SHARE = 0.05
MOST_WARM_UPS = 60


def say(text: str) -> None:
    """Progress."""
    print(text, flush=True)


async def generator_alone(directory: Path) -> float:
    """Requests per second against a server that does nothing."""
    port = free_port()

    def turn() -> Generator[Exchange, bytes, None]:
        yield Exchange(b"GET / HTTP/1.1\r\nHost: scim.example.com\r\n\r\n", (200,))

    with contenders.process_of([sys.executable, "-m", "bench.null", "--port", str(port)], directory):
        for _ in range(500):
            with contextlib.suppress(OSError):
                async with Client("127.0.0.1", port) as client:
                    return (await client.saturate(Turns(turn), 1.0)).rate
            await asyncio.sleep(0.02)
    raise SystemExit("the null server did not start")


async def _saturate(
    running: Sequence[Contender], names: Sequence[str], rounds: int, seconds: float, results: Results
) -> None:
    for turn in range(rounds):
        for position, name in enumerate(names):
            shift = (turn + position) % len(running)
            for contender in (*running[shift:], *running[:shift]):
                if not contender.asked.can(name):
                    continue
                async with contender.client() as client:
                    sample = await client.saturate(turns_of(contender.asked, name, turn), seconds)
                key = Key(contender.name, contender.asked.count, name)
                results.saturated.setdefault(key, []).append(sample)
        say(f"  round {turn + 1} of {rounds}: {', '.join(names)}")


async def _pace(running: Sequence[Contender], rounds: int, seconds: float, results: Results) -> None:
    for turn in range(rounds):
        shift = turn % len(running)
        for contender in (*running[shift:], *running[:shift]):
            async with contender.client() as client:
                turns = turns_of(contender.asked, "Entra mix", turn)
                sample = await client.pace(turns, seconds, results.pace)
            key = Key(contender.name, contender.asked.count, "Entra mix")
            results.paced.setdefault(key, []).append(sample)
        say(f"  round {turn + 1} of {rounds}: Entra mix at {results.pace:.0f} requests/s")


async def _warm_up(contender: Contender) -> float:
    """Ask for each workload, again and again as long as a JVM spends 5 % of its time with compiling.

    Until then an answer costs it up to ten times the processor time of later, and the compiler takes as much again;
    what is compiled, and compiled anew, depends on all workloads together. Others need one turn, for their caches.
    Returns the seconds that it took.
    """
    began = time.monotonic()
    for turn in range(MOST_WARM_UPS):
        compiler, cpu = contender.compiler_cpu(), contender.cpu()
        for name in filter(contender.asked.can, NAMES):
            async with contender.client() as client:
                await client.saturate(turns_of(contender.asked, name, 99 - turn), WARM_UP_SECONDS)
        if contender.compiler_cpu() - compiler <= COMPILED_SHARE * (contender.cpu() - cpu):
            break
    else:
        say(f"  {contender.label} still compiles after {MOST_WARM_UPS} turns: its figures are too low")
    return time.monotonic() - began


def _takes_part(name: str, size: int, sizes: Sequence[int]) -> bool:
    """Peers and references run at the smallest size alone: people in memory are theirs to keep few."""
    return name in OURS or size == sizes[0]


async def run(arguments: argparse.Namespace, directory: Path, server: PostgresServer) -> Results:
    """Start everybody, measure, and end everybody."""
    results = Results(pace=arguments.pace)
    results.generator = await generator_alone(directory)
    say(f"the load generator alone: {results.generator:.0f} requests/s")
    async with contextlib.AsyncExitStack() as stack:
        running: list[Contender] = []
        for size in arguments.sizes:
            for name in arguments.contenders:
                if not _takes_part(name, size, arguments.sizes):
                    continue
                began = time.monotonic()
                contender = await stack.enter_async_context(contenders.running(name, size, server))
                running.append(contender)
                async with contender.client() as client:
                    await check(client, contender.asked)
                for workload, reason in contender.asked.cannot.items():
                    results.cannot[Key(name, size, workload)] = reason
                say(f"  {contender.label} started, loaded and checked in {time.monotonic() - began:.0f} s")
        for contender in running:
            results.warm_up[contender.name, contender.asked.count] = await _warm_up(contender)
        say(f"{len(running)} contenders are warm; {arguments.rounds} rounds of {arguments.seconds} s each")
        await _saturate(running, READS_AND_PATCH, arguments.rounds, arguments.seconds, results)
        rest = [name for name in NAMES if name not in READS_AND_PATCH]
        await _saturate(running, rest, arguments.rounds, arguments.seconds, results)
        ours = [contender for contender in running if contender.name in (*OURS, *BARE)]
        if ours:
            await _pace(ours, arguments.rounds, arguments.paced_seconds, results)
        for contender in running:
            results.memory[contender.name, contender.asked.count] = contender.resident()
            results.first_answer[contender.name, contender.asked.count] = contender.first_answer
    return results


def chosen(wanted: Sequence[str], without: Sequence[str] = ()) -> list[str]:
    """The contenders that take part, with the peers among them built.

    Raises ``SystemExit`` with all that has to be installed first.
    """
    names = [name for name in wanted if name not in without]
    others = [peers.ALL[name] for name in names if name in peers.ALL]
    lacking = list(filter(None, map(peers.lacking, others)))
    if lacking:
        raise SystemExit("\n".join(lacking))
    for peer in others:
        peers.built(peer)
    return names


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(ALL)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000], help="people, smallest first")
    parser.add_argument("--contenders", nargs="+", choices=ALL, default=ALL, metavar="NAME", help=names)
    parser.add_argument(
        "--without", nargs="+", choices=ALL, default=(), metavar="NAME", help="leave these out"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=0.8, help="of each contender in each workload and round"
    )
    parser.add_argument("--pace", type=float, default=200.0, help="requests per second when latencies count")
    parser.add_argument("--paced-seconds", type=float, default=5.0)
    parser.add_argument(
        "--out",
        type=Path,
        help="directory for requests.json and requests.svg; the tables of its performance.md are made anew",
    )
    return parser.parse_args()


def main() -> int:
    """Print the table and the goals; 1 when one is missed."""
    arguments = _arguments()
    arguments.contenders = chosen(arguments.contenders, arguments.without)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as made,
        own_server(settings=contenders.POSTGRES_SETTINGS, on_disk=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        results = runner.run(run(arguments, Path(made), server))
    found = list(goals.verdicts(results))
    print(f"\n{table(results)}\n\n{latencies(results)}\n\n{goals.shown(found)}")
    if arguments.out:
        machine = {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.system(),
            "rounds": arguments.rounds,
            "secondsEach": arguments.seconds,
        }
        _write(arguments.out, {"run": machine, **raw(results), "goals": [asdict(one) for one in found]})
        (arguments.out / "requests.svg").write_text(picture.draw(results))
        print(f"\nwritten: {arguments.out}/requests.json, requests.svg, and the tables of performance.md")
    return 0 if all(verdict.met for verdict in found) else 1


def _write(directory: Path, everything: dict[str, Any]) -> None:
    """The raw data, and the tables of the page beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "requests.json").write_text(json.dumps(everything) + "\n")
    page = directory / "performance.md"
    if page.exists():
        page.write_text(inserted(page.read_text(), tables(everything)))


def tables(everything: dict[str, Any]) -> str:
    """The tables of the page, from the raw data."""
    return f"{markdown(everything)}\n\n{goals.markdown(everything['goals'])}"


if __name__ == "__main__":
    sys.exit(main())
