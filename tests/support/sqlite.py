"""SQLite databases for tests: each test gets a fresh, migrated one, a copy of a template."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.memory import new_directory


@pytest.fixture(scope="session")
def _sqlite_template() -> Iterator[Path]:
    """A migrated database to copy from."""
    from scim_api.store.migrate import migrate

    directory = new_directory("sqlite-")
    path = directory / "scim.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    assert [one.name for one in directory.iterdir()] == [path.name], "something waits in a journal"
    yield path
    shutil.rmtree(directory)


@pytest.fixture
def sqlite_url(_sqlite_template: Path) -> Iterator[str]:
    """A fresh database with the schema."""
    directory = new_directory("sqlite-")
    shutil.copy(_sqlite_template, directory)
    yield f"sqlite:///{directory / _sqlite_template.name}"
    shutil.rmtree(directory)
