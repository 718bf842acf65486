"""The scripts of administration on each database: the installation, pages of connections, purges."""

import asyncio
from datetime import timedelta

import pytest

from scim_api.contract.admin import Connection, Matching, TenantSettings
from scim_api.store.change_log import Actor
from scim_api.store.errors import TenantPurging
from scim_api.store.protocol import ListQuery, Store
from support.database import run_sql
from support.stored import connect, credential, digest_of, prepared, tenant_of

DELETE = TenantSettings(deletion_policy="Delete")


def ids(connection: Connection) -> list[str]:
    return [held.id for held in connection.credentials]


class TestInstallation:
    async def test_the_first_claim_stays(self, store: Store, other: Store) -> None:
        assert await store.claim("one") == "one"
        assert await other.claim("two") == "one"

    async def test_nobody_has_claimed_a_new_database(self, store: Store, other: Store) -> None:
        assert await store.installation() is None
        await store.claim("one")
        assert await other.installation() == "one"

    async def test_the_public_url_is_remembered(self, store: Store, other: Store) -> None:
        assert await store.public_url() is None
        assert await store.public_url("https://scim.example.com/scim/v2") == await other.public_url()


class TestPages:
    async def test_all_that_exist_are_listed_once_in_order(self, store: Store) -> None:
        for namespace in ("b", "a"):
            for n in range(4):
                identity = f"{namespace}{n}"
                await connect(store, credential(identity), namespace=namespace, name=f"n{n}", tenant=f"t{n}")
        await store.delete_connection("a", "n2", if_match=None)

        seen, after = [], None
        while True:
            page = await store.connections(after=after, limit=3)
            seen += [(c.namespace, c.name, *ids(c)) for c in page.items]
            after = page.next
            if after is None:
                break

        assert seen == [(ns, f"n{n}", f"{ns}{n}") for ns in "ab" for n in range(4) if (ns, n) != ("a", 2)]

    async def test_an_item_is_what_the_single_answer_says(self, store: Store) -> None:
        tenant = await tenant_of(store)
        await store.create(tenant, "User", prepared("ada"), actor=Actor("c"))

        [item] = (await store.connections(after=None, limit=10)).items

        single = await store.connection("apps", "contoso")
        assert item.model_copy(update={"now": single.now}) == single
        assert item.resources == 1

    async def test_an_empty_database_has_an_empty_page(self, store: Store) -> None:
        page = await store.connections(after=None, limit=10)

        assert (page.items, page.next) == ((), None)

    async def test_a_page_that_ends_with_the_last_connection_is_the_last_page(self, store: Store) -> None:
        for name in ("a", "b"):
            await connect(store, credential(name), name=name)

        first = await store.connections(after=None, limit=1)
        assert (len(first.items), first.next) == (1, "apps/a")
        assert (await store.connections(after="apps/a", limit=1)).next is None
        assert (await store.connections(after="apps/b", limit=1)).items == ()


class TestPurge:
    async def test_a_purge_goes_in_batches_and_a_recreated_tenant_starts_empty(self, store: Store) -> None:
        await connect(store, credential(), settings=DELETE)
        access = await store.access(digest_of("c1"))
        assert access is not None
        for n in range(5):
            await store.create(access.tenant, "User", prepared(f"u{n}"), actor=Actor("c1"))
        bystander = await tenant_of(store, "fabrikam")
        kept = await store.create(bystander, "User", prepared("u0"), actor=Actor("c"))
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

    async def test_the_end_of_a_purge_is_written_down(self, store: Store) -> None:
        await connect(store, credential(), settings=DELETE)
        await store.delete_connection("apps", "entra", if_match=None)

        await store.purge()

        written = await run_sql(
            store.url, "SELECT type, resource_id FROM change WHERE type = 'tenant.purge' ORDER BY pk"
        )
        assert written == [("tenant.purge", "apps/contoso")]
