"""The contract of ``Store`` about groups and their members, on each database."""

import json
import uuid

import pytest

from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.messages.serialization import serialize_member
from scim_api.core.model import GroupReference, Resource, ResourceWrite
from scim_api.core.resources.groups import replace_group
from scim_api.core.types import ResourceKind
from scim_api.store.errors import Conflict, NoMembersSelected, UnknownMembers, VersionMismatch
from scim_api.store.protocol import ListQuery, Store
from support.change_rows import change_rows
from support.database import run_sql
from support.group_calls import ACTOR, TENANT, add, change, group, members, patched, person, remove
from support.stored import connect, credential, digest_of, prepared, retitle


class TestMembers:
    async def test_a_group_is_created_with_its_members(self, store: Store, tenant: int) -> None:
        ada, bob = await person(store, tenant, "ada"), await person(store, tenant, "bob")
        inner = await group(store, tenant, "inner")

        made = await group(store, tenant, "staff", [bob, inner.id, ada])

        found = await store.members(tenant, made.pk, after=0, limit=10)
        assert [(one.id, one.kind) for one in found] == [(ada, "User"), (bob, "User"), (inner.id, "Group")]
        assert (made.version, made.kind) == (1, "Group")
        assert await store.get(tenant, "Group", made.id) == made

    async def test_members_are_read_in_pages(self, store: Store, tenant: int) -> None:
        people = [await person(store, tenant, f"p{n}") for n in range(7)]
        made = await group(store, tenant, "staff", people)

        pages, after = [], 0
        while page := await store.members(tenant, made.pk, after=after, limit=3):
            pages.append([one.id for one in page])
            after = page[-1].pk

        assert pages == [people[:3], people[3:6], people[6:]]

    async def test_rendered_members_are_what_is_made_of_those_read(self, store: Store, tenant: int) -> None:
        people = [await person(store, tenant, f"p{n}") for n in range(4)]
        made = await group(store, tenant, "staff", [*people, (await group(store, tenant, "inner")).id])
        base = 'https://scim.test/"é\\'

        for after, limit in ((0, 5), (0, 9), (0, 2), (made.pk - 3, 2)):
            page = await store.rendered_members(tenant, made.pk, base, after=after, limit=limit)
            read = await store.members(tenant, made.pk, after=after, limit=limit)
            assert page is not None
            assert page.text.decode() == ",".join(serialize_member(one, base) for one in read)
            assert (page.last, page.count) == (read[-1].pk, len(read))
        assert await store.rendered_members(tenant, made.pk, base, after=read[-1].pk, limit=1) is None
        assert await store.rendered_members(tenant + 1, made.pk, base, after=0, limit=9) is None

    async def test_a_member_whom_the_release_before_added_is_shown_and_leaves(
        self, store: Store, tenant: int
    ) -> None:
        ada, inner = await person(store, tenant, "ada"), await group(store, tenant, "inner")
        made = await group(store, tenant, "staff", [ada, inner.id])
        shown = await store.rendered_members(tenant, made.pk, "https://scim.test", after=0, limit=9)

        await run_sql(
            store.url, "UPDATE membership SET member_id = NULL, member_kind = NULL RETURNING container"
        )

        assert await store.rendered_members(tenant, made.pk, "https://scim.test", after=0, limit=9) == shown
        await patched(store, tenant, made, {**add(inner.id), "op": "replace"})
        assert await members(store, tenant, made) == [inner.id]
        last = (await change_rows(store))[-1]
        assert (last.type, last.resource_id, last.member) == ("group.member_removed", made.id, ada)

    async def test_all_unknown_members_are_named_in_the_order_in_which_they_were_sent(
        self, store: Store, tenant: int
    ) -> None:
        ada = await person(store, tenant, "ada")
        made = await group(store, tenant, "staff", [ada])
        unknown = [str(uuid.UUID(int=number)) for number in (9, 3, 7)]

        for operation in (add(unknown[0], ada, *unknown[1:]), {**add(*unknown, ada), "op": "replace"}):
            with pytest.raises(UnknownMembers) as refused:
                await patched(store, tenant, made, operation)
            assert refused.value.ids == tuple(unknown)

    async def test_adding_removing_and_replacing(self, store: Store, tenant: int) -> None:
        a, b, c = [await person(store, tenant, name) for name in "abc"]
        made = await group(store, tenant, "staff", [a])

        assert (await patched(store, tenant, made, add(b, c))).version == 2
        assert await members(store, tenant, made) == [a, b, c]
        assert (await patched(store, tenant, made, remove(a, c))).version == 3
        assert await members(store, tenant, made) == [b]
        await patched(store, tenant, made, {**add(c, a), "op": "replace"})
        assert await members(store, tenant, made) == [a, c]
        await patched(store, tenant, made, {"op": "remove", "path": "members"})
        assert await members(store, tenant, made) == []

    async def test_what_changes_nothing_makes_no_new_version(self, store: Store, tenant: int) -> None:
        ada = await person(store, tenant, "ada")
        made = await group(store, tenant, "staff", [ada])

        for operation in (add(ada), remove(str(uuid.uuid4())), {**add(ada), "op": "replace"}):
            assert await patched(store, tenant, made, operation) == made
        assert await store.get(tenant, "Group", made.id) == made

    async def test_steps_are_taken_in_their_order(self, store: Store, tenant: int) -> None:
        a, b = await person(store, tenant, "a"), await person(store, tenant, "b")
        made = await group(store, tenant, "staff", [a])

        await patched(store, tenant, made, {"op": "remove", "path": "members"}, add(b), remove(b), add(a))

        assert await members(store, tenant, made) == [a]

    async def test_members_are_removed_by_a_filter(self, store: Store, tenant: int) -> None:
        ada, inner = await person(store, tenant, "ada"), await group(store, tenant, "inner")
        made = await group(store, tenant, "staff", [ada, inner.id])

        await patched(store, tenant, made, {"op": "remove", "path": 'members[type eq "Group"]'})
        assert await members(store, tenant, made) == [ada]
        await patched(store, tenant, made, {"op": "remove", "path": f'members[value eq "{ada.upper()}"]'})
        assert await members(store, tenant, made) == []

    async def test_a_replace_that_selects_no_member_is_refused_and_nothing_changes(
        self, store: Store, tenant: int
    ) -> None:
        ada, bob = await person(store, tenant, "ada"), await person(store, tenant, "bob")
        made = await group(store, tenant, "staff", [ada])

        for path in ('members[value eq "bogus"]', f'members[value eq "{bob}"]', 'members[type eq "Group"]'):
            exchange: dict[str, object] = {"op": "replace", "path": path, "value": {"value": bob}}
            with pytest.raises(NoMembersSelected) as refused:
                await patched(store, tenant, made, remove(ada), exchange)
            assert refused.value.path == path
        assert await members(store, tenant, made) == [ada]

    async def test_an_unknown_member_is_refused_by_name_and_nothing_changes(
        self, store: Store, tenant: int
    ) -> None:
        ada, nobody = await person(store, tenant, "ada"), str(uuid.uuid4())
        made = await group(store, tenant, "staff")

        with pytest.raises(UnknownMembers) as refused:
            await patched(store, tenant, made, add(ada), add(nobody))
        assert refused.value.ids == (nobody,)
        with pytest.raises(UnknownMembers):
            await group(store, tenant, "other", [ada, nobody])

        assert await members(store, tenant, made) == []
        assert (await store.search(tenant, "Group", ListQuery())).total == 1

    async def test_a_resource_of_another_tenant_is_no_member_and_sees_no_group(
        self, store: Store, tenant: int
    ) -> None:
        await connect(store, credential("c2"), name="other", tenant="fabrikam")
        access = await store.access(digest_of("c2"))
        assert access is not None
        theirs = await person(store, access.tenant, "ada")
        ours = await person(store, tenant, "ada")
        made = await group(store, tenant, "staff", [ours])

        with pytest.raises(UnknownMembers):
            await patched(store, tenant, made, add(theirs))
        assert list(await store.members(access.tenant, made.pk, after=0, limit=10)) == []
        assert await store.groups_of(access.tenant, [made.pk]) == {}

    async def test_a_deleted_member_leaves_its_groups_which_get_a_new_version(
        self, store: Store, tenant: int
    ) -> None:
        ada, bob = await person(store, tenant, "ada"), await person(store, tenant, "bob")
        both, one = await group(store, tenant, "both", [ada, bob]), await group(store, tenant, "one", [bob])

        assert await store.delete(tenant, "User", ada, actor=ACTOR)

        assert await members(store, tenant, both) == [bob]
        versions = {
            made.id: made.version for made in (await store.search(tenant, "Group", ListQuery())).resources
        }
        assert versions == {both.id: 2, one.id: 1}

    async def test_a_deleted_group_leaves_its_members_and_its_own_groups(
        self, store: Store, tenant: int
    ) -> None:
        ada = await person(store, tenant, "ada")
        inner = await group(store, tenant, "inner", [ada])
        outer = await group(store, tenant, "outer", [inner.id, ada])

        assert await store.delete(tenant, "Group", inner.id, actor=ACTOR, expected_version=1)

        assert await members(store, tenant, outer) == [ada]
        assert await store.get(tenant, "User", ada) is not None
        assert (await store.search(tenant, "Group", ListQuery())).total == 1

    async def test_a_changed_member_keeps_its_memberships(self, store: Store, tenant: int) -> None:
        ada = await person(store, tenant, "ada")
        made = await group(store, tenant, "staff", [ada])

        await store.modify(tenant, "User", ada, retitle(lambda _: "left"), actor=ACTOR)

        assert await members(store, tenant, made) == [ada]

    async def test_groups_of_users_are_told_by_name(self, store: Store, tenant: int) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        bob = await store.create(tenant, "User", prepared("bob"), actor=ACTOR)
        one, two = await group(store, tenant, "one", [ada.id]), await group(store, tenant, "two", [ada.id])

        found = await store.groups_of(tenant, [ada.pk, bob.pk])

        expected: dict[int, list[GroupReference]] = {
            ada.pk: [GroupReference(one.id, "one"), GroupReference(two.id, "two")]
        }
        assert found == expected
        assert await store.groups_of(tenant, []) == {}

    async def test_a_name_that_is_taken_and_a_version_that_is_over_are_refused(
        self, store: Store, tenant: int
    ) -> None:
        ada = await person(store, tenant, "ada")
        await group(store, tenant, "Staff")
        made = await group(store, tenant, "other")
        rename: dict[str, object] = {"op": "replace", "path": "displayName", "value": "STAFF"}

        with pytest.raises(Conflict) as refused:
            await patched(store, tenant, made, add(ada), rename)
        assert refused.value.attribute == "displayName"
        assert await members(store, tenant, made) == []
        with pytest.raises(Conflict):
            await group(store, tenant, "staff", [ada])
        with pytest.raises(VersionMismatch):
            await store.modify(tenant, "Group", made.id, change(add(ada)), actor=ACTOR, expected_version=2)

    async def test_replacing_a_group_sets_body_and_members_together(self, store: Store, tenant: int) -> None:
        a, b = await person(store, tenant, "a"), await person(store, tenant, "b")
        made = await group(store, tenant, "staff", [a])

        def put(current: Resource) -> ResourceWrite:
            return replace_group(TENANT, current, {"displayName": "crew", "members": [{"value": b}]})

        replaced = await store.modify(tenant, "Group", made.id, put, actor=ACTOR)

        assert replaced is not None
        assert json.loads(replaced.doc)["displayName"] == "crew"
        assert await members(store, tenant, made) == [b]

    async def test_a_purged_tenant_takes_its_groups_along(self, store: Store) -> None:
        from scim_api.contract.admin import TenantSettings

        await connect(store, credential(), settings=TenantSettings(deletion_policy="Delete"))
        access = await store.access(digest_of("c1"))
        assert access is not None
        people = [await person(store, access.tenant, f"p{n}") for n in range(5)]
        inner = await group(store, access.tenant, "inner", people)
        await group(store, access.tenant, "outer", [inner.id, *people])

        await store.delete_connection("apps", "entra", if_match=None)
        while await store.purge(3):
            pass

        again = await connect(store, credential("c9"), settings=TenantSettings(deletion_policy="Delete"))
        assert again.resources == 0
        fresh = await store.access(digest_of("c9"))
        assert fresh is not None
        assert (await store.search(fresh.tenant, None, ListQuery())).total == 0


class TestFilters:
    @pytest.fixture
    async def world(self, store: Store, tenant: int) -> dict[str, str]:
        """Ids by name: ada in staff and inner, bob in staff, inner in staff; empty has nobody."""
        ids = {name: await person(store, tenant, name) for name in ("ada", "bob", "eve")}
        ids["inner"] = (await group(store, tenant, "inner", [ids["ada"]])).id
        ids["staff"] = (await group(store, tenant, "staff", [ids["ada"], ids["bob"], ids["inner"]])).id
        ids["empty"] = (await group(store, tenant, "empty")).id
        return ids

    @pytest.mark.parametrize(
        ("kind", "text", "names"),
        [
            ("Group", 'members[value eq "{ada}"]', {"inner", "staff"}),
            ("Group", 'members.value eq "{ada}"', {"inner", "staff"}),
            ("Group", 'members eq "{bob}"', {"staff"}),
            ("Group", 'members[value eq "{eve}"]', set()),
            ("Group", 'members.value ne "{bob}"', {"inner", "empty"}),
            ("Group", 'members[type eq "Group"]', {"staff"}),
            ("Group", 'members[type eq "User" and value sw "{inner}"]', set()),
            ("Group", "members pr", {"inner", "staff"}),
            ("Group", "not (members pr)", {"empty"}),
            ("Group", "members eq null", {"empty"}),
            ("Group", 'displayName eq "STAFF" and members[value eq "{ada}"]', {"staff"}),
            ("Group", 'id eq "{staff}" and members[value eq "{ada}"]', {"staff"}),
            ("Group", 'id eq "{inner}" and members[value eq "{bob}"]', set()),
            ("Group", 'members[value eq "{ada}"] and id eq "{inner}"', {"inner"}),
            ("User", 'groups.value eq "{staff}"', {"ada", "bob"}),
            ("User", 'groups[value eq "{inner}"]', {"ada"}),
            ("User", "groups pr", {"ada", "bob"}),
            ("User", 'not (groups.value eq "{staff}")', {"eve"}),
            (None, 'meta.resourceType eq "Group" and not (members pr)', {"empty"}),
            (None, 'members[value eq "{ada}"] or groups.value eq "{inner}"', {"inner", "staff", "ada"}),
            (None, 'displayName eq "staff" or userName eq "eve"', {"staff", "eve"}),
        ],
    )
    async def test_memberships_can_be_searched(
        self,
        store: Store,
        tenant: int,
        world: dict[str, str],
        kind: ResourceKind | None,
        text: str,
        names: set[str],
    ) -> None:
        filled = text
        for name, identity in world.items():
            filled = filled.replace(f"{{{name}}}", identity)
        wanted = parse_filter(TENANT, kind, filled)
        if isinstance(wanted, IndexedLookup):
            assert wanted.rest is not None
            assert kind is not None
            looked_up = await store.lookup(tenant, kind, wanted.by, wanted.key, wanted.rest)
        else:
            page = await store.search(tenant, kind, ListQuery(wanted))
            assert page.total == len(page.resources)
            looked_up = page.resources
        assert {one.id for one in looked_up} == {world[name] for name in names}
