"""Who takes part: each a fresh process with one worker, loaded with people, at an address on loopback."""

import asyncio
import contextlib
import dataclasses
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from bench import loading, peers
from bench.load import Client
from bench.population import identity
from bench.workloads import Asked
from localcluster.ports import free_port
from support.postgres import PostgresServer, execute

OURS: Final = ("ours, SQLite", "ours, PostgreSQL")
BARE: Final = ("bare, SQLite", "bare, PostgreSQL")
INTERPRETED: Final = tuple(peer.name for peer in peers.INTERPRETED)
COMPILED: Final = tuple(peer.name for peer in peers.COMPILED)
PEERS: Final = (*INTERPRETED, *COMPILED)
ALL: Final = (*OURS, *BARE, *PEERS)
SERVE: Final = (sys.executable, "-m", "scim_api.cli.main", "serve", "--log-level", "warning")
START_SECONDS: Final = 60.0
POSTGRES_SETTINGS: Final = {"shared_buffers": "1GB", "max_wal_size": "4GB"}
"""As one would set them on a machine like this; ``fsync`` and ``synchronous_commit`` stay on."""


@dataclasses.dataclass
class Contender:
    """A server that runs.

    Attributes:
        name: one of ``ALL``.
        process: of the server.
        port: where it listens.
        asked: requests for it.
        first_answer: seconds from the start of the process to its first answer, over the loaded data.
    """

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    asked: Asked
    first_answer: float = 0.0

    @property
    def label(self) -> str:
        """Its name, and how many people it holds."""
        return f"{self.name} ({self.asked.count:,})"

    def resident(self) -> int:
        """Its memory in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) * 1024

    def cpu(self) -> float:
        """Processor seconds it has taken, without its database's server."""
        return _cpu(Path(f"/proc/{self.process.pid}"))

    def compiler_cpu(self) -> float:
        """Processor seconds that a JVM has compiled in; 0 for all others."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(_cpu(thread) for thread in threads if "CompilerThre" in (thread / "comm").read_text())

    def client(self) -> Client:
        """Connections to it."""
        return Client("127.0.0.1", self.port)


def _cpu(process: Path) -> float:
    """Processor seconds of a process or thread."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def process_of(
    command: Sequence[str], directory: Path, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server's process, ended at the end; its output goes into ``log`` in the directory."""
    imports = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment = {**os.environ, **imports, **environment}
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=directory
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)


async def _answering(contender: Contender, directory: Path) -> float:
    """Seconds until it has answered a first request."""
    began = time.perf_counter()
    while True:
        try:
            async with Client("127.0.0.1", contender.port, 1) as client:
                await client.once(contender.asked.by_name("nobody"))
                return time.perf_counter() - began
        except OSError:
            if contender.process.poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise SystemExit(
                    f"{contender.name} did not start:\n{(directory / 'log').read_text()[-3000:]}"
                ) from None
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def database(kind: str, directory: Path, server: PostgresServer) -> AsyncIterator[str]:
    """The URL of an empty database."""
    if kind == "SQLite":
        yield f"sqlite:///{directory / 'bench.db'}"
        return
    name = f"bench_{secrets.token_hex(4)}"
    await execute(server.url, f"CREATE DATABASE {name}")
    yield server.url_of(name)


@contextlib.asynccontextmanager
async def running(name: str, count: int, server: PostgresServer) -> AsyncIterator[Contender]:
    """A contender with so many people."""
    who, kind = (*name.split(", "), "")[:2]
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        directory = Path(made)
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(database(kind, directory, server)) if kind else ""
            if who == "ours":
                yield await stack.enter_async_context(ours(name, url, count, directory))
                return
            if who == "bare":
                if kind == "SQLite":
                    path = url.removeprefix("sqlite:///")
                    await asyncio.to_thread(loading.load_bare_sqlite, path, count)
                else:
                    await loading.load_bare_postgres(url, count)
                command = [sys.executable, "-m", "bench.bare", url, "--port", str(port)]
                asked = Asked("none", identity, count)
                yield await stack.enter_async_context(started(name, command, port, asked, directory))
                return
            peer = peers.ALL[name]
            asked = Asked("none", identity, count, cannot=peer.cannot)
            command = [*peer.start(peers.built(peer)), str(port)]
            contender = await stack.enter_async_context(
                started(name, command, port, asked, directory, peer.environment)
            )
            await _post_all(contender, count)
            yield contender


@contextlib.asynccontextmanager
async def ours(
    name: str,
    url: str,
    count: int,
    directory: Path,
    *,
    options: Sequence[str] = (),
    serve: Sequence[str] = SERVE,
) -> AsyncIterator[Contender]:
    """Our service on a database of its own, with one tenant of so many people, and with more options."""
    tenant, token = await loading.connect_tenant(url, "contoso")
    await loading.load(url, tenant, count)
    clients = await loading.connect_clients(url)
    port = free_port()
    command = [*serve, "--port", str(port), "--database-url", url, *options]
    asked = Asked(token, identity, count, clients)
    async with started(name, command, port, asked, directory) as contender:
        yield contender


@contextlib.asynccontextmanager
async def started(
    name: str,
    command: Sequence[str],
    port: int,
    asked: Asked,
    directory: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Contender]:
    """A server that has answered a first request; its process runs in the directory, and ``log`` there has its output."""
    with process_of(command, directory, environment) as process:
        contender = Contender(name, process, port, asked)
        contender.first_answer = await _answering(contender, directory)
        yield contender


async def _post_all(contender: Contender, count: int) -> None:
    """Load a contender that keeps people in memory: it gives them ids of its own."""
    known: dict[int, str] = {}
    numbers = iter(range(count))

    async def post() -> None:
        async with Client("127.0.0.1", contender.port, 1) as client:
            for number in numbers:
                known[number] = orjson.loads(await client.once(contender.asked.create(number)))["id"]

    await asyncio.gather(*(post() for _ in range(4)))
    contender.asked.identity = known.__getitem__
