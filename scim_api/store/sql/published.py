"""What those who share a PostgreSQL database read by SQL: the views of the schema ``published``.

A view shows the rows of one tenant: the one of which ``current_user`` is a reader, by ``published.reader``. Views and
not policies on the tables, because a reader then has no right on any table, nothing changes for the service, and
columns can be stable while tables change. All are security barriers: a function that a reader writes into a query
sees rows of the reader's tenant only.

A barrier lets conditions through to an index only if their operators tell nothing by errors; ``=`` and ``<`` of the
columns here are such. What they tell is the planner's estimate, which comes from statistics over all tenants: hence
columns with names and addresses have none (see ``NO_STATISTICS``), and others are expressions, which have none.
"""

from typing import Final

# By name and by oid: a role of that name in a restored database, or made anew, is not the one that was let in.
_MINE: Final = """SELECT s.tenant FROM published.reader s JOIN tenant t ON t.pk = s.tenant AND t.state = 'active'
    WHERE s.role = current_user AND s.role_oid = to_regrole(quote_ident(current_user))::oid"""
_TENANT: Final = f"({_MINE})"
# As an array the planner takes it for several, so that it believes in few rows too rarely: of one who joins views it
# would otherwise read one again for each row of another.
_TENANTS: Final = f"ANY (ARRAY({_MINE}))"
# Both: the first is what the index of lists holds, the second what those of keys do (see `schema`). Without it others'
# rows would be found by a key and then be filtered out, and EXPLAIN ANALYZE counts these.
_OF_TENANT: Final = f"r.tenant = {_TENANTS} AND r.tenant + 0 = {_TENANTS}"

_READER: Final = """
CREATE SCHEMA published;

-- Which role reads which tenant. No reference: the row outlives the tenant, whose number never comes back.
CREATE TABLE published.reader (
    role        text COLLATE "C" PRIMARY KEY,
    role_oid    oid NOT NULL,
    tenant      bigint NOT NULL,
    tenant_name text NOT NULL,
    made_here   boolean NOT NULL,
    created_at  text NOT NULL
);
"""

# Without statistics an estimate is the same for every value, so EXPLAIN tells a reader nothing of other tenants'
# names. The least statistics, and then none: those that are there already stay otherwise.
NO_STATISTICS: Final = """
ALTER TABLE resource ALTER COLUMN name_key SET STATISTICS 1, ALTER COLUMN external_key SET STATISTICS 1;
ALTER TABLE resource_email ALTER COLUMN email_key SET STATISTICS 1;
ANALYZE resource (name_key, external_key), resource_email (email_key);
ALTER TABLE resource ALTER COLUMN name_key SET STATISTICS 0, ALTER COLUMN external_key SET STATISTICS 0;
ALTER TABLE resource_email ALTER COLUMN email_key SET STATISTICS 0;
"""

_USERS: Final = f"""
CREATE VIEW published.users WITH (security_barrier) AS
SELECT r.id,
    r.external_key AS external_id,
    r.doc::json ->> 'userName' AS user_name,
    r.name_key AS user_name_key,
    (r.doc::json ->> 'active')::boolean AS active,
    r.doc::json ->> 'displayName' AS display_name,
    r.doc::json -> 'name' ->> 'givenName' AS given_name,
    r.doc::json -> 'name' ->> 'familyName' AS family_name,
    (SELECT e.entry ->> 'value' FROM json_array_elements(r.doc::json -> 'emails') WITH ORDINALITY AS e (entry, place)
        WHERE lower(e.entry ->> 'type') = 'work' AND e.entry ->> 'value' IS NOT NULL
        ORDER BY coalesce((e.entry ->> 'primary')::boolean, false) DESC, e.place LIMIT 1) AS work_email,
    r.version,
    r.created::timestamptz AS created,
    r.modified::timestamptz AS last_modified,
    r.doc::jsonb AS attributes
FROM resource r WHERE {_OF_TENANT} AND r.kind = 'User';
"""

_WORK_EMAILS: Final = f"""
CREATE VIEW published.work_emails WITH (security_barrier) AS
SELECT r.id AS user_id, e.email_key AS work_email_key
FROM resource_email e JOIN resource r ON r.pk = e.resource
WHERE e.tenant = {_TENANTS} AND e.kind = 'User' AND r.tenant + 0 = {_TENANTS};
"""

_GROUPS: Final = f"""
CREATE VIEW published.groups WITH (security_barrier) AS
SELECT r.id,
    r.external_key AS external_id,
    r.doc::json ->> 'displayName' AS display_name,
    r.name_key AS display_name_key,
    r.version,
    r.created::timestamptz AS created,
    r.modified::timestamptz AS last_modified
FROM resource r WHERE {_OF_TENANT} AND r.kind = 'Group';
"""

_MEMBERSHIPS: Final = f"""
CREATE VIEW published.memberships WITH (security_barrier) AS
SELECT r.id AS group_id, x.id AS member_id, x.kind AS member_type
FROM resource r JOIN membership m ON m.container = r.pk JOIN resource x ON x.pk = m.member
WHERE {_OF_TENANT} AND r.kind = 'Group' AND x.tenant + 0 = {_TENANTS};
"""

_CHANGES: Final = f"""
CREATE VIEW published.changes WITH (security_barrier) AS
SELECT c.pk AS id,
    c.xid,
    c.at::timestamptz AS at,
    c.type || '' AS type,
    initcap(split_part(c.type, '.', 1)) AS resource_type,
    c.resource_id || '' AS resource_id,
    c.external_id || '' AS external_id,
    c.version,
    CASE WHEN c.paths IS NOT NULL THEN ARRAY(SELECT json_array_elements_text(c.paths::json)) END AS paths,
    c.member || '' AS member_id,
    c.credential || '' AS credential,
    c.scim_token || '' AS scim_token
FROM change c WHERE c.tenant = {_TENANT};
"""

_POSITION: Final = f"""
CREATE VIEW published.position WITH (security_barrier) AS
SELECT (SELECT system_identifier FROM pg_control_system())::text
        || left(pg_walfile_name(pg_current_wal_lsn()), 8) || 'change'::regclass::oid AS epoch,
    pg_current_snapshot() AS snapshot,
    greatest((SELECT max(c.pk) FROM change c WHERE c.tenant = mine.tenant), h.pk, 0) AS last_id,
    coalesce(h.pk, 0) AS horizon
FROM (SELECT {_TENANT} AS tenant) AS mine LEFT JOIN change_horizon h ON h.tenant = mine.tenant
WHERE mine.tenant IS NOT NULL;
"""

VIEWS: Final = ("users", "work_emails", "groups", "memberships", "changes", "position")
"""What a reader may select from."""

SCHEMA: Final = (
    _READER + NO_STATISTICS + _USERS + _WORK_EMAILS + _GROUPS + _MEMBERSHIPS + _CHANGES + _POSITION
)
"""Migration 8, of PostgreSQL."""
