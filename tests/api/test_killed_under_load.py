"""No write that was answered is lost, when server or database are killed in the middle of the benchmark."""

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path

import orjson
import pytest

from bench import contenders, loading
from bench.load import Client, Exchange, Turns, UnexpectedAnswer, body_of
from bench.population import changes, identity, person
from bench.workloads import Asked
from localcluster.ports import free_port
from support.postgres import PostgresServer, fresh_database, own_server

ENOUGH = 200
"""Answered turns before the kill."""
SECONDS = 60.0


class Ledger:
    """What was asked, and what was answered.

    Attributes:
        answered: by id, the displayName that was answered last.
        asked: by id, one that was asked for and not answered yet.
    """

    def __init__(self, asked: Asked) -> None:
        self._requests = asked
        self.answered: dict[str, str] = {}
        self.asked: dict[str, str] = {}

    def turn(self) -> Generator[Exchange, bytes, None]:
        """A person is created, and changed twice."""
        number = next(self._requests.fresh)
        found = orjson.loads(body_of((yield self._requests.create(number))))
        one = found["id"]
        self.answered[one] = person(number)["displayName"]
        for turn in (1, 2):
            name = changes(number, turn)["Operations"][0]["value"]
            self.asked[one] = name
            yield self._requests.patch(one, number, turn)
            self.answered[one] = name


@contextlib.asynccontextmanager
async def _serving(url: str, port: int, directory: Path) -> AsyncIterator["subprocess.Popen[bytes]"]:
    command = [*contenders.SERVE, "--port", str(port), "--database-url", url]
    with contenders.process_of(command, directory) as process:
        for _ in range(600):
            with contextlib.suppress(OSError):
                async with Client("127.0.0.1", port, 1):
                    break
            await asyncio.sleep(0.05)
        yield process


async def _work_until(ledger: Ledger, port: int, kill: Callable[[], object]) -> None:
    """Ask on sixteen connections, kill something in the middle, and go on until it shows."""
    async with Client("127.0.0.1", port) as client:
        working = asyncio.ensure_future(client.saturate(Turns(ledger.turn), SECONDS))
        while len(ledger.answered) < ENOUGH and not working.done():
            await asyncio.sleep(0.01)
        await asyncio.to_thread(kill)
        with pytest.raises(UnexpectedAnswer):
            await working


async def _check(ledger: Ledger, requests: Asked, port: int) -> None:
    """Whether everybody is as the last answer said, or as a request that got none would have it."""
    assert len(ledger.answered) >= ENOUGH
    async with Client("127.0.0.1", port, 1) as client:
        for one, name in ledger.answered.items():
            found = orjson.loads(await client.once(requests.get(one)))
            assert found["displayName"] in {name, ledger.asked.get(one)}


async def _is_back(requests: Asked, port: int) -> None:
    deadline = time.monotonic() + 30
    async with Client("127.0.0.1", port, 1) as client:
        while True:
            try:
                await client.once(requests.by_name("nobody"))
            except UnexpectedAnswer:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
            else:
                return


@contextlib.asynccontextmanager
async def _database(kind: str, directory: Path, server: PostgresServer) -> AsyncIterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{directory / 'scim.db'}"
        return
    async with fresh_database(server) as url:
        yield url


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_a_server_that_was_killed_has_every_answered_write_when_it_is_back(
    kind: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    async with _database(kind, tmp_path, postgres_server) as url:
        _, token = await loading.connect_tenant(url, "contoso")
        requests, port = Asked(token, identity, 0), free_port()
        ledger = Ledger(requests)
        async with _serving(url, port, tmp_path) as process:
            await _work_until(ledger, port, process.kill)

        async with _serving(url, port, tmp_path):
            await _check(ledger, requests, port)


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    """A server that this test alone uses, and kills."""
    with own_server(on_disk=True) as server:
        yield server


async def test_a_postgresql_that_was_killed_has_every_answered_write_when_it_is_back(
    tmp_path: Path, mortal_postgres: PostgresServer
) -> None:
    assert mortal_postgres.own is not None
    _, token = await loading.connect_tenant(mortal_postgres.url, "contoso")
    requests, port = Asked(token, identity, 0), free_port()
    ledger = Ledger(requests)
    async with _serving(mortal_postgres.url, port, tmp_path):
        await _work_until(ledger, port, mortal_postgres.own.kill)
        await asyncio.to_thread(mortal_postgres.own.start)
        await _is_back(requests, port)

        await _check(ledger, requests, port)
