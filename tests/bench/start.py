"""How soon ``serve`` answers after its start, what of that is imports, and how much memory it takes.

Run by ``make bench-start``. Judge by the processor time where others use the machine, too.
"""

import argparse
import asyncio
import collections
import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from bench import contenders, loading
from bench.contenders import OURS, Contender
from bench.population import identity
from bench.workloads import Asked, turns_of
from localcluster.ports import free_port
from support.postgres import PostgresServer, own_server

MIB: Final = 1024 * 1024
SHOWN: Final = 20
"""Packages in the table of imports."""


@dataclasses.dataclass(frozen=True)
class Start:
    """One start, and a while of load after it; times in seconds, memory in bytes.

    Attributes:
        first_answer: from the start of the process to its first answer.
        processor: what the process had taken by then.
        started: its memory by then.
        loaded: its memory after the load.
        loaded_anonymous: what of that is no part of a file.
    """

    first_answer: float
    processor: float
    started: int
    loaded: int
    loaded_anonymous: int


@dataclasses.dataclass
class Imported:
    """What the modules of one package took to import by themselves.

    Attributes:
        seconds: of all of them.
        modules: how many.
    """

    seconds: float = 0.0
    modules: int = 0


def by_package(text: str) -> dict[str, Imported]:
    """What ``python -X importtime`` wrote, by package; the longest first. Other lines are left out."""
    found: dict[str, Imported] = collections.defaultdict(Imported)
    for line in text.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        name = rest.rpartition("|")[2].strip()
        if line.startswith("import time:") and own.strip().isdigit():
            package = found[name.partition(".")[0]]
            package.seconds += int(own) / 1e6
            package.modules += 1
    return dict(sorted(found.items(), key=lambda item: -item[1].seconds))


def table(starts: dict[str, Sequence[Start]]) -> str:
    """Medians of the starts by database, and the least processor time."""
    lines = [
        "| database | start to first answer | least processor time | memory then | after load | ... of no file |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, found in starts.items():
        seconds = statistics.median(one.first_answer for one in found)
        memory = (
            statistics.median(sizes) / MIB
            for sizes in (
                [one.started for one in found],
                [one.loaded for one in found],
                [one.loaded_anonymous for one in found],
            )
        )
        cells = [f"{seconds:.2f} s", f"{min(one.processor for one in found):.2f} s"]
        lines.append(f"| {' | '.join([name, *cells, *(f'{size:.0f} MiB' for size in memory)])} |")
    return "\n".join(lines)


def _anonymous(contender: Contender) -> int:
    text = Path(f"/proc/{contender.process.pid}/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) * 1024


async def measure(
    name: str, url: str, asked: Asked, directory: Path, *, starts: int, seconds: float
) -> list[Start]:
    """Start, ask and end the service again and again."""
    found = []
    for number in range(starts):
        port = free_port()
        command = [*contenders.SERVE, "--port", str(port), "--database-url", url]
        async with contenders.started(name, command, port, asked, directory) as contender:
            processor, memory = contender.cpu(), contender.resident()
            async with contender.client() as client:
                await client.saturate(turns_of(asked, "Entra mix", number), seconds)
            found.append(
                Start(contender.first_answer, processor, memory, contender.resident(), _anonymous(contender))
            )
    return found


async def import_times(url: str, asked: Asked, directory: Path) -> dict[str, Imported]:
    """What is imported until the first answer, by package."""
    port, (python, *rest) = free_port(), contenders.SERVE
    log = directory / "imports"
    log.mkdir()
    command = [python, "-X", "importtime", *rest, "--port", str(port), "--database-url", url]
    async with contenders.started("imports", command, port, asked, log):
        return by_package((log / "log").read_text(errors="replace"))


async def run(arguments: argparse.Namespace, made: Path, server: PostgresServer) -> None:
    """Measure each database, and print what was found."""
    starts: dict[str, Sequence[Start]] = {}
    for name in OURS:
        kind, directory = name.removeprefix("ours, "), made / name.replace(", ", "-")
        directory.mkdir()
        async with contenders.database(kind, directory, server) as url:
            print(f"  {kind}: {arguments.users:,} users, {arguments.starts} starts", flush=True)
            tenant, token = await loading.connect_tenant(url, "contoso")
            await loading.load(url, tenant, arguments.users)
            asked = Asked(token, identity, arguments.users)
            starts[kind] = await measure(
                name, url, asked, directory, starts=arguments.starts, seconds=arguments.seconds
            )
            packages = await import_times(url, asked, directory)
        print(f"\n| {kind}: package | own ms | modules |\n|---|---:|---:|")
        for package, one in list(packages.items())[:SHOWN]:
            print(f"| {package} | {one.seconds * 1000:.0f} | {one.modules} |")
        modules, seconds = (
            sum(one.modules for one in packages.values()),
            sum(one.seconds for one in packages.values()),
        )
        print(f"| all | {seconds * 1000:.0f} | {modules} |\n")
    print(table(starts))


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="make bench-start", description=__doc__)
    parser.add_argument("--starts", type=int, default=10, help="of each database")
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=1.0, help="of load after each start")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as made,
        own_server(settings=contenders.POSTGRES_SETTINGS, on_disk=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(run(arguments, Path(made), server))
    return 0


if __name__ == "__main__":
    sys.exit(main())
