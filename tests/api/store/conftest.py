"""Every test that takes ``store`` runs on SQLite and on PostgreSQL (see the parent's fixture)."""

from collections.abc import AsyncIterator

import pytest

from scim_api.store.factory import create_store
from scim_api.store.protocol import Store
from support.stored import tenant_of


@pytest.fixture
async def tenant(store: Store) -> int:
    return await tenant_of(store)


@pytest.fixture
async def other(store: Store) -> AsyncIterator[Store]:
    """A second replica, or the command line beside the service: another store on the same database."""
    other = create_store(store.url)
    await other.open()
    yield other
    await other.close()
