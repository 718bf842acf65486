"""Filters of a query: Entra's few shapes by regular expression, everything else by the grammar."""

import dataclasses
import json
import re

from scim_api.core.errors import invalid_filter
from scim_api.core.filter import resolver
from scim_api.core.limits import MAX_FILTER
from scim_api.core.model import Lookup
from scim_api.core.predicate import AttributePath, Comparison, LogicalExpression, Predicate, ValuePath
from scim_api.core.schema.tenant_schema import AttributeTable, TenantSchema
from scim_api.core.types import ResourceKind
from scim_api.core.values.comparison import is_storable

_STRING = r'("(?:[^"\\\x00-\x1f]|\\.)*")'
_PLAIN = re.compile(rf"\s*([\w:.-]+)\s+eq\s+{_STRING}\s*", re.IGNORECASE | re.ASCII)
_WORK = re.compile(
    rf'\s*([\w:.-]+)\[\s*type\s+eq\s+"work"\s*\]\.value\s+eq\s+{_STRING}\s*', re.IGNORECASE | re.ASCII
)

_COMMON = {
    AttributePath((), "string", column="id"): Lookup.ID,
    AttributePath(("externalid",), "string"): Lookup.EXTERNAL,
}
_LOOKUPS: dict[ResourceKind | None, dict[AttributePath, Lookup]] = {
    "User": {**_COMMON, AttributePath(("username",), "string"): Lookup.NAME},
    "Group": {**_COMMON, AttributePath(("displayname",), "string"): Lookup.NAME},
    None: {},
}


@dataclasses.dataclass(frozen=True, slots=True)
class IndexedLookup:
    """An equality that an index answers, and what the few resources that have it must satisfy besides."""

    by: Lookup
    key: str
    """The operand in the normal form."""
    rest: Predicate | None = None
    """Such as the second half of Entra's ``id eq "A" and manager eq "B"``."""


def parse_filter(
    tenant_schema: TenantSchema, kind: ResourceKind | None, text: str
) -> IndexedLookup | Predicate:
    """Read the ``filter`` of a query.

    Args:
        tenant_schema: the tenant's.
        kind: the resource type that is searched; None for all of them.
        text: the parameter, already URL-decoded.

    Raises:
        ScimError: 400 invalidFilter for a filter that is too long, nests too deep, has too many terms,
            cannot be read, names an attribute that does not exist, or compares what cannot be compared.
    """
    if len(text) > MAX_FILTER:
        raise invalid_filter(f"The filter has {len(text)} characters; at most {MAX_FILTER} are read.")
    if not is_storable(text):
        raise invalid_filter("The filter contains a NUL character or is not valid UTF-8.")
    table = tenant_schema.all_types if kind is None else tenant_schema.tables[kind]
    predicate = _entra_shape(table, text)
    if predicate is None:
        from scim_api.core.filter.grammar import read_filter

        predicate = read_filter(table, text)
    return _lookup_first(kind, predicate) or predicate


def warm_up() -> None:
    """Import the grammar (about a second), in a thread after the start and not in a request."""
    import scim_api.core.filter.grammar  # noqa: F401


def _entra_shape(table: AttributeTable, text: str) -> Predicate | None:
    """The shapes that Entra sends; None for any other."""
    match = _PLAIN.fullmatch(text)
    if match:
        value = _unescape(match[2])
        if value is not None and table.find(match[1]):
            return resolver.comparison(table, match[1], None, "eq", value)
    match = _WORK.fullmatch(text)
    if match:
        value = _unescape(match[2])
        attribute = table.find(match[1])
        if value is not None and attribute is not None:
            return _work_entry(table, match[1], value)
    return None


def _work_entry(table: AttributeTable, name: str, value: str) -> Predicate:
    attribute = resolver.multi_valued_attribute(table, name)
    terms = (
        resolver.entry_comparison(attribute, "type", "eq", "work"),
        resolver.entry_comparison(attribute, "value", "eq", value),
    )
    return ValuePath(
        AttributePath(resolver.normal_form_path(attribute), attribute.type, multi_valued=True),
        LogicalExpression("and", terms),
    )


def _unescape(literal: str) -> str | None:
    """The string that a JSON literal stands for; None leaves the complaint to the grammar."""
    if "\\" not in literal:
        return literal[1:-1]
    try:
        value = json.loads(literal)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _lookup_first(kind: ResourceKind | None, predicate: Predicate) -> IndexedLookup | None:
    """The look-up that the predicate amounts to, or starts with, if it does."""
    lookup = _as_lookup(kind, predicate)
    if lookup is not None or not isinstance(predicate, LogicalExpression) or predicate.op != "and":
        return lookup
    for position, term in enumerate(predicate.terms):
        lookup = _as_lookup(kind, term)
        if lookup is not None:
            others = predicate.terms[:position] + predicate.terms[position + 1 :]
            rest = others[0] if len(others) == 1 else LogicalExpression("and", others)
            return dataclasses.replace(lookup, rest=rest)
    return None


def _as_lookup(kind: ResourceKind | None, predicate: Predicate) -> IndexedLookup | None:
    match predicate:
        case Comparison(attribute_path, "eq", str(key)) if attribute_path in _LOOKUPS[kind]:
            return IndexedLookup(_LOOKUPS[kind][attribute_path], key)
        case ValuePath() if kind != "User":
            return None
        case ValuePath(
            AttributePath(path=("emails",)),
            LogicalExpression(
                "and",
                (
                    Comparison(AttributePath(path=(first,)), "eq", str(first_key)),
                    Comparison(AttributePath(path=(second,)), "eq", str(second_key)),
                ),
            ),
        ):
            if (first, second, first_key) == ("type", "value", "work"):
                return IndexedLookup(Lookup.WORK_EMAIL, second_key)
            if (first, second, second_key) == ("value", "type", "work"):
                return IndexedLookup(Lookup.WORK_EMAIL, first_key)
    return None
