"""The normal form of a resource: what filters look at, in both databases and in Python.

Attribute names are in lower case, extensions under their URN in lower case. Strings went through
``comparison.comparison_key``, date-times are microseconds since 1970 (UTC), booleans and numbers are
themselves; whole numbers are integers, however they were written. Nothing empty is in it, so that "present"
means "the key is there".

What is stored has the form of its keys beside the attributes, so that keys which a process of an earlier release
wrote are found and rebuilt (``store.sql.key_rebuild``).
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from scim_api.core.json_numbers import comparable
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import AttributeTable
from scim_api.core.values.comparison import comparison_key, to_microseconds

KEY_FORM: Final = 2
"""Which keys are stored: 1 (not written) is NFC and ``str.lower``, 2 is NFC and simple case folding. A change of
``comparison_key`` is a new form, and a migration that makes its triggers anew and has all keys rebuilt."""
KEY_FORM_NAME: Final = "#"
"""Where a stored normal form says it; no attribute has such a name."""

_UNDECLARED = Attribute("", "any", "A custom field that was declared once.")


def normal_form_text(table: AttributeTable, doc: dict[str, Any]) -> str:
    """JSON text of the normal form of a resource, as it is stored.

    Args:
        table: of its resource type.
        doc: the resource as stored, ``schemas`` included, without ``id`` and ``meta``.
    """
    form = normal_form(table, doc)
    form[KEY_FORM_NAME] = KEY_FORM
    return orjson.dumps(form).decode()


def normal_form(table: AttributeTable, doc: Mapping[str, Any]) -> dict[str, Any]:
    """The normal form as Python has it.

    Custom fields that are no longer declared are in it, as what their JSON types say, so that they are
    found again once they are declared anew.
    """
    form: dict[str, Any] = {"schemas": doc.get("schemas", [])}
    names = table.names
    for name, value in doc.items():
        attribute = names.get(name)
        if attribute is None or name == "schemas":
            continue
        key = normal_value(attribute, value)
        if key is not None:
            form[name.lower()] = key
    return form


def normal_value(attribute: Attribute, value: Any) -> Any:
    """The normal form of an attribute's whole value."""
    kind = type(value)  # what the parser made is exactly one of these
    if kind is str:
        if attribute.type == "dateTime":
            return to_microseconds(value)
        return comparison_key(value, case_exact=attribute.case_exact)
    if kind is dict:
        return _normal_object(attribute, value)
    if kind is list:
        return [key for item in value if (key := normal_value(attribute, item)) is not None] or None
    return comparable(value) if isinstance(value, float) else value


def _normal_object(attribute: Attribute, value: Mapping[str, Any]) -> dict[str, Any] | None:
    sub_attributes = attribute.sub_attributes_by_name
    form: dict[str, Any] = {}
    for name, item in value.items():
        sub = sub_attributes.get(name)
        if sub is None:
            if not attribute.is_extension:
                continue
            sub = _UNDECLARED
        if type(item) is str and sub.type != "dateTime":  # most are; the plain way would say the same
            if not item.isascii():
                item = comparison_key(item, case_exact=sub.case_exact)
            elif not sub.case_exact:
                item = item.lower()
            form[name.lower()] = item
        else:
            key = normal_value(sub, item)
            if key is not None:
                form[name.lower()] = key
    return form or None
