"""What every command shares: the database that it opens, and one line about whatever goes wrong."""

import asyncio
from pathlib import Path

import click
import pytest

from scim_api.cli.common import read_settings, run, with_store
from scim_api.cli.mistake import ConnectionMistake
from scim_api.server.settings import ApiSettings, SettingsError
from scim_api.store.errors import Conflict, RevisionMismatch, TransferRefused, Unavailable
from scim_api.store.factory import create_store
from scim_api.store.migrate import REQUIRED_VERSION
from scim_api.store.protocol import Store

STORED = "https://stored.example.com/scim/v2"
GIVEN = "https://given.example.com/scim/v2"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SettingsError("port: too large"), "port: too large"),
        (ConnectionMistake("there is no connection demo/entra"), "there is no connection demo/entra"),
        (TransferRefused("the target is not empty"), "the target is not empty"),
        (ValueError("write sqlite:///scim.db"), "write sqlite:///scim.db"),
        (Unavailable("the disk is full"), "the database can't be used: the disk is full"),
        (Conflict("userName"), "Conflict: userName"),
        (RevisionMismatch("it was changed meanwhile"), "RevisionMismatch: it was changed meanwhile"),
    ],
)
def test_what_can_go_wrong_is_one_line_without_a_traceback(error: Exception, line: str) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(click.ClickException) as told:
        run(fail)
    assert told.value.message == line
    assert told.value.exit_code == 1
    assert told.value.__suppress_context__


def test_a_fault_of_ours_is_not_hidden() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(fail)


def test_a_setting_that_is_wrong_is_told_like_any_other_mistake() -> None:
    with pytest.raises(click.ClickException, match=r"public_url: write an absolute URL .*--public-url"):
        read_settings(public_url="example")


async def version_of(store: Store, _endpoint: str) -> int:
    return await store.schema_version()


async def endpoint_of(_store: Store, endpoint: str) -> str:
    return endpoint


def test_an_sqlite_file_is_made_and_migrated(tmp_path: Path) -> None:
    settings = ApiSettings(database_url=f"sqlite:///{tmp_path / 'scim.db'}")
    assert run(lambda: with_store(settings, version_of)) == REQUIRED_VERSION


def test_a_postgresql_database_is_left_to_the_command_that_migrates_it(empty_postgres_url: str) -> None:
    settings = ApiSettings(database_url=empty_postgres_url)
    with pytest.raises(click.ClickException, match="run `scim-api migrate` first"):
        run(lambda: with_store(settings, version_of))

    async def version() -> int:
        store = create_store(empty_postgres_url)
        await store.open()
        try:
            return await store.schema_version()
        finally:
            await store.close()

    assert asyncio.run(version()) == 0


def test_the_endpoint_is_the_one_given_else_the_one_that_serve_has_told_else_this_machine(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'scim.db'}"

    async def remember(store: Store, _endpoint: str) -> None:
        await store.public_url(STORED)

    settings, given = ApiSettings(database_url=url), ApiSettings(database_url=url, public_url=GIVEN)
    assert run(lambda: with_store(settings, endpoint_of)) == "http://127.0.0.1:8080/scim/v2"
    run(lambda: with_store(settings, remember))
    assert run(lambda: with_store(settings, endpoint_of)) == STORED
    assert run(lambda: with_store(given, endpoint_of)) == GIVEN


def test_the_database_is_closed_whatever_the_work_comes_to(tmp_path: Path) -> None:
    settings = ApiSettings(database_url=f"sqlite:///{tmp_path / 'scim.db'}")
    opened: list[Store] = []

    async def work(store: Store, _endpoint: str) -> None:
        opened.append(store)
        if len(opened) == 2:
            raise ConnectionMistake("no")

    async def both() -> None:
        await with_store(settings, work)
        with pytest.raises(ConnectionMistake):
            await with_store(settings, work)
        for store in opened:
            with pytest.raises(Unavailable, match="closed"):
                await store.generation()

    asyncio.run(both())
    assert len(opened) == 2
