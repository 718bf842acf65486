"""Rebuilding stored keys after the form of keys has changed: a script for both drivers, a batch at a time.

Three sources, in this order. What processes of an earlier release have written since the migration stands in a
queue, which triggers fill: they leave no key form in what they write. All that was there before the migration
is walked through once; how far is written in the transaction that did it, so that whoever is killed goes on
from there. And what could not have its key, because another resource of its tenant has it, gets it once it is free.

Body, version and time of the last change stay as they are: nothing changes that a client has sent.
"""

import functools
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import orjson

from scim_api.contract.admin import Matching
from scim_api.core.errors import ScimError
from scim_api.core.model import ResourceWrite
from scim_api.core.resources.groups import prepare_group
from scim_api.core.resources.users import prepare_user
from scim_api.core.schema.tenant_schema import TenantSchema, compile_tenant_schema
from scim_api.core.types import ResourceKind
from scim_api.core.values.normal_form import KEY_FORM_NAME
from scim_api.store.dialect import Dialect
from scim_api.store.protocol import KeyRebuild
from scim_api.store.sql.rows import parse_settings, settings_hash
from scim_api.store.sql.transaction_script import Statement, TransactionScript

_ROWS: Final = """
SELECT r.pk, r.tenant, r.kind, r.doc, r.match_key, r.name_key, r.external_key, CAST(r.keys AS text), t.settings
FROM resource r JOIN tenant t ON t.pk = r.tenant WHERE r.pk IN ({marks}) ORDER BY r.pk"""
_UPDATE: Final = "UPDATE resource SET match_key = ?, name_key = ?, external_key = ?, keys = ? WHERE pk = ?"
_TAKEN: Final = (
    "SELECT 1 FROM resource r WHERE r.tenant + 0 = ? AND r.kind = ? AND r.{attribute}_key = ? AND r.pk <> ?"
)
_FREE: Final = """
SELECT DISTINCT c.resource FROM key_conflict c WHERE NOT EXISTS (
    SELECT 1 FROM resource r WHERE r.tenant + 0 = c.tenant AND r.kind = c.kind AND r.pk <> c.resource
        AND c.attribute = 'name' AND r.name_key = c.key
) AND NOT EXISTS (
    SELECT 1 FROM resource r WHERE r.tenant + 0 = c.tenant AND r.kind = c.kind AND r.pk <> c.resource
        AND c.attribute = 'match' AND r.match_key = c.key
) AND NOT EXISTS (
    SELECT 1 FROM resource_email e JOIN resource_email o
        ON o.tenant = c.tenant AND o.kind = c.kind AND o.unique_key = c.key
    WHERE c.attribute = 'email' AND e.resource = c.resource AND e.email_key = c.key
) ORDER BY c.resource LIMIT ?"""
"""Who can have a key now that another has had, or does not want it any more."""
_CLAIM: Final = """
UPDATE resource_email SET unique_key = email_key WHERE resource IN ({marks}) AND unique_key IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM resource_email o WHERE o.tenant = resource_email.tenant AND o.kind = resource_email.kind
            AND o.email_key = resource_email.email_key
            AND (o.unique_key IS NOT NULL OR o.resource < resource_email.resource)
    )"""
"""Of several who have an address, the one that was created first."""
_UNCLAIMED: Final = """
INSERT INTO key_conflict (resource, attribute, key, tenant, kind)
SELECT e.resource, 'email', e.email_key, e.tenant, e.kind FROM resource_email e
WHERE e.resource IN ({marks}) AND e.unique_key IS NULL RETURNING resource"""
_SCHEMAS: Final = 256


class _Stored(NamedTuple):
    """A row of ``_ROWS``."""

    pk: int
    tenant: int
    kind: ResourceKind
    doc: str
    match_key: str | None
    name_key: str
    external_key: str | None
    keys: str
    settings: str


def rebuild_keys(dialect: Dialect, limit: int) -> TransactionScript[KeyRebuild]:
    """One batch of at most ``limit`` resources; ``looked_at`` is 0 when there is nothing left to do."""
    queued = yield Statement(
        "SELECT q.resource FROM key_rebuild_queue q ORDER BY q.resource LIMIT ?"
        + (" FOR UPDATE SKIP LOCKED" if dialect == "postgresql" else ""),
        (limit,),
    )
    if queued:
        pks = [row[0] for row in queued]
        conflicts = yield from _rebuild(dialect, pks)
        yield Statement(f"DELETE FROM key_rebuild_queue WHERE resource IN ({_marks(pks)})", tuple(pks))
        return KeyRebuild(len(pks), conflicts)
    [[after]] = yield Statement("SELECT after_pk FROM key_rebuild")
    if after is not None:
        return (yield from _walk(dialect, limit))
    free = yield Statement(_FREE, (limit,))
    yield from _rebuild(dialect, [row[0] for row in free])
    return KeyRebuild()


def _walk(dialect: Dialect, limit: int) -> TransactionScript[KeyRebuild]:
    """The next resources of all, and the place where to go on, in one transaction."""
    lock = " FOR UPDATE" if dialect == "postgresql" else ""
    [[after]] = yield Statement(f"SELECT after_pk FROM key_rebuild{lock}")
    if after is None:  # another process came to the end in between
        return KeyRebuild()
    rows = yield Statement("SELECT pk FROM resource WHERE pk > ? ORDER BY pk LIMIT ?", (after, limit))
    pks = [row[0] for row in rows]
    conflicts = yield from _rebuild(dialect, pks)
    yield Statement("UPDATE key_rebuild SET after_pk = ?", (pks[-1] if pks else None,))
    return KeyRebuild(len(pks), conflicts)


def _rebuild(dialect: Dialect, pks: Sequence[int]) -> TransactionScript[int]:
    """Give these resources the keys of this release; how many of them cannot have one that another has."""
    if not pks:
        return 0
    lock = " FOR NO KEY UPDATE OF r" if dialect == "postgresql" else ""
    rows = yield Statement(_ROWS.format(marks=_marks(pks)) + lock, tuple(pks))
    conflicting: set[int] = set()
    unique: list[int] = []
    for row in rows:
        stored = _Stored(*row)
        if stored.kind == "User" and _schema_of(stored.settings).matching is Matching.WORK_EMAIL:
            unique.append(stored.pk)
        if stored.doc.isascii():  # the forms of keys differ in nothing that such a body may hold
            continue
        write = _write_of(stored)
        if write is not None and (yield from _rebuild_one(stored, write)):
            conflicting.add(stored.pk)
    conflicting |= yield from _claim_emails(unique)
    return len(conflicting)


def _claim_emails(pks: Sequence[int]) -> TransactionScript[set[int]]:
    """Make the work e-mails of these users unique; those of them who have one that another has had before."""
    if not pks:
        return set()
    marks = _marks(pks)
    yield Statement(_CLAIM.format(marks=marks), tuple(pks))
    yield Statement(
        f"DELETE FROM key_conflict WHERE attribute = 'email' AND resource IN ({marks})", tuple(pks)
    )
    shared = yield Statement(_UNCLAIMED.format(marks=marks), tuple(pks))
    return {row[0] for row in shared}


def _rebuild_one(stored: _Stored, write: ResourceWrite) -> TransactionScript[bool]:
    """Write the keys of one resource that differ; whether it has to keep one."""
    match_key, name_key = write.match_key, write.name_key
    yield Statement("DELETE FROM key_conflict WHERE attribute <> 'email' AND resource = ?", (stored.pk,))
    if match_key is not None and (yield from _is_taken(stored, "match", match_key, stored.match_key)):
        match_key = stored.match_key
    if (yield from _is_taken(stored, "name", name_key, stored.name_key)):
        name_key = stored.name_key
    present = (stored.match_key, stored.name_key, stored.external_key)
    if (match_key, name_key, write.external_key) != present or _form(write.normal_form) != _form(stored.keys):
        keys = (match_key, name_key, write.external_key, write.normal_form)
        yield Statement(_UPDATE, (*keys, stored.pk))
    for attribute, key, kept in (
        ("match", write.match_key, match_key),
        ("name", write.name_key, name_key),
    ):
        if key != kept:
            yield Statement(
                "INSERT INTO key_conflict (resource, attribute, key, tenant, kind) VALUES (?, ?, ?, ?, ?)",
                (stored.pk, attribute, key, stored.tenant, stored.kind),
            )
    yield from _replace_emails(stored, write.email_keys)
    return (match_key, name_key) != (write.match_key, write.name_key)


def _is_taken(
    stored: _Stored, attribute: Literal["match", "name"], key: str, present: str | None
) -> TransactionScript[bool]:
    """Whether another resource of the tenant has a key that this one should have, and has not."""
    if key == present:
        return False
    sql = _TAKEN.format(attribute=attribute)
    return bool((yield Statement(sql, (stored.tenant, stored.kind, key, stored.pk))))


def _replace_emails(stored: _Stored, keys: Sequence[str]) -> TransactionScript[None]:
    rows = yield Statement("SELECT email_key FROM resource_email WHERE resource = ?", (stored.pk,))
    present = {row[0] for row in rows}
    for key in sorted(present - set(keys)):
        yield Statement("DELETE FROM resource_email WHERE resource = ? AND email_key = ?", (stored.pk, key))
    for key in keys:
        if key not in present:
            yield Statement(
                "INSERT INTO resource_email (resource, email_key, tenant, kind) VALUES (?, ?, ?, ?)",
                (stored.pk, key, stored.tenant, stored.kind),
            )


def _write_of(stored: _Stored) -> ResourceWrite | None:
    """What this release would store; None where it would refuse, so that the resource stays as it is."""
    schema = _schema_of(stored.settings)
    doc: dict[str, Any] = orjson.loads(stored.doc)
    try:
        return prepare_user(schema, doc) if stored.kind == "User" else prepare_group(schema, doc, ())
    except ScimError:  # an index key may be some bytes longer than before, and then too long
        return None


@functools.lru_cache(maxsize=_SCHEMAS)
def _schema_of(settings: str) -> TenantSchema:
    """The tenant's schema; with groups, which may be stored where they are no longer served."""
    parsed = parse_settings(settings).model_copy(update={"groups": "Enabled"})
    return compile_tenant_schema(parsed, settings_hash(parsed))


def _form(text: str) -> dict[str, Any]:
    """A stored normal form without the form of its keys, which alone is no reason to write."""
    form: dict[str, Any] = orjson.loads(text)
    form.pop(KEY_FORM_NAME, None)
    return form


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
