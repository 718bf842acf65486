"""The real processes: two replicas of the API on a PostgreSQL of their own, or one on SQLite, each of which can be killed."""

import asyncio
import contextlib
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, Literal

import asyncpg
import orjson

from demo.processes import Api, ProcessFailed, start_api
from localcluster.ports import free_port
from scim_api.contract.tokens import digest
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import Store
from support import forked
from support.postgres import OwnServer, own_server
from support.scim_service import connect
from torture.changes.rules import Outage
from torture.changes.tables import Tables

RESTART_SECONDS: Final = 60.0
SETTINGS: Final = {"track_commit_timestamp": "on", "max_wal_size": "2GB", "shared_buffers": "128MB"}
Database = Literal["postgresql", "sqlite"]


class World:
    """One installation.

    Args:
        directory: for logs, and for SQLite's file.
        url: of the database.
        server: of PostgreSQL; None with SQLite, which has one replica.
    """

    def __init__(self, directory: Path, url: str, server: OwnServer | None) -> None:
        self.directory, self.url, self._server = directory, url, server
        names = ("api-0", "api-1") if server is not None else ("api-0",)
        self._ports = {name: (free_port(), free_port()) for name in names}
        self._apis: dict[str, Api] = {}
        self._locks = {name: asyncio.Lock() for name in (*names, "postgresql")}
        self.outages: list[Outage] = []
        """Of the database."""
        self.tables = Tables(url)

    @property
    def is_file(self) -> bool:
        """Whether the database is SQLite's."""
        return self.url.startswith("sqlite:")

    @property
    def replicas(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self._ports)

    @property
    def ports(self) -> tuple[int, ...]:
        """Of the public side of each."""
        return tuple(public for public, _ in self._ports.values())

    async def start(self) -> None:
        """Start the replicas, and wait until they are ready."""
        for name in self._ports:
            self._start_api(name)
        for api in self._apis.values():
            await asyncio.to_thread(api.wait_ready, RESTART_SECONDS)

    async def stop(self) -> None:
        """End them."""
        for api in self._apis.values():
            await asyncio.to_thread(api.stop)

    def exceptions(self) -> list[str]:
        """What the replicas' logs say of requests that failed by a fault of theirs: where, and why."""
        found = []
        for name, api in self._apis.items():
            for line in api.log_text().splitlines():
                with contextlib.suppress(orjson.JSONDecodeError):
                    if text := orjson.loads(line).get("exception"):
                        found.append(f"{name}: {' | '.join(part.strip() for part in text.splitlines()[-5:])}")
        return found

    def _start_api(self, name: str) -> None:
        directory = self.directory / name
        keys = directory / "keys"
        keys.mkdir(parents=True, exist_ok=True)
        public, internal = self._ports[name]
        self._apis[name] = start_api(
            directory,
            admin_keys_dir=keys,
            database_url=self.url,
            port=public,
            internal_port=internal,
            by=forked.spawn,
        )

    # -- breaking it ----------------------------------------------------------------------------------
    async def kill_api(self, name: str, seconds: float) -> None:
        """SIGKILL, and start it again after so many seconds. A request that it has is never answered."""
        async with self._locks[name]:
            await asyncio.to_thread(self._apis[name].kill)
            await asyncio.sleep(seconds)
            await self._restart_api(name)

    async def _restart_api(self, name: str) -> None:
        """Start it until it stays: without a database it ends."""
        deadline = time.monotonic() + RESTART_SECONDS
        while True:
            self._start_api(name)
            try:
                return await asyncio.to_thread(self._apis[name].wait_ready, RESTART_SECONDS)
            except ProcessFailed:
                if self._apis[name].running or time.monotonic() > deadline:
                    raise

    async def kill_postgresql(self, seconds: float) -> None:
        """SIGKILL all its processes, and start it again after so many seconds."""
        assert self._server is not None
        async with self._locks["postgresql"]:
            began = time.time()
            await asyncio.to_thread(self._server.kill_all)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._server.start_again, RESTART_SECONDS)
            for api in self._apis.values():
                with contextlib.suppress(ProcessFailed):  # it was killed, too, and is about to start
                    await asyncio.to_thread(api.wait_ready, RESTART_SECONDS)
            self.outages.append(Outage(began, time.time() + 1))

    async def terminate_backends(self, dice: random.Random) -> None:
        """Half of the connections of the API end, whatever they are at."""
        session = await asyncpg.connect(self.url, timeout=10)
        try:
            pids = await session.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = 'scim-api'")
            for (pid,) in pids:
                if dice.random() < 0.5:
                    await session.execute("SELECT pg_terminate_backend($1)", pid)
        finally:
            session.terminate()

    # -- what is there --------------------------------------------------------------------------------
    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """The store, past the API."""
        store = create_store(self.url)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    async def new_tenant(self, name: str) -> tuple[int, str]:
        """A connection and tenant of this name, which is purged with its connection: its key and a token."""
        async with self.store() as store:
            token = await connect(store, name, deletion_policy="Delete")
            access = await store.access(digest(token))
            assert access is not None
            return access.tenant, token

    async def delete_tenant(self, name: str) -> None:
        """Its connection goes, and the tenant is marked for purging."""
        async with self.store() as store:
            present = await store.connection("demo", name)
            await store.delete_connection("demo", name, if_match=present.revision)


@contextlib.contextmanager
def ground(database: Database) -> Iterator[tuple[Path, str, OwnServer | None]]:
    """A directory and a database with the schema: its URL, and PostgreSQL's server. They end with the block."""
    with tempfile.TemporaryDirectory(prefix="scim-torture-") as directory, contextlib.ExitStack() as stack:
        path = Path(directory)
        url, own = f"sqlite:///{path / 'scim.db'}", None
        if database == "postgresql":
            server = stack.enter_context(own_server(settings=SETTINGS))
            url, own = server.url, server.own
        asyncio.run(migrate(url))
        yield path, url, own
