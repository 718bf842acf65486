"""Tenants to talk to as Entra does."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.conftest import Scim
from support.conversation import Conversation

Connect = Callable[..., Awaitable[Conversation]]

BUSY = {"requestsPerSecond": 10_000, "burst": 10_000}
"""A rate limit that no test meets."""


@pytest.fixture
def connect(scim: Scim) -> Connect:
    """Makes a tenant with settings of its own."""

    async def make(tenant: str = "contoso", **settings: Any) -> Conversation:
        settings.setdefault("rateLimit", BUSY)
        return Conversation(scim.client, await scim.connect(tenant, tenant=tenant, **settings))

    return make


@pytest.fixture
async def contoso(connect: Connect) -> Conversation:
    """A tenant with the defaults: matching workEmail, groups enabled."""
    return await connect()


@pytest.fixture
async def by_name(connect: Connect) -> Conversation:
    """A tenant that matches by userName, where nobody needs a work e-mail."""
    return await connect("byname", matching="userName")
