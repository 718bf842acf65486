"""Failover: a hot standby that is promoted under traffic, and databases that are read-only for a while."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.conftest import BASE, Scim
from localcluster.ports import free_port
from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.http.authentication import Authenticator
from scim_api.http.internal import internal_app
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.errors import ReadOnly
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.postgres.connecting import Connector, Session
from scim_api.store.postgres.read_only import ReadOnlyWatch, starts_read_only
from support.cut import Relay
from support.postgres import OwnServer, execute, own_server, standby_of

HEALED_SECONDS = 2.0
"""From when the primary is there until writes succeed and the service is ready."""
DEADLINE_SECONDS = 20.0
WRITERS = 6
UNLIMITED = {"requestsPerSecond": 100_000, "burst": 100_000}
Person = Callable[..., dict[str, Any]]


@dataclasses.dataclass
class Pair:
    """A primary, whose commits wait until its standby has applied them, and the standby."""

    primary: OwnServer
    standby: OwnServer
    ports: tuple[int, int]

    def url(self, *ports: int) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgresql://postgres@{hosts}/postgres?sslmode=disable"

    async def promote(self) -> None:
        """The standby is the primary when this returns."""
        await execute(self.standby.url, "SELECT pg_promote(true)")


@pytest.fixture
def pair() -> Iterator[Pair]:
    ports = free_port(), free_port()
    waiting = {"synchronous_standby_names": "*", "synchronous_commit": "remote_apply"}
    with (
        own_server(("127.0.0.1", ports[0]), waiting) as primary,
        standby_of(primary, ("127.0.0.1", ports[1])) as standby,
    ):
        assert primary.own is not None
        assert standby.own is not None
        asyncio.run(migrate(primary.url))
        yield Pair(primary.own, standby.own, ports)


@contextlib.asynccontextmanager
async def served(url: str, directory: Path) -> AsyncIterator[Scim]:
    """A service on a database, with both of its ports."""
    store = create_store(url)
    await store.open()
    service = ServiceContext(store, Authenticator(store), RateLimiter(), Metrics(), BASE)
    internal = internal_app(service, TrustedKeys(None))
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(public_app(service)), base_url=BASE) as client,
        httpx.AsyncClient(transport=httpx.ASGITransport(internal), base_url="http://internal.test") as admin,
    ):
        try:
            yield Scim(service, client, admin, directory, Ed25519PrivateKey.generate())
        finally:
            await store.close()


class Traffic:
    """Writers that create one person after the other, and remember who was acknowledged."""

    def __init__(self, scim: Scim, person: Person, headers: dict[str, str]) -> None:
        self._scim, self._person, self._headers = scim, person, headers
        self.acknowledged: list[str] = []
        self.statuses: set[int] = set()
        self._tasks = [asyncio.create_task(self._write(number)) for number in range(WRITERS)]

    async def _write(self, writer: int) -> None:
        number = 0
        while True:
            number += 1
            body = self._person(f"w{writer}n{number}")
            answer = await self._scim.client.post("/Users", json=body, headers=self._headers)
            self.statuses.add(answer.status_code)
            if answer.status_code == 201:
                self.acknowledged.append(answer.json()["id"])
            await asyncio.sleep(0.01)

    async def goes_on(self, more: int = 5) -> float:
        """Wait until so many more are acknowledged; seconds that it took."""
        begin, before = time.monotonic(), len(self.acknowledged)
        while len(self.acknowledged) < before + more:
            assert time.monotonic() < begin + DEADLINE_SECONDS, self.statuses
            await asyncio.sleep(0.01)
        return time.monotonic() - begin

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def lost(self, server: OwnServer) -> set[str]:
        """Who was acknowledged and is not there."""
        connection = await asyncpg.connect(server.url)
        try:
            there = {row[0] for row in await connection.fetch("SELECT id FROM resource")}
        finally:
            await connection.close()
        return set(self.acknowledged) - there


async def ready(scim: Scim) -> tuple[int, str]:
    answer = await scim.admin.get("/readyz")
    return answer.status_code, answer.text.strip()


async def becomes_ready(scim: Scim) -> float:
    begin = time.monotonic()
    while (await ready(scim))[0] != 200:
        assert time.monotonic() < begin + DEADLINE_SECONDS
        await asyncio.sleep(0.02)
    return time.monotonic() - begin


async def write(scim: Scim, headers: dict[str, str], body: dict[str, Any]) -> int:
    return (await scim.client.post("/Users", json=body, headers=headers)).status_code


async def test_a_standby_that_is_promoted_under_traffic_loses_nothing_and_is_written_within_two_seconds(
    pair: Pair, tmp_path: Path, person: Person
) -> None:
    async with Relay("127.0.0.1", pair.ports[0]) as name, served(pair.url(name.port), tmp_path) as scim:
        headers = await scim.connect(rateLimit=UNLIMITED)
        traffic = Traffic(scim, person, headers)
        await traffic.goes_on(30)
        name.lead_to("127.0.0.1", pair.ports[1])
        await asyncio.to_thread(pair.primary.kill)
        while (await ready(scim)) != (503, "the database takes no writes: it is a standby"):
            await asyncio.sleep(0.02)
        assert await write(scim, headers, person("during")) == 503

        await pair.promote()
        seconds = await asyncio.wait_for(traffic.goes_on(), DEADLINE_SECONDS)
        assert seconds + await becomes_ready(scim) < HEALED_SECONDS
        await traffic.goes_on(30)
        await traffic.stop()
        assert traffic.statuses == {201, 503}
        assert await traffic.lost(pair.standby) == set()


async def test_with_both_hosts_in_the_url_the_promoted_one_is_found(
    pair: Pair, tmp_path: Path, person: Person
) -> None:
    async with served(pair.url(*reversed(pair.ports)), tmp_path) as scim:
        headers = await scim.connect(rateLimit=UNLIMITED)
        traffic = Traffic(scim, person, headers)
        await traffic.goes_on(30)
        assert await ready(scim) == (200, "ok")
        await asyncio.to_thread(pair.primary.kill)
        while "it takes no writes: a standby" not in (await ready(scim))[1]:
            await asyncio.sleep(0.02)

        await pair.promote()
        assert await traffic.goes_on() + await becomes_ready(scim) < HEALED_SECONDS
        await traffic.stop()
        assert await traffic.lost(pair.standby) == set()


async def test_who_connected_while_the_name_led_to_a_standby_writes_as_soon_as_it_leads_to_the_primary(
    pair: Pair, tmp_path: Path, person: Person
) -> None:
    async with served(pair.url(pair.ports[0]), tmp_path) as primary:
        headers = await primary.connect()
    async with Relay("127.0.0.1", pair.ports[1]) as name, served(pair.url(name.port), tmp_path) as scim:
        users = [scim.client.get("/Users?count=0", headers=headers) for _ in range(10)]
        assert {answer.status_code for answer in await asyncio.gather(*users)} == {200}
        assert await write(scim, headers, person("ada")) == 503
        assert (await ready(scim))[0] == 503

        name.lead_to("127.0.0.1", pair.ports[0])
        writes = [write(scim, headers, person(f"p{number}")) for number in range(10)]
        assert await asyncio.gather(*writes) == [201] * 10
        assert await ready(scim) == (200, "ok")


async def test_without_a_write_the_readiness_probe_finds_the_primary(pair: Pair, tmp_path: Path) -> None:
    async with Relay("127.0.0.1", pair.ports[1]) as name, served(pair.url(name.port), tmp_path) as scim:
        assert await ready(scim) == (503, "the database takes no writes: it is a standby")
        name.lead_to("127.0.0.1", pair.ports[0])
        assert await ready(scim) == (200, "ok")


async def test_reads_move_from_the_standby_by_themselves(pair: Pair, tmp_path: Path) -> None:
    async with Relay("127.0.0.1", pair.ports[1]) as name, served(pair.url(name.port), tmp_path) as scim:
        name.lead_to("127.0.0.1", pair.ports[0])
        database = scim.service.store._database  # type: ignore[attr-defined]
        begin = time.monotonic()
        while (await database.read("SELECT pg_is_in_recovery()"))[0][0]:
            assert time.monotonic() < begin + HEALED_SECONDS
            await asyncio.sleep(0.02)


async def test_a_database_that_is_read_only_by_default_is_not_ready_until_that_is_taken_back(
    postgres_url: str, tmp_path: Path, person: Person
) -> None:
    database = postgres_url.partition("@/")[2].partition("?")[0]
    async with served(postgres_url, tmp_path) as before:
        headers = await before.connect()
    await execute(postgres_url, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    async with served(postgres_url, tmp_path) as scim:
        assert await write(scim, headers, person("ada")) == 503
        assert await ready(scim) == (
            503,
            "the database takes no writes: default_transaction_read_only is on",
        )
        assert (await scim.client.get("/Users?count=0", headers=headers)).status_code == 200
        await execute(
            postgres_url,
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {database} RESET default_transaction_read_only",
        )
        assert await write(scim, headers, person("ada")) == 201
        assert await ready(scim) == (200, "ok")


async def test_the_watch_renews_all_pools_a_second_after_a_read_only_connection_was_opened(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counted:
        renewed = 0

        def renew(self) -> None:
            self.renewed += 1

    first, second, watch = Counted(), Counted(), ReadOnlyWatch()
    watch.add(first)
    watch.add(second)
    monkeypatch.setattr("scim_api.store.postgres.read_only.RENEW_SECONDS", 0.05)
    for port, times in ((pair.ports[0], 0), (pair.ports[1], 1)):
        connection = await Connector(pair.url(port), Session({}))()
        assert starts_read_only(connection) is bool(times)
        watch.opened(connection)
        watch.opened(connection)
        await asyncio.sleep(0.2)
        assert (first.renewed, second.renewed) == (times, times)
        await connection.close()


async def test_a_single_host_that_must_take_writes_and_does_not_is_read_only(pair: Pair) -> None:
    url = f"{pair.url(pair.ports[1])}&target_session_attrs=read-write"
    with pytest.raises(ReadOnly, match="takes no writes"):
        await Connector(url, Session({}))()
