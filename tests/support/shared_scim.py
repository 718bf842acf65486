"""One service for all tests of a module, on each database; every test gets tenants of its own.

Tenants never see each other (test_tenancy proves it), and a tenant costs a hundredth of a new database. A module
that uses these fixtures says ``pytestmark = SHARED``, so that its tests run in the service's event loop.
"""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.conftest import BASE, Scim
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from support.conversation import Conversation
from support.postgres import PostgresServer, fresh_database

SHARED: Final = pytest.mark.asyncio(loop_scope="module")
BUSY: Final = {"requestsPerSecond": 10_000, "burst": 10_000}
"""A rate limit that no test meets."""

Connect = Callable[..., Awaitable[Conversation]]
_numbers = itertools.count()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def scim(
    request: pytest.FixtureRequest,
    postgres_server: PostgresServer,
    _postgres_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Scim]:
    """The service; its admin API is not there."""
    directory = tmp_path_factory.mktemp("scim")
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{directory / 'scim.db'}"
            await migrate(url)
        else:
            url = await stack.enter_async_context(fresh_database(postgres_server, _postgres_template))
        store = create_store(url)
        await store.open()
        stack.push_async_callback(store.close)
        service = ServiceContext(store, Authenticator(store), RateLimiter(), Metrics(), BASE)
        transport = httpx.ASGITransport(public_app(service), raise_app_exceptions=True)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url=BASE))
        yield Scim(service, client, client, directory, Ed25519PrivateKey.generate())


@pytest_asyncio.fixture(loop_scope="module")
async def connect(scim: Scim) -> Connect:
    """Makes a tenant with settings of its own."""

    async def make(**settings: Any) -> Conversation:
        settings.setdefault("rateLimit", BUSY)
        name = f"tenant-{next(_numbers)}"
        return Conversation(scim.client, await scim.connect(name, tenant=name, **settings))

    return make


@pytest_asyncio.fixture(loop_scope="module")
async def contoso(connect: Connect) -> Conversation:
    """A tenant with the defaults: matching workEmail, groups enabled."""
    return await connect()


@pytest_asyncio.fixture(loop_scope="module")
async def by_name(connect: Connect) -> Conversation:
    """A tenant that matches by userName, where nobody needs a work e-mail."""
    return await connect(matching="userName")
