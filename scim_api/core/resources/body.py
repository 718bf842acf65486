"""What the bodies of all resource types have in common: reading them, and what is computed from them."""

from collections.abc import Sequence
from typing import Any

from scim_api.contract.urns import CUSTOM_USER
from scim_api.core.errors import ScimError, described, invalid_syntax, invalid_value, quoted, too_large
from scim_api.core.json_numbers import dumps
from scim_api.core.limits import MAX_BODY, MAX_INDEX_KEY
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import AttributeTable
from scim_api.core.types import Json
from scim_api.core.values.coercion import coerce_value, duplicate_attribute
from scim_api.core.values.comparison import comparison_key

_CUSTOM = CUSTOM_USER.lower()


def read_body(table: AttributeTable, body: dict[str, Json]) -> dict[str, Json]:
    """The attributes of a POST or PUT body under their names, checked; memberships are left out.

    Raises:
        ScimError: 400 for a value that does not fit, or a custom field that is not declared.
    """
    _check_schemas(table, body)
    doc: dict[str, Json] = {}
    names = table.names
    for name, value in body.items():
        attribute = names.get(name) or names.get(name.lower())
        if attribute is None:
            _refuse_undeclared(name)
        elif attribute.mutability != "readWrite" or attribute.is_membership:
            continue
        elif attribute.is_extension:
            _read_extension(doc, attribute, value)
        else:
            _put(doc, attribute, coerce_value(attribute, value))
    return doc


def with_schemas(table: AttributeTable, doc: dict[str, Json]) -> dict[str, Json]:
    """The body to store: ``schemas`` first, computed from what is present."""
    return {"schemas": [table.urn, *(e.name for e in table.extensions if e.name in doc)], **doc}


def serialize_body(doc: dict[str, Json]) -> str:
    """The stored text of a body. Raises 413 when it is too large."""
    text = dumps(doc)
    if len(text) > MAX_BODY:
        raise too_large(f"The resource would have {len(text)} bytes; at most {MAX_BODY} are kept. Send less.")
    return text.decode()


def is_missing(value: str | None, stored: str | None = None) -> bool:
    """Whether a required value is absent, or nothing but white space (Unicode's).

    Args:
        value: as it would be stored.
        stored: what is stored now: what was let in once is no reason to refuse another change.
    """
    return value is None or (value != stored and (not value or value.isspace()))


def is_same_body(one: dict[str, Json], other: dict[str, Json]) -> bool:
    """Whether two bodies say the same; the order of names says nothing, and true is not 1."""
    return one == other and dumps(one, sort_keys=True) == dumps(other, sort_keys=True)


def index_key(name: str, value: str, *, case_exact: bool) -> str:
    """The normal form of an indexed value. Raises 400 when an index cannot hold it."""
    key = comparison_key(value, case_exact=case_exact)
    if len(key) * 4 > MAX_INDEX_KEY and len(key.encode()) > MAX_INDEX_KEY:
        raise invalid_value(
            f"{name} is {len(key.encode())} bytes long; it is indexed, so at most {MAX_INDEX_KEY} bytes are"
            " possible. Shorten it."
        )
    return key


def undeclared_custom_field(name: str) -> str:
    """The sentence about a custom field that the tenant does not have."""
    return (
        f"The custom field {quoted(name)} is not declared for this tenant. Add {{name: {name[:64]}, type: Any}}"
        " to spec.customFields of the ScimToken, or remove its attribute mapping."
    )


def count_primaries(entries: Sequence[Any]) -> int:
    """How many entries of a multi-valued attribute say that they are the preferred one."""
    return sum(1 for entry in entries if isinstance(entry, dict) and entry.get("primary") is True)


def duplicate_primary(attribute: Attribute) -> ScimError:
    """RFC 7643 section 2.4: the primary value is true at most once."""
    return invalid_value(f"{attribute.path} has more than one entry with primary true; mark at most one.")


def check_primaries(table: AttributeTable, doc: dict[str, Json]) -> None:
    """Raises 400 when an attribute has two preferred values."""
    for name, value in doc.items():
        if isinstance(value, list) and count_primaries(value) > 1:
            raise duplicate_primary(table.names[name])


def _check_schemas(table: AttributeTable, body: dict[str, Json]) -> None:
    """Only the shape: undeclared URNs are tolerated, and what is stored is computed."""
    schemas = body.get("schemas")
    if schemas is not None and not isinstance(schemas, list):
        raise invalid_syntax(
            f'schemas must be an array of URNs, such as ["{table.urn}"], but {described(schemas)} was sent.'
        )


def _refuse_undeclared(name: str) -> None:
    """Unknown attributes are noise, except custom fields: the admin should see that one is missing."""
    if name.lower().startswith(f"{_CUSTOM}:"):
        raise invalid_value(undeclared_custom_field(name[len(_CUSTOM) + 1 :]))


def _read_extension(doc: dict[str, Json], container: Attribute, value: Json) -> None:
    if value is None or value == "":
        return
    if not isinstance(value, dict):
        raise invalid_value(
            f"{container.name} takes a JSON object with the attributes of that schema, but {described(value)} was sent."
        )
    for name, item in value.items():
        attribute = container.sub_attributes_by_name.get(name) or container.sub_attributes_by_name.get(
            name.lower()
        )
        if attribute is not None:
            _put(doc, attribute, coerce_value(attribute, item))
        elif container.name == CUSTOM_USER:
            raise invalid_value(undeclared_custom_field(name))


def _put(doc: dict[str, Json], attribute: Attribute, value: Json) -> None:
    if value is None:
        return
    holder = doc if attribute.urn is None else doc.setdefault(attribute.urn, {})
    if attribute.name in holder:
        raise duplicate_attribute(attribute)
    holder[attribute.name] = value
