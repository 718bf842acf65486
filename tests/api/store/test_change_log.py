"""What gets into the log of changes: who did what to which resource and when, and nothing for what changes nothing."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from scim_api.contract.admin import TenantSettings
from scim_api.core.errors import ScimError
from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.errors import (
    Conflict,
    RevisionMismatch,
    SettingsConflict,
    UnknownMembers,
    VersionMismatch,
)
from scim_api.store.protocol import Store
from scim_api.store.sql.timestamps import to_posix, to_text
from support.change_rows import ChangeRow, change_rows
from support.database import run_sql
from support.stored import connect, credential, prepared, retitle, tenant_of

KINDS: tuple[ResourceKind, ...] = ("User", "Group")
DELETE = TenantSettings(deletion_policy="Delete")
NOBODY = "00000000-0000-4000-8000-00000000ffff"


@asynccontextmanager
async def added(store: Store) -> AsyncIterator[list[ChangeRow]]:
    """The rows that are written within the block; to be looked at after it."""
    before = await change_rows(store)
    rows: list[ChangeRow] = []
    yield rows
    after = await change_rows(store)
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
            made = await store.create(tenant, kind, prepared("ada"), actor=Actor("writer"))

        assert rows == [
            ChangeRow(made.created, tenant, f"{kind.lower()}.created", made.id, "ext-ada", version=1)
        ]

    async def test_of_creates_that_come_together_each_has_its_own_row(
        self, store: Store, tenant: int
    ) -> None:
        stranger = await tenant_of(store, "fabrikam")
        wanted = [((tenant, stranger)[n % 2], f"u{n}", f"writer-{n}") for n in range(24)]

        async with added(store) as rows:
            made = await asyncio.gather(
                *(
                    store.create(where, "User", prepared(name), actor=Actor(actor))
                    for where, name, actor in wanted
                )
            )

        assert sorted(rows) == sorted(
            ChangeRow(one.created, where, "user.created", one.id, f"ext-{name}", version=1, credential=actor)
            for one, (where, name, actor) in zip(made, wanted, strict=True)
        )

    @pytest.mark.parametrize("way", ["remembered", "read", "locked"])
    async def test_a_change_of_a_user_leaves_one_row_of_its_time(
        self, store: Store, other: Store, tenant: int, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """PostgreSQL changes what it remembers, what it has just read, or what it has locked."""
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("creator"))
        if way == "locked":
            monkeypatch.setattr("scim_api.store.postgres.resources.OPTIMISTIC_ATTEMPTS", 0)
        writer = store if way == "remembered" else other

        async with added(store) as rows:
            changed = await writer.modify(
                tenant, "User", ada.id, retitle(lambda _: "x"), actor=Actor("writer")
            )

        assert changed is not None
        assert rows == [ChangeRow(changed.modified, tenant, "user.updated", ada.id, "ext-ada", version=2)]

    async def test_a_change_of_a_groups_name_or_members_leaves_one_row_of_its_time(
        self, store: Store, tenant: int
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("creator"))
        staff = await store.create(tenant, "Group", prepared("staff"), actor=Actor("creator"))
        changes = (joined_by(ada.id), lambda _: prepared("staff", title="x"))
        expected = (("group.member_added", ada.id), ("group.updated", None))

        for version, (change, (what, member)) in enumerate(zip(changes, expected, strict=True), 2):
            async with added(store) as rows:
                changed = await store.modify(tenant, "Group", staff.id, change, actor=Actor("writer"))
            assert changed is not None
            assert rows == [
                ChangeRow(changed.modified, tenant, what, staff.id, "ext-staff", version, member=member)
            ]

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_delete_leaves_one_row_of_its_time(
        self, store: Store, tenant: int, kind: ResourceKind
    ) -> None:
        made = await store.create(tenant, kind, prepared("ada"), actor=Actor("creator"))
        begun = await database_time(store)

        async with added(store) as rows:
            await store.delete(tenant, kind, made.id, actor=Actor("writer"), expected_version=1)

        [row] = rows
        assert row == ChangeRow(row.at, tenant, f"{kind.lower()}.deleted", made.id, "ext-ada", version=1)
        assert begun - 0.001 <= to_posix(row.at) <= await database_time(store) + 0.001

    async def test_the_delete_of_a_member_tells_of_each_group_that_loses_it(
        self, store: Store, tenant: int
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("creator"))
        staff = await store.create(tenant, "Group", prepared("staff"), actor=Actor("creator"))
        await store.modify(tenant, "Group", staff.id, joined_by(ada.id), actor=Actor("creator"))

        async with added(store) as rows:
            await store.delete(tenant, "User", ada.id, actor=Actor("writer"))

        at = rows[0].at
        assert rows == [
            ChangeRow(at, tenant, "group.member_removed", staff.id, "ext-staff", version=3, member=ada.id),
            ChangeRow(rows[1].at, tenant, "user.deleted", ada.id, "ext-ada", version=1),
        ]

    async def test_a_change_that_comes_to_nothing_leaves_no_row(
        self, store: Store, other: Store, tenant: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("creator"))
        staff = await store.create(tenant, "Group", prepared("staff"), actor=Actor("creator"))
        await store.modify(tenant, "Group", staff.id, joined_by(ada.id), actor=Actor("creator"))

        async with added(store) as rows:
            for writer in (store, other):
                await writer.modify(tenant, "User", ada.id, lambda _: None, actor=Actor("writer"))
                await writer.modify(tenant, "Group", staff.id, lambda _: None, actor=Actor("writer"))
                await writer.modify(tenant, "Group", staff.id, joined_by(ada.id), actor=Actor("writer"))
            monkeypatch.setattr("scim_api.store.postgres.resources.OPTIMISTIC_ATTEMPTS", 0)
            await other.modify(tenant, "User", ada.id, lambda _: None, actor=Actor("writer"))

        assert rows == []

    async def test_what_is_missing_leaves_no_row(self, store: Store, tenant: int) -> None:
        async with added(store) as rows:
            for kind in KINDS:
                await store.modify(tenant, kind, NOBODY, lambda _: prepared("x"), actor=Actor("writer"))
                await store.delete(tenant, kind, NOBODY, actor=Actor("writer"))

        assert rows == []

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_refused_write_leaves_no_row(self, store: Store, tenant: int, kind: ResourceKind) -> None:
        await store.create(tenant, kind, prepared("ada"), actor=Actor("creator"))
        bob = await store.create(tenant, kind, prepared("bob"), actor=Actor("creator"))
        change = retitle(lambda _: "x")

        def refuse(_: Resource) -> None:
            raise ScimError(400, "There is no such value.", "noTarget")

        async with added(store) as rows:
            with pytest.raises(Conflict):
                await store.create(tenant, kind, prepared("ada"), actor=Actor("writer"))
            with pytest.raises(Conflict):
                await store.modify(tenant, kind, bob.id, lambda _: prepared("ada"), actor=Actor("writer"))
            with pytest.raises(VersionMismatch):
                await store.modify(tenant, kind, bob.id, change, actor=Actor("writer"), expected_version=2)
            with pytest.raises(VersionMismatch):
                await store.delete(tenant, kind, bob.id, actor=Actor("writer"), expected_version=2)
            with pytest.raises(ScimError):
                await store.modify(tenant, kind, bob.id, refuse, actor=Actor("writer"))

        assert rows == []

    async def test_a_group_with_unknown_members_leaves_no_row(self, store: Store, tenant: int) -> None:
        staff = await store.create(tenant, "Group", prepared("staff"), actor=Actor("creator"))
        strangers = (MemberChange("add", (NOBODY,)),)

        async with added(store) as rows:
            with pytest.raises(UnknownMembers):
                await store.create(
                    tenant,
                    "Group",
                    dataclasses.replace(prepared("other"), members=strangers),
                    actor=Actor("writer"),
                )
            with pytest.raises(UnknownMembers):
                await store.modify(tenant, "Group", staff.id, joined_by(NOBODY), actor=Actor("writer"))

        assert rows == []

    async def test_of_many_creators_of_one_key_only_the_winner_has_a_row(
        self, store: Store, tenant: int
    ) -> None:
        async with added(store) as rows:
            results = await asyncio.gather(
                *(
                    store.create(tenant, "User", prepared("ada"), actor=Actor(f"writer-{n}"))
                    for n in range(20)
                ),
                return_exceptions=True,
            )

        [(number, winner)] = [
            (number, one) for number, one in enumerate(results) if isinstance(one, Resource)
        ]
        assert rows == [
            ChangeRow(
                winner.created, tenant, "user.created", winner.id, "ext-ada", version=1,
                credential=f"writer-{number}",
            )
        ]  # fmt: skip


class TestAdministration:
    async def test_a_put_that_changes_something_leaves_one_row_of_its_time(self, store: Store) -> None:
        for credentials in ([credential("c1")], [credential("c1"), credential("c2")], []):
            async with added(store) as rows:
                put = await connect(store, *credentials)
            assert rows == [
                ChangeRow(to_text(put.now), 0, "connection.put", "apps/entra", credential="admin")
            ]

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

        assert rows == [
            ChangeRow(to_text(gone.now), 0, "connection.delete", "apps/entra", credential="admin")
        ]

    async def test_a_refused_change_leaves_no_row(self, store: Store) -> None:
        await connect(store, credential())

        async with added(store) as rows:
            with pytest.raises(RevisionMismatch):
                await store.delete_connection("apps", "entra", if_match="another")
            with pytest.raises(SettingsConflict):
                await connect(store, name="second", settings=DELETE)

        assert rows == []

    async def test_a_purge_tells_of_everybody_who_is_deleted_and_of_its_end(self, store: Store) -> None:
        tenant = await tenant_of(store)
        await connect(store, credential(), name="contoso", settings=DELETE)
        made = [
            await store.create(tenant, "User", prepared(name), actor=Actor("creator"))
            for name in ("ada", "bob", "eve")
        ]
        await store.delete_connection("apps", "contoso", if_match=None)

        async with added(store) as first:
            assert await store.purge(batch=2) == 2
        async with added(store) as second:
            assert await store.purge(batch=2) == 1
        async with added(store) as third:
            assert await store.purge(batch=2) == 0

        told = [(row.tenant, row.type, row.resource_id, row.credential) for row in (*first, *second)]
        assert sorted(told[:3]) == sorted((tenant, "user.deleted", one.id, "admin") for one in made)
        assert told[3:] == [(0, "tenant.purge", "apps/contoso", "admin")]
        assert third == []


class TestWritersOfTheReleaseBefore:
    async def test_their_rows_of_the_audit_table_become_changes(self, store: Store, tenant: int) -> None:
        ada = await store.create(tenant, "User", prepared("ada"), actor=Actor("writer"))
        async with added(store) as rows:
            for kind, action, identity in (("User", "modify", ada.id), ("Group", "delete", NOBODY)):
                await run_sql(
                    store.url,
                    "INSERT INTO audit (at, tenant, kind, resource_id, action, actor)"
                    f" VALUES ('2026', {tenant}, '{kind}', '{identity}', '{action}', 'writer')",
                )

        assert rows == [
            ChangeRow("2026", tenant, "user.updated", ada.id, "ext-ada", version=1),
            ChangeRow("2026", tenant, "group.deleted", NOBODY),
        ]
