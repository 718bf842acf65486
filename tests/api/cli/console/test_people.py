"""A tenant's people and log as the console reads them from a database."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from scim_api.cli.console.database import opened
from scim_api.cli.console.source import StoreSource
from scim_api.contract.admin import TenantSettings
from scim_api.core.resources.groups import create_group
from scim_api.core.resources.users import create_user
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.store.change_log import Actor
from scim_api.store.factory import create_store
from scim_api.store.protocol import Store
from scim_console.model import Directory, HistoryQuery, Missing
from support.stored import connect, credential, digest_of

T = TypeVar("T")
ACTOR = Actor("token-1", "apps/entra")
SCHEMA = compile_tenant_schema(TenantSettings(), "people of the console")


class World:
    """A tenant with people, and its directory for what blocks."""

    def __init__(self, store: Store, tenant: int) -> None:
        self.store, self.tenant = store, tenant

    async def user(self, name: str, **more: Any) -> str:
        email = {"type": "work", "value": f"{name}@contoso.example"}
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "emails": [email],
            **more,
        }
        return (await self.store.create(self.tenant, "User", create_user(SCHEMA, body), actor=ACTOR)).id

    async def group(self, name: str, *members: str) -> str:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": name,
            "members": [{"value": member} for member in members],
        }
        return (await self.store.create(self.tenant, "Group", create_group(SCHEMA, body), actor=ACTOR)).id

    async def look(self, question: Callable[[Directory], T]) -> T:
        """What somebody sees who looks by a console of their own."""

        def ask() -> T:
            with (
                opened(create_store(self.store.url), None) as database,
                StoreSource(database).directory("apps", "entra") as directory,
            ):
                return question(directory)

        return await asyncio.to_thread(ask)


@pytest.fixture
async def world(store: Store) -> World:
    await connect(store, credential("token-1"))
    access = await store.access(digest_of("token-1"))
    assert access is not None
    return World(store, access.tenant)


async def test_users_are_found_by_a_filter_and_paged_by_name(world: World) -> None:
    for name in ("carl", "ada", "bob"):
        await world.user(name, externalId=f"x-{name}")
    everybody = await world.look(lambda people: people.users(None, 1, 2))
    assert (everybody.total, [one["userName"] for one in everybody.resources]) == (3, ["carl", "ada"])
    some = await world.look(lambda people: people.users('userName co "a"', 1, 10))
    assert (some.total, [one["userName"] for one in some.resources]) == (2, ["ada", "carl"])
    last = await world.look(lambda people: people.users('userName co "a"', 2, 10))
    assert (last.total, [one["userName"] for one in last.resources]) == (2, ["carl"])
    [by_index] = (await world.look(lambda people: people.users('externalId eq "x-bob"', 1, 10))).resources
    assert by_index["userName"] == "bob"
    assert by_index["meta"]["location"].endswith(f"/scim/v2/Users/{by_index['id']}")


async def test_a_bad_filter_says_what_is_wrong_with_it(world: World) -> None:
    with pytest.raises(ValueError, match="userNam"):
        await world.look(lambda people: people.users('userNam eq "ada"', 1, 10))


async def test_a_user_has_its_groups_and_a_group_its_members(world: World) -> None:
    ada = await world.user("ada")
    crew = await world.group("crew", ada)
    await world.group("alone")
    user = await world.look(lambda people: people.user(ada.upper()))
    assert [group["display"] for group in user["groups"]] == ["crew"]
    group = await world.look(lambda people: people.group(crew))
    assert [member["value"] for member in group["members"]] == [ada]
    listed = await world.look(lambda people: people.groups(None, 1, 10))
    assert [one["displayName"] for one in listed.resources] == ["alone", "crew"]
    assert "members" not in listed.resources[0]
    members = await world.look(lambda people: people.users(f'groups.value eq "{crew}"', 1, 10))
    assert [one["userName"] for one in members.resources] == ["ada"]


async def test_who_is_not_there_is_missing(world: World) -> None:
    for ask in (lambda people: people.user("nobody"), lambda people: people.group("nothing")):
        with pytest.raises(Missing, match="id no"):
            await world.look(ask)


async def test_a_tenant_without_groups_has_none_to_show(store: Store) -> None:
    await connect(store, credential("token-1"), settings=TenantSettings(groups="Disabled"))
    found = await World(store, 0).look(lambda people: people.groups(None, 1, 10))
    assert (found.total, found.resources) == (0, ())


async def test_history_is_told_the_newest_first_page_by_page(world: World) -> None:
    ada, bob = await world.user("ada"), await world.user("bob")
    crew = await world.group("crew", ada)
    first = await world.look(lambda people: people.history(HistoryQuery(limit=2)))
    rest = await world.look(lambda people: people.history(HistoryQuery(limit=2, after=first.next)))
    told = [(change["type"], change["resourceId"]) for change in (*first.changes, *rest.changes)]
    assert told == [
        ("group.member_added", crew), ("group.created", crew), ("user.created", bob), ("user.created", ada),
    ]  # fmt: skip
    about = await world.look(lambda people: people.history(HistoryQuery(about=ada)))
    assert [change["type"] for change in about.changes] == ["group.member_added", "user.created"]
    assert about.changes[0]["actor"] == {"credential": "token-1", "scimToken": "apps/entra"}
    with pytest.raises(ValueError, match="invalid literal"):
        await world.look(lambda people: people.history(HistoryQuery(after="elsewhere")))


async def test_changes_are_followed_from_now_on_until_one_stops(world: World) -> None:
    await world.user("before")
    stop, seen = threading.Event(), asyncio.Queue[Any]()
    loop = asyncio.get_running_loop()

    def follow(people: Directory) -> None:
        changes = people.follow(stop)
        loop.call_soon_threadsafe(seen.put_nowait, "follows")
        for change in changes:
            loop.call_soon_threadsafe(seen.put_nowait, change)

    following = asyncio.create_task(world.look(follow))
    try:
        assert await asyncio.wait_for(seen.get(), 20) == "follows"
        for number in range(3):
            name = await world.user(f"after-{number}")
            change = await asyncio.wait_for(seen.get(), 20)
            assert (change["type"], change["resourceId"]) == ("user.created", name)
    finally:
        stop.set()
        await asyncio.wait_for(following, 20)
