"""The full grammar of filters and PATCH paths (RFC 7644 sections 3.4.2.2 and 3.5.2), from scim2-models.

Importing this module takes about a second, because it imports the library; so nothing imports it before
a filter comes that the regular expressions do not know (``parser.warm_up`` does it ahead of time).
"""

import re
from typing import Final, cast

from scim2_models import Path, ScimFilter
from scim2_models.exceptions import SCIMException
from scim2_models.path import (
    AttrPath,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    Not,
    Present,
    ValuePath,
)

from scim_api.core import predicate
from scim_api.core.errors import invalid_filter, invalid_path, quoted
from scim_api.core.filter import resolver
from scim_api.core.json_numbers import Number, is_exact
from scim_api.core.limits import MAX_FILTER_DEPTH, MAX_FILTER_TERMS, MAX_PATH_TERMS, MAX_QUOTED
from scim_api.core.predicate import Predicate
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import AttributeTable
from scim_api.core.types import Equalities, Operand

_STRING_OR_FRACTION: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?<![\w.:-])(-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+))'
)


def read_filter(table: AttributeTable, text: str) -> Predicate:
    """Parse and resolve a filter.

    Raises:
        ScimError: 400 invalidFilter.
    """
    try:
        tree = ScimFilter(text).ast
    except (SCIMException, ValueError) as error:
        raise invalid_filter(f"The filter cannot be read: {_reason(error)}.") from None
    _refuse_inexact(text)
    return _Resolver(table).visit(tree)


def read_path(table: AttributeTable, text: str) -> tuple[Attribute, Predicate, Equalities | None, str | None]:
    """Parse and resolve a PATCH path with brackets.

    Returns:
        The attribute before the brackets; what its entries must satisfy; the same as a list of
        equalities, if it is nothing but that; and the sub-attribute's name.

    Raises:
        ScimError: 400 invalidPath or invalidFilter.
    """
    try:
        tree = Path(text).ast
    except (SCIMException, ValueError) as error:
        raise invalid_path(f"The path {quoted(text)} cannot be read: {_reason(error)}.") from None
    _refuse_inexact(text)
    if not isinstance(tree, ValuePath):
        raise invalid_path(
            f'The path {quoted(text)} is none of attribute, attribute.sub and attribute[type eq "work"].sub.'
        )
    attribute = resolver.multi_valued_attribute(table, _name(tree.attr_path))
    predicate = _EntryResolver(attribute, MAX_PATH_TERMS).visit(tree.val_filter)
    return attribute, predicate, _equalities(tree.val_filter), tree.sub_attr


def _equalities(node: FilterNode) -> Equalities | None:
    if isinstance(node, Comparison) and node.op.value == "eq":
        return ((str(node.attr_path), cast("Operand", node.value)),)
    if not isinstance(node, LogicalExpr) or node.op.value != "and":
        return None
    equalities: list[tuple[str, Operand]] = []
    for term in node.terms:
        inner = _equalities(term)
        if inner is None:
            return None
        equalities.extend(inner)
    return tuple(equalities)


def _refuse_inexact(text: str) -> None:
    """Of a fraction with more digits than a double has, the tree knows the double alone."""
    for match in _STRING_OR_FRACTION.finditer(text):
        if match[1] and not is_exact(Number(match[1])):
            raise invalid_filter(
                f"{match[1][:MAX_QUOTED]} has more digits than double precision (15 to 17): compare with fewer."
            )


def _reason(error: Exception) -> str:
    return quoted(str(error)).strip('"').rstrip(".")


def _name(path: AttrPath) -> str:
    return path.attr if path.uri is None else f"{path.uri}:{path.attr}"


class _Bounded(FilterVisitor[Predicate]):
    """Counts terms and depth, since the cost of a filter grows with both."""

    def __init__(self, max_terms: int = MAX_FILTER_TERMS) -> None:
        self._max_terms = max_terms
        self._terms = 0
        self._depth = 0

    def visit(self, node: FilterNode) -> Predicate:
        self._depth += 1
        if self._depth > MAX_FILTER_DEPTH:
            raise invalid_filter(f"The filter nests deeper than {MAX_FILTER_DEPTH} levels; simplify it.")
        try:
            return super().visit(node)
        finally:
            self._depth -= 1

    def count(self) -> None:
        """Note another comparison."""
        self._terms += 1
        if self._terms > self._max_terms:
            raise invalid_filter(f"The filter has more than {self._max_terms} comparisons; split it.")

    def visit_not(self, node: Not) -> Predicate:
        return predicate.Not(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> Predicate:
        terms = tuple(self.visit(term) for term in node.terms)
        return predicate.LogicalExpression("and" if node.op.value == "and" else "or", terms)


class _Resolver(_Bounded):
    """Resolves a filter on a resource."""

    def __init__(self, table: AttributeTable) -> None:
        super().__init__()
        self._table = table

    def visit_comparison(self, node: Comparison) -> Predicate:
        self.count()
        path = node.attr_path
        name, sub = _split(self._table, path)
        return resolver.comparison(self._table, name, sub, node.op.value, cast("Operand", node.value))

    def visit_present(self, node: Present) -> Predicate:
        self.count()
        name, sub = _split(self._table, node.attr_path)
        return resolver.presence(self._table, name, sub)

    def visit_value_path(self, node: ValuePath) -> Predicate:
        self.count()
        attribute = resolver.multi_valued_attribute(self._table, _name(node.attr_path))
        inner = _EntryResolver(attribute)
        inner._terms = self._terms  # noqa: SLF001  (one budget for the whole filter)
        term = inner.visit(node.val_filter)
        self._terms = inner._terms  # noqa: SLF001
        attribute_path = predicate.AttributePath(
            resolver.normal_form_path(attribute), attribute.type, multi_valued=True
        )
        return predicate.ValuePath(attribute_path, term)


def _split(table: AttributeTable, path: AttrPath) -> tuple[str, str | None]:
    name = _name(path)
    return (name, path.sub_attr) if table.find(name) else (str(path), None)


class _EntryResolver(_Bounded):
    """Resolves what stands between brackets, on an entry of a multi-valued attribute."""

    def __init__(self, attribute: Attribute, max_terms: int = MAX_FILTER_TERMS) -> None:
        super().__init__(max_terms)
        self._field = attribute

    def visit_comparison(self, node: Comparison) -> Predicate:
        self.count()
        return resolver.entry_comparison(
            self._field, str(node.attr_path), node.op.value, cast("Operand", node.value)
        )

    def visit_present(self, node: Present) -> Predicate:
        self.count()
        return resolver.entry_presence(self._field, str(node.attr_path))

    def visit_value_path(self, node: ValuePath) -> Predicate:
        raise invalid_filter(f"{quoted(str(node))}: brackets cannot stand inside brackets.")
