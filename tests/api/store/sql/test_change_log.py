"""Reading the log of changes page by page, and what becomes of changes whose time is over."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from scim_api.store.change_log import Actor
from scim_api.store.errors import ChangesGone
from scim_api.store.protocol import Store
from scim_api.store.sql.timestamps import to_text
from support.change_rows import ChangeRow, add_change_row, change_rows
from support.stored import prepared, tenant_of


class TestForgetting:
    async def test_changes_are_kept_for_their_time_and_dropped_in_batches(self, store: Store) -> None:
        def row(age: timedelta, name: str) -> ChangeRow:
            return ChangeRow(to_text(datetime.now(UTC) - age), 7, "user.created", name)

        keep, minute = timedelta(days=90), timedelta(minutes=1)
        old = [row(keep + minute, f"old-{number}") for number in range(3)]
        young = row(keep - minute, "young")
        for one in (*old, young):
            await add_change_row(store, one)
        kept = [one for one in await change_rows(store) if one.tenant == 7]

        deleted = [await store.change_log.forget(keep, batch=2) for _ in range(3)]

        assert kept == [*old, young]
        assert deleted == [2, 1, 0]
        assert [one for one in await change_rows(store) if one.tenant == 7] == [young]

    async def test_a_reader_that_has_not_read_what_is_dropped_is_told(
        self, store: Store, tenant: int
    ) -> None:
        begin = await store.change_log.head(tenant)
        await store.create(tenant, "User", prepared("ada"), actor=Actor("writer"))
        read = (await store.change_log.page(tenant, begin, limit=10)).next

        await store.change_log.forget(timedelta())

        assert (await store.change_log.page(tenant, None, limit=10)).changes == []
        assert (await store.change_log.page(tenant, read, limit=10)).changes == []
        with pytest.raises(ChangesGone, match="kept no longer"):
            await store.change_log.page(tenant, begin, limit=10)


class TestReading:
    async def test_a_page_goes_on_where_the_one_before_ended(self, store: Store, tenant: int) -> None:
        made = [
            await store.create(tenant, "User", prepared(f"u{number}"), actor=Actor("writer", "apps/entra"))
            for number in range(5)
        ]
        first = await store.change_log.page(tenant, None, limit=3)
        second = await store.change_log.page(tenant, first.next, limit=3)
        third = await store.change_log.page(tenant, second.next, limit=3)

        read = [change.resource_id for page in (first, second, third) for change in page.changes]
        assert read == [one.id for one in made]
        assert [page.has_more for page in (first, second, third)] == [True, False, False]
        assert (first.changes[0].scim_token, first.changes[0].external_id) == ("apps/entra", "ext-u0")

    async def test_the_head_is_after_all_that_is_there(self, store: Store, tenant: int) -> None:
        await store.create(tenant, "User", prepared("before"), actor=Actor("writer"))
        head = await store.change_log.head(tenant)
        after = await store.create(tenant, "User", prepared("after"), actor=Actor("writer"))

        [change] = (await store.change_log.page(tenant, head, limit=10)).changes

        assert change.resource_id == after.id

    async def test_only_the_types_that_are_wanted_come_and_the_position_passes_the_others(
        self, store: Store, tenant: int
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("writer"))
        await store.delete(tenant, "User", ada.id, actor=Actor("writer"))
        await store.create(tenant, "User", prepared("eve"), actor=Actor("writer"))

        page = await store.change_log.page(tenant, None, limit=10, types=frozenset({"user.deleted"}))

        assert [change.type for change in page.changes] == ["user.deleted"]
        assert (await store.change_log.page(tenant, page.next, limit=10)).changes == []

    async def test_nothing_of_another_tenant_or_of_the_administration_is_seen(
        self, store: Store, tenant: int
    ) -> None:
        stranger = await tenant_of(store, "fabrikam")
        await store.create(stranger, "User", prepared("ada"), actor=Actor("writer"))

        assert (await store.change_log.page(tenant, None, limit=10)).changes == []
        theirs = await store.change_log.head(stranger)
        with pytest.raises(ChangesGone, match="another tenant"):
            await store.change_log.page(tenant, theirs, limit=10)

    async def test_a_position_of_another_history_is_refused(self, store: Store, tenant: int) -> None:
        await store.create(tenant, "User", prepared("ada"), actor=Actor("writer"))
        head = await store.change_log.head(tenant)

        for other in (dataclasses.replace(head, epoch=head.epoch + 1), dataclasses.replace(head, mark=1)):
            with pytest.raises(ChangesGone, match="restore"):
                await store.change_log.page(tenant, other, limit=10)

    async def test_who_watches_the_log_learns_whose_changes_came(
        self, store: Store, other: Store, tenant: int
    ) -> None:
        stranger = await tenant_of(store, "fabrikam")
        mark, none = await store.change_log.changed_tenants(None)
        await other.create(tenant, "User", prepared("ada"), actor=Actor("writer"))
        mark, first = await store.change_log.changed_tenants(mark)
        mark, quiet = await store.change_log.changed_tenants(mark)
        await other.create(stranger, "User", prepared("ada"), actor=Actor("writer"))
        mark, second = await store.change_log.changed_tenants(mark)

        assert [set(seen) for seen in (none, first, quiet, second)] == [set(), {tenant}, set(), {stranger}]
