"""From rows to records, and what both drivers conclude from them."""

import functools
import hashlib
import json
from collections.abc import Sequence
from typing import Final

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.core.model import GroupReference, Member, Resource
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor
from scim_api.store.errors import VersionMismatch
from scim_api.store.protocol import Access, Page
from scim_api.store.serialized import SerializedMembers, SerializedPage
from scim_api.store.sql.timestamps import to_posix
from scim_api.store.sql.transaction_script import Row

_CONFLICT_ATTRIBUTE = {
    Matching.WORK_EMAIL: "emails",
    Matching.USER_NAME: "userName",
    Matching.EXTERNAL_ID: "externalId",
}


def to_access(row: Row) -> Access:
    """The record of a row of ``statements.ACCESS``."""
    identity, digest, expires_at, retires_at, tenant, settings, settings_hash, name, access = row
    return Access(
        credential=identity,
        digest=bytes(digest),
        ends_at=to_posix(min(expires_at, retires_at or expires_at)),
        tenant=tenant,
        settings=parse_settings(settings),
        settings_hash=settings_hash,
        actor=Actor(identity, name),
        is_read_only=access == "ReadOnly",
    )


def to_page(rows: Sequence[Row]) -> Page:
    """The page of rows of ``statements.list_page`` or ``search_page``."""
    return Page(rows[0][0], [Resource(*row[1:]) for row in rows if row[1] is not None])


def to_serialized_page(rows: Sequence[Row]) -> SerializedPage | None:
    """The page of rows of ``statements.rendered_users``."""
    if not rows:
        return None
    return SerializedPage(rows[0][0], [text for _, text in rows])


def to_members(rows: Sequence[Row]) -> list[Member]:
    """The members in rows of ``statements.MEMBERS``."""
    return [Member(*row) for row in rows]


def to_serialized_members(rows: Sequence[Row]) -> SerializedMembers | None:
    """The page in the row of ``statements.rendered_members``."""
    [(last, count, text)] = rows
    return SerializedMembers(last, count, text) if count else None


def to_groups_by_member(rows: Sequence[Row]) -> dict[int, list[GroupReference]]:
    """The groups in rows of ``statements.groups_of``."""
    groups: dict[int, list[GroupReference]] = {}
    for member, identity, doc in rows:
        groups.setdefault(member, []).append(GroupReference(identity, json.loads(doc)["displayName"]))
    return groups


UNSET_SETTINGS: Final = "{}"
"""Stored for a tenant whose settings nobody has set: a connection made it that only reads. Read as the defaults."""


@functools.lru_cache(maxsize=1024)
def parse_settings(text: str) -> TenantSettings:
    """The settings stored for a tenant; what a newer release added is ignored."""
    return TenantSettings.model_validate_json(text)


def settings_text(settings: TenantSettings) -> str:
    """The form in which settings are stored: as given."""
    return settings.model_dump_json(by_alias=True)


def settings_hash(settings: TenantSettings) -> str:
    """SHA-256 of the settings' canonical JSON; the order of custom fields means nothing."""
    canonical = json.dumps(comparable_settings(settings), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def comparable_settings(settings: TenantSettings) -> dict[str, object]:
    """Settings by their names in the API (camelCase), such that equal ones compare equal."""
    fields: dict[str, object] = settings.model_dump(mode="json", by_alias=True)
    fields["customFields"] = sorted(
        (field.model_dump(mode="json", by_alias=True) for field in settings.custom_fields),
        key=lambda field: str(field["name"]),
    )
    return fields


def check_version(version: int, expected: int | None) -> None:
    """Raises ``VersionMismatch`` when a version was expected and it is another."""
    if expected is not None and version != expected:
        raise VersionMismatch(f"the resource is at version {version}, not {expected}")


def conflict_attribute(kind: ResourceKind, settings: str, *, name_is_taken: bool) -> str:
    """The attribute to name in a 409; the name comes first when several are taken."""
    if kind == "Group":
        return "displayName"
    if name_is_taken:
        return "userName"
    return _CONFLICT_ATTRIBUTE[parse_settings(settings).matching]
