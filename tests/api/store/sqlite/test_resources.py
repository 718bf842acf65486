"""Writes of resources in SQLite: what a statement touches, and what each refusal of a constraint means."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.core.model import Resource, ResourceWrite
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict, Unavailable, VersionMismatch
from scim_api.store.migrate import migrate
from scim_api.store.sqlite import resources
from scim_api.store.sqlite.connection import connect as open_file
from scim_api.store.sqlite.store import SqliteStore
from support.stored import connect, credential, digest_of, prepared

THEN = "2026-11-23T14:00:00.000000Z"
NOW = "2026-11-23T15:00:00.000000Z"


class Database:
    """A tenant's users on a connection of the test's own."""

    def __init__(self, connection: apsw.Connection, tenant: int) -> None:
        self.connection, self.tenant = connection, tenant
        self.other: Database | None = None

    def rows(self, sql: str) -> list[Any]:
        return list(self.connection.execute(sql))

    def create(self, write: ResourceWrite) -> Resource:
        return resources.create(self.connection, self.tenant, "User", write, Actor("c1"), THEN)

    def modify(
        self, one: Resource, write: ResourceWrite | None, version: int | None = None
    ) -> Resource | None:
        return resources.modify(
            self.connection, self.tenant, "User", one.id, lambda _: write, Actor("c1"), version, NOW
        )

    def delete(self, one: Resource, version: int | None = None) -> bool:
        return resources.delete(self.connection, self.tenant, "User", one.id, Actor("c1"), version, NOW)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "scim.db"
    store = SqliteStore(str(path))
    await migrate(store)
    await store.open()
    await connect(store, credential())
    settings = TenantSettings(matching=Matching.EXTERNAL_ID)
    await connect(store, credential("c2"), name="second", tenant="fabrikam", settings=settings)
    tenants = [await store.access(digest_of(identity)) for identity in ("c1", "c2")]
    await store.close()
    assert tenants[0] is not None
    assert tenants[1] is not None
    connection = open_file(path)
    database = Database(connection, tenants[0].tenant)
    database.other = Database(connection, tenants[1].tenant)
    yield database
    connection.close()


def test_a_resource_write_leaves_counter_mail_keys_and_changes_in_step(database: Database) -> None:
    ada = database.create(prepared("ada"))
    assert (ada.version, ada.created, ada.modified) == (1, THEN, THEN)
    changed = database.modify(ada, prepared("ada", email="new@contoso.com"))
    assert changed is not None
    assert (changed.version, changed.created, changed.modified) == (2, THEN, NOW)
    assert database.rows("SELECT email_key FROM resource_email") == [("new@contoso.com",)]
    assert database.delete(ada)
    assert database.rows("SELECT email_key FROM resource_email") == []
    assert database.rows("SELECT number FROM resource_count") == [(0,)]
    assert database.rows("SELECT at, type, version, credential FROM change WHERE tenant > 0 ORDER BY pk") == [
        (THEN, "user.created", 1, "c1"),
        (NOW, "user.updated", 2, "c1"),
        (NOW, "user.deleted", 2, "c1"),
    ]


def test_a_change_of_the_body_alone_names_no_key_in_its_statement(database: Database) -> None:
    ada = database.create(prepared("ada"))
    statements: list[str] = []
    database.connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: statements.append(event["sql"]))
    database.modify(ada, prepared("ada", title="Countess"))
    database.modify(ada, prepared("eve"))
    database.connection.trace_v2(0)
    updates = [sql for sql in statements if "UPDATE resource" in sql]
    assert ["match_key" in sql for sql in updates] == [False, True]


def test_what_changes_nothing_writes_nothing(database: Database) -> None:
    ada = database.create(prepared("ada"))
    before = database.connection.total_changes()
    assert database.modify(ada, None) == ada
    assert database.connection.total_changes() == before


def test_a_version_that_is_not_there_any_more_writes_nothing(database: Database) -> None:
    ada = database.create(prepared("ada"))
    before = database.connection.total_changes()
    for attempt in (lambda: database.modify(ada, prepared("x"), 2), lambda: database.delete(ada, 2)):
        with pytest.raises(VersionMismatch, match="at version 1, not 2"):
            attempt()
    assert database.connection.total_changes() == before


@pytest.mark.parametrize(
    ("taken", "attribute"),
    [
        (prepared("ada", email="other@contoso.com"), "userName"),
        (prepared("eve", email="ada@contoso.com"), "emails"),
        (prepared("ada"), "userName"),
    ],
)
def test_a_conflict_names_the_attribute_whose_key_is_taken(
    database: Database, taken: ResourceWrite, attribute: str
) -> None:
    database.create(prepared("ada"))
    bob = database.create(prepared("bob"))
    attempts: list[Callable[[], object]] = [
        lambda: database.create(taken),
        lambda: database.modify(bob, taken),
    ]
    for attempt in attempts:
        with pytest.raises(Conflict) as refused:
            attempt()
        assert refused.value.attribute == attribute


def test_which_attribute_it_is_depends_on_what_the_tenant_matches_by(database: Database) -> None:
    other = database.other
    assert other is not None
    other.create(prepared("ada", match="ext-ada"))
    with pytest.raises(Conflict) as refused:
        other.create(prepared("eve", match="ext-ada"))
    assert refused.value.attribute == "externalId"


def test_a_tenant_that_is_gone_is_no_conflict(database: Database) -> None:
    gone = Database(database.connection, 999)
    with pytest.raises(Unavailable, match="the tenant was deleted"):
        gone.create(prepared("ada"))


def test_any_other_constraint_is_a_fault_of_ours_and_stays_one(database: Database) -> None:
    broken: Any = dataclasses.replace(prepared("ada"), doc=None)  # type: ignore[arg-type]
    with pytest.raises(apsw.ConstraintError):
        database.create(broken)
