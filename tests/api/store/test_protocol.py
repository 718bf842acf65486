"""The contract of ``Store`` about resources, on each database."""

import asyncio
import dataclasses
import json

import pytest

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.core.model import Lookup, Resource
from scim_api.core.predicate import AttributePath, Comparison, Constant, LogicalExpression, Present
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict, VersionMismatch
from scim_api.store.protocol import ListQuery, Store
from support.stored import connect, credential, digest_of, prepared, retitle, tenant_of

ACTOR = Actor("c1")


async def names(store: Store, tenant: int, offset: int = 0, limit: int = 1000) -> list[str]:
    page = await store.search(tenant, "User", ListQuery(offset=offset, limit=limit))
    return [json.loads(resource.doc)["userName"] for resource in page.resources]


class TestResources:
    async def test_what_was_created_is_read_back_as_it_was_sent(self, store: Store, tenant: int) -> None:
        body = dataclasses.replace(prepared("ada"), doc='{"schemas":[],"x":1.10,"y":1e2,"x":"é İ Σ\\u0001"}')

        created = await store.create(tenant, "User", body, actor=ACTOR)

        assert created.doc == body.doc
        assert created.version == 1
        assert created.created == created.modified
        assert await store.get(tenant, "User", created.id) == created

    async def test_a_resource_of_another_kind_is_not_found(self, store: Store, tenant: int) -> None:
        created = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)

        assert await store.get(tenant, "Group", created.id) is None
        assert await store.delete(tenant, "Group", created.id, actor=ACTOR) is False

    @pytest.mark.parametrize(
        ("by", "key"),
        [(Lookup.NAME, "ada"), (Lookup.EXTERNAL, "ext-ada"), (Lookup.WORK_EMAIL, "ada@contoso.com")],
    )
    async def test_a_look_up_finds_by_each_key(self, store: Store, tenant: int, by: Lookup, key: str) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        await store.create(tenant, "User", prepared("bob"), actor=ACTOR)

        assert list(await store.lookup(tenant, "User", by, key)) == [ada]
        assert list(await store.lookup(tenant, "User", by, key.upper())) == []

    async def test_a_person_is_found_by_each_of_several_work_emails(self, store: Store, tenant: int) -> None:
        body = dataclasses.replace(prepared("ada"), email_keys=("a@x", "b@x"))
        ada = await store.create(tenant, "User", body, actor=ACTOR)

        for key in ("a@x", "b@x"):
            assert [r.id for r in await store.lookup(tenant, "User", Lookup.WORK_EMAIL, key)] == [ada.id]

    async def test_a_changed_email_is_found_by_the_new_one_only(self, store: Store, tenant: int) -> None:
        ada = await store.create(tenant, "User", prepared("ada", email="old@x"), actor=ACTOR)

        await store.modify(tenant, "User", ada.id, lambda _: prepared("ada", email="new@x"), actor=ACTOR)

        assert list(await store.lookup(tenant, "User", Lookup.WORK_EMAIL, "old@x")) == []
        assert [r.version for r in await store.lookup(tenant, "User", Lookup.WORK_EMAIL, "new@x")] == [2]

    @pytest.mark.parametrize(
        ("matching", "second", "attribute"),
        [
            (Matching.WORK_EMAIL, prepared("bob", email="ada@contoso.com"), "emails"),
            (Matching.WORK_EMAIL, prepared("ada", email="other@x"), "userName"),
            (Matching.WORK_EMAIL, prepared("ada"), "userName"),
            (Matching.USER_NAME, prepared("ada", match="ada"), "userName"),
            (Matching.EXTERNAL_ID, prepared("bob", match="ada@contoso.com"), "externalId"),
        ],
    )
    async def test_a_taken_key_is_refused_by_the_name_of_its_attribute(
        self, store: Store, matching: Matching, second: object, attribute: str
    ) -> None:
        assert isinstance(second, type(prepared("x")))
        await connect(store, credential(), settings=TenantSettings(matching=matching))
        access = await store.access(digest_of("c1"))
        assert access is not None
        await store.create(access.tenant, "User", prepared("ada"), actor=ACTOR)

        with pytest.raises(Conflict) as refused:
            await store.create(access.tenant, "User", second, actor=ACTOR)

        assert refused.value.attribute == attribute
        assert await names(store, access.tenant) == ["ada"]

    async def test_a_change_that_takes_another_ones_key_changes_nothing(
        self, store: Store, tenant: int
    ) -> None:
        await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        bob = await store.create(tenant, "User", prepared("bob"), actor=ACTOR)

        with pytest.raises(Conflict):
            await store.modify(tenant, "User", bob.id, lambda _: prepared("ada"), actor=ACTOR)

        assert await store.get(tenant, "User", bob.id) == bob
        assert list(await store.lookup(tenant, "User", Lookup.WORK_EMAIL, "bob@contoso.com")) == [bob]

    async def test_users_without_a_matching_value_do_not_collide(self, store: Store, tenant: int) -> None:
        for name in ("ada", "bob"):
            await store.create(tenant, "User", prepared(name, email=""), actor=ACTOR)

        assert await names(store, tenant) == ["ada", "bob"]

    async def test_users_and_groups_may_share_a_name(self, store: Store, tenant: int) -> None:
        await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        await store.create(tenant, "Group", prepared("ada"), actor=ACTOR)

        with pytest.raises(Conflict) as refused:
            await store.create(tenant, "Group", prepared("ada"), actor=ACTOR)
        assert refused.value.attribute == "displayName"

    async def test_a_transform_that_changes_nothing_writes_nothing(self, store: Store, tenant: int) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)

        assert await store.modify(tenant, "User", ada.id, lambda _: None, actor=ACTOR) == ada
        assert await store.get(tenant, "User", ada.id) == ada

    async def test_what_a_transform_raises_reaches_the_caller_and_nothing_is_written(
        self, store: Store, tenant: int
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)

        def refuse(_: Resource) -> None:
            raise LookupError("noTarget")

        with pytest.raises(LookupError, match="noTarget"):
            await store.modify(tenant, "User", ada.id, refuse, actor=ACTOR)
        assert await store.get(tenant, "User", ada.id) == ada

    async def test_an_expected_version_is_held_to(self, store: Store, tenant: int) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        change = retitle(lambda _: "x")
        await store.modify(tenant, "User", ada.id, change, actor=ACTOR, expected_version=1)

        with pytest.raises(VersionMismatch):
            await store.modify(tenant, "User", ada.id, change, actor=ACTOR, expected_version=1)
        with pytest.raises(VersionMismatch):
            await store.delete(tenant, "User", ada.id, actor=ACTOR, expected_version=1)
        assert await store.delete(tenant, "User", ada.id, actor=ACTOR, expected_version=2) is True

    async def test_what_is_missing_is_neither_changed_nor_deleted(self, store: Store, tenant: int) -> None:
        assert await store.modify(tenant, "User", "none", lambda _: prepared("x"), actor=ACTOR) is None
        assert await store.delete(tenant, "User", "none", actor=ACTOR, expected_version=3) is False

    async def test_a_deleted_users_keys_are_free_again(self, store: Store, tenant: int) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)

        assert await store.delete(tenant, "User", ada.id, actor=ACTOR) is True

        again = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        assert again.id != ada.id
        assert list(await store.lookup(tenant, "User", Lookup.WORK_EMAIL, "ada@contoso.com")) == [again]

    async def test_pages_keep_the_order_of_creation_and_the_total_is_right_at_once(
        self, store: Store, tenant: int
    ) -> None:
        created = [await store.create(tenant, "User", prepared(f"u{n}"), actor=ACTOR) for n in range(7)]
        await store.delete(tenant, "User", created[2].id, actor=ACTOR)
        await store.modify(tenant, "User", created[0].id, retitle(lambda _: "x"), actor=ACTOR)

        page = await store.search(tenant, "User", ListQuery(offset=1, limit=3))

        assert page.total == 6
        assert await names(store, tenant, 1, 3) == ["u1", "u3", "u4"]
        past = await store.search(tenant, "User", ListQuery(offset=60, limit=3))
        assert (past.total, list(past.resources)) == (6, [])
        none = await store.search(tenant, "User", ListQuery(limit=0))
        assert (none.total, list(none.resources)) == (6, [])

    async def test_a_filter_gives_its_own_total_and_page(self, store: Store, tenant: int) -> None:
        for n in range(6):
            await store.create(tenant, "User", prepared(f"u{n}"), actor=ACTOR)
        where = Comparison(AttributePath(("username",), "string"), "gt", "u1")

        page = await store.search(tenant, "User", ListQuery(where, offset=1, limit=2))

        assert page.total == 4
        assert [json.loads(r.doc)["userName"] for r in page.resources] == ["u3", "u4"]
        past = await store.search(tenant, "User", ListQuery(where, offset=9, limit=2))
        assert (past.total, list(past.resources)) == (4, [])

    async def test_no_tenant_reaches_into_another(self, store: Store, tenant: int) -> None:
        stranger = await tenant_of(store, "fabrikam")
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        twin = await store.create(stranger, "User", prepared("ada"), actor=ACTOR)

        assert await store.get(stranger, "User", ada.id) is None
        assert await store.modify(stranger, "User", ada.id, retitle(lambda _: "x"), actor=ACTOR) is None
        assert await store.delete(stranger, "User", ada.id, actor=ACTOR) is False
        for by, key in ((Lookup.NAME, "ada"), (Lookup.WORK_EMAIL, "ada@contoso.com"), (Lookup.ID, twin.id)):
            assert [r.id for r in await store.lookup(stranger, "User", by, key)] == [twin.id]
        everything = LogicalExpression(
            "or", (Constant(True), Present(AttributePath(("username",), "string")))
        )
        found = await store.search(stranger, "User", ListQuery(everything, limit=10))
        assert [r.id for r in found.resources] == [twin.id]
        assert await store.get(tenant, "User", ada.id) == ada


class TestConcurrency:
    async def test_hundreds_of_changes_of_one_resource_at_once_lose_none(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=ACTOR)
        more = retitle(lambda title: str(int(title or "0") + 1))

        await asyncio.gather(
            *((store, other)[n % 2].modify(tenant, "User", ada.id, more, actor=ACTOR) for n in range(300))
        )

        after = await other.get(tenant, "User", ada.id)
        assert after is not None
        assert json.loads(after.doc)["title"] == "300"
        assert after.version == 301

    async def test_of_many_creators_of_one_key_exactly_one_wins(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        results = await asyncio.gather(
            *((store, other)[n % 2].create(tenant, "User", prepared("ada"), actor=ACTOR) for n in range(40)),
            return_exceptions=True,
        )

        winners = [result for result in results if isinstance(result, Resource)]
        losers = [result for result in results if isinstance(result, Conflict)]
        assert (len(winners), len(losers)) == (1, 39)
        assert (await store.search(tenant, "User", ListQuery(limit=5))).total == 1

    async def test_counters_are_right_after_parallel_creates_and_deletes(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        created = await asyncio.gather(
            *(store.create(tenant, "User", prepared(f"u{n}"), actor=ACTOR) for n in range(100))
        )
        deleted = await asyncio.gather(
            *(s.delete(tenant, "User", r.id, actor=ACTOR) for r in created[:40] for s in (store, other))
        )

        assert sum(deleted) == 40
        page = await other.search(tenant, "User", ListQuery(limit=1000))
        assert page.total == len(page.resources) == 60
        assert (await store.connection("apps", "contoso")).resources == 60

    async def test_one_refused_request_does_not_harm_those_committed_with_it(
        self, store: Store, tenant: int
    ) -> None:
        await store.create(tenant, "User", prepared("u3"), actor=ACTOR)

        results = await asyncio.gather(
            *(store.create(tenant, "User", prepared(f"u{n}"), actor=ACTOR) for n in range(10)),
            return_exceptions=True,
        )

        assert [n for n, result in enumerate(results) if isinstance(result, Conflict)] == [3]
        assert (await store.search(tenant, "User", ListQuery(limit=1))).total == 10
