"""Writing resources in SQLite: functions of a connection whose transaction the writer has begun."""

from collections.abc import Iterable

import apsw

from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.errors import Conflict, Unavailable
from scim_api.store.protocol import Transform
from scim_api.store.sql import groups
from scim_api.store.sql.change_log import record, type_of
from scim_api.store.sql.resource_ids import new_resource_id
from scim_api.store.sql.rows import check_version, conflict_attribute
from scim_api.store.sql.statements import COUNT, GET, kept_key, kept_keys, name_taken
from scim_api.store.sqlite.connection import fetch, run_script

_INSERT = """
INSERT INTO resource (tenant, kind, id, match_key, name_key, external_key, version, created, modified, doc, keys)
VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?) RETURNING pk
"""
_UPDATE = f"""
UPDATE resource SET match_key = {kept_key("match", "?")}, name_key = {kept_key("name", "?")}, external_key = ?, version = version + 1, modified = ?,
    doc = ?, keys = ?
WHERE pk = ?
"""
_UPDATE_BODY = """
UPDATE resource SET version = version + 1, modified = ?, doc = ?, keys = ? WHERE pk = ?
"""
"""When no key changes: SQLite writes the indexes of all columns that a statement names, changed or not."""
_GET_WITH_KEYS = GET.replace(" FROM ", ", r.match_key, r.name_key, r.external_key FROM ", 1)
_CHANGE_CONTAINERS = """
UPDATE resource SET version = version + 1, modified = ?
WHERE pk IN (SELECT container FROM membership WHERE member = ?)
RETURNING id, external_key, version
"""
"""Groups that are about to lose a member are other groups than before."""
_SHARD = 0
"""One writer needs one counter."""


def create(
    connection: apsw.Connection,
    tenant: int,
    kind: ResourceKind,
    write: ResourceWrite,
    actor: Actor,
    now: str,
) -> Resource:
    """Insert a resource with its e-mails or members, counter and changes.

    Raises ``Conflict`` and ``UnknownMembers``.
    """
    if kind == "Group":
        script = groups.create("sqlite", tenant, kind, write, actor=actor, now=now, shard=_SHARD)
        try:
            return run_script(connection, script)
        except apsw.ConstraintError as error:
            raise _constraint_error(connection, tenant, kind, write, "", error) from error
    identity = new_resource_id()
    keys = (write.match_key, write.name_key, write.external_key)
    values = (tenant, kind, identity, *keys, now, now, write.doc, write.normal_form)
    try:
        [(pk,)] = fetch(connection, _INSERT, values)
        _add_emails(connection, pk, tenant, kind, write, write.email_keys)
    except apsw.ConstraintError as error:
        raise _constraint_error(connection, tenant, kind, write, identity, error) from error
    connection.execute(COUNT, (tenant, kind, _SHARD, 1))
    created = type_of(kind, "created")
    connection.execute(
        *record(tenant, now, created, identity, actor, external_id=write.external_key, version=1)
    )
    return Resource(identity, 1, now, now, write.doc, pk, kind)


def modify(
    connection: apsw.Connection,
    tenant: int,
    kind: ResourceKind,
    resource_id: str,
    transform: Transform,
    actor: Actor,
    expected_version: int | None,
    now: str,
) -> Resource | None:
    """Read, transform and write.

    Raises ``Conflict``, ``UnknownMembers``, ``NoMembersSelected``, ``VersionMismatch`` and what the transform
    raises.
    """
    if kind == "Group":
        return _modify_group(connection, tenant, kind, resource_id, transform, actor, expected_version, now)
    rows = fetch(connection, _GET_WITH_KEYS, (tenant, kind, resource_id))
    if not rows:
        return None
    *columns, match_key, name_key, external_key = rows[0]
    resource = Resource(*columns)
    check_version(resource.version, expected_version)
    write = transform(resource)
    if write is None or (write.same_body and _is_stored(connection, resource.pk, write)):
        return resource
    body = (now, write.doc, write.normal_form, resource.pk)
    keys = (write.match_key, write.name_key, write.external_key)
    try:
        if keys == (match_key, name_key, external_key):
            connection.execute(_UPDATE_BODY, body)
        else:
            connection.execute(_UPDATE, (*kept_keys(write), *body))
        _replace_emails(connection, resource.pk, tenant, kind, write)
    except apsw.ConstraintError as error:
        raise _constraint_error(connection, tenant, kind, write, resource_id, error) from error
    version = resource.version + 1
    for what, paths in write.changes or (("updated", None),):
        changed = type_of(kind, what)
        connection.execute(
            *record(
                tenant, now, changed, resource_id, actor,
                external_id=write.external_key, version=version, paths=paths,
            ),
        )  # fmt: skip
    return Resource(resource.id, version, resource.created, now, write.doc, resource.pk, resource.kind)


def _is_stored(connection: apsw.Connection, pk: int, write: ResourceWrite) -> bool:
    """Whether the normal form is stored already, too."""
    select = "SELECT 1 FROM resource WHERE pk = ? AND keys = ?"
    return bool(fetch(connection, select, (pk, write.normal_form)))


def _modify_group(
    connection: apsw.Connection,
    tenant: int,
    kind: ResourceKind,
    resource_id: str,
    transform: Transform,
    actor: Actor,
    expected_version: int | None,
    now: str,
) -> Resource | None:
    write: ResourceWrite | None = None

    def recording(resource: Resource) -> ResourceWrite | None:
        nonlocal write
        write = transform(resource)
        return write

    script = groups.modify(
        "sqlite", tenant, kind, resource_id, recording,
        actor=actor, expected_version=expected_version, now=now,
    )  # fmt: skip
    try:
        return run_script(connection, script)
    except apsw.ConstraintError as error:
        if write is None:
            raise
        raise _constraint_error(connection, tenant, kind, write, resource_id, error) from error


def delete(
    connection: apsw.Connection,
    tenant: int,
    kind: ResourceKind,
    resource_id: str,
    actor: Actor,
    expected_version: int | None,
    now: str,
) -> bool:
    """Delete a resource; its e-mails and memberships go with it. Raises ``VersionMismatch``."""
    select = "SELECT pk, version, external_key FROM resource WHERE tenant + 0 = ? AND kind = ? AND id = ?"
    rows = fetch(connection, select, (tenant, kind, resource_id))
    if not rows:
        return False
    [(pk, version, external_id)] = rows
    check_version(version, expected_version)
    for group, group_external_id, group_version in fetch(connection, _CHANGE_CONTAINERS, (now, pk)):
        connection.execute(
            *record(
                tenant, now, "group.member_removed", group, actor,
                external_id=group_external_id, version=group_version, member=resource_id,
            ),
        )  # fmt: skip
    connection.execute("DELETE FROM resource WHERE pk = ?", (pk,))
    connection.execute(COUNT, (tenant, kind, _SHARD, -1))
    deleted = type_of(kind, "deleted")
    connection.execute(
        *record(tenant, now, deleted, resource_id, actor, external_id=external_id, version=version),
    )
    return True


def _replace_emails(
    connection: apsw.Connection, pk: int, tenant: int, kind: ResourceKind, write: ResourceWrite
) -> None:
    rows = fetch(connection, "SELECT email_key FROM resource_email WHERE resource = ?", (pk,))
    stored = {row[0] for row in rows}
    for email in stored - set(write.email_keys):
        connection.execute("DELETE FROM resource_email WHERE resource = ? AND email_key = ?", (pk, email))
    added = (email for email in write.email_keys if email not in stored)
    _add_emails(connection, pk, tenant, kind, write, added)


def _add_emails(
    connection: apsw.Connection,
    pk: int,
    tenant: int,
    kind: ResourceKind,
    write: ResourceWrite,
    emails: Iterable[str],
) -> None:
    insert = (
        "INSERT INTO resource_email (resource, email_key, tenant, kind, unique_key) VALUES (?, ?, ?, ?, ?)"
    )
    for email in emails:
        unique = email if email in write.unique_email_keys else None
        connection.execute(insert, (pk, email, tenant, kind, unique))


def _constraint_error(
    connection: apsw.Connection,
    tenant: int,
    kind: ResourceKind,
    write: ResourceWrite,
    resource_id: str,
    error: apsw.ConstraintError,
) -> Exception:
    """Which of the keys is taken; or that the tenant is gone (its foreign key)."""
    rows = fetch(connection, *name_taken(tenant, kind, write.name_key, resource_id))
    if not rows:
        return Unavailable("the tenant was deleted")
    if getattr(error, "extendedresult", None) != apsw.SQLITE_CONSTRAINT_UNIQUE:
        return error
    [(settings, name_is_taken)] = rows
    return Conflict(conflict_attribute(kind, settings, name_is_taken=bool(name_is_taken)))
