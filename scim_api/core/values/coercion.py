"""Reading a client's value for an attribute: checked against its type, otherwise left as sent.

What changes on the way in, and nothing else:

* ``null``, ``""``, ``[]`` and ``{}`` mean "no value", at every level (RFC 7643 section 2.5, and Entra).
* Booleans sent as the strings ``"True"``/``"False"`` in any case become JSON booleans; integers and
  decimals of custom fields sent as strings become JSON numbers.
* A manager (string, ``{value}``, ``{$ref}`` or one such object in an array) becomes ``{"value": id}``.

Noise that is accepted and not kept; everything else is stored or refused:

* unknown attributes of a POST or PUT body and unknown sub-attributes of any complex value, except fields
  under the CustomExtensionName URN, which are refused when they are not declared;
* read-only attributes in bodies and value objects: ``id``, ``meta``, ``groups``, ``manager.displayName``;
* ``manager.$ref`` beside ``manager.value``: answers compute it (``core.messages.serialization``);
* ``schemas``, which is computed from what is present, and ``password``, which is never stored;
* ``display``, ``type`` and ``$ref`` beside the ``value`` of a group's member (``core.resources.members``);
* a manager in a PATCH that has neither ``value`` nor ``$ref``;
* entries of a multi-valued attribute that have nothing but ``type`` and ``primary``;
* the ``value`` of a PATCH Remove on an attribute that holds a single value.
"""

import math
import re
from collections.abc import Callable

from scim_api.core.errors import ScimError, described, invalid_value, quoted
from scim_api.core.json_numbers import (
    MAX_INTEGER,
    MIN_INTEGER,
    Number,
    is_exact,
    read_fraction,
    read_integer,
)
from scim_api.core.limits import MAX_VALUES
from scim_api.core.schema.attributes import Attribute
from scim_api.core.types import AttributeType, Json
from scim_api.core.values.comparison import to_microseconds

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_DECIMAL = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]{1,60})(?P<rest>(\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?)", re.ASCII
)
_VALUELESS = frozenset({"type", "primary"})
_REFERRING = frozenset({"value", "$ref"})


def coerce_value(attribute: Attribute, value: Json) -> Json:
    """A value for the attribute; None when there is none.

    Raises:
        ScimError: 400 invalidValue, naming the attribute and what it takes.
    """
    if value is None or value == "":
        return None
    if not attribute.multi_valued:
        return _COERCIONS[attribute.type](attribute, value)
    if not isinstance(value, list):
        raise type_mismatch(attribute, value, "an array of values")
    entries = [entry for item in value if (entry := coerce_entry(attribute, item)) is not None]
    if len(entries) > MAX_VALUES:
        raise invalid_value(
            f"{attribute.path} has {len(entries)} values; at most {MAX_VALUES} are kept. Send fewer."
        )
    return entries or None


def coerce_entry(attribute: Attribute, value: Json) -> Json:
    """One value of a multi-valued attribute; None when it is empty or has nothing but its type."""
    if value is None or value == "":
        return None
    entry = _COERCIONS[attribute.type](attribute, value)
    return None if is_empty_entry(entry) else entry


def is_empty_entry(entry: Json) -> bool:
    """Whether an entry says what it would be for, but has no value."""
    return isinstance(entry, dict) and entry.keys() <= _VALUELESS


def coerce_object(attribute: Attribute, value: Json) -> dict[str, Json] | None:
    """The sub-attributes of a complex value, under their names as the schema spells them."""
    if attribute.is_reference:
        return coerce_reference(attribute, value)
    if not isinstance(value, dict):
        raise type_mismatch(attribute, value, "a JSON object with sub-attributes")
    result: dict[str, Json] = {}
    sub_attributes = attribute.sub_attributes_by_name
    for key, item in value.items():
        sub = sub_attributes.get(key) or sub_attributes.get(key.lower())
        if sub is None or sub.mutability == "readOnly":
            continue
        read = coerce_value(sub, item)
        if read is not None:
            if sub.name in result:
                raise duplicate_attribute(sub)
            result[sub.name] = read
    return result or None


def coerce_reference(attribute: Attribute, value: Json) -> dict[str, Json] | None:
    """An id in any of the shapes that Entra sends: a string, an object, or an array of one object."""
    if isinstance(value, list):
        if len(value) > 1:
            raise type_mismatch(attribute, value, "one id, not several")
        value = value[0] if value else None
    if isinstance(value, dict):
        value = _referenced_id(attribute, value)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise type_mismatch(attribute, value, "the id of a user, as a string")
    return {"value": value}


def names_reference(value: dict[str, Json]) -> bool:
    """Whether an object says which resource it means, or that it means none."""
    return any(key.lower() in _REFERRING for key in value)


def _referenced_id(attribute: Attribute, value: dict[str, Json]) -> Json:
    names = {key.lower(): item for key, item in value.items()}
    if names.get("value") not in (None, ""):
        return names["value"]
    reference = names.get("$ref")
    if not isinstance(reference, str) or not reference:
        return reference
    identity = reference.rstrip("/").rpartition("/")[2]
    if not identity:
        raise type_mismatch(attribute, reference, "in $ref an address that ends with an id")
    return identity


def duplicate_attribute(attribute: Attribute) -> ScimError:
    """The same attribute came twice, under names that differ in case or form only."""
    return invalid_value(f"{attribute.path} is sent twice, under two spellings of its name; send it once.")


def type_mismatch(attribute: Attribute, value: Json, expected: str) -> ScimError:
    """The value does not fit the attribute; ``expected`` says what does."""
    return invalid_value(
        f"{attribute.path} takes {expected}, but {described(value)} was sent. Correct its attribute mapping."
    )


def _string(attribute: Attribute, value: Json) -> str:
    if isinstance(value, str):
        return value
    raise type_mismatch(attribute, value, "a string")


def _boolean(attribute: Attribute, value: Json) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        lower = value.lower()
        if lower in {"true", "false"}:
            return lower == "true"
    raise type_mismatch(attribute, value, "true or false")


def _integer(attribute: Attribute, value: Json) -> int | float:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    if isinstance(value, Number) and value.text == "-0":
        return value
    raise type_mismatch(attribute, value, "an integer of at most 64 bits")


def _decimal(attribute: Attribute, value: Json) -> int | float:
    if isinstance(value, str) and (match := _DECIMAL.fullmatch(value)):
        value = _read_decimal(match)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(attribute, value)
    raise type_mismatch(attribute, value, "a number")


def _read_decimal(match: re.Match[str]) -> int | float:
    """A number in a string as JSON has it: without a plus sign, and without zeros ahead."""
    sign, whole, rest = match["sign"].replace("+", ""), match["whole"].lstrip("0") or "0", match["rest"]
    return (read_fraction if rest else read_integer)(f"{sign}{whole}{rest}")


def _number(attribute: Attribute, value: float) -> int | float:
    """A number that is kept and compared without loss, on both databases. Raises 400 for any other."""
    if isinstance(value, int):
        if MIN_INTEGER <= value <= MAX_INTEGER:
            return value
        value = Number(str(value))
    if is_exact(value):
        return value
    problem = (
        f"of which only {quoted(float(value))} could be compared"
        if math.isfinite(value)
        else "which is too large"
    )
    raise invalid_value(
        f"{attribute.path} takes integers of 64 bits and numbers of double precision (15 to 17 digits), but"
        f" {quoted(value)} was sent, {problem}. Send fewer digits, or declare the field as a String."
    )


def _date_time(attribute: Attribute, value: Json) -> str:
    if isinstance(value, str) and to_microseconds(value) is not None:
        return value
    raise type_mismatch(attribute, value, "a date and time such as 2026-01-23T04:56:22Z")


def _any(attribute: Attribute, value: Json) -> Json:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        return _number(attribute, value)
    raise type_mismatch(attribute, value, "a single string, number or boolean")


_COERCIONS: dict[AttributeType, Callable[[Attribute, Json], Json]] = {
    "string": _string,
    "reference": _string,
    "binary": _string,
    "boolean": _boolean,
    "integer": _integer,
    "decimal": _decimal,
    "dateTime": _date_time,
    "any": _any,
    "complex": coerce_object,
}


def coerce_scalar(attribute: Attribute, value: Json) -> Json:
    """One plain value, as a filter compares it: neither arrays nor "no value" have a meaning here.

    Raises:
        ScimError: 400 invalidValue.
    """
    return _COERCIONS[attribute.type](attribute, value)
