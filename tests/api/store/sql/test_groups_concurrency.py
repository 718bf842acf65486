"""Groups that many change at the same time."""

import asyncio

from scim_api.core.model import Resource
from scim_api.store.errors import UnknownMembers
from scim_api.store.protocol import Store
from support.group_calls import ACTOR, add, group, members, patched, person, remove


class TestConcurrency:
    async def test_hundreds_of_parallel_adds_from_two_replicas_lose_nobody(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        people = [await person(store, tenant, f"p{n}") for n in range(200)]
        made = await group(store, tenant, "staff")

        await asyncio.gather(
            *(patched((store, other)[n % 2], tenant, made, add(one)) for n, one in enumerate(people))
        )

        assert await members(store, tenant, made) == people
        now = await store.get(tenant, "Group", made.id)
        assert now is not None
        assert now.version == 1 + len(people)

    async def test_groups_that_take_each_other_in_do_not_wait_in_a_circle(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        one, two = await group(store, tenant, "one"), await group(store, tenant, "two")

        for _ in range(15):
            await asyncio.gather(
                patched(store, tenant, one, add(two.id)), patched(other, tenant, two, add(one.id))
            )
            await asyncio.gather(
                patched(other, tenant, one, remove(two.id)), patched(store, tenant, two, remove(one.id))
            )

        assert await members(store, tenant, one) == []

    async def test_people_deleted_while_groups_change_end_in_no_group_and_in_no_error(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        people = [await person(store, tenant, f"p{n}") for n in range(40)]
        made = [await group(store, tenant, f"g{n}", people) for n in range(4)]
        fresh = [await person(store, tenant, f"f{n}") for n in range(40)]

        await asyncio.gather(
            *((store, other)[n % 2].delete(tenant, "User", one, actor=ACTOR) for n, one in enumerate(people)),
            *(patched((other, store)[n % 2], tenant, made[n % 4], add(one)) for n, one in enumerate(fresh)),
        )

        left = [set(await members(store, tenant, one)) for one in made]
        assert set().union(*left) == set(fresh)
        assert sum(len(one) for one in left) == len(fresh)

    async def test_a_member_deleted_while_it_is_added_is_refused_or_gone(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        made = await group(store, tenant, "staff")
        for number in range(30):
            one = await person(store, tenant, f"p{number}")
            added, deleted = await asyncio.gather(
                patched(store, tenant, made, add(one)),
                other.delete(tenant, "User", one, actor=ACTOR),
                return_exceptions=True,
            )
            assert deleted is True
            assert isinstance(added, (Resource, UnknownMembers))
        assert await members(store, tenant, made) == []
