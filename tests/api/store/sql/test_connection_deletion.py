"""The contract of ``Store`` about the end of a connection and its tenant, on each database."""

import asyncio
from datetime import timedelta

import pytest

from scim_api.contract.admin import Connection, Matching, TenantSettings
from scim_api.store.errors import (
    CredentialRevoked,
    TenantPurging,
)
from scim_api.store.protocol import ListQuery, Store
from support.stored import connect, credential, digest_of, prepared, tenant_of

DAY = timedelta(days=1)
DELETE = TenantSettings(deletion_policy="Delete")


def ids(connection: Connection) -> list[str]:
    return [held.id for held in connection.credentials]


class TestDeletion:
    async def test_a_deleted_connection_opens_nothing_and_keeps_its_tombstones(self, store: Store) -> None:
        await connect(store, credential())

        gone = await store.delete_connection("apps", "entra", if_match=None)

        assert (gone.exists, gone.credentials, gone.revoked) == (False, (), ("c1",))
        assert await store.access(digest_of("c1")) is None
        again = await store.delete_connection("apps", "entra", if_match=gone.revision)
        assert again.revision == gone.revision
        with pytest.raises(CredentialRevoked):
            await connect(store, credential())

    async def test_people_are_retained_for_the_next_connection_of_the_tenant(self, store: Store) -> None:
        tenant = await tenant_of(store)
        ada = await store.create(tenant, "User", prepared("ada"), actor="c")
        await store.delete_connection("apps", "contoso", if_match=None)
        assert await store.purge() == 0

        await connect(store, credential("new"))

        access = await store.access(digest_of("new"))
        assert access is not None
        assert await store.get(access.tenant, "User", ada.id) == ada

    async def test_only_the_last_connection_takes_its_people_with_it(self, store: Store) -> None:
        await connect(store, credential("a"), name="a", settings=DELETE)
        await connect(store, credential("b"), name="b", settings=DELETE)

        assert not (await store.delete_connection("apps", "a", if_match=None)).purging
        assert (await store.delete_connection("apps", "b", if_match=None)).purging

    async def test_a_purge_goes_in_batches_and_a_recreated_tenant_starts_empty(self, store: Store) -> None:
        await connect(store, credential(), settings=DELETE)
        access = await store.access(digest_of("c1"))
        assert access is not None
        for n in range(5):
            await store.create(access.tenant, "User", prepared(f"u{n}"), actor="c1")
        bystander = await tenant_of(store, "fabrikam")
        kept = await store.create(bystander, "User", prepared("u0"), actor="c")
        await store.delete_connection("apps", "entra", if_match=None)

        with pytest.raises(TenantPurging):
            await connect(store, credential("new"))
        assert await store.purge(batch=3) == 3
        assert (await store.connection("apps", "entra")).resources == 2
        assert await store.purge(batch=3) == 2
        assert not (await store.connection("apps", "entra")).purging

        await connect(store, credential("new"), settings=TenantSettings(matching=Matching.USER_NAME))
        fresh = await store.access(digest_of("new"))
        assert fresh is not None
        assert fresh.tenant != access.tenant
        assert (await store.search(fresh.tenant, "User", ListQuery(limit=9))).total == 0
        assert await store.get(bystander, "User", kept.id) == kept

    async def test_a_connection_that_moves_to_another_tenant_leaves_the_old_one_to_its_policy(
        self, store: Store
    ) -> None:
        await connect(store, credential(), settings=DELETE)
        before = await store.access(digest_of("c1"))

        await connect(store, credential(), tenant="fabrikam")

        after = await store.access(digest_of("c1"))
        assert before is not None
        assert after is not None
        assert after.tenant != before.tenant
        with pytest.raises(TenantPurging):
            await connect(store, credential("c2"), name="second", settings=DELETE)

    async def test_tombstones_whose_time_is_over_are_dropped(self, store: Store) -> None:
        await connect(store, credential("brief", expires=timedelta(seconds=2)), credential())
        await connect(store, credential())
        assert (await store.connection("apps", "entra")).revoked == ("brief",)

        async with asyncio.timeout(10):
            while (await store.connection("apps", "entra")).revoked:
                await asyncio.sleep(0.02)
        await store.purge()

        # Its row is gone, so that its digest may be held by another connection.
        assert (await connect(store, credential("brief"), name="second")).credentials[0].id == "brief"
