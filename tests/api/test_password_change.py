"""The database's password changes under a running service: no request fails, and nobody restarts it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from localcluster.ports import free_port
from support.postgres import PostgresServer, execute, own_server
from support.serve_process import Serve

SECONDS = 30.0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that asks for a password."""
    with own_server(("127.0.0.1", free_port())) as running:
        assert running.own is not None
        rules = running.own.directory / "data" / "pg_hba.conf"
        rules.write_text(f"host all all all scram-sha-256\n{rules.read_text()}")
        asyncio.run(
            execute(
                running.url,
                "SELECT pg_reload_conf()",
                "CREATE ROLE scim LOGIN PASSWORD 'pw-one'",
                "CREATE DATABASE scim OWNER scim",
            )
        )
        yield running


class Traffic:
    """Clients that create users and look them up; every answer is kept."""

    def __init__(self, url: str, token: str, server: PostgresServer) -> None:
        self._url, self._headers, self._server = url, {"authorization": f"Bearer {token}"}, server
        self._clients: list[asyncio.Task[None]] = []
        self.statuses: list[int] = []

    async def more(self, clients: int) -> None:
        """So many more, and further ones each second, until they have made the service open a connection: those that
        it has may do for a few that take turns.
        """
        before = await self._opened()
        started = time.monotonic()
        joined = 0
        while await self._opened() <= before:
            waited = time.monotonic() - started
            assert waited < SECONDS, "the service opened no connection"
            assert not self.refused(), self.statuses[-5:]
            missing = clients + int(waited) - joined
            self._clients += [asyncio.create_task(self._come()) for _ in range(missing)]
            joined += missing
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def refused(self) -> list[int]:
        return [status for status in self.statuses if status not in (200, 201)]

    async def _opened(self) -> int:
        connection = await asyncpg.connect(self._server.url)
        try:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = 'scim' AND datname = 'scim'"
            )
            return count
        finally:
            await connection.close()

    async def _come(self) -> None:
        async with httpx.AsyncClient(trust_env=False, headers=self._headers, timeout=20) as client:
            while True:
                name = f"{id(client)}-{len(self.statuses)}"
                made = await client.post(f"{self._url}/Users", json=person(name))
                self.statuses.append(made.status_code)
                found = await client.get(f"{self._url}/Users", params={"filter": f'userName eq "{name}"'})
                self.statuses.append(found.status_code)


def person(name: str) -> dict[str, Any]:
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "emails": [{"type": "work", "value": f"{name}@example.com"}],
    }


@contextlib.asynccontextmanager
async def traffic(serve: Serve, server: PostgresServer) -> AsyncIterator[Traffic]:
    options = ("--requests-per-second", "100000", "--burst", "100000")
    going = Traffic(serve.url, serve.connect("demo/entra", *options)["token"], server)
    try:
        yield going
    finally:
        await going.end()


async def test_a_password_that_changes_in_the_file_and_then_at_the_server_fails_no_request(
    server: PostgresServer, tmp_path: Path
) -> None:
    assert server.own is not None
    file = tmp_path / "url"
    place = f"127.0.0.1:{server.own.address[1]}/scim"  # type: ignore[index]

    def write(password: str) -> None:
        """As kubelet does: the new file takes the old one's place at once."""
        (tmp_path / "new").write_text(f"postgresql://scim:{password}@{place}", encoding="utf-8")
        (tmp_path / "new").rename(file)

    write("pw-one")
    serve = Serve(tmp_path, f"file://{file}")
    try:
        serve.cli("migrate")
        serve.wait_ready()
        async with traffic(serve, server) as clients:
            await clients.more(2)
            write("pw-two")
            await clients.more(4)  # with the password that the server still has
            await execute(server.url, "ALTER ROLE scim PASSWORD 'pw-two'")
            await clients.more(10)  # with the new one; the connections of before go on
            assert len(clients.statuses) > 20
        assert clients.refused() == []
        assert "pw-two" in file.read_text()
        assert serve.cli("connection", "list").returncode == 0
        log = serve.log.read_text()
        assert log.count("user or password in the database URL's file are refused") >= 1
        assert "pw-one" not in log
        assert "pw-two" not in log
    finally:
        assert serve.stop() == 0
