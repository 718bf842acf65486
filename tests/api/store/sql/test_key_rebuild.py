"""Keys of an earlier release become those of this one: all of them, whoever is killed and whoever writes meanwhile."""

import asyncio
import json
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import apsw
import asyncpg
import httpx
import pytest

from api.conftest import Scim
from scim_api.contract.admin import TenantSettings
from scim_api.core.model import Lookup, Resource, ResourceWrite
from scim_api.core.resources.groups import prepare_group
from scim_api.core.resources.users import prepare_user
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.core.values.normal_form import KEY_FORM_NAME
from scim_api.store.change_log import Actor
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import ListQuery, Store
from scim_api.store.sql.rows import settings_hash, settings_text
from support.conversation import Conversation, op, refusal
from support.database import run_sql
from support.earlier_release import EarlierRelease, migrate_as_then
from support.scim_service import running_service
from support.stored import prepared

CAPITALS: Final = "\u039d\u0399\u039a\u039f\u03a3"
SMALL: Final = "\u03bd\u03b9\u03ba\u03bf\u03c3"
FINAL: Final = "\u03bd\u03b9\u03ba\u03bf\u03c2"
NAMES: Final = (
    CAPITALS,
    "ada",
    "Zo\u00eb",
    "\u00b5-meter",
    "Stra\u00dfe",
    "\u13a0\uab70",
    "\u1fb3",
    "\u0130x",
)
SETTINGS: Final = TenantSettings()


def user(name: str, **more: Any) -> dict[str, Any]:
    return {"userName": name, "emails": [{"type": "work", "value": f"{name}@x"}], "displayName": name, **more}


@pytest.fixture
def empty_url(database_url: str, request: pytest.FixtureRequest) -> str:
    """A database of either kind without anything."""
    return (
        database_url if database_url.startswith("sqlite") else request.getfixturevalue("empty_postgres_url")
    )


@pytest.fixture
async def old_url(empty_url: str) -> str:
    """A database as the release before left it: no trigger, no queue."""
    await migrate_as_then(empty_url)
    return empty_url


@pytest.fixture
async def old_tenant(old_url: str) -> int:
    # As that release wrote it: today's store knows columns that are not there yet.
    await run_sql(
        old_url,
        "INSERT INTO tenant (namespace, name, settings, settings_hash)"
        f" VALUES ('apps', 'contoso', '{settings_text(SETTINGS)}', '{settings_hash(SETTINGS)}')",
    )
    [[tenant]] = await run_sql(old_url, "SELECT pk FROM tenant")
    assert isinstance(tenant, int)
    return tenant


async def rebuild(store: Store, batch: int = 3) -> int:
    """To the end; how many resources keep an earlier key."""
    conflicts = 0
    while (done := await store.rebuild_keys(batch)).looked_at:
        conflicts += done.conflicts
    return conflicts


async def keys_of(url: str) -> dict[str, Any]:
    """What each resource has beside its body, and which e-mails."""
    rows = await run_sql(
        url, "SELECT pk, id, match_key, name_key, external_key, CAST(keys AS text), kind, doc FROM resource"
    )
    emails: dict[int, set[str]] = {}
    for pk, email in await run_sql(url, "SELECT resource, email_key FROM resource_email"):
        emails.setdefault(pk, set()).add(email)
    found = {}
    for pk, identity, match, name, external, keys, kind, doc in rows:
        form = json.loads(keys)
        form.pop(KEY_FORM_NAME, None)
        found[identity] = ((match, name, external, form, emails.get(pk, set())), kind, doc)
    return found


async def wrong_keys(url: str, settings: TenantSettings = SETTINGS) -> dict[str, Any]:
    """Resources that have not the keys which this release would give them."""
    schema = compile_tenant_schema(settings, f"now-{settings}")
    wrong = {}
    for identity, (present, kind, text) in (await keys_of(url)).items():
        doc = json.loads(text)
        write = prepare_user(schema, doc) if kind == "User" else prepare_group(schema, doc, ())
        form = json.loads(write.normal_form)
        del form[KEY_FORM_NAME]
        expected = (write.match_key, write.name_key, write.external_key, form, set(write.email_keys))
        if present != expected:
            wrong[identity] = (present, expected)
    return wrong


async def bodies_of(url: str) -> set[tuple[Any, ...]]:
    return {
        tuple(row) for row in await run_sql(url, "SELECT id, version, created, modified, doc FROM resource")
    }


async def test_what_was_there_before_the_migration_has_the_keys_of_this_release_after_it(
    old_url: str, old_tenant: int
) -> None:
    earlier = EarlierRelease(old_url, old_tenant)
    await earlier.create("User", *(user(name) for name in NAMES))
    await earlier.create("Group", *({"displayName": name} for name in NAMES))
    assert await wrong_keys(old_url), "else there is nothing to rebuild"
    before = await bodies_of(old_url)
    await migrate(old_url)
    store = create_store(old_url)
    await store.open()

    conflicts = await rebuild(store)

    assert conflicts == 0
    assert await wrong_keys(old_url) == {}
    assert await bodies_of(old_url) == before
    assert await store.rebuild_keys() == await store.rebuild_keys(), "nothing is left"
    found = await store.lookup(old_tenant, "User", Lookup.NAME, SMALL)
    mailed = await store.lookup(old_tenant, "User", Lookup.WORK_EMAIL, f"{SMALL}@x")
    await store.close()
    assert [json.loads(one.doc)["userName"] for one in found] == [CAPITALS]
    assert found == mailed


async def test_what_an_earlier_release_writes_beside_this_one_is_rebuilt(store: Store, tenant: int) -> None:
    await rebuild(store)
    earlier = EarlierRelease(store.url, tenant)
    mine = await store.create(tenant, "User", prepared("mine"), actor=Actor("c"))
    made, changed = await earlier.create("User", user(CAPITALS), user("ada"))
    await rebuild(store)
    await earlier.replace("User", changed, user("\u039f\u0394\u039f\u03a3"))
    await earlier.replace("User", mine.id, user("\u039c\u0395\u03a3"))
    [group] = await earlier.create("Group", {"displayName": CAPITALS})

    await rebuild(store)

    assert await wrong_keys(store.url) == {}
    for kind, identity, key in (
        ("User", made, SMALL),
        ("User", changed, "\u03bf\u03b4\u03bf\u03c3"),
        ("User", mine.id, "\u03bc\u03b5\u03c3"),
        ("Group", group, SMALL),
    ):
        found = await store.lookup(tenant, kind, Lookup.NAME, key)  # type: ignore[arg-type]
        assert [one.id for one in found] == [identity]


async def test_what_this_release_writes_waits_in_no_queue(scim: Scim, entra: dict[str, str]) -> None:
    contoso = Conversation(scim.client, entra)
    made = await contoso.create(user(CAPITALS))
    group = await contoso.create_group(CAPITALS, made["id"])
    await contoso.patch(made["id"], op("replace", "title", FINAL), op("replace", "userName", FINAL))
    await contoso.patch_group(group["id"], op("replace", "displayName", FINAL))
    await contoso.delete(f"/Users/{made['id']}")
    assert await run_sql(scim.service.store.url, "SELECT resource FROM key_rebuild_queue") == []


@pytest.fixture
async def twins(scim: Scim, entra: dict[str, str]) -> tuple[Conversation, str, str]:
    """Two users whose names were two to the release before, and two groups; the ids of the users."""
    await rebuild(scim.service.store)
    tenant = (await run_sql(scim.service.store.url, "SELECT pk FROM tenant"))[0][0]
    earlier = EarlierRelease(scim.service.store.url, tenant)
    holder, other = await earlier.create("User", user(SMALL), user(CAPITALS))
    await earlier.create("Group", {"displayName": SMALL}, {"displayName": CAPITALS})
    assert await rebuild(scim.service.store) == 2
    return Conversation(scim.client, entra), holder, other


async def test_two_that_become_one_name_are_both_found_and_can_be_changed(
    twins: tuple[Conversation, str, str],
) -> None:
    contoso, holder, other = twins
    for path in ("userName", 'emails[type eq "work"].value', "displayName"):
        for name in (SMALL, CAPITALS, FINAL):
            value = f"{name}@x" if "emails" in path else name
            found = {one["id"] for one in await contoso.find(f'{path} eq "{value}"')}
            assert found == {holder, other}, (path, name)
    groups = [group["id"] for group in await contoso.find(f'displayName eq "{FINAL}"', "/Groups")]
    assert len(groups) == 2
    assert len(await contoso.find(f'userName eq "{FINAL}" and active eq true')) == 2
    for identity in (holder, other):
        assert (await contoso.patch(identity, op("replace", "title", "new")))["title"] == "new"
        body = await contoso.get(identity)
        answer = await contoso.send("PUT", f"/Users/{identity}", {**body, "title": "newer"})
        assert answer.status_code == 200, answer.text
    for identity in groups:
        await contoso.patch_group(identity, op("add", "members", [{"value": holder}]))
        await contoso.patch_group(identity, op("replace", "externalId", f"x-{identity}"))
    refusal(await contoso.send("POST", "/Users", user(FINAL)), 409, "uniqueness")
    refusal(await contoso.send("POST", "/Groups", {"displayName": FINAL}), 409, "uniqueness")


async def test_a_twin_that_is_renamed_is_one_no_more(
    scim: Scim, twins: tuple[Conversation, str, str]
) -> None:
    contoso, holder, other = twins
    work = op("replace", 'emails[type eq "work"].value', "bob@x")
    await contoso.patch(other, op("replace", "userName", "bob"), work)
    assert [one["id"] for one in await contoso.find(f'userName eq "{FINAL}"')] == [holder]
    assert [one["id"] for one in await contoso.find('userName eq "BOB"')] == [other]
    refusal(await contoso.patched(f"/Users/{other}", op("replace", "userName", FINAL)), 409, "uniqueness")
    await rebuild(scim.service.store)
    rows = await run_sql(scim.service.store.url, "SELECT kind FROM key_conflict")
    assert rows == [("Group",)]


@pytest.mark.parametrize("leaves", ["deleted", "renamed"])
async def test_the_other_twin_has_the_name_alone_when_its_holder_leaves(
    scim: Scim, twins: tuple[Conversation, str, str], leaves: str
) -> None:
    contoso, holder, other = twins
    if leaves == "deleted":
        await contoso.delete(f"/Users/{holder}")
    else:
        work = op("replace", 'emails[type eq "work"].value', "bob@x")
        await contoso.patch(holder, op("replace", "userName", "bob"), work)
    assert [one["id"] for one in await contoso.find(f'userName eq "{FINAL}"')] == [other]

    await rebuild(scim.service.store)

    [[name, match]] = await run_sql(
        scim.service.store.url, f"SELECT name_key, match_key FROM resource WHERE id = '{other}'"
    )
    assert (name, match) == (SMALL, f"{SMALL}@x")
    assert [one["id"] for one in await contoso.find(f'userName eq "{FINAL}"')] == [other]
    refusal(await contoso.send("POST", "/Users", user(SMALL)), 409, "uniqueness")


REBUILD: Final = """
import asyncio, sys, time
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate

async def main(url):
    await migrate(url)
    store = create_store(url)
    await store.open()
    while (await store.rebuild_keys(20)).looked_at:
        time.sleep(0.01)  # so that there is a time to be killed in

asyncio.run(main(sys.argv[1]))
"""
MIGRATE: Final = (
    "import sys; from scim_api.cli.main import main; main(['migrate', '--database-url', sys.argv[1]])"
)
MANY: Final = 3_000


async def started(code: str, url: str) -> asyncio.subprocess.Process:
    """Python code as a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def until_nobody_is_connected(url: str) -> None:
    """PostgreSQL ends the session of a client that is gone in its own time."""
    others = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    async with asyncio.timeout(30):
        while not url.startswith("sqlite") and await run_sql(url, others):
            await asyncio.sleep(0.02)


async def progress_of(url: str) -> int | None:
    """The resource up to which the keys are rebuilt; None at the end, 0 before the migration."""
    try:
        [[after]] = await run_sql(url, "SELECT after_pk FROM key_rebuild")
    except (apsw.SQLError, asyncpg.UndefinedTableError):
        return 0
    return None if after is None else int(after)


async def test_a_rebuild_that_is_killed_again_and_again_goes_on_where_it_was_and_loses_nothing(
    old_url: str, old_tenant: int
) -> None:
    earlier = EarlierRelease(old_url, old_tenant)
    await earlier.create("User", *(user(f"{NAMES[n % len(NAMES)]}{n}\u03a3") for n in range(MANY)))
    before = await bodies_of(old_url)
    reached: list[int] = []

    for goal in (1, MANY // 8, MANY // 4, MANY // 2):
        process = await started(REBUILD, old_url)
        while (await progress_of(old_url) or 0) < goal:
            assert process.returncode is None, "it ended before it could be killed"
            await asyncio.sleep(0.001)
        await asyncio.sleep(random.random() / 100)  # anywhere in a batch
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        await until_nobody_is_connected(old_url)
        reached.append(await progress_of(old_url) or 0)
        assert await bodies_of(old_url) == before
    done = await started(MIGRATE, old_url)
    out, err = await done.communicate()

    assert (done.returncode, err.decode()) == (0, "")
    assert reached == sorted(reached), "each went on where the one before was"
    assert await progress_of(old_url) is None
    assert await wrong_keys(old_url) == {}
    assert await bodies_of(old_url) == before
    left = [pk for (pk,) in await run_sql(old_url, "SELECT pk FROM resource") if pk > reached[-1]]
    assert f"keys: {len(left)} users and groups have those of this release" in out.decode()
    assert 0 < len(left) < MANY


def test_a_service_that_runs_rebuilds_what_an_earlier_one_beside_it_writes(
    database_url: str, tmp_path: Path
) -> None:
    asyncio.run(migrate(database_url))
    with running_service(tmp_path, database_url) as service:
        endpoint = service.connect("contoso")
        [[tenant]] = asyncio.run(run_sql(database_url, "SELECT pk FROM tenant"))
        earlier = EarlierRelease(database_url, tenant)
        headers = {"authorization": f"Bearer {endpoint.token}"}

        def found(name: str) -> list[str]:
            query = {"filter": f'userName eq "{name}"'}
            page = httpx.get(f"{endpoint.url}/Users", params=query, headers=headers, timeout=30).json()
            return [one["id"] for one in page["Resources"]]

        for name in (CAPITALS, "\u039f\u0394\u039f\u03a3"):
            [made] = asyncio.run(earlier.create("User", user(name)))
            deadline = time.monotonic() + 30
            while found(name) != [made]:
                assert time.monotonic() < deadline
                time.sleep(0.1)


async def test_several_processes_share_a_rebuild_while_requests_go_on(
    store: Store, other: Store, tenant: int
) -> None:
    earlier = EarlierRelease(store.url, tenant)
    ids = await earlier.create("User", *(user(f"{CAPITALS}{n}\u03a3") for n in range(120)))

    async def write() -> None:
        for identity in ids:
            if identity < "4":
                await store.delete(tenant, "User", identity, actor=Actor("c"))
            else:
                await store.modify(tenant, "User", identity, retitled, actor=Actor("c"))

    await asyncio.gather(rebuild(store), rebuild(other), rebuild(store, 7), write())
    await rebuild(other)

    assert await wrong_keys(store.url) == {}
    page = await store.search(tenant, "User", ListQuery(limit=1_000))
    assert {one.id for one in page.resources} == {identity for identity in ids if identity >= "4"}


def retitled(current: Resource) -> ResourceWrite:
    schema = compile_tenant_schema(SETTINGS, f"now-{SETTINGS}")
    return prepare_user(schema, {**json.loads(current.doc), "title": "new"})
