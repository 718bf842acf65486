"""Creating and changing groups, with the steps on their members: scripts for both drivers.

A group's row is locked first, then the members that join, in the order of their ids and only against being
deleted: so two groups that take each other in at once wait for nobody in a circle. What a step costs
depends on how many it names, and never on how many are in the group; only members chosen by something else
than their ids are read.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Final

from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.core.predicate import Predicate, matches
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.dialect import Dialect
from scim_api.store.errors import NoMembersSelected, UnknownMembers
from scim_api.store.protocol import Transform
from scim_api.store.sql.change_log import record, type_of
from scim_api.store.sql.resource_ids import new_resource_id
from scim_api.store.sql.rows import check_version
from scim_api.store.sql.statements import COUNT, GET, MEMBERS, kept_key, kept_keys
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
_REMOVE_MEMBERS: Final = (
    "DELETE FROM membership WHERE container = ? AND tenant = ? AND {members} RETURNING member"
)
_RECORD_MEMBERS: Final = """
INSERT INTO change (tenant, at, type, resource_id, external_id, version, member, credential, scim_token)
SELECT ?, ?, ?, ?, ?, ?, r.id, ?, ? FROM {moved} JOIN resource r ON r.pk = {key}"""
_NO_LIMIT: Final = 2**53


def create(
    dialect: Dialect,
    tenant: int,
    kind: ResourceKind,
    write: ResourceWrite,
    *,
    actor: Actor,
    now: str,
    shard: int,
) -> TransactionScript[Resource]:
    """Insert a group with its members, counter and changes. Raises ``UnknownMembers``."""
    identity = new_resource_id()
    keys = (write.match_key, write.name_key, write.external_key)
    [(pk,)] = yield Statement(
        _INSERT, (tenant, kind, identity, *keys, now, now, write.doc, write.normal_form)
    )
    created = Resource(identity, 1, now, now, write.doc, pk, kind)
    yield record(
        tenant, now, type_of(kind, "created"), identity, actor, external_id=write.external_key, version=1
    )
    yield from _MemberChanges(dialect, tenant, created, write.external_key, actor, now).apply(write.members)
    yield Statement(COUNT, (tenant, kind, shard, 1))
    return created


def modify(
    dialect: Dialect,
    tenant: int,
    kind: ResourceKind,
    resource_id: str,
    transform: Transform,
    *,
    actor: Actor,
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
    after = Resource(resource_id, resource.version + 1, resource.created, now, write.doc, resource.pk, kind)
    changes = _MemberChanges(dialect, tenant, after, write.external_key, actor, now)
    changed = yield from changes.apply(write.members)
    if not changed and write.doc == resource.doc:
        return resource
    yield Statement(_UPDATE, (*kept_keys(write), now, write.doc, write.normal_form, resource.pk))
    if write.doc != resource.doc:
        paths = write.changes[0].paths if write.changes else None
        yield record(
            tenant, now, type_of(kind, "updated"), resource_id, actor,
            external_id=write.external_key, version=after.version, paths=paths,
        )  # fmt: skip
    return after


@dataclasses.dataclass(frozen=True, slots=True)
class _MemberChanges:
    """Steps on the members of one group whose row is locked, each member with its row in the log."""

    dialect: Dialect
    tenant: int
    group: Resource
    """As it will be."""
    external_id: str | None
    actor: Actor
    now: str

    def apply(self, changes: Sequence[MemberChange]) -> TransactionScript[bool]:
        """Take all steps; whether any of them changed something. Raises ``UnknownMembers``, ``NoMembersSelected``."""
        changed = False
        for change in changes:
            match change:
                case MemberChange("add", ids):
                    changed |= yield from self._add((yield from self._keys(ids)))
                case MemberChange("remove"):
                    if change.selected_by is None:
                        removed = yield from self._remove_by_id(change.ids)
                    else:
                        removed = yield from self._remove_selected(change.selected_by)
                    if not removed and change.required_path is not None:
                        raise NoMembersSelected(change.required_path)
                    changed |= removed
                case MemberChange("replace", ids):
                    keys = yield from self._keys(ids)
                    others = f"member NOT IN (SELECT {_key(self.dialect)} FROM {_list(self.dialect)})"
                    changed |= yield from self._remove(others, json.dumps(keys))
                    changed |= yield from self._add(keys)
        return changed

    def _keys(self, ids: Sequence[str]) -> TransactionScript[list[int]]:
        """The keys of resources that are to join; they stay until the transaction ends."""
        if not ids:
            return []
        rows = yield Statement(
            f"SELECT r.pk, r.id FROM {_resources(self.dialect, lock=True)}",
            (json.dumps(sorted(ids)), self.tenant),
        )
        known_ids = {row[1] for row in rows}
        unknown = tuple(member_id for member_id in ids if member_id not in known_ids)
        if unknown:
            raise UnknownMembers(unknown)
        return [row[0] for row in rows]

    def _add(self, keys: Sequence[int]) -> TransactionScript[bool]:
        if not keys:
            return False
        sql = _ADD_MEMBERS.format(key=_key(self.dialect), list=_list(self.dialect) + " WHERE true")
        return (yield from self._move("member_added", sql, (self.group.pk, self.tenant, json.dumps(keys))))

    def _remove_by_id(self, ids: Sequence[str]) -> TransactionScript[bool]:
        members = f"member IN (SELECT r.pk FROM {_resources(self.dialect, lock=False)})"
        return (yield from self._remove(members, json.dumps(ids), self.tenant))

    def _remove_selected(self, chosen: Predicate) -> TransactionScript[bool]:
        rows = yield Statement(MEMBERS, (self.group.pk, self.tenant, 0, _NO_LIMIT))
        keys = [
            pk for pk, identity, kind in rows if matches(chosen, {"value": identity, "type": kind.lower()})
        ]
        members = f"member IN (SELECT {_key(self.dialect)} FROM {_list(self.dialect)})"
        return (yield from self._remove(members, json.dumps(keys)))

    def _remove(self, members: str, *parameters: object) -> TransactionScript[bool]:
        sql = _REMOVE_MEMBERS.format(members=members)
        return (yield from self._move("member_removed", sql, (self.group.pk, self.tenant, *parameters)))

    def _move(self, what: str, sql: str, parameters: tuple[object, ...]) -> TransactionScript[bool]:
        """Run a statement that returns the keys of members, and record each of them."""
        group = self.group
        recorded = (
            self.tenant, self.now, type_of(group.kind, what), group.id, self.external_id, group.version, *self.actor
        )  # fmt: skip
        if self.dialect == "postgresql":
            record_members = _RECORD_MEMBERS.format(moved="moved", key="moved.member")
            [[moved]] = yield Statement(
                f"WITH moved AS ({sql}), recorded AS ({record_members}) SELECT count(*) FROM moved",
                (*parameters, *recorded),
            )
            return bool(moved)
        rows = yield Statement(sql, parameters)
        if rows:
            record_members = _RECORD_MEMBERS.format(moved=_list(self.dialect), key=_key(self.dialect))
            yield Statement(record_members, (*recorded, json.dumps([row[0] for row in rows])))
        return bool(rows)


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
