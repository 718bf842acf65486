"""Many creates at once on a real database: one of each name, and everything that belongs to it."""

import asyncio
from collections import Counter

from scim_api.core.model import Lookup, Resource
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict
from scim_api.store.protocol import ListQuery, Store
from support.stored import prepared


async def test_of_many_creates_at_once_one_of_each_name_wins(store: Store, tenant: int) -> None:
    names = [f"person-{number % 40}" for number in range(120)]

    async def create(name: str) -> Resource | Conflict:
        try:
            return await store.create(tenant, "User", prepared(name), actor=Actor("bench"))
        except Conflict as conflict:
            return conflict

    found = await asyncio.gather(*(create(name) for name in names))

    made = [one for one in found if isinstance(one, Resource)]
    assert Counter(type(one).__name__ for one in found) == {"Resource": 40, "Conflict": 80}
    assert {one.attribute for one in found if isinstance(one, Conflict)} == {"userName"}
    assert (await store.search(tenant, "User", ListQuery())).total == 40
    for one in made:
        assert await store.get(tenant, "User", one.id) == one
        name = one.doc.partition('"userName":"')[2].partition('"')[0]
        assert await store.lookup(tenant, "User", Lookup.NAME, name) == [one]
        assert await store.lookup(tenant, "User", Lookup.WORK_EMAIL, f"{name}@contoso.com") == [one]
