"""One tenant's slow searches delay neither another's searches nor anybody's reads, on each database."""

import asyncio

import pytest

from scim_api.store.change_log import Actor
from scim_api.store.errors import TooSlow
from scim_api.store.protocol import ListQuery, Store
from scim_api.store.sql.search_locks import TenantSearchLocks
from support.slow_search import ANYTHING, SLOW
from support.stored import connect, credential, digest_of, prepared


@pytest.mark.usefixtures("slow_searches")
async def test_slow_searches_of_one_tenant_leave_the_others_alone(store: Store, tenant: int) -> None:
    await connect(store, credential("c2"), name="other", tenant="fabrikam")
    access = await store.access(digest_of("c2"))
    assert access is not None
    await store.create(tenant, "User", prepared("ada"), actor=Actor("c1"))
    bob = await store.create(access.tenant, "User", prepared("bob"), actor=Actor("c2"))
    slow = [asyncio.create_task(store.search(tenant, "User", ListQuery(SLOW))) for _ in range(4)]
    await asyncio.sleep(0.1)

    for _ in range(3):
        page = await store.search(access.tenant, "User", ListQuery(ANYTHING))
        assert page.total == 1
        assert await store.get(access.tenant, "User", bob.id) == bob

    assert not any(task.done() for task in slow[1:]), "all of this was answered in the time of one of them"
    ended = await asyncio.gather(*slow, return_exceptions=True)
    assert {type(one) for one in ended} == {TooSlow}


async def test_a_tenant_waits_for_itself_alone_and_not_for_ever() -> None:
    turns = TenantSearchLocks(wait_seconds=0.05)
    async with turns.hold(1), turns.hold(2):
        with pytest.raises(TooSlow):
            async with turns.hold(1):
                pytest.fail("the turn was taken")
    async with turns.hold(1):
        pass
    assert turns._locks == {}


async def test_who_leaves_the_queue_gives_his_place_to_the_next() -> None:
    turns = TenantSearchLocks()
    came: list[str] = []

    async def come(name: str) -> None:
        async with turns.hold(1):
            came.append(name)

    async with turns.hold(1):
        impatient, patient = asyncio.create_task(come("impatient")), asyncio.create_task(come("patient"))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
    await patient
    assert came == ["patient"]
