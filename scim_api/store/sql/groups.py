"""Creating and changing groups, with the steps on their members: scripts for both drivers.

A group's row is locked first, then the members that join, in the order of their ids and only against being
deleted: so two groups that take each other in at once wait for nobody in a circle. Who is a member already needs no
lock, because who deletes a member locks its groups first.

What a step costs depends on how many it names, and never on how many are in the group. Sets of members stay in the
database: between statements they travel as JSON text, so that 100,000 of them cost Python little more than one does,
and the event loop goes on. Only members chosen by something else than their ids are read.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeVar

import orjson

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
# Sets of members as JSON arrays: asked for and no resource of the tenant (ids), of the tenant, and not in the group yet.
_FIND_MEMBERS: Final[Mapping[Dialect, str]] = {
    "sqlite": """
SELECT json_group_array(j.value) FILTER (WHERE r.pk IS NULL),
    json_group_array(r.pk) FILTER (WHERE r.pk IS NOT NULL),
    json_group_array(r.pk) FILTER (WHERE r.pk IS NOT NULL AND m.member IS NULL)
FROM json_each(?) AS j
LEFT JOIN resource r ON r.id = j.value AND r.kind IN ('User', 'Group') AND r.tenant + 0 = ?
LEFT JOIN membership m ON m.container = ? AND m.member = r.pk""",
    "postgresql": """
SELECT coalesce((json_agg(j.value) FILTER (WHERE m.member IS NULL AND n.pk IS NULL))::text, '[]'),
    coalesce((json_agg(r.pk) FILTER (WHERE r.pk IS NOT NULL))::text, '[]'),
    coalesce((json_agg(n.pk) FILTER (WHERE n.pk IS NOT NULL))::text, '[]')
FROM (SELECT e.value FROM json_array_elements_text(CAST(? AS json)) AS e(value) ORDER BY e.value) AS j
LEFT JOIN LATERAL (SELECT x.pk FROM resource x WHERE x.id = j.value AND x.tenant + 0 = ? LIMIT 1) AS r ON true
LEFT JOIN membership m ON m.container = ? AND m.member = r.pk
LEFT JOIN LATERAL (
    SELECT x.pk FROM resource x WHERE x.pk = r.pk AND m.member IS NULL FOR KEY SHARE
) AS n ON true""",
}
_MEMBER_ID: Final = "coalesce(member_id, (SELECT r.id FROM resource r WHERE r.pk = membership.member))"
_ADD_MEMBERS: Final = """
INSERT INTO membership (container, member, tenant, member_id, member_kind)
SELECT ?, r.pk, ?, r.id, r.kind FROM {list} JOIN resource r ON r.pk = {key} WHERE true ORDER BY r.pk
ON CONFLICT DO NOTHING"""
_REMOVE_MEMBERS: Final = "DELETE FROM membership WHERE container = ? AND tenant = ? AND member {of}"
_OTHER_MEMBERS: Final = """
SELECT {keys} FROM membership m WHERE m.container = ? AND m.tenant = ? AND m.member {of}"""
# In the order of the members' ids, which one of the log's indexes has, too.
_RECORD_MEMBERS: Final = """
INSERT INTO change (tenant, at, type, resource_id, external_id, version, member, credential, scim_token)
SELECT ?, ?, ?, ?, ?, ?, r.id, ?, ? FROM {moved} ORDER BY r.id"""
# Each from its own index look-up; said so that no planner can begin with the resources instead.
_BY_ID: Final = """IN (
    SELECT r.pk FROM json_array_elements_text(CAST(? AS json)) AS j(value)
    CROSS JOIN LATERAL (SELECT x.pk FROM resource x WHERE x.id = j.value AND x.tenant + 0 = ? LIMIT 1) AS r
)"""
_NAMED_MEMBERS: Final = """
SELECT json_group_array(m.member) FROM json_each(?) AS j
CROSS JOIN resource r ON r.id = j.value AND r.kind IN ('User', 'Group') AND r.tenant + 0 = ?
CROSS JOIN membership m ON m.container = ? AND m.member = r.pk"""
MEMBERS_AT_ONCE: Final = 10_000
"""Members that one statement finds, adds or removes in PostgreSQL, where it has a deadline. SQLite's has none, and the log
gets all of them in the order of its index, which takes half the time."""
_T = TypeVar("_T")
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
                    _, newcomers = yield from self._find(ids)
                    changed |= yield from self._add(newcomers)
                case MemberChange("remove"):
                    if change.selected_by is None:
                        removed = yield from self._remove_by_id(change.ids)
                    else:
                        removed = yield from self._remove_selected(change.selected_by)
                    if not removed and change.required_path is not None:
                        raise NoMembersSelected(change.required_path)
                    changed |= removed
                case MemberChange("replace", ids):
                    staying, newcomers = yield from self._find(ids)
                    changed |= yield from self._remove((yield from self._others(staying)))
                    changed |= yield from self._add(newcomers)
        return changed

    def _find(self, ids: Sequence[str]) -> TransactionScript[tuple[list[int], list[int]]]:
        """The keys of these resources, and of those that are not in the group yet, which stay until the transaction ends.

        Raises ``UnknownMembers``.
        """
        unknown, keys, newcomers = list[str](), list[int](), list[int]()
        for part in self._parts(ids):
            parameters = (_json(part), self.tenant, self.group.pk)
            [texts] = yield Statement(_FIND_MEMBERS[self.dialect], parameters)
            for found, text in zip((unknown, keys, newcomers), texts, strict=True):
                found += orjson.loads(text)
        if unknown:
            named = frozenset(unknown)
            raise UnknownMembers(tuple(member_id for member_id in ids if member_id in named))
        return keys, newcomers

    def _others(self, staying: Sequence[int]) -> TransactionScript[list[int]]:
        """The keys of all members but these."""
        keys = "json_group_array(m.member)" if self.dialect == "sqlite" else "json_agg(m.member)::text"
        sql = _OTHER_MEMBERS.format(keys=keys, of=f"NOT {self._in_list}")
        [[others]] = yield Statement(sql, (self.group.pk, self.tenant, _json(staying)))
        return [] if others is None else orjson.loads(others)

    def _add(self, keys: Sequence[int]) -> TransactionScript[bool]:
        sql = _ADD_MEMBERS.format(list=_list(self.dialect), key=_key(self.dialect))
        return (yield from self._move("member_added", sql, keys))

    def _remove(self, keys: Sequence[int]) -> TransactionScript[bool]:
        return (yield from self._move("member_removed", _REMOVE_MEMBERS.format(of=self._in_list), keys))

    def _remove_by_id(self, ids: Sequence[str]) -> TransactionScript[bool]:
        if self.dialect == "postgresql":
            sql = _REMOVE_MEMBERS.format(of=_BY_ID)
            return (yield from self._move("member_removed", sql, ids, self.tenant))
        keys = list[int]()
        for part in self._parts(ids):
            [[found]] = yield Statement(_NAMED_MEMBERS, (_json(part), self.tenant, self.group.pk))
            keys += orjson.loads(found)
        return (yield from self._remove(keys))

    def _remove_selected(self, chosen: Predicate) -> TransactionScript[bool]:
        rows = yield Statement(MEMBERS, (self.group.pk, self.tenant, 0, _NO_LIMIT))
        keys = [
            pk for pk, identity, kind in rows if matches(chosen, {"value": identity, "type": kind.lower()})
        ]
        return (yield from self._remove(keys))

    def _parts(self, values: Sequence[_T]) -> Iterator[Sequence[_T]]:
        size = MEMBERS_AT_ONCE if self.dialect == "postgresql" else len(values)
        return (values[start : start + size] for start in range(0, len(values), size or 1))

    @property
    def _in_list(self) -> str:
        return f"IN (SELECT {_key(self.dialect)} FROM {_list(self.dialect)})"

    def _move(
        self, what: str, sql: str, named: Sequence[int] | Sequence[str], *more: object
    ) -> TransactionScript[bool]:
        """Add or remove these members, and record each of them; whether there were any.

        Args:
            what: the change of the group.
            sql: a statement with the parameters group, tenant, and a JSON array of the members.
            named: the members by their keys, or by what the statement knows them by in PostgreSQL.
            more: further parameters.
        """
        group = self.group
        recorded = (
            self.tenant, self.now, type_of(group.kind, what), group.id, self.external_id, group.version, *self.actor
        )  # fmt: skip
        moved = False
        for part in self._parts(named):
            parameters = (group.pk, self.tenant, _json(part), *more)
            if self.dialect == "postgresql":
                record = _RECORD_MEMBERS.format(moved="r")
                [[number]] = yield Statement(
                    f"WITH r AS ({sql} RETURNING {_MEMBER_ID} AS id), recorded AS ({record}) SELECT count(*) FROM r",
                    (*parameters, *recorded),
                )
                moved |= bool(number)
            else:
                members = f"{_list(self.dialect)} JOIN resource r ON r.pk = {_key(self.dialect)}"
                yield Statement(_RECORD_MEMBERS.format(moved=members), (*recorded, parameters[2]))
                yield Statement(sql, parameters)
                moved = True
        return moved


def _list(dialect: Dialect) -> str:
    """The entries of a JSON array given as a parameter, as rows."""
    return (
        "json_each(?) AS j"
        if dialect == "sqlite"
        else "json_array_elements_text(CAST(? AS json)) AS j(value)"
    )


def _key(dialect: Dialect) -> str:
    return "j.value" if dialect == "sqlite" else "CAST(j.value AS bigint)"


def _json(values: Sequence[object]) -> str:
    return orjson.dumps(values).decode()
