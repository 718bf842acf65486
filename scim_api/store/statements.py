"""SQL about resources and credentials that both databases understand alike; placeholders are ``?``."""

from typing import Final

from scim_api.core.records import Lookup, ResourceKind
from scim_api.store.scripts import Statement

RESOURCE: Final = "r.id, r.version, r.created, r.modified, r.doc"
"""The columns of a ``Resource``, in its order."""

ACCESS: Final = """
SELECT k.id, k.digest, k.expires_at, k.retires_at, c.tenant, t.settings, t.settings_hash
FROM credential k JOIN connection c ON c.pk = k.connection JOIN tenant t ON t.pk = c.tenant
WHERE k.digest = ? AND k.revoked_at IS NULL AND c.state = 'exists' AND t.state = 'active'
"""

RECORD_USE: Final = """
UPDATE credential SET last_used_at = ?, user_agent = coalesce(?, user_agent)
WHERE id = ? AND (last_used_at IS NULL OR last_used_at < ?)
"""

# "tenant + 0" is what the keys' indexes hold; the reason is in `schema`.
GET: Final = f"SELECT {RESOURCE} FROM resource r WHERE r.tenant + 0 = ? AND r.kind = ? AND r.id = ?"

LOOKUP: Final = {
    Lookup.ID: GET,
    Lookup.NAME: f"SELECT {RESOURCE} FROM resource r WHERE r.tenant + 0 = ? AND r.kind = ? AND r.name_key = ?",
    Lookup.EXTERNAL: (
        f"SELECT {RESOURCE} FROM resource r WHERE r.tenant + 0 = ? AND r.kind = ? AND r.external_key = ?"
        " ORDER BY r.pk"
    ),
    Lookup.WORK_EMAIL: (
        f"SELECT {RESOURCE} FROM resource_email e JOIN resource r ON r.pk = e.resource"
        " WHERE e.tenant = ? AND e.kind = ? AND e.email_key = ? ORDER BY e.resource"
    ),
}
"""Parameters: tenant, kind, comparable key."""

# "pk + 0" is the order that the index `resource_order` holds. The one row of `counted` carries the total when the page is empty.
LIST: Final = f"""
WITH counted AS (
    SELECT cast(coalesce(sum(n.number), 0) AS bigint) AS total
    FROM resource_count n WHERE n.tenant = ? AND n.kind = ?
), slice AS (
    SELECT * FROM resource WHERE tenant = ? AND kind = ? ORDER BY pk + 0 LIMIT ? OFFSET ?
)
SELECT counted.total, {RESOURCE} FROM counted LEFT JOIN slice r ON true ORDER BY r.pk
"""

_SEARCH: Final = """
WITH hits AS MATERIALIZED (
    SELECT r.pk FROM resource r WHERE r.tenant = ? AND r.kind = ? AND ({condition})
), counted AS (
    SELECT count(*) AS total FROM hits
), slice AS (
    SELECT pk FROM hits ORDER BY pk LIMIT ? OFFSET ?
)
SELECT counted.total, {columns} FROM counted LEFT JOIN slice ON true LEFT JOIN resource r ON r.pk = slice.pk
ORDER BY r.pk
"""


def list_page(tenant: int, kind: ResourceKind, *, offset: int, limit: int) -> Statement:
    """A page of all; each row is the total and a resource's columns (NULLs on an empty page)."""
    return Statement(LIST, (tenant, kind, tenant, kind, limit, offset))


def search_page(
    tenant: int,
    kind: ResourceKind,
    condition: str,
    parameters: tuple[object, ...],
    *,
    offset: int,
    limit: int,
) -> Statement:
    """A page of those that meet a compiled filter, which is evaluated once for total and page."""
    sql = _SEARCH.replace("{condition}", condition).replace("{columns}", RESOURCE)
    return Statement(sql, (tenant, kind, *parameters, limit, offset))


def taken_by_name(tenant: int, kind: ResourceKind, name_key: str, but: str) -> Statement:
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

AUDIT: Final = "INSERT INTO audit (at, tenant, kind, resource_id, action, actor) VALUES (?, ?, ?, ?, ?, ?)"
