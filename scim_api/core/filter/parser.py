"""Filters of a query: Entra's few shapes by regular expression, everything else by the grammar."""

import dataclasses
import json
import re

from scim_api.core.errors import invalid_filter
from scim_api.core.filter import resolver
from scim_api.core.limits import MAX_FILTER
from scim_api.core.model import Lookup
from scim_api.core.predicate import Attribute, Compare, Entries, Junction, Predicate
from scim_api.core.schema.tenant_schema import Profile, Table
from scim_api.core.types import ResourceKind
from scim_api.core.values.comparison import storable

_STRING = r'("(?:[^"\\\x00-\x1f]|\\.)*")'
_PLAIN = re.compile(rf"\s*([\w:.-]+)\s+eq\s+{_STRING}\s*", re.IGNORECASE | re.ASCII)
_EMAIL = re.compile(
    rf'\s*([\w:.-]+)\[\s*type\s+eq\s+"work"\s*\]\.value\s+eq\s+{_STRING}\s*', re.IGNORECASE | re.ASCII
)

_COMMON = {
    Attribute((), "string", column="id"): Lookup.ID,
    Attribute(("externalid",), "string"): Lookup.EXTERNAL,
}
_LOOKUPS: dict[ResourceKind | None, dict[Attribute, Lookup]] = {
    "User": {**_COMMON, Attribute(("username",), "string"): Lookup.NAME},
    "Group": {**_COMMON, Attribute(("displayname",), "string"): Lookup.NAME},
    None: {},
}


@dataclasses.dataclass(frozen=True, slots=True)
class Indexed:
    """An equality that an index answers, and what the few resources that have it must satisfy besides."""

    by: Lookup
    key: str
    """The operand in the comparable form."""
    rest: Predicate | None = None
    """Such as the second half of Entra's ``id eq "A" and manager eq "B"``."""


def parse_filter(profile: Profile, kind: ResourceKind | None, text: str) -> Indexed | Predicate:
    """Read the ``filter`` of a query.

    Args:
        profile: the tenant's.
        kind: the resource type that is searched; None for all of them.
        text: the parameter, already URL-decoded.

    Raises:
        ScimError: 400 invalidFilter for a filter that is too long, nests too deep, has too many terms,
            cannot be read, names an attribute that does not exist, or compares what cannot be compared.
    """
    if len(text) > MAX_FILTER:
        raise invalid_filter(f"The filter has {len(text)} characters; at most {MAX_FILTER} are read.")
    if not storable(text):
        raise invalid_filter("The filter contains a NUL character or is not valid UTF-8.")
    table = profile.anything if kind is None else profile.tables[kind]
    predicate = _quick(table, text)
    if predicate is None:
        from scim_api.core.filter.grammar import read_filter

        predicate = read_filter(table, text)
    return _indexed(kind, predicate) or predicate


def warm_up() -> None:
    """Import the grammar (about a second), in a thread after the start and not in a request."""
    import scim_api.core.filter.grammar  # noqa: F401


def _quick(table: Table, text: str) -> Predicate | None:
    """The shapes that Entra sends; None for any other."""
    found = _PLAIN.fullmatch(text)
    if found:
        value = _unescape(found[2])
        if value is not None and table.find(found[1]):
            return resolver.comparison(table, found[1], None, "eq", value)
    found = _EMAIL.fullmatch(text)
    if found:
        value = _unescape(found[2])
        field = table.find(found[1])
        if value is not None and field is not None and field.name == "emails":
            return _work_email(table, found[1], value)
    return None


def _work_email(table: Table, name: str, value: str) -> Predicate:
    field = resolver.entries(table, name)
    terms = (
        resolver.entry_comparison(field, "type", "eq", "work"),
        resolver.entry_comparison(field, "value", "eq", value),
    )
    return Entries(Attribute(resolver.place(field), field.type, multi_valued=True), Junction("and", terms))


def _unescape(literal: str) -> str | None:
    """The string that a JSON literal stands for; None leaves the complaint to the grammar."""
    if "\\" not in literal:
        return literal[1:-1]
    try:
        value = json.loads(literal)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _indexed(kind: ResourceKind | None, predicate: Predicate) -> Indexed | None:
    """The look-up that the predicate amounts to, or starts with, if it does."""
    found = _looked_up(kind, predicate)
    if found is not None or not isinstance(predicate, Junction) or predicate.op != "and":
        return found
    for position, term in enumerate(predicate.terms):
        found = _looked_up(kind, term)
        if found is not None:
            others = predicate.terms[:position] + predicate.terms[position + 1 :]
            rest = others[0] if len(others) == 1 else Junction("and", others)
            return dataclasses.replace(found, rest=rest)
    return None


def _looked_up(kind: ResourceKind | None, predicate: Predicate) -> Indexed | None:
    match predicate:
        case Compare(attribute, "eq", str(key)) if attribute in _LOOKUPS[kind]:
            return Indexed(_LOOKUPS[kind][attribute], key)
        case Entries() if kind != "User":
            return None
        case Entries(
            Attribute(path=("emails",)),
            Junction(
                "and",
                (
                    Compare(Attribute(path=(first,)), "eq", str(one)),
                    Compare(Attribute(path=(second,)), "eq", str(other)),
                ),
            ),
        ):
            if (first, second, one) == ("type", "value", "work"):
                return Indexed(Lookup.WORK_EMAIL, other)
            if (first, second, other) == ("value", "type", "work"):
                return Indexed(Lookup.WORK_EMAIL, one)
    return None
