"""Everything goes from one database to the other, or nothing does."""

import asyncio
import signal
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from scim_api.contract.admin import TenantSettings
from scim_api.store.change_log import Actor
from scim_api.store.errors import CredentialRevoked, TransferRefused, Unavailable
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.protocol import ListQuery
from scim_api.store.sql.transfer_tables import TABLES, Digest
from scim_api.store.transfer import copy, database_of
from support.database import run_sql
from support.earlier_release import EarlierRelease
from support.stored import connect, credential, prepared, tenant_of
from support.transfer import BASE, Life, Way, content, opened, served, unseen


async def answers(
    client: httpx.AsyncClient, tokens: list[str], paths: list[str]
) -> dict[tuple[str, str], tuple[int, str | None, Any]]:
    """What each token gets at each path: status, ETag, body."""
    found = {}
    for token in tokens:
        for path in paths:
            answer = await client.get(f"/{path}", headers={"authorization": f"Bearer {token}"})
            found[token, path] = (answer.status_code, answer.headers.get("etag"), answer.json())
    return found


async def test_every_token_gets_the_same_answers_afterwards(way: Way, person: Any) -> None:
    life = Life()
    await life.live(way.source, person)
    async with served(way.source) as (store, client):
        before = await answers(client, life.tokens, life.paths)
        connection = await store.connection("demo", "entra")
        tombstone = await store.connection("apps", "gone")
    assert {status for status, _, _ in before.values()} == {200, 404, 401}
    assert sum(etag is not None for _, etag, _ in before.values()) >= 8

    await copy(way.source, way.target, unseen)

    async with served(way.target) as (store, client):
        assert await answers(client, life.tokens, life.paths) == before
        after = await store.connection("demo", "entra")
        assert after.model_copy(update={"now": connection.now}) == connection
        assert any(one.last_used_at is not None for one in after.credentials)
        assert any(one.last_inspected_at is not None for one in after.credentials)
        assert (await store.connection("apps", "gone")).revision == tombstone.revision
        assert await store.claim("another") == "an-installation"
        assert await store.public_url() == BASE


async def share_with_an_earlier_release(url: str) -> None:
    """Leave two that have one key, one whose keys are not rebuilt yet, and a row of the audit table."""
    [[tenant]] = await run_sql(url, "SELECT min(pk) FROM tenant")
    earlier = EarlierRelease(url, tenant)
    audit = "INSERT INTO audit (at, tenant, kind, resource_id, action, actor)"
    await run_sql(url, f"{audit} VALUES ('2026-01-01', {tenant}, 'User', 'u', 'modify', 'k') RETURNING 1")
    async with opened(url) as store:
        await earlier.create("Group", {"displayName": "\u03c3"}, {"displayName": "x\u03a3"})
        await earlier.create("Group", {"displayName": "x\u03c3"})
        while (await store.rebuild_keys()).looked_at:
            pass
    await earlier.create("Group", {"displayName": "y\u03a3"})


async def test_every_row_of_every_table_is_the_same_and_the_source_is_untouched(
    way: Way, person: Any
) -> None:
    await Life().live(way.source, person)
    await share_with_an_earlier_release(way.source)
    before = await content(way.source)
    assert all(rows for rows, _ in before.values())

    counts = await copy(way.source, way.target, unseen)

    assert await content(way.target) == before == await content(way.source)
    assert counts == {name: rows for name, (rows, _) in before.items()}


async def test_a_revoked_token_cannot_be_registered_again(way: Way, person: Any) -> None:
    life = Life()
    await life.live(way.source, person)
    await copy(way.source, way.target, unseen)
    async with opened(way.target) as store:
        with pytest.raises(CredentialRevoked):
            await store.put_connection(
                "demo", "entra", life.wanted(datetime.now(UTC), 0, 1, 2), if_match=None
            )


async def test_the_next_rows_get_numbers_that_were_never_given(way: Way, person: Any) -> None:
    """A tenant that is made anew after a deletion must not find what the one before had."""
    await migrate(way.source)
    async with opened(way.source) as store:
        first = await tenant_of(store, "stays")
        erased = TenantSettings.model_validate({"deletionPolicy": "Delete"})
        await connect(store, credential("x"), name="passing", tenant="passing", settings=erased)
        await store.delete_connection("apps", "passing", if_match=None)
        while await store.purge():
            pass
        await store.purge()
        await store.create(first, "User", prepared("ada"), actor=Actor("c"))

    await copy(way.source, way.target, unseen)

    async with opened(way.target) as store:
        assert await tenant_of(store, "later") == first + 2
        await store.create(first, "User", prepared("eve"), actor=Actor("c"))
        assert [one.doc for one in (await store.search(first, "User", ListQuery(limit=10))).resources] == [
            prepared("ada").doc, prepared("eve").doc,
        ]  # fmt: skip


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for does not come."""
    monkeypatch.setattr("scim_api.store.postgres.transfer._SESSIONS_END_SECONDS", 0.2)
    monkeypatch.setattr("scim_api.store.sqlite.connection.LOCK_WAIT_MS", 200)


@pytest.mark.usefixtures("impatient")
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


@pytest.mark.usefixtures("impatient")
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
        second_time = reads.count("change") == 2
        kept(self, [[*row[:-1], "x"] for row in page] if second_time else page)

    monkeypatch.setattr(Digest, "update", damaged)
    with pytest.raises(TransferRefused, match="table change"):
        await copy(way.source, way.target, unseen)
    monkeypatch.undo()

    async with opened(way.target) as store:
        assert not (await store.connections(after=None, limit=1)).items


KILLED = """
import asyncio, os, signal, sys
from scim_api.store import transfer

def progress(table, done, total):
    if table.name == sys.argv[3] and done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(transfer.copy(sys.argv[1], sys.argv[2], progress))
"""


@pytest.mark.parametrize("at", [("tenant", 0), ("resource", 1_000), ("change", -1)])
async def test_a_copy_killed_halfway_leaves_nothing_and_the_next_one_succeeds(
    way: Way, at: tuple[str, int]
) -> None:
    """The last of these moments is after the last row, before all is compared and committed."""
    await migrate(way.source)
    async with opened(way.source) as store:
        tenant = await tenant_of(store)
        for _ in range(12):
            start = (await store.search(tenant, "User", ListQuery(limit=10))).total
            await asyncio.gather(
                *(
                    store.create(tenant, "User", prepared(f"p{start + n}"), actor=Actor("c"))
                    for n in range(100)
                )
            )
    table, done = at
    total = (await content(way.source))["change"][0]
    done = total if done < 0 else done

    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, way.source, way.target, table, str(done)
    )
    assert await killed.wait() == -signal.SIGKILL

    async with opened(way.target) as store:
        assert await store.schema_version() == REQUIRED_VERSION
        assert not (await store.connections(after=None, limit=1)).items
    await copy(way.source, way.target, unseen)
    assert await content(way.target) == await content(way.source)
