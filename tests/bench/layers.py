"""Where the time of a request goes: microseconds by layer, from a sampling profile of the running server.

Run by ``make bench-layers``. Each sample belongs to the innermost function on its stack that a layer claims;
samples of the event loop's waiting are left out, and the shares that remain divide the processor time that the
server was seen to take for a request.
"""

import argparse
import asyncio
import collections
import sys
import tempfile
from pathlib import Path
from typing import Final

import uvloop

from bench import contenders
from bench.contenders import OURS
from bench.workloads import NAMES, turns_of
from support.postgres import PostgresServer, own_server

SECONDS: Final = 3.0
LAYERS: Final = (
    ("sending the answer", ("send (uvicorn", "_serialized (scim_api")),
    ("HTTP (uvicorn, httptools)", ("uvicorn/", "scim_api/server/")),
    ("database driver", ("asyncpg/", "fetch (scim_api/store/sqlite/connection")),
    ("commit", ("_attempt (scim_api/store/sqlite/writer",)),
    ("store: connections, statements, records", ("scim_api/store/",)),
    ("authentication", ("scim_api/http/authentication", "scim_api/contract/tokens")),
    ("SCIM core: read, check, filter, patch, keys, render", ("scim_api/core/",)),
    ("routing", ("starlette/", "fastapi/", "scim_api/http/public", "PathNormaliser", "canonical_path")),
    ("rate limit, metrics", ("scim_api/http/rate_limit", "scim_api/http/metrics", "prometheus_client/")),
    ("protocol: headers, body, errors, handlers", ("scim_api/http/",)),
)
REST: Final = "event loop and the rest"
_WAITING: Final = (
    "_worker (concurrent", "_next_batch (scim_api", "_run (scim_api/store/sqlite/checkpoint", "run (asyncio/runners",
    "_turn (scim_api",
)  # fmt: skip


def layer_of(stack: str) -> str | None:
    """The layer of a sampled stack, outermost function first; None for waiting."""
    frames = stack.split(";")
    if any(one in frames[-1] for one in _WAITING):
        return None
    for frame in reversed(frames):
        for layer, places in LAYERS:
            if any(place in frame for place in places):
                return layer
    return REST


async def measure(name: str, workload: str, server: PostgresServer, directory: Path) -> dict[str, float]:
    """Microseconds of processor time for one request, by layer."""
    raw = directory / "profile"
    async with contenders.running(name, 1_000, server) as contender, contender.client() as client:
        await client.saturate(turns_of(contender.asked, workload, 99), 1.0)
        before = contender.cpu()
        sample = await client.saturate(turns_of(contender.asked, workload, 1), SECONDS)
        spent = (contender.cpu() - before) / sample.answers * 1e6
        arguments = ["record", "--pid", str(contender.process.pid), "--rate", "400", "--function"]
        arguments += ["--duration", str(round(SECONDS)), "--format", "raw", "--output", str(raw)]
        profiler = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("py-spy"),
            *arguments,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await asyncio.sleep(0.5)
        await client.saturate(turns_of(contender.asked, workload, 2), SECONDS + 0.5)
        await asyncio.wait_for(profiler.wait(), 60)
    counted: collections.Counter[str] = collections.Counter()
    for line in raw.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        layer = layer_of(stack)
        if layer is not None:
            counted[layer] += int(number)
    whole = counted.total()
    return {layer: number / whole * spent for layer, number in counted.items()} | {"all": spent}


def main() -> int:
    """Print a table for one database."""
    parser = argparse.ArgumentParser(prog="make bench-layers", description=__doc__)
    parser.add_argument("--contender", choices=OURS, default=OURS[1])
    parser.add_argument("--workloads", nargs="+", choices=NAMES, default=NAMES[:6], metavar="NAME")
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as made,
        own_server(settings=contenders.POSTGRES_SETTINGS, on_disk=True) as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for workload in arguments.workloads:
            print(f"  {arguments.contender}, {workload}", flush=True)
            found[workload] = runner.run(measure(arguments.contender, workload, server, Path(made)))
    print(f"\n| {arguments.contender}: us of a request | {' | '.join(found)} |")
    print(f"|---|{'---:|' * len(found)}")
    for layer in (*(layer for layer, _ in LAYERS), REST, "all"):
        print(f"| {layer} | {' | '.join(f'{costs.get(layer, 0):.0f}' for costs in found.values())} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
