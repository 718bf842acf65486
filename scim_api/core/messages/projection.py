"""Which attributes an answer holds: ``attributes`` and ``excludedAttributes`` (RFC 7644 section 3.9).

Attributes that are returned always are there whatever was asked for, those returned never are not, and
those returned on request only when they are named. Unknown names are ignored.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from scim_api.core.errors import invalid_value
from scim_api.core.json_numbers import dumps, loads
from scim_api.core.limits import MAX_ATTRIBUTE_NAMES
from scim_api.core.schema.tenant_schema import AttributeTable

_CACHED = 512
Tree = Mapping[str, "Tree | None"]
"""Names in a document; below each the names in its value, or None for all of it."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """What to keep of the documents of one resource type."""

    kept: Tree | None
    """Of ``attributes``, with what is returned always; None where attributes are excluded instead."""
    dropped: Tree
    """Of ``excludedAttributes``, without what is returned always."""
    on_request: frozenset[str]
    """Attributes that are there only when they are named."""
    stored_apart: frozenset[str]
    """Attributes that are no part of a stored body."""

    def wants(self, name: str) -> bool:
        """Whether an attribute that has to be fetched is worth it.

        Args:
            name: a core attribute as spelt, such as ``members``.
        """
        if self.kept is not None:
            return name in self.kept
        return name not in self.on_request and self.dropped.get(name, self.dropped) is not None

    def apply(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document with the attributes that were asked for; what becomes empty is left out."""
        return _without(document, self.dropped) if self.kept is None else _only(document, self.kept)

    def apply_text(self, text: str) -> str:
        """The same for JSON text."""
        if self.kept is None and self.dropped.keys() <= self.stored_apart:
            return text
        return dumps(self.apply(loads(text))).decode()


def projection(table: AttributeTable, attributes: str | None, excluded: str | None) -> Projection | None:
    """What a request wants of each resource; None for everything that is returned by default.

    Args:
        table: of the resource type.
        attributes: names to return, separated by commas; empty counts as absent.
        excluded: names to leave out, separated by commas; empty counts as absent.

    Raises:
        ScimError: 400 invalidValue when both are given, or when they are too long.
    """
    if not attributes and not excluded:
        return None
    if attributes and excluded:
        raise invalid_value(
            "attributes and excludedAttributes exclude each other: send one of them, not both."
        )
    if len(attributes or excluded or "") > MAX_ATTRIBUTE_NAMES:
        raise invalid_value(
            f"attributes and excludedAttributes may have {MAX_ATTRIBUTE_NAMES} characters: name fewer attributes, or ask"
            " for all by leaving both out."
        )
    return _projection(table, attributes, excluded)


@functools.lru_cache(maxsize=_CACHED)
def _projection(table: AttributeTable, attributes: str | None, excluded: str | None) -> Projection:
    all_attributes = set(table.names.values())
    always = {"schemas": None} | {
        attribute.name: None for attribute in all_attributes if attribute.returned == "always"
    }
    on_request = frozenset(attribute.name for attribute in all_attributes if attribute.returned == "request")
    apart = frozenset(attribute.name for attribute in all_attributes if attribute.is_membership)
    if attributes:
        return Projection({**_tree(table, attributes), **always}, {}, on_request, apart)
    dropped = {name: below for name, below in _tree(table, excluded or "").items() if name not in always}
    return Projection(None, dropped, on_request, apart)


def _tree(table: AttributeTable, names: str) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name in names.split(","):
        path = _path(table, name.strip())
        below: dict[str, Any] | None = tree
        for part in path[:-1]:
            below = None if below is None else below.setdefault(part, {})
        if path and below is not None:
            below[path[-1]] = None
    return tree


def _path(table: AttributeTable, name: str) -> tuple[str, ...]:
    """The place that a name means, such as ``(urn, "department")``; () for none, or one returned never."""
    attribute, sub = table.find(name), None
    if attribute is None:
        head, _, tail = name.rpartition(".")
        attribute = table.find(head)
        sub = None if attribute is None else attribute.sub_attributes_by_name.get(tail.lower())
        if attribute is None or sub is None or attribute.is_extension:
            return ()
    if "never" in {attribute.returned, sub.returned if sub else ""}:
        return ()
    return (*(part for part in (attribute.urn, attribute.name) if part), *((sub.name,) if sub else ()))


def _only(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in document.items():
        if name in tree:
            below = tree[name]
            kept = value if below is None else _each(value, below, _only)
            if below is None or kept:
                result[name] = kept
    return result


def _without(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in document.items():
        if name not in tree:
            result[name] = value
            continue
        below = tree[name]
        kept = None if below is None else _each(value, below, _without)
        if kept:
            result[name] = kept
    return result


def _each(value: Any, below: Tree, change: Any) -> Any:
    """A change of a complex value, or of every entry of a multi-valued one; empty entries vanish."""
    if isinstance(value, list):
        return [kept for item in value if (kept := change(item, below) if isinstance(item, dict) else item)]
    return change(value, below) if isinstance(value, dict) else value
