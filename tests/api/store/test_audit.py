"""The audit log: who did what to which object and when, one row for each write and none for any other call."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from scim_api.contract.admin import TenantSettings
from scim_api.core.errors import ScimError
from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.core.types import ResourceKind
from scim_api.store.errors import (
    Conflict,
    RevisionMismatch,
    SettingsConflict,
    UnknownMembers,
    VersionMismatch,
)
from scim_api.store.protocol import Store
from scim_api.store.sql.timestamps import to_posix, to_text
from support.audit import AuditRow, add_to_audit_log, audit_log
from support.stored import connect, credential, prepared, retitle, tenant_of

KINDS: tuple[ResourceKind, ...] = ("User", "Group")
DELETE = TenantSettings(deletion_policy="Delete")
YEAR = timedelta(days=365)
NOBODY = "00000000-0000-4000-8000-00000000ffff"


@asynccontextmanager
async def added(store: Store) -> AsyncIterator[list[AuditRow]]:
    """The rows that are written within the block; to be looked at after it."""
    before = await audit_log(store)
    rows: list[AuditRow] = []
    yield rows
    after = await audit_log(store)
    assert after[: len(before)] == before
    rows += after[len(before) :]


async def database_time(store: Store) -> float:
    return (await store.generation()).now


def joined_by(*ids: str) -> Callable[[Resource], ResourceWrite]:
    """A change of a group that adds members and leaves its body alone."""

    def transform(resource: Resource) -> ResourceWrite:
        return dataclasses.replace(prepared("staff"), doc=resource.doc, members=(MemberChange("add", ids),))

    return transform


class TestResources:
    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_create_leaves_one_row_of_its_time(
        self, store: Store, tenant: int, kind: ResourceKind
    ) -> None:
        async with added(store) as rows:
            made = await store.create(tenant, kind, prepared("ada"), actor="writer")

        assert rows == [AuditRow(made.created, tenant, kind, made.id, "create", "writer")]

    async def test_of_creates_that_come_together_each_has_its_own_row(
        self, store: Store, tenant: int
    ) -> None:
        stranger = await tenant_of(store, "fabrikam")
        wanted = [((tenant, stranger)[n % 2], f"u{n}", f"writer-{n}") for n in range(24)]

        async with added(store) as rows:
            made = await asyncio.gather(
                *(store.create(where, "User", prepared(name), actor=actor) for where, name, actor in wanted)
            )

        assert sorted(rows) == sorted(
            AuditRow(one.created, where, "User", one.id, "create", actor)
            for one, (where, _, actor) in zip(made, wanted, strict=True)
        )

    @pytest.mark.parametrize("way", ["remembered", "read", "locked"])
    async def test_a_change_of_a_user_leaves_one_row_of_its_time(
        self, store: Store, other: Store, tenant: int, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """PostgreSQL changes what it remembers, what it has just read, or what it has locked."""
        ada = await store.create(tenant, "User", prepared("ada"), actor="creator")
        if way == "locked":
            monkeypatch.setattr("scim_api.store.postgres.resources.OPTIMISTIC_ATTEMPTS", 0)
        writer = store if way == "remembered" else other

        async with added(store) as rows:
            changed = await writer.modify(tenant, "User", ada.id, retitle(lambda _: "x"), actor="writer")

        assert changed is not None
        assert rows == [AuditRow(changed.modified, tenant, "User", ada.id, "modify", "writer")]

    async def test_a_change_of_a_groups_name_or_members_leaves_one_row_of_its_time(
        self, store: Store, tenant: int
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor="creator")
        staff = await store.create(tenant, "Group", prepared("staff"), actor="creator")
        changes = (joined_by(ada.id), lambda _: prepared("staff", title="x"))

        for change in changes:
            async with added(store) as rows:
                changed = await store.modify(tenant, "Group", staff.id, change, actor="writer")
            assert changed is not None
            assert rows == [AuditRow(changed.modified, tenant, "Group", staff.id, "modify", "writer")]

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_delete_leaves_one_row_of_its_time(
        self, store: Store, tenant: int, kind: ResourceKind
    ) -> None:
        made = await store.create(tenant, kind, prepared("ada"), actor="creator")
        begun = await database_time(store)

        async with added(store) as rows:
            await store.delete(tenant, kind, made.id, actor="writer", expected_version=1)

        [row] = rows
        assert row == AuditRow(row.at, tenant, kind, made.id, "delete", "writer")
        assert begun - 0.001 <= to_posix(row.at) <= await database_time(store) + 0.001

    async def test_the_delete_of_a_member_leaves_its_own_row_alone(self, store: Store, tenant: int) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor="creator")
        staff = await store.create(tenant, "Group", prepared("staff"), actor="creator")
        await store.modify(tenant, "Group", staff.id, joined_by(ada.id), actor="creator")

        async with added(store) as rows:
            await store.delete(tenant, "User", ada.id, actor="writer")

        assert [row[1:] for row in rows] == [(tenant, "User", ada.id, "delete", "writer")]

    async def test_a_change_that_comes_to_nothing_leaves_no_row(
        self, store: Store, other: Store, tenant: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor="creator")
        staff = await store.create(tenant, "Group", prepared("staff"), actor="creator")
        await store.modify(tenant, "Group", staff.id, joined_by(ada.id), actor="creator")

        async with added(store) as rows:
            for writer in (store, other):
                await writer.modify(tenant, "User", ada.id, lambda _: None, actor="writer")
                await writer.modify(tenant, "Group", staff.id, lambda _: None, actor="writer")
                await writer.modify(tenant, "Group", staff.id, joined_by(ada.id), actor="writer")
            monkeypatch.setattr("scim_api.store.postgres.resources.OPTIMISTIC_ATTEMPTS", 0)
            await other.modify(tenant, "User", ada.id, lambda _: None, actor="writer")

        assert rows == []

    async def test_what_is_missing_leaves_no_row(self, store: Store, tenant: int) -> None:
        async with added(store) as rows:
            for kind in KINDS:
                await store.modify(tenant, kind, NOBODY, lambda _: prepared("x"), actor="writer")
                await store.delete(tenant, kind, NOBODY, actor="writer")

        assert rows == []

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_refused_write_leaves_no_row(self, store: Store, tenant: int, kind: ResourceKind) -> None:
        await store.create(tenant, kind, prepared("ada"), actor="creator")
        bob = await store.create(tenant, kind, prepared("bob"), actor="creator")
        change = retitle(lambda _: "x")

        def refuse(_: Resource) -> None:
            raise ScimError(400, "There is no such value.", "noTarget")

        async with added(store) as rows:
            with pytest.raises(Conflict):
                await store.create(tenant, kind, prepared("ada"), actor="writer")
            with pytest.raises(Conflict):
                await store.modify(tenant, kind, bob.id, lambda _: prepared("ada"), actor="writer")
            with pytest.raises(VersionMismatch):
                await store.modify(tenant, kind, bob.id, change, actor="writer", expected_version=2)
            with pytest.raises(VersionMismatch):
                await store.delete(tenant, kind, bob.id, actor="writer", expected_version=2)
            with pytest.raises(ScimError):
                await store.modify(tenant, kind, bob.id, refuse, actor="writer")

        assert rows == []

    async def test_a_group_with_unknown_members_leaves_no_row(self, store: Store, tenant: int) -> None:
        staff = await store.create(tenant, "Group", prepared("staff"), actor="creator")
        strangers = (MemberChange("add", (NOBODY,)),)

        async with added(store) as rows:
            with pytest.raises(UnknownMembers):
                await store.create(
                    tenant,
                    "Group",
                    dataclasses.replace(prepared("other"), members=strangers),
                    actor="writer",
                )
            with pytest.raises(UnknownMembers):
                await store.modify(tenant, "Group", staff.id, joined_by(NOBODY), actor="writer")

        assert rows == []

    async def test_of_many_creators_of_one_key_only_the_winner_has_a_row(
        self, store: Store, tenant: int
    ) -> None:
        async with added(store) as rows:
            results = await asyncio.gather(
                *(store.create(tenant, "User", prepared("ada"), actor=f"writer-{n}") for n in range(20)),
                return_exceptions=True,
            )

        [(number, winner)] = [
            (number, one) for number, one in enumerate(results) if isinstance(one, Resource)
        ]
        assert rows == [AuditRow(winner.created, tenant, "User", winner.id, "create", f"writer-{number}")]


class TestAdministration:
    async def test_a_put_that_changes_something_leaves_one_row_of_its_time(self, store: Store) -> None:
        for credentials in ([credential("c1")], [credential("c1"), credential("c2")], []):
            async with added(store) as rows:
                put = await connect(store, *credentials)
            assert rows == [AuditRow(to_text(put.now), None, "Connection", "apps/entra", "put", "admin")]

    async def test_a_put_of_what_is_so_already_leaves_no_row(self, store: Store) -> None:
        one = credential()
        await connect(store, one)

        async with added(store) as rows:
            await connect(store, one)

        assert rows == []

    async def test_a_delete_leaves_one_row_of_its_time(self, store: Store) -> None:
        await connect(store, credential())

        async with added(store) as rows:
            gone = await store.delete_connection("apps", "entra", if_match=None)

        assert rows == [AuditRow(to_text(gone.now), None, "Connection", "apps/entra", "delete", "admin")]

    async def test_a_refused_change_leaves_no_row(self, store: Store) -> None:
        await connect(store, credential())

        async with added(store) as rows:
            with pytest.raises(RevisionMismatch):
                await store.delete_connection("apps", "entra", if_match="another")
            with pytest.raises(SettingsConflict):
                await connect(store, name="second", settings=DELETE)

        assert rows == []

    async def test_a_purge_leaves_one_row_when_the_tenant_is_gone_and_none_for_its_users(
        self, store: Store
    ) -> None:
        tenant = await tenant_of(store)
        await connect(store, credential(), name="contoso", settings=DELETE)
        for name in ("ada", "bob", "eve"):
            await store.create(tenant, "User", prepared(name), actor="creator")
        await store.delete_connection("apps", "contoso", if_match=None)
        begun = await database_time(store)

        async with added(store) as first:
            assert await store.purge(batch=2) == 2
        async with added(store) as second:
            assert await store.purge(batch=2) == 1
        async with added(store) as third:
            assert await store.purge(batch=2) == 0

        [row] = second
        assert (first, third) == ([], [])
        assert row == AuditRow(row.at, tenant, "Tenant", "apps/contoso", "purge", "admin")
        assert begun - 0.001 <= to_posix(row.at) <= await database_time(store) + 0.001

    async def test_rows_are_kept_for_a_year_and_dropped_after_it(self, store: Store) -> None:
        def row(age: timedelta, name: str) -> AuditRow:
            return AuditRow(to_text(datetime.now(UTC) - age), None, "Connection", name, "put", "admin")

        old = row(YEAR + timedelta(minutes=1), "old")
        young = row(YEAR - timedelta(minutes=1), "young")
        for one in (old, young):
            await add_to_audit_log(store, one)

        await store.purge()

        assert await audit_log(store) == [young]
