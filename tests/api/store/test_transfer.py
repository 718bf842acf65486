"""Everything goes from one database to the other, or nothing does."""

import asyncio
import signal
import sys
from datetime import UTC, datetime
from typing import Any

<<<<<<< HEAD
import httpx
import pytest

from scim_api.contract.admin import TenantSettings
from scim_api.store.errors import CredentialRevoked, Unavailable
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.protocol import ListQuery
from scim_api.store.sql.transfer_tables import TABLES, Digest, TransferRefused
from scim_api.store.transfer import copy, database_of
from support.database import run_sql
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
=======
import apsw
import asyncpg
import pytest

from scim_api.contract.admin import TenantSettings
from scim_api.store.errors import CredentialRevoked
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.protocol import ListQuery
from scim_api.store.sql.transfer_tables import TABLES, Digest
from scim_api.store.transfer import copy
from support.stored import connect, credential, prepared, tenant_of
from support.transfer import BASE, Life, Way, answers, content, opened, served, unseen
>>>>>>> 37db1d259f45883d3094914a79f0df0e0bd4f3d2


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
        assert (await store.connection("apps", "gone")).revision == tombstone.revision
        assert await store.claim("another") == "an-installation"
        assert await store.public_url() == BASE


async def test_every_row_of_every_table_is_the_same_and_the_source_is_untouched(
    way: Way, person: Any
) -> None:
    await Life().live(way.source, person)
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
        await store.create(first, "User", prepared("ada"), actor="c")

    await copy(way.source, way.target, unseen)

    async with opened(way.target) as store:
        assert await tenant_of(store, "later") == first + 2
        await store.create(first, "User", prepared("eve"), actor="c")
        assert [one.doc for one in (await store.search(first, "User", ListQuery(limit=10))).resources] == [
            prepared("ada").doc, prepared("eve").doc,
        ]  # fmt: skip


KILLED = """
import asyncio, os, signal, sys
from scim_api.store import transfer

def progress(table, done, total):
    if table.name == sys.argv[3] and done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(transfer.copy(sys.argv[1], sys.argv[2], progress))
"""


@pytest.mark.parametrize("at", [("tenant", 0), ("resource", 1_000), ("audit", -1)])
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
                *(store.create(tenant, "User", prepared(f"p{start + n}"), actor="c") for n in range(100))
            )
    table, done = at
    total = (await content(way.source))["audit"][0]
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
<<<<<<< HEAD
=======


async def test_every_table_and_column_of_either_schema_is_copied(postgres_url: str, tmp_path: Path) -> None:
    path = tmp_path / "scim.db"
    await migrate(f"sqlite:///{path}")
    database = apsw.Connection(str(path))
    sqlite = {
        name: {
            (column, bool(key))
            for column, key in database.execute("SELECT name, pk FROM pragma_table_info(?)", (name,))
        }
        for (name,) in list(
            database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        )
    }
    database.close()
    server = await asyncpg.connect(postgres_url)
    postgresql: dict[str, set[str]] = {}
    json_columns: dict[str, set[str]] = {}
    numbered = set()
    for name, column, kind, identity in await server.fetch(
        "SELECT table_name, column_name, data_type, is_identity FROM information_schema.columns"
        " WHERE table_schema = 'public'"
    ):
        postgresql.setdefault(name, set()).add(column)
        if kind in {"json", "jsonb"}:
            json_columns.setdefault(name, set()).add(column)
        if identity == "YES":
            numbered.add(name)
    await server.close()

    copied = {table.name: {(column, column in table.key) for column in table.columns} for table in TABLES}
    assert copied == {name: columns for name, columns in sqlite.items() if name != "schema_migration"}
    assert {table.name: set(table.columns) for table in TABLES} == {
        name: columns for name, columns in postgresql.items() if name != "schema_migration"
    }
    assert {table.name: set(table.json) for table in TABLES if table.json} == json_columns
    assert {table.name for table in TABLES if table.numbered} == numbered


def test_json_is_compared_by_its_meaning() -> None:
    table = next(table for table in TABLES if table.json)

    def of(text: str) -> str:
        read = Digest(table)
        row: list[object] = [None] * len(table.columns)
        row[table.columns.index("keys")] = text
        read.update([row])
        return read.hex

    assert of('{"a": 1e2, "b": [1.50, -0.0]}') == of('{"b":[1.5,0],"a":100}')
    assert len({of(text) for text in ('{"a":1}', '{"a":"1"}', '{"a":true}', '{"a":1.01}', '{"a":[1]}')}) == 5
    long = "1" * 40
    assert of(f'{{"a":{long}1}}') != of(f'{{"a":{long}2}}')
>>>>>>> 37db1d259f45883d3094914a79f0df0e0bd4f3d2
