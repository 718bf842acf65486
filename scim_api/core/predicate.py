"""Filters after their names were resolved: what to compare, in the normal form, and nothing to look up.

``store.sql.filter_compiler`` turns a predicate into SQL; ``matches`` evaluates it in Python, for the filters in PATCH
paths. Semantics are those of scim2-models' ``ScimFilter.match``: on a multi-valued attribute a
comparison holds when any value holds, ``ne`` when none is equal; an absent value is only ``eq null``
or ``ne`` something.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from scim_api.core.types import AttributeType, Column, Operand, Operator


@dataclasses.dataclass(frozen=True, slots=True)
class AttributePath:
    """A place in the normal form, or a column of the resource."""

    path: tuple[str, ...]
    """Keys from the root; from the entry inside ``Entries``, where () is an entry that is a plain value."""
    type: AttributeType
    multi_valued: bool = False
    sub_attribute: str | None = None
    """Of a multi-valued complex attribute: the sub-attribute that is meant."""
    column: Column | None = None
    """Set for what is not part of the body; ``path`` is then empty."""


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """``attribute op operand``; the operand is in the normal form, None for null."""

    attribute: AttributePath
    op: Operator
    operand: Operand


@dataclasses.dataclass(frozen=True, slots=True)
class Present:
    """``attribute pr``."""

    attribute: AttributePath


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """``not (term)``."""

    term: "Predicate"


@dataclasses.dataclass(frozen=True, slots=True)
class LogicalExpression:
    """``term and term`` or ``term or term``, two or more."""

    op: Literal["and", "or"]
    terms: tuple["Predicate", ...]


@dataclasses.dataclass(frozen=True, slots=True)
class ValuePath:
    """``attribute[term]``: an entry of the multi-valued attribute satisfies the term."""

    attribute: AttributePath
    term: "Predicate"


@dataclasses.dataclass(frozen=True, slots=True)
class Constant:
    """What does not depend on the resource, such as a comparison of ``meta.resourceType``."""

    holds: bool


Predicate = Comparison | Present | Not | LogicalExpression | ValuePath | Constant


def matches(predicate: Predicate, form: Any, columns: Mapping[str, str] | None = None) -> bool:
    """Whether a resource, or an entry of a multi-valued attribute, satisfies the predicate.

    Args:
        predicate: the resolved filter.
        form: the normal form (see ``core.values.normal_form``); for an entry that is a plain value, the value.
        columns: ``id``, ``created``, ``modified`` and ``kind``, where the predicate may name them.
    """
    match predicate:
        case Comparison(attribute, op, operand):
            return _matches_comparison(attribute, op, operand, form, columns or {})
        case Present(attribute):
            return any(v is not None for v in _values(attribute, form, columns or {}))
        case Not(term):
            return not matches(term, form, columns)
        case LogicalExpression("and", terms):
            return all(matches(term, form, columns) for term in terms)
        case LogicalExpression(_, terms):
            return any(matches(term, form, columns) for term in terms)
        case ValuePath(attribute, term):
            return any(matches(term, entry, columns) for entry in _at(attribute.path, form) or ())
        case Constant(holds):
            return holds


def _matches_comparison(
    attribute: AttributePath, op: Operator, operand: Operand, form: Any, columns: Mapping[str, str]
) -> bool:
    values = list(_values(attribute, form, columns)) or [None]
    if op == "ne":
        return not any(compare("eq", value, operand) for value in values)
    return any(compare(op, value, operand) for value in values)


def _values(attribute: AttributePath, form: Any, columns: Mapping[str, str]) -> Iterable[Any]:
    if attribute.column is not None:
        return (columns.get(attribute.column),)
    value = _at(attribute.path, form)
    if not attribute.multi_valued:
        return (value,)
    if attribute.sub_attribute is None:
        return value or ()
    return (entry.get(attribute.sub_attribute) for entry in value or ())


def _at(path: tuple[str, ...], form: Any) -> Any:
    for key in path:
        form = form.get(key) if isinstance(form, dict) else None
    return form


def compare(op: Operator, value: Any, operand: Operand) -> bool:
    """One comparison of one value; values of different kinds are never equal and have no order."""
    if value is None or operand is None:
        return (value is None) == (operand is None) if op == "eq" else False
    if _kind(value) != _kind(operand):
        return False
    match op:
        case "eq":
            return bool(value == operand)
        case "ne":
            return bool(value != operand)
        case "co":
            return operand in value
        case "sw":
            return bool(value.startswith(operand))
        case "ew":
            return bool(value.endswith(operand))
        case "gt":
            return bool(value > operand)
        case "ge":
            return bool(value >= operand)
        case "lt":
            return bool(value < operand)
        case "le":
            return bool(value <= operand)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number" if isinstance(value, int | float) else "other"
