"""A change after somebody else's: what a store remembers never makes a difference.

The same story is told to two stores on one database, of which one has seen the person before the others changed
it and one has never seen anybody; both must come to the same.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import asyncpg
import pytest

from scim_api.core.errors import ScimError
from scim_api.core.model import Lookup, Resource, ResourceWrite
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict, StoreError
from scim_api.store.factory import create_store
from scim_api.store.protocol import ListQuery, Store, Transform
from support.stored import prepared, retitle, tenant_of

ACTOR: Final = Actor("c1")
MOMENT: Final = "2026-11-23T14:00:00.123456Z"
Outcome = tuple[str, object]


@pytest.fixture
async def forgetful(store: Store) -> AsyncIterator[Store]:
    """A store that has never seen anybody."""
    forgetful = create_store(store.url)
    await forgetful.open()
    yield forgetful
    await forgetful.close()


def appended(text: str) -> Transform:
    """Adds to the title, so that a change that was lost shows."""
    return retitle(lambda title: f"{title}{text}")


def renamed(name: str) -> Transform:
    return lambda _: prepared(name)


def only_if(title: str) -> Transform:
    """A PATCH that finds its target in one state alone."""

    def transform(resource: Resource) -> ResourceWrite:
        if json.loads(resource.doc)["title"] != title:
            raise ScimError(400, "There is no such value.", "noTarget")
        return prepared("ada", title=f"{title}, found")

    return transform


def unless(title: str) -> Transform:
    """A PATCH that changes nothing in one state."""

    def transform(resource: Resource) -> ResourceWrite | None:
        return None if json.loads(resource.doc)["title"] == title else appended("+")(resource)

    return transform


async def outcome(attempt: Awaitable[Resource | None]) -> Outcome:
    """What a change came to, without what differs between two runs of one story."""
    try:
        changed = await attempt
    except ScimError as error:
        return "refused", (error.status, error.scim_type)
    except Conflict as error:
        return "conflict", error.attribute
    except StoreError as error:
        return "refused", type(error)
    return "changed", None if changed is None else (changed.version, changed.doc)


async def content(store: Store, tenant: int) -> list[tuple[int, str]]:
    page = await store.search(tenant, "User", ListQuery(limit=100))
    return sorted((one.version, one.doc) for one in page.resources)


Meanwhile = Callable[[Store, int, Resource], Awaitable[object]]


async def nothing(store: Store, tenant: int, ada: Resource) -> None:
    pass


async def changed(store: Store, tenant: int, ada: Resource) -> None:
    await store.modify(tenant, "User", ada.id, appended(" by another"), actor=ACTOR)


async def changed_twice(store: Store, tenant: int, ada: Resource) -> None:
    for _ in range(2):
        await changed(store, tenant, ada)


async def renamed_by_another(store: Store, tenant: int, ada: Resource) -> None:
    await store.modify(tenant, "User", ada.id, renamed("eve"), actor=ACTOR)


async def deleted(store: Store, tenant: int, ada: Resource) -> None:
    assert await store.delete(tenant, "User", ada.id, actor=ACTOR)


async def created_again(store: Store, tenant: int, ada: Resource) -> None:
    await deleted(store, tenant, ada)
    await store.create(tenant, "User", prepared("ada", title="again"), actor=ACTOR)


async def key_taken(store: Store, tenant: int, ada: Resource) -> None:
    await store.create(tenant, "User", prepared("bob"), actor=ACTOR)


async def key_given_free(store: Store, tenant: int, ada: Resource) -> None:
    await key_taken(store, tenant, ada)
    [bob] = await store.lookup(tenant, "User", Lookup.NAME, "bob")
    await store.delete(tenant, "User", bob.id, actor=ACTOR)


MEANWHILE: Final[tuple[Meanwhile, ...]] = (
    nothing, changed, changed_twice, renamed_by_another, deleted, created_again, key_taken, key_given_free,
)  # fmt: skip
CHANGES: Final[dict[str, Transform]] = {
    "adds": appended("+"),
    "takes bob's keys": renamed("bob"),
    "finds its target in the old state": only_if(""),
    "finds its target in the new state": only_if(" by another"),
    "changes nothing in the old state": unless(""),
    "changes nothing in the new state": unless(" by another"),
}


async def told(
    seen: Store,
    writer: Store,
    other: Store,
    name: str,
    meanwhile: Meanwhile,
    change: Transform,
    version: int | None,
) -> tuple[Outcome, list[tuple[int, str]]]:
    """One story: ``seen`` looks ada up, ``other`` does something, ``writer`` changes her."""
    tenant = await tenant_of(other, name)
    ada = await other.create(tenant, "User", prepared("ada"), actor=ACTOR)
    assert await seen.get(tenant, "User", ada.id) == ada
    await meanwhile(other, tenant, ada)
    ended = await outcome(
        writer.modify(tenant, "User", ada.id, change, actor=ACTOR, expected_version=version)
    )
    return ended, await content(other, tenant)


@pytest.mark.parametrize("meanwhile", MEANWHILE, ids=lambda one: one.__name__)
async def test_a_change_comes_to_the_same_whatever_is_remembered(
    store: Store, other: Store, forgetful: Store, meanwhile: Meanwhile
) -> None:
    stories = [(name, version) for name in CHANGES for version in (None, 1, 2, 3)]
    for number, (name, version) in enumerate(stories):
        change = CHANGES[name]
        remembering = await told(store, store, other, f"a{number}", meanwhile, change, version)
        forgetting = await told(store, forgetful, other, f"b{number}", meanwhile, change, version)
        assert remembering == forgetting, (name, version)


@pytest.mark.parametrize("by", [Lookup.NAME, Lookup.EXTERNAL, Lookup.WORK_EMAIL])
async def test_nothing_is_lost_after_a_look_up(store: Store, other: Store, tenant: int, by: Lookup) -> None:
    key = {Lookup.NAME: "ada", Lookup.EXTERNAL: "ext-ada", Lookup.WORK_EMAIL: "ada@contoso.com"}[by]
    ada = await other.create(tenant, "User", prepared("ada"), actor=ACTOR)
    assert list(await store.lookup(tenant, "User", by, key)) == [ada]
    await changed(other, tenant, ada)

    after = await store.modify(tenant, "User", ada.id, appended("+"), actor=ACTOR)

    assert after is not None
    assert (json.loads(after.doc)["title"], after.version) == (" by another+", 3)
    assert await other.get(tenant, "User", ada.id) == after


async def test_two_stores_that_take_turns_lose_nothing(store: Store, other: Store, tenant: int) -> None:
    ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
    for number in range(20):
        await (store, other)[number // 2 % 2].modify(
            tenant, "User", ada.id, appended(f"{number},"), actor=ACTOR
        )

    after = await other.get(tenant, "User", ada.id)

    assert after is not None
    assert json.loads(after.doc)["title"] == "".join(f"{number}," for number in range(20))
    assert after.version == 21


async def test_a_user_remembered_is_none_of_another_tenant_or_kind(store: Store, tenant: int) -> None:
    stranger = await tenant_of(store, "fabrikam")
    ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)

    for where, kind in ((stranger, "User"), (tenant, "Group")):
        assert await store.get(tenant, "User", ada.id) == ada
        assert await store.modify(where, kind, ada.id, appended("+"), actor=ACTOR) is None  # type: ignore[arg-type]
    team = await store.create(tenant, "Group", prepared("team"), actor=ACTOR)
    assert await store.get(tenant, "Group", team.id) == team
    assert await store.modify(tenant, "User", team.id, appended("+"), actor=ACTOR) is None
    assert await store.get(tenant, "Group", team.id) == team


async def restore(store: Store, ada: Resource, title: str, version: int) -> None:
    """An older state of ada's row comes back, as from a backup."""
    body = prepared("ada", title=title)
    values: list[Any] = [body.doc, body.normal_form, version, MOMENT, ada.id]
    if store.dialect == "postgresql":
        connection = await asyncpg.connect(store.url)
        sql = "UPDATE resource SET doc = $1, keys = $2::jsonb, version = $3, modified = $4 WHERE id = $5"
        await connection.execute(sql, *values)
        await connection.close()
        return
    import apsw

    file = apsw.Connection(store.url.removeprefix("sqlite:///"))
    file.execute("UPDATE resource SET doc = ?, keys = ?, version = ?, modified = ? WHERE id = ?", values)
    file.close()


@pytest.mark.parametrize("changes_before", [0, 1, 2])
@pytest.mark.parametrize("expected", [None, 2])
async def test_a_version_that_comes_again_after_a_restore_is_another_one(
    store: Store, other: Store, tenant: int, changes_before: int, expected: int | None
) -> None:
    ada = await store.create(tenant, "User", prepared("ada", title="lost"), actor=ACTOR)
    for _ in range(changes_before):
        assert await store.modify(tenant, "User", ada.id, appended(" again"), actor=ACTOR) is not None
    await restore(other, ada, "restored", 2)

    after = await store.modify(tenant, "User", ada.id, appended("+"), actor=ACTOR, expected_version=expected)

    assert after is not None
    assert json.loads(after.doc)["title"] == "restored+"
    assert after.version == 3
    assert await other.get(tenant, "User", ada.id) == after
