"""``scim-api serve`` as a real process, on either database, for clients that need an address."""

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from demo.processes import start_api
from scim_api.contract.admin import Credential, PutConnection, RateLimit, TenantSettings
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import Store
from support import forked
from support.postgres import PostgresServer, execute

Result = TypeVar("Result")
_UNLIMITED: Final = RateLimit(requests_per_second=10_000, burst=10_000)


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """What Entra is given."""

    url: str
    token: str


@dataclasses.dataclass(frozen=True)
class ScimService:
    """A running service.

    Attributes:
        url: its SCIM base URL.
        database_url: its database.
    """

    url: str
    database_url: str

    def connect(self, name: str, **settings: Any) -> Endpoint:
        """A new connection, and tenant, of this name.

        Args:
            name: must be new.
            settings: of the tenant, such as ``matching``; the rate limit is out of the way unless given.
        """
        return Endpoint(self.url, asyncio.run(self._connect(name, settings)))

    def store(self, action: Callable[[Store], Awaitable[Result]]) -> Result:
        """Do something in its database, as a command beside it does."""

        async def done() -> Result:
            store = create_store(self.database_url)
            await store.open()
            try:
                return await action(store)
            finally:
                await store.close()

        return asyncio.run(done())

    async def _connect(self, name: str, settings: dict[str, Any]) -> str:
        store = create_store(self.database_url)
        await store.open()
        try:
            return await connect(store, name, **settings)
        finally:
            await store.close()


async def connect(store: Store, name: str, **settings: Any) -> str:
    """The token of a new connection and tenant of this name; the rate limit is out of the way unless given."""
    token = new_token()
    present = await store.connection("demo", name)
    credential = Credential(
        id=new_token_id(),
        digest=digest(token).hex(),
        issued_at=present.now,
        expires_at=present.now + timedelta(days=1),
    )
    wanted = PutConnection(
        tenant=name,
        settings=TenantSettings.model_validate({"rate_limit": _UNLIMITED, **settings}),
        credentials=(credential,),
    )
    await store.put_connection("demo", name, wanted, if_match=present.revision)
    return token


@contextlib.contextmanager
def running_service(
    directory: Path, database_url: str, environment: Mapping[str, str] | None = None
) -> Iterator[ScimService]:
    """Start it with more variables, wait until it is ready, and stop it at the end."""
    keys = directory / "keys"
    keys.mkdir()
    api = start_api(
        directory, admin_keys_dir=keys, database_url=database_url, environment=environment, by=forked.spawn
    )
    try:
        api.wait_ready()
        yield ScimService(api.scim_url, database_url)
    finally:
        api.stop()


@contextlib.contextmanager
def database_of(kind: str, directory: Path, server: PostgresServer, name: str) -> Iterator[str]:
    """The URL of a new database: ``sqlite`` in the directory, ``postgresql`` on the server."""
    if kind == "sqlite":
        yield f"sqlite:///{directory / 'scim.db'}"
        return
    asyncio.run(execute(server.url, f"CREATE DATABASE {name}"))
    try:
        asyncio.run(migrate(server.url_of(name)))
        yield server.url_of(name)
    finally:
        asyncio.run(execute(server.url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@contextlib.contextmanager
def service_on(
    kind: str, directory: Path, server: PostgresServer, environment: Mapping[str, str] | None = None
) -> Iterator[ScimService]:
    """A service with a new database of its own; see ``database_of`` and ``running_service``."""
    with (
        database_of(kind, directory, server, f"service_{secrets.token_hex(6)}") as url,
        running_service(directory, url, environment) as service,
    ):
        yield service
