"""Backups are whole, and the commands of docs/backup.md bring them back."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import asyncpg
import httpx
import pytest

from demo.processes import Api, start_api
from scim_api.store.change_log import Actor
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.postgres import readers
from scim_api.store.protocol import ListQuery, Store
from support.postgres_versions import program, wanted
from support.readers import drop_roles
from support.stored import credential, digest_of, prepared, tenant_of

ROOT = Path(__file__).resolve().parents[4]
COMMAND = [sys.executable, "-m", "scim_api.cli.main"]
SECTION = (
    (ROOT / "docs/backup.md")
    .read_text(encoding="utf-8")
    .partition("\n## The database\n")[2]
    .partition("\n## ")[0]
)


def documented(word: str) -> str:
    """The one block of commands in the section that contains this."""
    [found] = [block for block in re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL) if word in block]
    return str(found)


def shell(commands: str, **environment: str) -> None:
    path = f"{Path(sys.executable).parent}:{Path(program('pg_dump', wanted())).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", commands],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": path, **environment},
    )
    assert done.returncode == 0, done.stderr


def backup(url: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "backup", str(file), "--database-url", url], capture_output=True, text=True, timeout=60
    )


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = create_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def scim_db(tmp_path: Path) -> str:
    """The URL of a database with a tenant and one user."""
    (tmp_path / "data").mkdir()
    url = f"sqlite:///{tmp_path / 'data/scim.db'}"

    async def fill() -> None:
        await migrate(url)
        async with opened(url) as store:
            await store.create(await tenant_of(store), "User", prepared("ada"), actor=Actor("c"))

    asyncio.run(fill())
    return url


@contextlib.contextmanager
def running(directory: Path, database_url: str) -> Iterator[Api]:
    keys = directory / "keys"
    keys.mkdir(exist_ok=True)
    api = start_api(directory, admin_keys_dir=keys, database_url=database_url)
    try:
        api.wait_ready()
        yield api
    finally:
        api.stop()


def create_connection(url: str) -> str:
    """A connection made by hand; its token."""
    done = subprocess.run(
        [*COMMAND, "connection", "create", "demo/entra", "--json", "--database-url", url],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return str(json.loads(done.stdout)["token"])


class Client:
    """Asks with one token."""

    def __init__(self, api: Api, token: str) -> None:
        self.url, self.headers = api.scim_url, {"authorization": f"Bearer {token}"}

    def status(self) -> int:
        return httpx.get(f"{self.url}/Users", headers=self.headers).status_code

    def people(self) -> set[str]:
        answer = httpx.get(f"{self.url}/Users", headers=self.headers)
        return {user["userName"] for user in answer.json()["Resources"]}

    def add(self, person: dict[str, Any]) -> None:
        answer = httpx.post(f"{self.url}/Users", json=person, headers=self.headers)
        assert answer.status_code == 201, answer.text


def test_sqlite_saved_and_restored_as_documented_is_what_it_was(
    tmp_path: Path, person: Callable[..., dict[str, Any]]
) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved"
    data.mkdir()
    saved.mkdir()
    url = f"sqlite:///{data / 'scim.db'}"
    paths = {"/var/lib/scim-api": str(data), "/backup": str(saved)}

    def follow(commands: str) -> None:
        for path, ours in paths.items():
            assert path not in {"/", ""}
            commands = commands.replace(path, ours)
        shell(commands, SCIM_API_DATABASE_URL=url)

    with running(tmp_path, url) as api:
        client = Client(api, create_connection(url))
        client.add(person("ada"))
        follow(documented("scim-api backup /backup/"))
        client.add(person("eve"))
        assert client.people() == {"ada@contoso.com", "eve@contoso.com"}
        api.kill()  # so that the newest is in scim.db-wal, and must not get into the restored file
    assert (data / "scim.db-wal").stat().st_size > 0

    follow(documented("before-the-restore"))

    with running(tmp_path, url) as api:
        restored = Client(api, client.headers["authorization"].removeprefix("Bearer "))
        assert restored.people() == {"ada@contoso.com"}
        restored.add(person("joe"))


def test_postgresql_saved_and_restored_as_documented_is_what_it_was(
    tmp_path: Path, postgres_url: str, empty_postgres_url: str
) -> None:
    role = f"reader_{secrets.token_hex(4)}"

    async def fill() -> int:
        async with opened(postgres_url) as store:
            tenant = await tenant_of(store)
            await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))
            await readers.create(postgres_url, "apps", "contoso", role)
        return tenant

    async def see() -> list[str]:
        session = await asyncpg.connect(empty_postgres_url, user=role)
        try:
            return [row[0] for row in await session.fetch("SELECT user_name FROM published.users")]
        finally:
            await session.close()

    async def look(tenant: int) -> None:
        assert [one.state for one in await readers.list_readers(empty_postgres_url)] == ["NoRole"]
        await readers.create(empty_postgres_url, "apps", "contoso", role)
        assert await see() == ["ada"]
        await drop_roles(empty_postgres_url, role)
        async with opened(empty_postgres_url) as store:
            found = await store.access(digest_of("token-contoso"))
            assert found is not None
            assert found.tenant == tenant
            await store.create(tenant, "User", prepared("eve"), actor=Actor("c"))  # the next number is free
            assert (await store.search(tenant, "User", ListQuery(limit=9))).total == 2
            assert await store.schema_version() == await migrate(empty_postgres_url)

    tenant = asyncio.run(fill())
    for word in ("pg_dump --format", "pg_restore"):
        commands = f"cd {tmp_path}\n{documented(word)}"
        shell(commands, SCIM_API_DATABASE_URL=postgres_url, NEW_DATABASE_URL=empty_postgres_url)
        asyncio.run(drop_roles(postgres_url, role))  # the new server does not have it
    asyncio.run(look(tenant))


async def test_a_backup_in_the_middle_of_writing_is_whole(scim_db: str, tmp_path: Path) -> None:
    file = tmp_path / "saved.db"
    async with opened(scim_db) as store:
        tenant = await tenant_of(store)
        before: set[str] = set()
        stop = asyncio.Event()

        async def write(lane: int) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                made = await store.create(tenant, "User", prepared(f"{lane}-{number}"), actor=Actor("c"))
                if not started.is_set():
                    before.add(made.id)
                    if len(before) > 50:
                        started.set()

        started = asyncio.Event()
        writers = [asyncio.create_task(write(lane)) for lane in range(4)]
        await started.wait()
        answered = set(before)
        done = await asyncio.to_thread(backup, scim_db, file)
        stop.set()
        await asyncio.gather(*writers)
    assert done.returncode == 0, done.stderr

    copied = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    [[verdict]] = copied.execute("PRAGMA integrity_check")
    held = {identity for (identity,) in copied.execute("SELECT id FROM resource")}
    [[counted]] = copied.execute("SELECT sum(number) FROM resource_count")
    [[created]] = copied.execute("SELECT count(*) FROM change WHERE type = 'user.created'")
    copied.close()
    assert verdict == "ok"
    assert answered <= held
    assert len(held) == counted == created
    assert f"{len(held)} users and groups" in done.stdout


def test_a_backup_is_one_file_for_its_owner_alone(scim_db: str, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    assert backup(scim_db, saved / "scim.db").returncode == 0
    assert [path.name for path in saved.iterdir()] == ["scim.db"]
    assert stat.S_IMODE((saved / "scim.db").stat().st_mode) == 0o600
    reader = apsw.Connection(str(saved / "scim.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert list(reader.execute("PRAGMA journal_mode")) == [("delete",)]
    reader.close()


def test_what_an_interrupted_backup_left_is_no_hindrance(scim_db: str, tmp_path: Path) -> None:
    (tmp_path / "scim.db.partial").write_text("half of one")
    assert backup(scim_db, tmp_path / "scim.db").returncode == 0
    assert not (tmp_path / "scim.db.partial").exists()


def test_an_existing_file_is_not_overwritten(scim_db: str, tmp_path: Path) -> None:
    (tmp_path / "old.db").write_text("the only copy")
    done = backup(scim_db, tmp_path / "old.db")
    assert done.returncode == 1
    assert "exists" in done.stderr
    assert (tmp_path / "old.db").read_text() == "the only copy"


def test_a_damaged_database_makes_no_backup(scim_db: str, tmp_path: Path) -> None:
    path = Path(scim_db.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 20] = b"\xa5" * (4096 * 17)
    path.write_bytes(content)
    done = backup(scim_db, tmp_path / "saved.db")
    assert done.returncode == 1
    assert "damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("saved.db*"))


@pytest.mark.parametrize(
    ("url", "file", "message"),
    [
        ("sqlite:///none.db", "saved.db", "no such file"),
        ("sqlite:///empty.db", "saved.db", "scim-api migrate"),
        ("sqlite:///good.db", "nowhere/saved.db", "No such file or directory"),
        ("postgresql://me:hidden@127.0.0.1:1/x", "saved.db", "pg_dump"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, file: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    asyncio.run(migrate("sqlite:///good.db"))
    Path("empty.db").touch()
    done = backup(url, Path(file))
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hidden" not in done.stderr
    assert not Path("none.db").exists()
    assert not list(tmp_path.glob("saved.db*"))


async def test_a_backup_can_be_copied_to_postgresql(
    scim_db: str, tmp_path: Path, empty_postgres_url: str
) -> None:
    """The way for those who want to try PostgreSQL while the API still runs on SQLite."""
    file = tmp_path / "saved.db"
    async with opened(scim_db):
        assert (await asyncio.to_thread(backup, scim_db, file)).returncode == 0
    done = await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, "copy", "--from", f"sqlite:///{file}", "--to", empty_postgres_url],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    async with opened(empty_postgres_url) as store:
        assert await store.access(digest_of(credential("token-contoso").id)) is not None
