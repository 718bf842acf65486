"""Every test that takes ``store`` runs on SQLite and on PostgreSQL (see the parent's fixture)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scim_api.store.factory import create_store
from scim_api.store.protocol import Store
from support.stored import tenant_of
from support.transfer import Way


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


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite", "sqlite to sqlite"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    """From one database to another, of which neither exists or has anything."""
    first, second = f"sqlite:///{tmp_path / 'first.db'}", f"sqlite:///{tmp_path / 'second.db'}"
    match request.param:
        case "sqlite to postgresql":
            return Way(first, request.getfixturevalue("empty_postgres_url"))
        case "postgresql to sqlite":
            return Way(request.getfixturevalue("empty_postgres_url"), second)
        case _:
            return Way(first, second)
