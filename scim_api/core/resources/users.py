"""Users: what a body must have, and what becomes of it.

A user needs a userName (400 without, or with nothing but white space) and, since Entra finds users by it
again, the attribute that the tenant matches on: without it POST and PUT answer 422, which Entra logs as
UnprocessableEntry. A PATCH that would clear either is refused with 400 mutability (RFC 7644 section 3.5.2.2).

``active`` is true when a new user does not say; a PUT that does not mention it leaves it as it was, and so
does a PATCH that clears it, so that nobody is enabled by omission. User has no immutable attributes.

A custom field that is no longer declared keeps its stored value: no client can name it any more, so no
client's PUT or PATCH clears it, and it is there when the field is declared again.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from scim_api.contract.admin import Matching
from scim_api.contract.urns import CUSTOM_USER
from scim_api.core.errors import invalid_value, unprocessable
from scim_api.core.json_numbers import loads
from scim_api.core.model import Resource, ResourceChange, ResourceWrite
from scim_api.core.resources.body import (
    check_primaries,
    index_key,
    is_missing,
    is_same_body,
    read_body,
    serialize_body,
    with_schemas,
)
from scim_api.core.resources.changes import user_changes
from scim_api.core.schema.tenant_schema import TenantSchema
from scim_api.core.types import Json
from scim_api.core.values.comparison import comparison_key
from scim_api.core.values.normal_form import normal_form_text

WORK_EMAIL = 'emails[type eq "work"].value'


def create_user(tenant_schema: TenantSchema, body: dict[str, Json]) -> ResourceWrite:
    """Check and normalise the body of a POST.

    Raises:
        ScimError: 400 for a value that does not fit, 422 when the matching attribute is missing.
    """
    doc = read_body(tenant_schema.user, body)
    doc.setdefault("active", True)
    return _prepare_complete(tenant_schema, doc)


def replace_user(tenant_schema: TenantSchema, current: Resource, body: dict[str, Json]) -> ResourceWrite:
    """Check and normalise the body of a PUT; read-only attributes in it are ignored.

    Returns:
        What to store; marked as ``same_body`` when that is stored already, as authentik sends everybody at
        every sync.

    Raises:
        ScimError: as for ``create_user``.
    """
    doc, before = read_body(tenant_schema.user, body), loads(current.doc)
    if "active" not in doc:
        doc["active"] = before.get("active", True)
    unseen = _undeclared_custom_values(tenant_schema, before)
    if unseen:
        doc[CUSTOM_USER] = {**unseen, **doc.get(CUSTOM_USER, {})}
    before.pop("schemas", None)
    if is_same_body(doc, before):
        return dataclasses.replace(_prepare_complete(tenant_schema, before), same_body=True)
    return _prepare_complete(tenant_schema, doc, user_changes(before, doc))


def prepare_user(
    tenant_schema: TenantSchema, doc: dict[str, Json], changes: tuple[ResourceChange, ...] = ()
) -> ResourceWrite:
    """What to store of a user that is complete: body, normal form and index keys.

    Args:
        tenant_schema: the tenant's.
        doc: attributes under their names, without ``schemas``, ``id`` and ``meta``.
        changes: what the log is to say, see ``ResourceWrite``.

    Raises:
        ScimError: 400 for an indexed value that is too long, 413 for a resource that is too large.
    """
    doc = with_schemas(tenant_schema.user, doc)
    text = serialize_body(doc)
    name = index_key("userName", doc["userName"], case_exact=False)
    external = doc.get("externalId")
    if external is not None:
        external = index_key("externalId", external, case_exact=True)
    emails = work_emails(doc)
    email_keys = tuple(dict.fromkeys(emails))
    match tenant_schema.matching:
        case Matching.WORK_EMAIL:
            match_key = emails[0] if emails else None
        case Matching.USER_NAME:
            match_key = name
        case Matching.EXTERNAL_ID:
            match_key = external
    return ResourceWrite(
        doc=text,
        normal_form=normal_form_text(tenant_schema.user, doc),
        match_key=match_key,
        name_key=name,
        external_key=external,
        email_keys=email_keys,
        unique_email_keys=email_keys if tenant_schema.matching is Matching.WORK_EMAIL else (),
        changes=changes,
    )


def work_emails(doc: Mapping[str, Json]) -> list[str]:
    """The normalized values of all work e-mails, the primary one first."""
    keys: list[str] = []
    for entry in doc.get("emails", ()):
        value = entry.get("value")
        if value is not None and comparison_key(entry.get("type", ""), case_exact=False) == "work":
            key = index_key(WORK_EMAIL, value, case_exact=False)
            keys.insert(0 if entry.get("primary") else len(keys), key)
    return keys


def missing_required(
    tenant_schema: TenantSchema, doc: dict[str, Json], stored: Mapping[str, Json] = MappingProxyType({})
) -> tuple[str, str] | None:
    """The required attribute that a user lacks, and why it is required; None when all are there.

    Args:
        tenant_schema: the tenant's.
        doc: of the user.
        stored: the user as stored, for a PATCH: what it has now may stay.
    """
    if is_missing(doc.get("userName"), stored.get("userName")):
        return "userName", "every user needs one"
    if tenant_schema.matching is Matching.WORK_EMAIL:
        emails = work_emails(doc)
        if all(map(is_missing, emails)) and (not emails or emails != work_emails(stored)):
            return WORK_EMAIL, "this tenant matches users by their work e-mail"
    if tenant_schema.matching is Matching.EXTERNAL_ID and is_missing(
        doc.get("externalId"), stored.get("externalId")
    ):
        return "externalId", "this tenant matches users by it"
    return None


def _undeclared_custom_values(tenant_schema: TenantSchema, doc: dict[str, Json]) -> dict[str, Json]:
    """Stored custom values whose fields are not declared any more."""
    declared = tenant_schema.user.names[CUSTOM_USER].sub_attributes_by_name
    stored: dict[str, Json] = doc.get(CUSTOM_USER, {})
    return {name: value for name, value in stored.items() if name.lower() not in declared}


def _prepare_complete(
    tenant_schema: TenantSchema, doc: dict[str, Json], changes: tuple[ResourceChange, ...] = ()
) -> ResourceWrite:
    check_primaries(tenant_schema.user, doc)
    lacks = missing_required(tenant_schema, doc)
    if lacks is not None:
        name, reason = lacks
        raise (invalid_value if name == "userName" else unprocessable)(
            f"{name} is missing or empty, and {reason}. Fill the source attribute in Entra ID, or map"
            f" another one to {name}."
        )
    return prepare_user(tenant_schema, doc, changes)
