"""Creating and changing groups, with the steps on their members: scripts for both drivers.

A group's row is locked first, then the members that join, in the order of their ids and only against being
deleted: so two groups that take each other in at once wait for nobody in a circle. What a step costs
depends on how many it names, and never on how many are in the group; only members chosen by something else
than their ids are read.
"""

import json
from collections.abc import Sequence
from typing import Final

from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.core.predicate import Predicate, matches
from scim_api.core.types import ResourceKind
from scim_api.store.dialect import Dialect
from scim_api.store.errors import NoMembersSelected, UnknownMembers
from scim_api.store.protocol import Transform
from scim_api.store.sql.resource_ids import new_resource_id
from scim_api.store.sql.rows import check_version
from scim_api.store.sql.statements import AUDIT, COUNT, GET, MEMBERS, kept_key, kept_keys
from scim_api.store.sql.transaction_script import Statement, TransactionScript

_INSERT: Final = """
INSERT INTO resource (tenant, kind, id, match_key, name_key, external_key, version, created, modified, doc, keys)
VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?) RETURNING pk
"""
_UPDATE: Final = f"""
UPDATE resource SET match_key = {kept_key("match", "?")}, name_key = {kept_key("name", "?")}, external_key = ?, version = version + 1, modified = ?,
    doc = ?, keys = ?
WHERE pk = ? RETURNING pk
"""
_ADD_MEMBERS: Final = "INSERT INTO membership (container, member, tenant) SELECT ?, {key}, ? FROM {list} ON CONFLICT DO NOTHING RETURNING member"
_REMOVE_MEMBERS: Final = "DELETE FROM membership WHERE container = ? AND tenant = ?"
_NO_LIMIT: Final = 2**53


def create(
    dialect: Dialect,
    tenant: int,
    kind: ResourceKind,
    write: ResourceWrite,
    *,
    actor: str,
    now: str,
    shard: int,
) -> TransactionScript[Resource]:
    """Insert a group with its members, counter and audit row. Raises ``UnknownMembers``."""
    identity = new_resource_id()
    keys = (write.match_key, write.name_key, write.external_key)
    [(pk,)] = yield Statement(
        _INSERT, (tenant, kind, identity, *keys, now, now, write.doc, write.normal_form)
    )
    yield from _apply_changes(dialect, tenant, pk, write.members)
    yield Statement(COUNT, (tenant, kind, shard, 1))
    yield Statement(AUDIT, (now, tenant, kind, identity, "create", actor))
    return Resource(identity, 1, now, now, write.doc, pk, kind)


def modify(
    dialect: Dialect,
    tenant: int,
    kind: ResourceKind,
    resource_id: str,
    transform: Transform,
    *,
    actor: str,
    expected_version: int | None,
    now: str,
) -> TransactionScript[Resource | None]:
    """Read, transform and write a group; its version changes when its body or its members do.

    Raises what the transform raises, ``VersionMismatch``, ``UnknownMembers`` and ``NoMembersSelected``.
    """
    lock = " FOR NO KEY UPDATE" if dialect == "postgresql" else ""
    rows = yield Statement(GET + lock, (tenant, kind, resource_id))
    if not rows:
        return None
    resource = Resource(*rows[0])
    check_version(resource.version, expected_version)
    write = transform(resource)
    if write is None:
        return resource
    changed = yield from _apply_changes(dialect, tenant, resource.pk, write.members)
    if not changed and write.doc == resource.doc:
        return resource
    yield Statement(_UPDATE, (*kept_keys(write), now, write.doc, write.normal_form, resource.pk))
    yield Statement(AUDIT, (now, tenant, kind, resource_id, "modify", actor))
    return Resource(resource_id, resource.version + 1, resource.created, now, write.doc, resource.pk, kind)


def _apply_changes(
    dialect: Dialect, tenant: int, container: int, changes: Sequence[MemberChange]
) -> TransactionScript[bool]:
    """Take all steps; whether any of them changed something. Raises ``UnknownMembers``, ``NoMembersSelected``."""
    changed = False
    for change in changes:
        match change:
            case MemberChange("add", ids):
                keys = yield from _member_keys(dialect, tenant, ids)
                changed |= yield from _add_members(dialect, tenant, container, keys)
            case MemberChange("remove"):
                if change.selected_by is None:
                    removed = yield from _remove_by_id(dialect, tenant, container, change.ids)
                else:
                    removed = yield from _remove_selected(dialect, tenant, container, change.selected_by)
                if not removed and change.required_path is not None:
                    raise NoMembersSelected(change.required_path)
                changed |= removed
            case MemberChange("replace", ids):
                keys = yield from _member_keys(dialect, tenant, ids)
                changed |= yield from _remove_members(
                    tenant, container, f"member NOT IN (SELECT {_key(dialect)} FROM {_list(dialect)})", keys
                )
                changed |= yield from _add_members(dialect, tenant, container, keys)
    return changed


def _list(dialect: Dialect) -> str:
    """The entries of a JSON array given as a parameter, as rows."""
    return (
        "json_each(?) AS j"
        if dialect == "sqlite"
        else "json_array_elements_text(CAST(? AS json)) AS j(value)"
    )


def _key(dialect: Dialect) -> str:
    return "j.value" if dialect == "sqlite" else "CAST(j.value AS bigint)"


def _resources(dialect: Dialect, *, lock: bool) -> str:
    """The tenant's resources with the ids of a JSON array, as rows of ``r``: each from its own index look-up.

    Parameters: the array, tenant. Said so that no planner can begin with the resources instead.
    """
    by_id = "x.id = j.value AND x.kind IN ('User', 'Group') AND x.tenant + 0 = ?"
    if dialect == "sqlite":
        return f"{_list(dialect)} CROSS JOIN resource r ON {by_id.replace('x.', 'r.')}"
    resource = f"SELECT x.pk, x.id FROM resource x WHERE {by_id} LIMIT 1{' FOR KEY SHARE' if lock else ''}"
    return f"{_list(dialect)} CROSS JOIN LATERAL ({resource}) AS r"


def _member_keys(dialect: Dialect, tenant: int, ids: Sequence[str]) -> TransactionScript[list[int]]:
    """The keys of resources that are to join; they stay until the transaction ends."""
    if not ids:
        return []
    rows = yield Statement(
        f"SELECT r.pk, r.id FROM {_resources(dialect, lock=True)}", (json.dumps(sorted(ids)), tenant)
    )
    known_ids = {row[1] for row in rows}
    unknown = tuple(member_id for member_id in ids if member_id not in known_ids)
    if unknown:
        raise UnknownMembers(unknown)
    return [row[0] for row in rows]


def _add_members(
    dialect: Dialect, tenant: int, container: int, keys: Sequence[int]
) -> TransactionScript[bool]:
    if not keys:
        return False
    sql = _ADD_MEMBERS.format(key=_key(dialect), list=_list(dialect) + " WHERE true")
    rows = yield Statement(sql, (container, tenant, json.dumps(keys)))
    return bool(rows)


def _remove_by_id(
    dialect: Dialect, tenant: int, container: int, ids: Sequence[str]
) -> TransactionScript[bool]:
    members = f"member IN (SELECT r.pk FROM {_resources(dialect, lock=False)})"
    rows = yield Statement(
        f"{_REMOVE_MEMBERS} AND {members} RETURNING member", (container, tenant, json.dumps(ids), tenant)
    )
    return bool(rows)


def _remove_members(
    tenant: int, container: int, members: str, keys: Sequence[int]
) -> TransactionScript[bool]:
    rows = yield Statement(
        f"{_REMOVE_MEMBERS} AND {members} RETURNING member", (container, tenant, json.dumps(keys))
    )
    return bool(rows)


def _remove_selected(
    dialect: Dialect, tenant: int, container: int, chosen: Predicate
) -> TransactionScript[bool]:
    rows = yield Statement(MEMBERS, (container, tenant, 0, _NO_LIMIT))
    keys = [pk for pk, identity, kind in rows if matches(chosen, {"value": identity, "type": kind.lower()})]
    return (
        yield from _remove_members(
            tenant, container, f"member IN (SELECT {_key(dialect)} FROM {_list(dialect)})", keys
        )
    )
