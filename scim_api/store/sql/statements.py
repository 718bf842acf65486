"""SQL about resources and credentials that both databases understand alike; placeholders are ``?``."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from scim_api.core.messages.serialization import json_string_content
from scim_api.core.model import Lookup, ResourceWrite
from scim_api.core.predicate import Predicate
from scim_api.core.types import ResourceKind
from scim_api.store.dialect import Dialect
from scim_api.store.protocol import CredentialUse, ListQuery
from scim_api.store.sql.filter_compiler import Where, compile_filter, compile_sort
from scim_api.store.sql.timestamps import to_text
from scim_api.store.sql.transaction_script import Statement

RESOURCE: Final = "r.id, r.version, r.created, r.modified, r.doc, r.pk, r.kind"
"""The columns of a ``Resource``, in its order."""

# An access token acts for its parent, and may have been issued while that was being revoked: so both are looked at.
# What was unlisted when its time was over is a tombstone, not a revocation: it leaves its access tokens to their end.
ACCESS: Final = """
SELECT coalesce(k.parent, k.id), k.digest, k.expires_at, k.retires_at, c.tenant, t.settings, t.settings_hash,
    c.namespace || '/' || c.name, c.access
FROM credential k JOIN connection c ON c.pk = k.connection JOIN tenant t ON t.pk = c.tenant
WHERE k.digest = ? AND k.kind IN ('BearerToken', 'AccessToken') AND k.revoked_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM credential p WHERE p.id = k.parent
        AND p.revoked_at < p.expires_at AND p.revoked_at < coalesce(p.retires_at, p.expires_at))
    AND c.state = 'exists' AND t.state = 'active'
"""

RECORD_USE: Final = """
UPDATE credential SET last_used_at = ?, user_agent = coalesce(?, user_agent)
WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)
"""

RECORD_INSPECTION: Final = """
UPDATE credential SET inspected_at = ? WHERE id = ? AND (inspected_at IS NULL OR inspected_at < ?)
"""


def use_rows(uses: Sequence[CredentialUse]) -> list[tuple[str, list[tuple[str | None, ...]]]]:
    """What writes uses and inspections: statements, each with the parameters of its rows, and none without rows.

    In one order everywhere, so that two replicas cannot wait for each other.
    """
    used: list[tuple[str | None, ...]] = []
    inspected: list[tuple[str | None, ...]] = []
    for use in sorted(uses, key=lambda use: use.credential):
        at = to_text(use.at)
        if use.is_inspection:
            inspected.append((at, use.credential, at))
        else:
            used.append((at, use.user_agent, use.credential, at))
    return [(sql, rows) for sql, rows in ((RECORD_USE, used), (RECORD_INSPECTION, inspected)) if rows]


# "tenant + 0" is what the keys' indexes hold; the reason is in `schema`.
GET: Final = f"SELECT {RESOURCE} FROM resource r WHERE r.tenant + 0 = ? AND r.kind = ? AND r.id = ?"

# Who has a name, and then who should have it and keeps an earlier key, because it is taken (`key_rebuild`).
_LOOKUP: Final[Mapping[Lookup, tuple[tuple[str, ...], str]]] = {
    Lookup.ID: ((GET,), ""),
    Lookup.NAME: (
        (
            f"SELECT {RESOURCE} FROM resource r WHERE r.tenant + 0 = ? AND r.kind = ? AND r.name_key = ?",
            (
                f"SELECT {RESOURCE} FROM key_conflict c JOIN resource r ON r.pk = c.resource"
                " WHERE c.tenant = ? AND c.kind = ? AND c.key = ? AND c.attribute = 'name'"
            ),
        ),
        "",
    ),
    Lookup.EXTERNAL: (
        (f"SELECT {RESOURCE} FROM resource r WHERE r.tenant + 0 = ? AND r.kind = ? AND r.external_key = ?",),
        " ORDER BY r.pk",
    ),
    Lookup.WORK_EMAIL: (
        (
            (
                f"SELECT {RESOURCE} FROM resource r WHERE r.pk IN (SELECT e.resource FROM resource_email e"
                " WHERE e.tenant = ? AND e.kind = ? AND e.email_key = ?)"
            ),
        ),
        " ORDER BY r.pk",
    ),
}


def lookup(
    dialect: Dialect, tenant: int, kind: ResourceKind, by: Lookup, key: str, rest: Predicate | None = None
) -> Statement:
    """Those with this normalized key that also meet the rest of a filter."""
    selects, order = _LOOKUP[by]
    if rest is None:
        return Statement(" UNION ALL ".join(selects) + order, (tenant, kind, key) * len(selects))
    where = compile_filter(rest, dialect)
    sql = " UNION ALL ".join(f"{select} AND ({where.sql})" for select in selects)
    return Statement(sql + order, (tenant, kind, key, *where.parameters) * len(selects))


def kept_key(attribute: Literal["name", "match"], key: str) -> str:
    """SQL, in an UPDATE of ``resource``: the key, or the stored one where the key is known to be another's.

    So a resource whose key became another's when the form of keys changed can be changed in everything else.

    Args:
        attribute: which key.
        key: its placeholder; it is in the result twice.
    """
    return (
        f"CASE WHEN EXISTS (SELECT 1 FROM key_conflict c WHERE c.resource = resource.pk"
        f" AND c.attribute = '{attribute}' AND c.key = {key}) THEN resource.{attribute}_key ELSE {key} END"
    )


def kept_keys(write: ResourceWrite) -> tuple[str | None, ...]:
    """The parameters of ``match_key``, ``name_key`` (both by ``kept_key``) and ``external_key``."""
    return (write.match_key, write.match_key, write.name_key, write.name_key, write.external_key)


# "pk + 0" is the order that the index `resource_order` holds. The one row of `counted` carries the total when the page is empty.
LIST: Final = f"""
WITH counted AS (
    SELECT cast(coalesce(sum(n.number), 0) AS bigint) AS total
    FROM resource_count n WHERE n.tenant = ? AND n.kind = ?
), slice AS (
    SELECT * FROM resource WHERE tenant = ? AND kind = ? AND pk + 0 > ? ORDER BY pk + 0 LIMIT ? OFFSET ?
)
SELECT counted.total, {RESOURCE} FROM counted LEFT JOIN slice r ON true ORDER BY r.pk
"""

_RENDERED_USERS: Final = """
SELECT (
    SELECT cast(coalesce(sum(n.number), 0) AS bigint) FROM resource_count n
    WHERE n.tenant = ? AND n.kind = 'User'
), {text}
FROM resource r WHERE r.tenant = ? AND r.kind = 'User' ORDER BY r.pk + 0 LIMIT ? OFFSET ?
"""
_REST: Final = """',"id":"' || r.id || '","meta":{"resourceType":"User","created":"' || r.created
    || '","lastModified":"' || r.modified || '","location":"' || cast(? AS text) || '/Users/' || r.id
    || '","version":"W/\\"' || r.version || '\\""}}'"""
# Of bytes, the last one is cut off without looking at the characters before it.
_TEXTS: Final[Mapping[Dialect, str]] = {
    "sqlite": (f"cast(substr(cast(r.doc AS blob), 1, length(cast(r.doc AS blob)) - 1) || {_REST} AS blob)"),
    "postgresql": (
        f"substr(convert_to(r.doc, 'UTF8'), 1, octet_length(r.doc) - 1) || convert_to({_REST}, 'UTF8')"
    ),
}
_RENDERED_USERS_IN: Final[Mapping[Dialect, str]] = {
    dialect: _RENDERED_USERS.replace("{text}", text) for dialect, text in _TEXTS.items()
}


def rendered_users(dialect: Dialect, tenant: int, base_url: str, offset: int, limit: int) -> Statement:
    """Rows of the total and a user's text as ``serialization.serialize_resource`` has it, in UTF-8."""
    return Statement(
        _RENDERED_USERS_IN[dialect], (tenant, json_string_content(base_url), tenant, limit, offset)
    )


_SEARCH: Final = """
WITH hits AS MATERIALIZED (
    SELECT r.pk{keys} FROM resource r WHERE r.tenant = ? AND r.kind {kinds} AND ({condition})
), counted AS (
    SELECT count(*) AS total FROM hits
), slice AS (
    SELECT * FROM hits WHERE pk > ? ORDER BY {order} LIMIT ? OFFSET ?
)
SELECT counted.total, {columns} FROM counted LEFT JOIN slice s ON true LEFT JOIN resource r ON r.pk = s.pk
ORDER BY {final}
"""


def list_page(tenant: int, kind: ResourceKind, query: ListQuery) -> Statement:
    """A page of all; each row is the total and a resource's columns (NULLs on an empty page)."""
    return Statement(LIST, (tenant, kind, tenant, kind, query.after, query.limit, query.offset))


def search_page(dialect: Dialect, tenant: int, kind: ResourceKind | None, query: ListQuery) -> Statement:
    """A page of those that meet a filter, which is evaluated once for total and page.

    Resources without a value come last in ascending and first in descending order (RFC 7644 section
    3.4.2.3); among equals the one created first comes first.
    """
    where = Where("1 = 1") if query.filter is None else compile_filter(query.filter, dialect)
    keys = () if query.sort is None else compile_sort(query.sort.attribute, dialect)
    direction = "DESC NULLS FIRST" if query.sort and query.sort.descending else "ASC NULLS LAST"
    order = [f"k{number} {direction}" for number in range(len(keys))]
    parts = {
        "keys": "".join(f", {key} AS k{number}" for number, key in enumerate(keys)),
        "kinds": "= ?" if kind is not None else "IN ('User', 'Group')",
        "condition": where.sql,
        "order": ", ".join([*order, "pk"]),
        "final": ", ".join([*(f"s.{term}" for term in order), "s.pk"]),
        "columns": RESOURCE,
    }
    sql = re.sub(r"\{(\w+)\}", lambda match: parts[match[1]], _SEARCH)
    kinds = () if kind is None else (kind,)
    return Statement(sql, (tenant, *kinds, *where.parameters, query.after, query.limit, query.offset))


# The page is cut out of the index before anything is joined, whatever the planner would choose.
MEMBERS: Final = """
SELECT x.pk, x.id, x.kind FROM (
    SELECT m.member FROM membership m WHERE m.container = ? AND m.tenant = ? AND m.member > ?
    ORDER BY m.member LIMIT ?
) AS page JOIN resource x ON x.pk = page.member ORDER BY page.member
"""
"""Parameters: the group's key, tenant, the member's key to begin after, how many."""


# The same page as one text. Whoever belongs to a group of a release before is looked up by its key.
_RENDERED_MEMBERS: Final = """
SELECT max(page.member), count(*), {bytes} FROM (
    SELECT m.member,
        coalesce(m.member_id, (SELECT r.id FROM resource r WHERE r.pk = m.member)) AS id,
        coalesce(m.member_kind, (SELECT r.kind FROM resource r WHERE r.pk = m.member)) AS kind
    FROM membership m WHERE m.container = ? AND m.tenant = ? AND m.member > ?
    ORDER BY m.member LIMIT ?
) AS page
"""
_MEMBER: Final = """'{"value":"' || page.id || cast(? AS text) || page.kind || 's/' || page.id || '","type":"' || page.kind || '"}'"""
_RENDERED_MEMBERS_IN: Final[Mapping[Dialect, str]] = {
    "sqlite": _RENDERED_MEMBERS.replace("{bytes}", f"cast(group_concat({_MEMBER}, ',') AS blob)"),
    "postgresql": _RENDERED_MEMBERS.replace("{bytes}", f"convert_to(string_agg({_MEMBER}, ','), 'UTF8')"),
}


def rendered_members(
    dialect: Dialect, tenant: int, container: int, base_url: str, after: int, limit: int
) -> Statement:
    """One row: the last member's key, how many there are, and their texts as ``serialization.serialize_member`` has
    them, in UTF-8 and with commas between.
    """
    address = f'","$ref":"{json_string_content(base_url)}/'
    return Statement(_RENDERED_MEMBERS_IN[dialect], (address, container, tenant, after, limit))


def groups_of(tenant: int, members: Sequence[int]) -> Statement:
    """Rows of the member's key and the id and body of a group that it directly belongs to."""
    return Statement(
        "SELECT m.member, r.id, r.doc FROM membership m JOIN resource r ON r.pk = m.container"
        f" WHERE m.tenant = ? AND m.member IN ({', '.join('?' * len(members))}) ORDER BY m.member, r.pk",
        (tenant, *members),
    )


def name_taken(tenant: int, kind: ResourceKind, name_key: str, but: str) -> Statement:
    """One row: the tenant's settings, and whether another resource has this name."""
    return Statement(
        "SELECT t.settings, EXISTS (SELECT 1 FROM resource r"
        " WHERE r.tenant + 0 = t.pk AND r.kind = ? AND r.name_key = ? AND r.id <> ?)"
        " FROM tenant t WHERE t.pk = ?",
        (kind, name_key, but, tenant),
    )


COUNT: Final = """
INSERT INTO resource_count (tenant, kind, shard, number) VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, kind, shard) DO UPDATE SET number = resource_count.number + excluded.number
"""
