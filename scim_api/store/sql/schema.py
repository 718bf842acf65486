"""The schema's history: what each numbered migration runs on each database.

Expand and contract only: a migration may add tables, columns with defaults and indexes, so that the
release before it keeps working; what is no longer used goes one release later. A migration that was
released is never edited.
"""

import dataclasses
from typing import Final

from scim_api.store.sql import published
from scim_api.store.sql.history_schema import BUCKET, HISTORY
from scim_api.store.sql.webhook_schema import WEBHOOK_OWNERS, WEBHOOKS


@dataclasses.dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    sqlite: str
    """Empty: nothing to do there."""
    postgresql: str


_TABLES: Final = """
CREATE TABLE installation (
    singleton  {integer} PRIMARY KEY CHECK (singleton = 1),
    id         {text},
    public_url {text}
){table};
INSERT INTO installation (singleton) VALUES (1);

CREATE TABLE auth_generation (
    singleton {integer} PRIMARY KEY CHECK (singleton = 1),
    number    {bigint} NOT NULL
){table};
INSERT INTO auth_generation (singleton, number) VALUES (1, 1);

-- The surrogate key is never used again, so that a re-created tenant starts empty.
CREATE TABLE tenant (
    pk            {serial_unique},
    namespace     {text} NOT NULL,
    name          {text} NOT NULL,
    settings      {text} NOT NULL,
    settings_hash {text} NOT NULL,
    state         {text} NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'purging')),
    UNIQUE (namespace, name)
){table};
CREATE INDEX tenant_purging ON tenant (pk) WHERE state = 'purging';

-- The row of a deleted connection stays, so that its revision never comes back.
CREATE TABLE connection (
    pk        {serial_unique},
    namespace {text} NOT NULL,
    name      {text} NOT NULL,
    tenant    {bigint} REFERENCES tenant (pk),
    revision  {text} NOT NULL,
    state     {text} NOT NULL CHECK (state IN ('exists', 'deleted')),
    UNIQUE (namespace, name)
){table};
CREATE INDEX connection_tenant ON connection (tenant);

-- The tenant of a credential is its connection's. A revoked row is a tombstone until its own expiry.
CREATE TABLE credential (
    id           {text} PRIMARY KEY,
    connection   {bigint} NOT NULL REFERENCES connection (pk),
    kind         {text} NOT NULL,
    parent       {text} REFERENCES credential (id) ON DELETE CASCADE,
    digest       {blob} NOT NULL UNIQUE,
    issued_at    {text} NOT NULL,
    expires_at   {text} NOT NULL,
    retires_at   {text},
    revoked_at   {text},
    last_used_at {text},
    user_agent   {text}
){table};
CREATE INDEX credential_connection ON credential (connection);
CREATE INDEX credential_parent ON credential (parent);
CREATE INDEX credential_expires_at ON credential (expires_at);

CREATE TABLE resource (
    pk           {serial},
    tenant       {bigint} NOT NULL REFERENCES tenant (pk),
    kind         {text} NOT NULL CHECK (kind IN ('User', 'Group')),
    id           {text} NOT NULL,
    match_key    {text},
    name_key     {text} NOT NULL,
    external_key {text},
    version      {bigint} NOT NULL,
    created      {text} NOT NULL,
    modified     {text} NOT NULL,
    doc          {plain_text} NOT NULL,
    keys         {json} NOT NULL
){table};
-- "tenant + 0" in the keys' indexes, and nowhere else: while statistics are young (a new tenant's always
-- are), PostgreSQL believes that a tenant has one resource, and would as soon read all of them through
-- resource_order as one through its key. Look-ups by key say "tenant + 0", which only these indexes hold.
CREATE UNIQUE INDEX resource_id ON resource (id, kind, (tenant + 0));
CREATE UNIQUE INDEX resource_name ON resource (name_key, kind, (tenant + 0));
CREATE UNIQUE INDEX resource_match ON resource (match_key, kind, (tenant + 0));
CREATE INDEX resource_external ON resource (external_key, kind, (tenant + 0));
-- "pk + 0": else PostgreSQL may walk the primary key through all other tenants' rows to find a page.
CREATE INDEX resource_order ON resource (tenant, kind, (pk + 0));

CREATE TABLE resource_email (
    resource  {bigint} NOT NULL REFERENCES resource (pk) ON DELETE CASCADE,
    email_key {text} NOT NULL,
    tenant    {bigint} NOT NULL,
    kind      {text} NOT NULL,
    PRIMARY KEY (resource, email_key)
){table_without_rowid};
CREATE INDEX resource_email_key ON resource_email (tenant, kind, email_key, resource);

-- A row per member, so that adding one to a group of 100,000 costs what adding one to ten does.
CREATE TABLE membership (
    container {bigint} NOT NULL REFERENCES resource (pk) ON DELETE CASCADE,
    member    {bigint} NOT NULL REFERENCES resource (pk) ON DELETE CASCADE,
    tenant    {bigint} NOT NULL,
    PRIMARY KEY (container, member)
){table_without_rowid};
CREATE INDEX membership_member ON membership (member, container);

-- Several rows for each tenant and kind: one would make all creates of a tenant wait for each other.
CREATE TABLE resource_count (
    tenant {bigint} NOT NULL,
    kind   {text} NOT NULL,
    shard  {integer} NOT NULL,
    number {bigint} NOT NULL,
    PRIMARY KEY (tenant, kind, shard)
){table_without_rowid};

-- Who did what to which object, and no bodies.
CREATE TABLE audit (
    pk          {serial},
    at          {text} NOT NULL,
    tenant      {bigint},
    kind        {text} NOT NULL,
    resource_id {text} NOT NULL,
    action      {text} NOT NULL,
    actor       {text} NOT NULL
){table};
CREATE INDEX audit_at ON audit (at);
"""

_KEY_REBUILD: Final = """
-- How far the keys of what is stored are rebuilt: up to this resource; NULL when all are.
CREATE TABLE key_rebuild (
    singleton {integer} PRIMARY KEY CHECK (singleton = 1),
    after_pk  {bigint}
){table};
INSERT INTO key_rebuild (singleton, after_pk) VALUES (1, 0);

-- Resources that a process of an earlier release has written since, with its keys: filled by triggers.
CREATE TABLE key_rebuild_queue (
    resource {bigint} PRIMARY KEY
){table_without_rowid};

-- Keys that a resource should have, and that another of its tenant has: it keeps the one it had before.
CREATE TABLE key_conflict (
    resource  {bigint} NOT NULL REFERENCES resource (pk) ON DELETE CASCADE,
    attribute {text} NOT NULL CHECK (attribute IN ('name', 'match', 'email')),
    key       {text} NOT NULL,
    tenant    {bigint} NOT NULL,
    kind      {text} NOT NULL,
    PRIMARY KEY (resource, attribute, key)
){table_without_rowid};
CREATE INDEX key_conflict_taken ON key_conflict (tenant, kind, key, resource);
"""

_UNIQUE_EMAILS: Final = """
-- email_key where nobody else of the tenant may have it: in tenants that match by work e-mail. NULL elsewhere,
-- in what an earlier release wrote until its keys are rebuilt, and where another has the address already.
ALTER TABLE resource_email ADD COLUMN unique_key {text};
CREATE UNIQUE INDEX resource_email_unique ON resource_email (unique_key, kind, tenant)
    WHERE unique_key IS NOT NULL;
UPDATE key_rebuild SET after_pk = 0;
"""

_OWNERS: Final = """
-- metadata.uid of the ScimToken that a connection belongs to, and of the namespace that a tenant belongs to.
-- NULL: not known yet, as with all that an earlier release wrote and with connections made by hand.
ALTER TABLE connection ADD COLUMN owner_uid {text};
ALTER TABLE tenant ADD COLUMN namespace_uid {text};
"""

_KEPT_TOMBSTONES: Final = """
-- The low-water mark of a connection: no credential that was issued up to then is registered any more. Tombstones
-- below it may go.
ALTER TABLE connection ADD COLUMN revoked_before {text};
CREATE INDEX credential_unrevoked ON credential (connection, issued_at, id) WHERE revoked_at IS NULL;
CREATE INDEX credential_revoked ON credential (connection, issued_at, id) WHERE revoked_at IS NOT NULL;
"""

_OAUTH: Final = """
-- What the token endpoint knows a connection by, how long its access tokens live (seconds), and why it refused it last.
ALTER TABLE connection ADD COLUMN client_id {text};
ALTER TABLE connection ADD COLUMN access_token_seconds {integer};
ALTER TABLE connection ADD COLUMN last_refusal {text};
CREATE UNIQUE INDEX connection_client_id ON connection (client_id) WHERE client_id IS NOT NULL;

-- A credential of kind WorkloadIdentity has a trust, as JSON. One of kind AccessToken was issued for its parent.
ALTER TABLE credential ADD COLUMN trust {text};
CREATE INDEX credential_listed ON credential (connection, issued_at, id)
    WHERE revoked_at IS NULL AND kind <> 'AccessToken';
CREATE INDEX credential_tombstone ON credential (connection, issued_at, id)
    WHERE revoked_at IS NOT NULL AND kind <> 'AccessToken';

-- Keys that an issuer of assertions published, so that a restart during its outage goes on.
CREATE TABLE issuer_keys (
    url        {text} PRIMARY KEY,
    keys       {text} NOT NULL,
    fetched_at {text} NOT NULL
){table};
"""

_CHANGES: Final = """
-- What an application may do by a connection.
ALTER TABLE connection ADD COLUMN access {text} NOT NULL DEFAULT 'ReadWrite';

-- Every change of a resource, in the order in which it was made to it, and every change of the administration (tenant
-- 0). No values: the paths that changed, as a JSON array; NULL: whatever there is.
CREATE TABLE change (
{xid}    pk          {change_serial},
    tenant      {bigint} NOT NULL,
    at          {text} NOT NULL,
    type        {text} NOT NULL,
    resource_id {text} NOT NULL,
    external_id {text},
    version     {bigint},
    paths       {text},
    member      {text},
    credential  {text} NOT NULL,
    scim_token  {text}{change_key}
){table};
{change_indexes}

-- Up to which row changes of a tenant are gone, because their time was over.
CREATE TABLE change_horizon (
    tenant {bigint} PRIMARY KEY,
    pk     {bigint} NOT NULL
){table_without_rowid};

-- What was recorded before. The order of new rows begins after it.
INSERT INTO change (tenant, at, type, resource_id, credential)
SELECT coalesce(tenant, 0), at, {audit_type}, resource_id, actor FROM audit ORDER BY pk;
"""

_MEMBER_IDS: Final = """
-- What a group shows of a member, so that it is read without the members' rows; neither ever changes. NULL: it was written
-- before this column, or by a process of the release before, and is looked up.
ALTER TABLE membership ADD COLUMN member_id {text};
ALTER TABLE membership ADD COLUMN member_kind {text};
"""
# PostgreSQL would keep everybody from all groups while it writes each row, and a release before may still serve.
_MEMBER_IDS_FILLED: Final = """
UPDATE membership SET (member_id, member_kind) = (SELECT r.id, r.kind FROM resource r WHERE r.pk = membership.member);
"""

_AUDIT_TYPE: Final = """lower({row}kind) || '.' || CASE {row}action WHEN 'create' THEN 'created'
        WHEN 'modify' THEN 'updated' WHEN 'delete' THEN 'deleted' ELSE {row}action END"""
# A process of the release before writes rows of audit, and none of change.
_AUDIT_TRIGGER_SQLITE: Final = f"""
CREATE TRIGGER audit_inserted AFTER INSERT ON audit
BEGIN
    INSERT INTO change (tenant, at, type, resource_id, external_id, version, credential)
    SELECT coalesce(NEW.tenant, 0), NEW.at, {_AUDIT_TYPE.format(row="NEW.")}, NEW.resource_id, r.external_key,
        r.version, NEW.actor
    FROM (SELECT 1) LEFT JOIN resource r
        ON r.id = NEW.resource_id AND r.kind = NEW.kind AND r.tenant + 0 = NEW.tenant;
END;
"""
_AUDIT_TRIGGER_POSTGRESQL: Final = f"""
CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change (tenant, at, type, resource_id, external_id, version, credential)
    SELECT coalesce(NEW.tenant, 0), NEW.at, {_AUDIT_TYPE.format(row="NEW.")}, NEW.resource_id, r.external_key,
        r.version, NEW.actor
    FROM (SELECT 1) AS one LEFT JOIN resource r
        ON r.id = NEW.resource_id AND r.kind = NEW.kind AND r.tenant + 0 = NEW.tenant;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_inserted AFTER INSERT ON audit FOR EACH ROW EXECUTE FUNCTION record_change();
"""

# What an earlier release writes has no key form in it ("#", see core.values.normal_form); a conflict ends with
# the key that was kept. Triggers, because the processes that write such keys know nothing of all this.
_KEY_TRIGGERS_SQLITE: Final = """
CREATE TRIGGER resource_inserted AFTER INSERT ON resource WHEN json_extract(NEW.keys, '$."#"') IS NOT 2
BEGIN
    INSERT OR IGNORE INTO key_rebuild_queue (resource) VALUES (NEW.pk);
END;
CREATE TRIGGER resource_updated AFTER UPDATE OF keys ON resource WHEN json_extract(NEW.keys, '$."#"') IS NOT 2
BEGIN
    INSERT OR IGNORE INTO key_rebuild_queue (resource) VALUES (NEW.pk);
END;
CREATE TRIGGER resource_rekeyed AFTER UPDATE OF name_key, match_key ON resource
WHEN NEW.name_key IS NOT OLD.name_key OR NEW.match_key IS NOT OLD.match_key
BEGIN
    DELETE FROM key_conflict WHERE resource = NEW.pk
        AND CASE attribute WHEN 'name' THEN NEW.name_key IS NOT OLD.name_key
            WHEN 'match' THEN NEW.match_key IS NOT OLD.match_key ELSE false END;
END;
"""
_KEY_TRIGGERS_POSTGRESQL: Final = """
CREATE FUNCTION queue_key_rebuild() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO key_rebuild_queue (resource) VALUES (NEW.pk) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE FUNCTION end_key_conflict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM key_conflict c WHERE c.resource = NEW.pk
        AND CASE c.attribute WHEN 'name' THEN NEW.name_key IS DISTINCT FROM OLD.name_key
            WHEN 'match' THEN NEW.match_key IS DISTINCT FROM OLD.match_key ELSE false END;
    RETURN NULL;
END $$;
CREATE TRIGGER resource_inserted AFTER INSERT ON resource FOR EACH ROW
    WHEN (NEW.keys -> '#' IS DISTINCT FROM '2'::jsonb) EXECUTE FUNCTION queue_key_rebuild();
CREATE TRIGGER resource_updated AFTER UPDATE OF keys ON resource FOR EACH ROW
    WHEN (NEW.keys -> '#' IS DISTINCT FROM '2'::jsonb) EXECUTE FUNCTION queue_key_rebuild();
CREATE TRIGGER resource_rekeyed AFTER UPDATE OF name_key, match_key ON resource FOR EACH ROW
    WHEN (NEW.name_key IS DISTINCT FROM OLD.name_key OR NEW.match_key IS DISTINCT FROM OLD.match_key)
    EXECUTE FUNCTION end_key_conflict();
"""

_SQLITE: Final = {
    "integer": "INTEGER", "bigint": "INTEGER", "text": "TEXT", "plain_text": "TEXT", "json": "TEXT",
    "blob": "BLOB", "serial": "INTEGER PRIMARY KEY", "serial_unique": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "table": " STRICT", "table_without_rowid": " STRICT, WITHOUT ROWID",
    "xid": "", "change_serial": "INTEGER PRIMARY KEY AUTOINCREMENT", "change_key": "",
    "change_indexes": "CREATE INDEX change_of_tenant ON change (tenant, pk);",
    "change_order": "", "change_resource": f"pk / {BUCKET}, resource_id",  # each entry of an index ends in pk
    "audit_type": _AUDIT_TYPE.format(row=""),
}  # fmt: skip
_POSTGRESQL: Final = {
    "integer": "integer", "bigint": "bigint", "text": 'text COLLATE "C"', "plain_text": "text",
    "json": "jsonb", "blob": "bytea",
    "serial": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "serial_unique": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "table": "", "table_without_rowid": "",
    # Before the number: no number is given to a transaction that has no id yet.
    "xid": "    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),\n",
    "change_serial": "bigint GENERATED ALWAYS AS IDENTITY", "change_key": ",\n    PRIMARY KEY (tenant, pk)",
    "change_indexes": "CREATE INDEX change_by_transaction ON change (xid, pk);", "change_order": ", pk",
    "change_resource": "resource_id, pk",
    "audit_type": _AUDIT_TYPE.format(row=""),
}  # fmt: skip


def _migration(number: int, name: str, sql: str, *, sqlite: str = "", postgresql: str = "") -> Migration:
    """The same step on both databases, in their words, and what only one of them has."""
    return Migration(number, name, sql.format_map(_SQLITE) + sqlite, sql.format_map(_POSTGRESQL) + postgresql)


MIGRATIONS: Final = (
    _migration(1, "first schema", _TABLES),
    _migration(
        2,
        "keys by simple case folding",
        _KEY_REBUILD,
        sqlite=_KEY_TRIGGERS_SQLITE,
        postgresql=_KEY_TRIGGERS_POSTGRESQL,
    ),
    _migration(3, "every work e-mail is unique", _UNIQUE_EMAILS),
    _migration(4, "owners by uid", _OWNERS),
    _migration(5, "a bounded number of tombstones", _KEPT_TOMBSTONES),
    _migration(6, "OAuth clients", _OAUTH),
    _migration(
        7,
        "a log of changes",
        _CHANGES,
        sqlite=_AUDIT_TRIGGER_SQLITE,
        postgresql=_AUDIT_TRIGGER_POSTGRESQL,
    ),
    _migration(8, "published views", "", postgresql=published.SCHEMA),
    _migration(9, "webhooks", WEBHOOKS),
    _migration(10, "owners of webhooks", WEBHOOK_OWNERS),
    _migration(11, "history and inspections", HISTORY),
    _migration(12, "ids of members", _MEMBER_IDS, sqlite=_MEMBER_IDS_FILLED),
)
"""All steps, in order, numbered from 1 without gaps."""


ADVISORY_LOCK: Final = 0x5C14_0001
"""Key of PostgreSQL's advisory lock for migrating."""
