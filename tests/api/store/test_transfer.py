"""Everything goes from one database to the other, or nothing does."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import httpx
import pytest

from scim_api.contract.admin import Credential, PutConnection, TenantSettings
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.errors import CredentialRevoked, Unavailable
from scim_api.store.factory import create_store
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.protocol import CredentialUse, ListQuery, Store
from scim_api.store.sql.transfer_tables import TABLES, Digest, Table, TransferRefused
from scim_api.store.transfer import copy, database_of
from support.postgres import execute
from support.stored import connect, credential, prepared, tenant_of

BASE = "https://scim.test/scim/v2"
CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
COMMAND = [sys.executable, "-m", "scim_api.cli.main", "copy"]
PATHS = (
    "Users",
    "Groups",
    "Users?sortBy=userName",
    'Users?filter=title eq "Engineer"',
    "ServiceProviderConfig",
)


def unseen(_table: Table, _done: int, _total: int) -> None:
    """Nobody looks at the progress."""


@dataclasses.dataclass
class Way:
    """From where to where."""

    source: str
    target: str
    """Does not exist yet, or has nothing."""


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite", "sqlite to sqlite"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    first, second = f"sqlite:///{tmp_path / 'first.db'}", f"sqlite:///{tmp_path / 'second.db'}"
    match request.param:
        case "sqlite to postgresql":
            return Way(first, request.getfixturevalue("empty_postgres_url"))
        case "postgresql to sqlite":
            return Way(request.getfixturevalue("empty_postgres_url"), second)
        case _:
            return Way(first, second)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = create_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def served(url: str) -> AsyncIterator[tuple[Store, httpx.AsyncClient]]:
    """The service on this database."""
    async with opened(url) as store:
        service = ServiceContext(store, Authenticator(store), RateLimiter(), Metrics(), BASE)
        transport = httpx.ASGITransport(public_app(service), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield store, client


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


class Life:
    """What an installation leaves in its database."""

    def __init__(self) -> None:
        self.tokens = [new_token() for _ in range(3)]
        self.ids = [new_token_id() for _ in range(3)]
        self.paths: list[str] = list(PATHS)

    def wanted(self, now: datetime, *numbers: int) -> PutConnection:
        """The connection with these of its tokens."""
        settings = TenantSettings.model_validate({"customFields": [{"name": "postalCode"}]})
        credentials = tuple(
            Credential(
                id=self.ids[number],
                digest=digest(self.tokens[number]).hex(),
                issued_at=now,
                expires_at=now.replace(year=now.year + 1, day=1),
            )
            for number in numbers
        )
        return PutConnection(tenant="contoso", settings=settings, credentials=credentials)

    async def live(self, url: str, person: Callable[..., dict[str, Any]]) -> None:
        """Connections, people, groups, changes and deletions."""
        await migrate(url)
        async with served(url) as (store, client):
            await store.claim("an-installation")
            await store.public_url(BASE)
            now = datetime.now(UTC)
            await store.put_connection("demo", "entra", self.wanted(now, 0, 1, 2), if_match=None)
            await store.put_connection("demo", "entra", self.wanted(now, 0, 1), if_match=None)  # 2 is revoked
            await store.record_use([CredentialUse(self.ids[0], now, "Entra")])
            await connect(store, credential("other"), name="gone", tenant="fabrikam")
            await store.delete_connection("apps", "gone", if_match=None)
            headers = {"authorization": f"Bearer {self.tokens[0]}"}

            async def post(kind: str, body: dict[str, Any]) -> str:
                answer = await client.post(f"/{kind}", json=body, headers=headers)
                assert answer.status_code == 201, answer.text
                self.paths.append(f"{kind}/{answer.json()['id']}")
                return str(answer.json()["id"])

            ada = await post("Users", person("ada", **{CUSTOM: {"postalCode": "0815"}}))
            eve = await post("Users", person("éve 'quoted' \\ 名", nickName="\u2028 \U0001f600"))
            gone = await post("Users", person("gone"))
            inner = await post("Groups", {"displayName": "Inner", "members": [{"value": eve}]})
            await post("Groups", {"displayName": "Staff", "members": [{"value": ada}, {"value": inner}]})
            change = {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "title", "value": "Countess"}],
            }
            assert (await client.patch(f"/Users/{ada}", json=change, headers=headers)).status_code == 200
            assert (await client.delete(f"/Users/{gone}", headers=headers)).status_code == 204


async def content(url: str) -> dict[str, tuple[int, str]]:
    """Rows and digest of each table."""
    found = {}
    async with database_of(url).source() as source:
        for table in TABLES:
            read = Digest(table)
            async for page in source.pages(table):
                read.update(page)
            found[table.name] = (read.rows, read.hex)
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


async def run_sql(url: str, sql: str) -> None:
    if url.startswith("sqlite"):
        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.execute(sql)
        connection.close()
    else:
        await execute(url, sql)


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


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


async def test_the_command_tells_counts_and_what_comes_next(way: Way, person: Any) -> None:
    await Life().live(way.source, person)
    done = await asyncio.to_thread(lambda: run("--from-env", "OLD", "--to", way.target, OLD=way.source))
    assert done.returncode == 0, done.stderr
    assert "resource                 4 of 4" in done.stdout
    assert "4 users and groups, 2 connections" in done.stdout
    assert "SCIM_API_DATABASE_URL" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "sqlite:///none.db", "--to", "sqlite:///new.db"], "no such file"),
        (["--from", "sqlite:///text.db", "--to", "sqlite:///new.db"], "not an SQLite database"),
        (["--from", "sqlite:///empty.db", "--to", "sqlite:///new.db"], "no tables of scim-api"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:///good.db"], "same database"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:///other.db"], "not empty"),
        (["--from", "sqlite:///good.db", "--to", "mysql://x"], "postgresql://"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:////nowhere/at/all.db"], "nowhere"),
        (["--from", "sqlite:///good.db", "--to", "postgresql://me:hidden@127.0.0.1:1/x"], "PostgreSQL"),
        (["--from", "sqlite:///good.db", "--to", "postgresql://me:hidden@nowhere.invalid/x"], "PostgreSQL"),
        (["--from", "sqlite:///good.db"], "--to-env"),
        (["--from-env", "NOT_THERE", "--to", "sqlite:///new.db"], "NOT_THERE"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    asyncio.run(migrate("sqlite:///good.db"))
    Path("text.db").write_text("not a database, but long enough to be looked at as one" * 100)
    Path("empty.db").touch()
    other = apsw.Connection("other.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()

    done = run(*arguments)

    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1
    assert message in done.stderr
    assert "hidden" not in done.stderr
    assert not Path("new.db").exists()
    assert not Path("none.db").exists()
