"""Writes of resources in PostgreSQL, each one statement and so one round trip and one transaction."""

from typing import Final

from scim_api.store.sql.statements import kept_key

NOW: Final = """to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
"""The database's clock in the form of ``timestamps``."""

GENERATION: Final = "SELECT number, extract(epoch FROM clock_timestamp())::float8 AS now FROM auth_generation"

LOCK: Final = f"SELECT {NOW} FROM auth_generation FOR UPDATE"
"""Taken first by all administration: changes of connections are rare, and one after the other."""

COUNTER_SHARDS: Final = 32
_SHARD: Final = f"pg_backend_pid() % {COUNTER_SHARDS}"
"""The connections of one process are neighbours, and so never wait for each other's row of the counter; a
choice at random made one create in six wait for another's commit."""

_CHANGE: Final = "tenant, at, type, resource_id, external_id, version, credential, scim_token"

_COUNTED: Final = """
    INSERT INTO resource_count (tenant, kind, shard, number)
    SELECT $1, $2, {shard}, {change} FROM {source}
    ON CONFLICT (tenant, kind, shard) DO UPDATE SET number = resource_count.number + excluded.number
"""

CREATE: Final = f"""
WITH moment AS MATERIALIZED (
    SELECT {NOW} AS now
), made AS (
    INSERT INTO resource (tenant, kind, id, match_key, name_key, external_key, version, created, modified,
        doc, keys)
    SELECT $1::bigint, $2::text, $3::text, $4::text, $5::text, $6::text, 1, now, now, $7::text, $8::jsonb
    FROM moment RETURNING pk, created
), mailed AS (
    INSERT INTO resource_email (resource, email_key, tenant, kind, unique_key)
    SELECT pk, email, $1, $2, CASE WHEN email = ANY ($11::text[]) THEN email END
    FROM made, unnest($9::text[]) AS email
), counted AS ({_COUNTED.format(shard=_SHARD, change="1", source="made")}), recorded AS (
    INSERT INTO change ({_CHANGE})
    SELECT $1, created, 'user.created', $3, $6, 1, $10::text, $12::text FROM made
)
SELECT created, pk FROM made
"""
"""tenant, kind, id, match, name, external, doc, keys, e-mails, actor, unique e-mails, ScimToken -> the time, the key."""

CREATE_MANY: Final = f"""
WITH moment AS MATERIALIZED (
    SELECT {NOW} AS now
), wanted AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $12::text[]) AS w(tenant, id, match_key, name_key, external_key, doc, keys, actor, scim_token)
), made AS (
    INSERT INTO resource (tenant, kind, id, match_key, name_key, external_key, version, created, modified,
        doc, keys)
    SELECT tenant, 'User', id, match_key, name_key, external_key, 1, now, now, doc, keys::jsonb
    FROM wanted, moment ON CONFLICT DO NOTHING RETURNING pk, tenant, id, created
), mailed AS (
    INSERT INTO resource_email (resource, email_key, tenant, kind, unique_key)
    SELECT made.pk, mail.email_key, made.tenant, 'User', mail.unique_key
    FROM made JOIN unnest($9::text[], $10::text[], $11::text[]) AS mail(id, email_key, unique_key)
        ON mail.id = made.id
), counted AS (
    INSERT INTO resource_count (tenant, kind, shard, number)
    SELECT tenant, 'User', {_SHARD}, count(*) FROM made GROUP BY tenant ORDER BY tenant
    ON CONFLICT (tenant, kind, shard) DO UPDATE SET number = resource_count.number + excluded.number
), recorded AS (
    INSERT INTO change ({_CHANGE})
    SELECT made.tenant, made.created, 'user.created', made.id, wanted.external_key, 1, wanted.actor, wanted.scim_token
    FROM made JOIN wanted USING (id)
)
SELECT id, created, pk FROM made
"""
"""Arrays of tenant, id, match, name, external, doc, keys, actor; and, of all e-mails, of the user's id, the
key and the key if it is unique; and of ScimToken -> id, time and key of each that was written. One whose key is taken is left out."""

UPDATE: Final = f"""
WITH changed AS (
    UPDATE resource SET match_key = {kept_key("match", "$5::text")}, name_key = {kept_key("name", "$6::text")}, external_key = $7::text,
        version = version + 1, modified = {NOW}, doc = $8::text, keys = $9::jsonb
    WHERE tenant + 0 = $1::bigint AND kind = $2::text AND id = $3::text AND version = $4::bigint
        AND modified = $12::text
    RETURNING pk, modified, version
), unmailed AS (
    DELETE FROM resource_email e USING changed
    WHERE e.resource = changed.pk AND e.email_key <> ALL ($10::text[])
), mailed AS (
    INSERT INTO resource_email (resource, email_key, tenant, kind, unique_key)
    SELECT pk, email, $1, $2, CASE WHEN email = ANY ($13::text[]) THEN email END
    FROM changed, unnest($10::text[]) AS email ON CONFLICT (resource, email_key) DO NOTHING
), recorded AS (
    INSERT INTO change ({_CHANGE}, paths)
    SELECT $1, modified, c.type, $3, $7, changed.version, $11::text, $14::text, c.paths
    FROM changed, unnest($15::text[], $16::text[]) AS c(type, paths)
)
SELECT modified FROM changed
"""
"""tenant, kind, id, version, match, name, external, doc, keys, e-mails, actor, modified, unique e-mails, ScimToken,
arrays of the types and paths of its changes -> the time, or no row when the resource is no longer at that version. A version alone may come again after a restore of the
database; one of that moment does not."""

IS_STORED: Final = """
SELECT 1 FROM resource
WHERE tenant + 0 = $1::bigint AND kind = $2::text AND id = $3::text AND version = $4::bigint AND modified = $5::text
    AND keys = $6::jsonb
"""
"""tenant, kind, id, version, modified, keys -> a row when the resource is as it was, with this normal form."""

LOCK_FOR_DELETION: Final = """
WITH containers AS MATERIALIZED (
    SELECT g.pk FROM resource r JOIN membership m ON m.member = r.pk JOIN resource g ON g.pk = m.container
    WHERE r.tenant + 0 = $1::bigint AND r.kind = $2::text AND r.id = $3::text
    ORDER BY g.pk FOR NO KEY UPDATE OF g
)
SELECT 1 FROM resource WHERE tenant + 0 = $1 AND kind = $2 AND id = $3 AND (SELECT count(*) FROM containers) >= 0
FOR UPDATE
"""
"""tenant, kind, id -> a row when it is there. Its groups are locked first, then itself, as by those who let it join or
leave; from then on it joins no other. A statement sees what was there when it began: so what it waited for has to be
seen by the next one.
"""

DELETE: Final = f"""
WITH parted AS (
    DELETE FROM membership m USING resource r
    WHERE m.member = r.pk AND r.tenant + 0 = $1::bigint AND r.kind = $2::text AND r.id = $3::text
        AND ($4::bigint IS NULL OR r.version = $4)
    RETURNING m.container
), changed AS (
    UPDATE resource SET version = version + 1, modified = {NOW} WHERE pk IN (SELECT container FROM parted)
    RETURNING id, external_key, version
), gone AS (
    DELETE FROM resource WHERE tenant + 0 = $1::bigint AND kind = $2::text AND id = $3::text
        AND ($4::bigint IS NULL OR version = $4) AND (SELECT count(*) FROM changed) >= 0
    RETURNING pk, external_key, version
), counted AS ({_COUNTED.format(shard=_SHARD, change="-1", source="gone")}), recorded AS (
    INSERT INTO change ({_CHANGE}, member)
    SELECT $1, {NOW}, c.type, c.id, c.external_key, c.version, $5::text, $6::text, c.member FROM (
        SELECT 'group.member_removed', changed.id, changed.external_key, changed.version, $3 FROM changed, gone
        UNION ALL SELECT lower($2) || '.deleted', $3, external_key, version, NULL FROM gone
    ) AS c(type, id, external_key, version, member)
)
SELECT EXISTS (SELECT 1 FROM gone),
    (SELECT version FROM resource WHERE tenant + 0 = $1 AND kind = $2 AND id = $3)
"""
"""tenant, kind, id, version or NULL, credential, ScimToken -> whether it was deleted; its version before. After
``LOCK_FOR_DELETION``, in the same transaction."""
