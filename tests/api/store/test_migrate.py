"""Migrating: once, by whoever comes first, and never backwards."""

import asyncio
import stat
import sys
from pathlib import Path

import apsw
import asyncpg
import pytest

from scim_api.store.change_log import CHANGE_RETENTION, FeedPosition, HistoryQuery
from scim_api.store.errors import Unavailable
from scim_api.store.factory import create_store
from scim_api.store.feed_cursor import encode
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.sql.schema import MIGRATIONS
from support.change_rows import change_rows
from support.database import run_sql as read_sql
from support.postgres import execute

MIGRATE = """
import asyncio, sys
from scim_api.store.migrate import migrate
sys.stdin.readline()
print(asyncio.run(migrate(sys.argv[1])))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'scim.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


async def run_sql(url: str, sql: str) -> None:
    if url.startswith("sqlite"):
        connection = apsw.Connection(url.removeprefix("sqlite:///"))
        connection.execute(sql)
        connection.close()
    else:
        await execute(url, sql)


async def version_of(url: str) -> int:
    store = create_store(url)
    await store.open()
    try:
        return await store.schema_version()
    finally:
        await store.close()


async def test_an_empty_database_has_version_0_and_says_what_to_do(empty_url: str) -> None:
    assert await version_of(empty_url) == 0
    store = create_store(empty_url)
    await store.open()
    try:
        with pytest.raises(Unavailable, match="scim-api migrate"):
            await store.generation()
    finally:
        await store.close()


async def test_migrating_twice_is_migrating_once(empty_url: str) -> None:
    assert await migrate(empty_url) == REQUIRED_VERSION
    assert await migrate(create_store(empty_url)) == REQUIRED_VERSION
    assert await version_of(empty_url) == REQUIRED_VERSION


async def test_four_processes_that_start_at_once_all_succeed(empty_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, empty_url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(4)
    ]  # fmt: skip

    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [(out.decode().strip(), err.decode()) for out, err in answers] == [(str(REQUIRED_VERSION), "")] * 4


async def test_a_database_of_a_newer_release_is_accepted_as_it_is(empty_url: str) -> None:
    await migrate(empty_url)
    await run_sql(empty_url, "INSERT INTO schema_migration VALUES (999, 'from the future', 'later')")

    assert await migrate(empty_url) == 999


async def test_a_migration_that_fails_leaves_nothing_behind(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "CREATE TABLE half (x integer); CREATE TABLE half (x integer);"
    step = type(MIGRATIONS[0])(1, "broken", broken, broken)
    with monkeypatch.context() as patched:
        patched.setattr("scim_api.store.migrate.MIGRATIONS", (step,))
        with pytest.raises((Unavailable, asyncpg.PostgresError)):
            await migrate(empty_url)

    assert await version_of(empty_url) == 0
    assert await migrate(empty_url) == REQUIRED_VERSION


async def test_an_sqlite_file_is_private_to_its_owner(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'scim.db'}"
    await migrate(url)
    store = create_store(url)
    await store.open()
    await store.claim("x")

    names = ("scim.db", "scim.db-wal", "scim.db-shm")
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in names}
    await store.close()

    assert modes == {"scim.db": 0o600, "scim.db-wal": 0o600, "scim.db-shm": 0o600}


async def test_importing_the_store_is_light() -> None:
    code = "import sys, scim_api.store.migrate; print(*(m for m in ('apsw','asyncpg','sqlalchemy','fastapi') if m in sys.modules))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()

    assert out.decode().split() == []


async def test_rows_of_the_audit_table_are_carried_over_into_the_log_of_changes(empty_url: str) -> None:
    """As the release before wrote them, in their order; its processes may go on writing them meanwhile."""
    insert = (
        "INSERT INTO audit (at, tenant, kind, resource_id, action, actor) VALUES"
        " ('2026-01-01', NULL, 'Connection', 'apps/entra', 'put', 'admin'), ('2026-01-02', 7, 'User', 'u', 'create', 'k'),"
        " ('2026-01-03', 7, 'Group', 'g', 'modify', 'k'), ('2026-01-04', 7, 'User', 'u', 'delete', 'k')"
    )
    before = tuple(step for step in MIGRATIONS if step.number < 7)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scim_api.store.migrate.MIGRATIONS", before)
        await migrate(empty_url)
    await run_sql(empty_url, insert)
    await migrate(empty_url)
    await run_sql(empty_url, insert.replace("2026", "2027"))

    store = create_store(empty_url)
    await store.open()
    try:
        rows = await change_rows(store)
        page = await store.change_log.page(7, None, limit=10)
    finally:
        await store.close()
    told = [("connection.put", 0), ("user.created", 7), ("group.updated", 7), ("user.deleted", 7)]
    assert [(row.type, row.tenant) for row in rows] == told * 2
    assert [row.at[:4] for row in rows] == ["2026"] * 4 + ["2027"] * 4
    assert [change.type for change in page.changes] == [what for what, tenant in told if tenant] * 2


async def test_a_webhook_that_the_release_before_made_is_nobodys_and_is_read(empty_url: str) -> None:
    """Made before the migration, or by a process of that release after it."""
    before = tuple(step for step in MIGRATIONS if step.number < 10)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scim_api.store.migrate.MIGRATIONS", before)
        await migrate(empty_url)
    insert = (
        "INSERT INTO webhook (namespace, name, tenant, url, types, content, timeout_seconds, suspended, secrets, position,"
        " position_at) SELECT namespace, '{name}', pk, 'https://app.example', '', 'Thin', 15, 0,"
        """ '[{{"sealed": "v1.kid.old", "until": null}}]', '{position}', '2026-11-23T14:00:00.000000Z' FROM tenant"""
    )
    tenant = (
        "INSERT INTO tenant (namespace, name, settings, settings_hash) VALUES ('apps', 'contoso', '{}', 'h')"
    )
    position = encode(FeedPosition(1, 0))
    await run_sql(empty_url, tenant)
    await run_sql(empty_url, insert.format(name="a", position=position))
    await migrate(empty_url)
    await run_sql(empty_url, insert.format(name="b", position=position))

    store = create_store(empty_url)
    await store.open()
    try:
        page = await store.webhooks.page(after=None, limit=10, keep=CHANGE_RETENTION)
    finally:
        await store.close()
    assert [(item.name, item.owner_uid, item.ping, item.redelivery) for item in page.items] == [
        ("a", None, None, None),
        ("b", None, None, None),
    ]
    assert [secret.id for item in page.items for secret in item.secrets] == ["", ""]


async def test_the_release_before_goes_on_writing_to_a_log_that_has_indexes_by_now(empty_url: str) -> None:
    """What it wrote before and after the migration is found by them."""
    insert = (
        "INSERT INTO change (tenant, at, type, resource_id, external_id, version, paths, member, credential, scim_token)"
        " VALUES (7, '{at}', 'user.{what}', 'ada', 'e-1', 1, NULL, NULL, 'k', NULL)"
    )
    before = tuple(step for step in MIGRATIONS if step.number < 11)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scim_api.store.migrate.MIGRATIONS", before)
        await migrate(empty_url)
    await run_sql(empty_url, insert.format(at="2026-01-01", what="created"))
    await migrate(empty_url)
    await run_sql(empty_url, insert.format(at="2026-01-02", what="deleted"))

    store = create_store(empty_url)
    await store.open()
    try:
        life = await store.change_log.history(7, HistoryQuery(resource="ada"), limit=10)
        deletions = await store.change_log.history(7, HistoryQuery(external_id="e-1"), limit=10)
    finally:
        await store.close()
    assert [change.type for change in life.changes] == ["user.deleted", "user.created"]
    assert [change.type for change in deletions.changes] == ["user.deleted"]


async def test_members_of_before_are_given_their_ids_where_nobody_has_to_wait_for_it(empty_url: str) -> None:
    """On PostgreSQL processes of the release before serve meanwhile; there they are looked up when they are read."""
    before = tuple(step for step in MIGRATIONS if step.number < 12)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("scim_api.store.migrate.MIGRATIONS", before)
        await migrate(empty_url)
    for statement in (
        "INSERT INTO tenant (namespace, name, settings, settings_hash) VALUES ('a', 'b', '{}', '')",
        (
            "INSERT INTO resource (tenant, kind, id, name_key, version, created, modified, doc, keys)"
            " VALUES (1, 'Group', 'staff', 's', 1, '', '', '{}', '{}'), (1, 'User', 'ada', 'a', 1, '', '', '{}', '{}'),"
            " (1, 'Group', 'inner', 'i', 1, '', '', '{}', '{}')"
        ),
        "INSERT INTO membership (container, member, tenant) VALUES (1, 2, 1), (1, 3, 1)",
    ):
        await run_sql(empty_url, statement)

    await migrate(empty_url)

    rows = await read_sql(empty_url, "SELECT member_id, member_kind FROM membership ORDER BY member")
    unfilled = [(None, None), (None, None)]
    assert rows == (unfilled if empty_url.startswith("postgresql") else [("ada", "User"), ("inner", "Group")])
