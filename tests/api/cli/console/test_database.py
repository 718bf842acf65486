"""A store asked from threads: what goes wrong is said as the console says it."""

from pathlib import Path

import pytest

from scim_api.cli.console.database import opened
from scim_api.core.errors import invalid_filter
from scim_api.store.errors import ChangesGone, Conflict, TooSlow, Unavailable
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_console.model import Unreachable


async def _raises(error: Exception) -> None:
    raise error


@pytest.fixture
async def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'scim.db'}"
    await migrate(found)
    return found


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (Unavailable("is locked"), Unreachable, "The database can't be used: is locked."),
        (TooSlow(), Unreachable, "type more of the name"),
        (Conflict("userName"), Unreachable, "Conflict: userName"),
        (ChangesGone("a restore"), ChangesGone, "a restore"),
        (invalid_filter("The filter ends early."), ValueError, "The filter ends early."),
    ],
)
def test_what_a_store_raises_is_told_as_the_console_says_it(
    url: str, raised: Exception, expected: type[Exception], message: str
) -> None:
    with opened(create_store(url), None) as database, pytest.raises(expected, match=message):
        database.ask(_raises(raised))


def test_the_endpoint_is_what_was_announced_unless_another_is_given(url: str) -> None:
    with opened(create_store(url), None) as database:
        assert database.endpoint == "/scim/v2"
        database.ask(database.store.public_url("https://scim.example.com/scim/v2"))
    with opened(create_store(url), None) as database:
        assert database.endpoint == "https://scim.example.com/scim/v2"
    with opened(create_store(url), "https://other.example/scim/v2") as database:
        assert database.endpoint == "https://other.example/scim/v2"


def test_a_database_of_no_schema_is_not_migrated(tmp_path: Path) -> None:
    store = create_store(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Unreachable, match="run `scim-api migrate` first"), opened(store, None):
        pass
