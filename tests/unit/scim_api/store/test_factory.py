"""A database URL chooses its driver."""

import pytest

from scim_api.store.factory import create_store
from scim_api.store.postgres.store import PostgresStore
from scim_api.store.sqlite.store import SqliteStore


@pytest.mark.parametrize("url", ["sqlite:///scim.db", "sqlite:////data/scim.db"])
def test_sqlite_takes_relative_and_absolute_paths(url: str) -> None:
    store = create_store(url)
    assert isinstance(store, SqliteStore)
    assert store.url == url


@pytest.mark.parametrize("url", ["postgresql://scim@db/scim", "postgres://scim@db/scim"])
def test_postgresql_has_two_spellings(url: str) -> None:
    store = create_store(url)
    assert isinstance(store, PostgresStore)
    assert store.url == url


@pytest.mark.parametrize(
    "url", ["mysql://scim:hunter2@db/scim", "sqlite://scim.db", "postgresql:scim", "scim.db", ""]
)
def test_any_other_url_is_refused_with_what_to_write_and_without_its_rest(url: str) -> None:
    with pytest.raises(
        ValueError, match=r"write sqlite:///scim\.db or postgresql://user@host/database"
    ) as refused:
        create_store(url)
    assert "hunter2" not in str(refused.value)
    assert repr(url.split(":", 1)[0]) in str(refused.value)
