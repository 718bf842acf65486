"""What is not copied is left as it is, on both sides."""

import asyncio
from typing import Any

import pytest

from scim_api.store.errors import Unavailable
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.sql.transfer_tables import TABLES, Digest, TransferRefused
from scim_api.store.transfer import copy, database_of
from support.stored import connect, credential
from support.transfer import BASE, Life, Way, content, opened, run_sql, unseen


async def test_a_target_that_has_something_is_refused_and_left_as_it_is(way: Way, person: Any) -> None:
    await Life().live(way.source, person)
    await migrate(way.target)
    async with opened(way.target) as store:
        await connect(store, credential("theirs"), name="theirs")
    before = await content(way.target)

    with pytest.raises(TransferRefused, match="is not empty"):
        await copy(way.source, way.target, unseen)

    assert await content(way.target) == before


async def test_a_target_of_another_installation_is_refused(way: Way, person: Any) -> None:
    await Life().live(way.source, person)
    await migrate(way.target)
    async with opened(way.target) as store:
        await store.claim("another-installation")

    with pytest.raises(TransferRefused, match="another-installation"):
        await copy(way.source, way.target, unseen)


async def test_a_target_that_the_api_was_once_started_on_is_filled(way: Way, person: Any) -> None:
    await Life().live(way.source, person)
    await migrate(way.target)
    async with opened(way.target) as store:
        await store.public_url("https://elsewhere.test")

    await copy(way.source, way.target, unseen)

    async with opened(way.target) as store:
        assert await store.public_url() == BASE


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_database_that_is_in_use_is_refused(way: Way, person: Any, side: str) -> None:
    await Life().live(way.source, person)
    await migrate(way.target)
    async with opened(getattr(way, side)) as store:
        await store.generation()
        with pytest.raises(TransferRefused, match="is in use"):
            await copy(way.source, way.target, unseen)
    async with opened(way.target) as store:
        assert not (await store.connections(after=None, limit=1)).items


async def test_nobody_writes_to_the_source_while_it_is_read(way: Way, person: Any) -> None:
    """A service that starts after the check has to wait until the copy ends, or fails to start."""
    await Life().live(way.source, person)
    outcome: list[Exception] = []

    async def write() -> None:
        async with opened(way.source) as store:
            await store.public_url("https://late.test")

    async with database_of(way.source).source() as source:
        before = [page async for page in source.pages(TABLES[0])]
        try:
            await asyncio.wait_for(write(), 30)
        except (Unavailable, TimeoutError) as error:
            outcome.append(error)
        assert [page async for page in source.pages(TABLES[0])] == before
    assert outcome


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_schema_of_a_newer_release_is_refused(way: Way, person: Any, side: str) -> None:
    await Life().live(way.source, person)
    await migrate(way.target)
    newer = REQUIRED_VERSION + 1
    await run_sql(
        getattr(way, side), f"INSERT INTO schema_migration VALUES ({newer}, 'of tomorrow', '2030-01-01')"
    )

    with pytest.raises(TransferRefused, match=f"schema version {newer}"):
        await copy(way.source, way.target, unseen)

    async with opened(way.target) as store:
        assert not (await store.connections(after=None, limit=1)).items


async def test_a_schema_of_an_earlier_release_is_refused_with_the_command_that_helps(
    way: Way, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Life().live(way.source, person)
    monkeypatch.setattr("scim_api.store.transfer.REQUIRED_VERSION", REQUIRED_VERSION + 1)
    with pytest.raises(TransferRefused, match="scim-api migrate"):
        await copy(way.source, way.target, unseen)


async def test_what_did_not_arrive_as_it_was_is_taken_back(
    way: Way, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table whose rows lose a column on the way stands for any damage."""
    await Life().live(way.source, person)
    kept = Digest.update
    reads: list[str] = []

    def damaged(self: Digest, page: Any) -> None:
        reads.append(self.table.name)
        second_time = reads.count("audit") == 2
        kept(self, [[*row[:-1], "x"] for row in page] if second_time else page)

    monkeypatch.setattr(Digest, "update", damaged)
    with pytest.raises(TransferRefused, match="table audit"):
        await copy(way.source, way.target, unseen)
    monkeypatch.undo()

    async with opened(way.target) as store:
        assert not (await store.connections(after=None, limit=1)).items
