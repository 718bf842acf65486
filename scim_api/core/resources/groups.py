"""Groups: what a body must have, and what becomes of it and of the members it names.

Members are rows of their own, so a stored group holds everything but them; what a request wants of the
members leaves here as ``MemberChange`` steps that the store takes in the group's own transaction. A
member is named by the id of a user or group of the same tenant, and nothing else of it is kept: its type
is known, and ``$ref`` follows from the id. A group cannot contain itself; larger circles are not looked
for, since nothing here ever walks them (only direct members are published).
"""

import dataclasses

import orjson

from scim_api.core.errors import invalid_value, quoted
from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.core.resources.body import (
    index_key,
    is_missing,
    is_same_body,
    read_body,
    serialize_body,
    with_schemas,
)
from scim_api.core.resources.changes import group_changes
from scim_api.core.resources.members import read_members
from scim_api.core.schema.tenant_schema import TenantSchema
from scim_api.core.types import Json
from scim_api.core.values.normal_form import normal_form_text

_NAMELESS = "displayName is missing or empty, and every group needs one"


def create_group(tenant_schema: TenantSchema, body: dict[str, Json]) -> ResourceWrite:
    """Check and normalise the body of a POST.

    Raises:
        ScimError: 400 for a value that does not fit, or a missing displayName.
    """
    ids = _member_ids(tenant_schema, body)
    return _prepare_complete(tenant_schema, body, (MemberChange("add", ids),) if ids else ())


def replace_group(tenant_schema: TenantSchema, current: Resource, body: dict[str, Json]) -> ResourceWrite:
    """Check and normalise the body of a PUT: members that it does not name leave the group.

    Returns:
        What to store; with the stored body where that says the same, so that nothing is written when the
        members stay as well.

    Raises:
        ScimError: as for ``create_group``.
    """
    ids = _member_ids(tenant_schema, body)
    refuse_self_membership(current, ids)
    write = _prepare_complete(tenant_schema, body, (MemberChange("replace", ids),), current)
    if is_same_body(orjson.loads(write.doc), orjson.loads(current.doc)):
        return dataclasses.replace(write, doc=current.doc)
    return write


def _member_ids(tenant_schema: TenantSchema, body: dict[str, Json]) -> tuple[str, ...]:
    """The ids under the name ``members``, in whatever spelling it came."""
    members = tenant_schema.group.names["members"]
    values = [item for name, item in body.items() if tenant_schema.group.find(name) is members]
    if len(values) > 1:
        raise invalid_value("members is sent twice, under two spellings of its name; send it once.")
    return read_members(values[0]) if values else ()


def refuse_self_membership(current: Resource, ids: tuple[str, ...]) -> None:
    """Raises 400 invalidValue when a group would become its own member."""
    if current.id in ids:
        raise invalid_value(f"members names the group itself ({quoted(current.id)}); leave it out.")


def _prepare_complete(
    tenant_schema: TenantSchema,
    body: dict[str, Json],
    changes: tuple[MemberChange, ...],
    current: Resource | None = None,
) -> ResourceWrite:
    doc = read_body(tenant_schema.group, body)
    if is_missing(doc.get("displayName")):
        raise invalid_value(f"{_NAMELESS}. Fill the source attribute in Entra ID, or map another one to it.")
    return prepare_group(tenant_schema, doc, changes, current)


def prepare_group(
    tenant_schema: TenantSchema,
    doc: dict[str, Json],
    changes: tuple[MemberChange, ...],
    current: Resource | None = None,
) -> ResourceWrite:
    """What to store of a group: body, normal form, index keys, and the changes of its members.

    Args:
        tenant_schema: the tenant's.
        doc: attributes under their names, without ``schemas``, ``id`` and ``meta``.
        changes: of the members.
        current: as it is stored; None: it is new.
    """
    doc = with_schemas(tenant_schema.group, doc)
    external = doc.get("externalId")
    if external is not None:
        external = index_key("externalId", external, case_exact=True)
    return ResourceWrite(
        doc=serialize_body(doc),
        normal_form=normal_form_text(tenant_schema.group, doc),
        match_key=None,
        name_key=index_key("displayName", doc["displayName"], case_exact=False),
        external_key=external,
        members=changes,
        changes=() if current is None else group_changes(orjson.loads(current.doc), doc),
    )
