"""From a resolved filter to SQL, for both databases.

All comparisons are on the normal form (``r.keys``: JSON text in SQLite, jsonb in PostgreSQL) and on
``r.id``, ``r.created``, ``r.modified``. Both databases give the same sets whatever their locale, because
operands and values went through the same Python function, substrings are never LIKE patterns, and order
is that of code points.

Memberships (``members`` of groups, ``groups`` of users) are rows and no part of ``r.keys``. Asking for one
of them by its id starts at that id's index and ends at the membership's, so that it costs the same in a
group of any size; whatever else is asked of them sees each as the JSON object that the predicates know.

Every expression first asks for the JSON type of the value, so that an old value of another type (a custom
field may be declared anew) is a value that does not match, and never an error.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from scim_api.core.predicate import (
    AttributePath,
    Comparison,
    Constant,
    LogicalExpression,
    Not,
    Predicate,
    Present,
    ValuePath,
)
from scim_api.core.types import Operand, Operator
from scim_api.store.dialect import Dialect

_SYMBOLS = {"eq": "=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


@dataclasses.dataclass(frozen=True, slots=True)
class Where:
    """A compiled filter: SQL of one dialect over the columns of ``resource`` with alias ``r``.

    Parameters are bound, in order; a placeholder is ``?`` in the text for both databases, and the
    PostgreSQL driver numbers them.
    """

    sql: str
    parameters: tuple[str | int | float | bool, ...] = ()


def compile_filter(predicate: Predicate, dialect: Dialect) -> Where:
    """The SQL condition of a filter, over ``resource`` with the alias ``r``.

    Returns:
        A condition that is true or false, never null, and its parameters in order.
    """
    compiler = _Sqlite() if dialect == "sqlite" else _Postgres()
    sql = compiler.condition(predicate)
    return Where(sql, tuple(compiler.parameters))


def compile_sort(attribute: AttributePath, dialect: Dialect) -> tuple[str, ...]:
    """What to sort by for ``sortBy``, first things first, over ``resource`` with the alias ``r``.

    Args:
        attribute: from ``resolver.sorting``.
        dialect: of the store.
    """
    compiler = _Sqlite() if dialect == "sqlite" else _Postgres()
    return compiler.order(attribute)


_MEMBERSHIPS: Final[Mapping[tuple[str, ...], str]] = MappingProxyType(
    {("members",): "Group", ("groups",): "User"}
)
"""Memberships by their place in the normal form, and the kind of resource that has them."""


def _quoted(name: str) -> str:
    return name.replace("'", "''")


class _Compiler:
    """What both dialects share; a subclass says how JSON is reached."""

    placeholder_text = "?"
    placeholder_number = "?"
    order_collation = ""

    def __init__(self) -> None:
        self.parameters: list[str | int | float | bool] = []
        self._root = "r.keys"

    # -- the dialect ----------------------------------------------------------------------------
    def node(self, root: str, path: tuple[str, ...]) -> str:
        """The JSON value at a path, as the dialect passes it on."""
        raise NotImplementedError

    def exists(self, root: str, path: tuple[str, ...]) -> str:
        """Whether something is at the path."""
        raise NotImplementedError

    def text(self, root: str, path: tuple[str, ...]) -> str:
        """The string at the path, null if it is no string."""
        raise NotImplementedError

    def number(self, root: str, path: tuple[str, ...]) -> str:
        """The number at the path, null if it is no number."""
        raise NotImplementedError

    def boolean(self, root: str, path: tuple[str, ...]) -> str:
        """1 or 0 for the boolean at the path, null if it is none."""
        raise NotImplementedError

    def rows(self, root: str, path: tuple[str, ...]) -> str:
        """The entries at the path as rows of a table ``e``."""
        raise NotImplementedError

    position = ""
    """The place of an entry among ``ordered_rows``."""

    def ordered_rows(self, root: str, path: tuple[str, ...]) -> str:
        """As ``rows``, with ``position``."""
        raise NotImplementedError

    def json_object(self, *pairs: tuple[str, str]) -> str:
        """A JSON object of names and SQL expressions."""
        raise NotImplementedError

    def bind_number(self, value: float) -> str | int | float:
        """A number as the driver takes it."""
        raise NotImplementedError

    def substring(self, op: Operator, value: str, operand: str) -> str:
        """``co``, ``sw`` or ``ew``; the operand is not empty."""
        raise NotImplementedError

    # -- the filter -----------------------------------------------------------------------------
    def condition(self, predicate: Predicate) -> str:
        """The condition of one node and of all below it."""
        match predicate:
            case Comparison(attribute, op, operand):
                return self._compare(attribute, op, operand)
            case Present(attribute):
                return self._present(attribute)
            case Not(term):
                return f"(NOT {self.condition(term)})"
            case LogicalExpression(op, terms):
                return "(" + f" {op.upper()} ".join(self.condition(term) for term in terms) + ")"
            case ValuePath(
                AttributePath(path=path), Comparison(AttributePath(path=("value",)), "eq", str(key))
            ) if path in _MEMBERSHIPS:
                return self._has_membership(path, key)
            case ValuePath(attribute, term):
                rows = self._rows(attribute.path)
                outer, self._root = self._root, "e"
                try:
                    return f"EXISTS (SELECT 1 FROM {rows} WHERE {self.condition(term)})"
                finally:
                    self._root = outer
            case Constant(holds):
                return "(1 = 1)" if holds else "(1 = 0)"

    def _compare(self, attribute: AttributePath, op: Operator, operand: Operand) -> str:
        if op == "ne":
            return f"(NOT {self._compare(attribute, 'eq', operand)})"
        if not attribute.multi_valued:
            return self._compare_one(self._root, attribute.path, attribute, op, operand)
        if (
            attribute.path in _MEMBERSHIPS
            and (attribute.sub_attribute, op) == ("value", "eq")
            and isinstance(operand, str)
        ):
            return self._has_membership(attribute.path, operand)
        path = () if attribute.sub_attribute is None else (attribute.sub_attribute,)
        rows = self._rows(attribute.path)
        some = f"EXISTS (SELECT 1 FROM {rows} WHERE {self._compare_one('e', path, attribute, op, operand)})"
        if operand is None and op == "eq":
            return f"(NOT {self._has_entries(attribute.path)} OR {some})"
        return some

    def _rows(self, path: tuple[str, ...]) -> str:
        """The entries of a multi-valued attribute as rows of a table ``e``."""
        if path not in _MEMBERSHIPS:
            return self.rows(self._root, path)
        column, other_column, kind = "container", "member", "lower(x.kind)"
        if path == ("groups",):
            column, other_column, kind = "member", "container", "'direct'"
        entry = self.json_object(("value", "x.id"), ("type", kind))
        return (
            f"(SELECT {entry} AS value FROM membership m JOIN resource x ON x.pk = m.{other_column}"
            f" WHERE m.{column} = r.pk AND r.kind = '{_MEMBERSHIPS[path]}') AS e"
        )

    def _has_entries(self, path: tuple[str, ...]) -> str:
        """Whether a multi-valued attribute has any entry."""
        if path not in _MEMBERSHIPS:
            return self.exists(self._root, path)
        return f"EXISTS (SELECT 1 FROM {self._rows(path)})"

    def _has_membership(self, path: tuple[str, ...], key: str) -> str:
        """Whether there is a membership with the resource of this id."""
        column, other_column = ("container", "member") if path == ("members",) else ("member", "container")
        self.parameters.append(key)
        return (
            "EXISTS (SELECT 1 FROM resource x JOIN membership m"
            f" ON m.{other_column} = x.pk AND m.{column} = r.pk"
            f" WHERE x.id = {self.placeholder_text} AND x.kind IN ('User', 'Group')"
            f" AND x.tenant + 0 = r.tenant AND r.kind = '{_MEMBERSHIPS[path]}')"
        )

    # -- the order ------------------------------------------------------------------------------
    def order(self, attribute: AttributePath) -> tuple[str, ...]:
        """What to sort by: numbers before text where an attribute may hold both."""
        if attribute.column:
            return (f"r.{attribute.column}{self.order_collation}",)
        if attribute.multi_valued:
            path = () if attribute.sub_attribute is None else (attribute.sub_attribute,)
            return tuple(
                self._of_primary_entry(attribute, key) for key in self._sort_keys(attribute, "e", path)
            )
        return tuple(self._sort_keys(attribute, "r.keys", attribute.path))

    def _sort_keys(self, attribute: AttributePath, root: str, path: tuple[str, ...]) -> list[str]:
        number, text = self.number(root, path), f"({self.text(root, path)}){self.order_collation}"
        match attribute.type:
            case "boolean":
                return [self.boolean(root, path)]
            case "integer" | "decimal" | "dateTime":
                return [number]
            case "any":
                return [number, text]
            case _:
                return [text]

    def _of_primary_entry(self, attribute: AttributePath, key: str) -> str:
        """Of the entry that is marked as primary, else of the first (RFC 7644 section 3.4.2.3)."""
        primary = f"coalesce({self.boolean('e', ('primary',))}, 0) DESC, " if attribute.sub_attribute else ""
        rows = self.ordered_rows("r.keys", attribute.path)
        return f"(SELECT {key} FROM {rows} ORDER BY {primary}{self.position} LIMIT 1)"

    def _compare_one(
        self, root: str, path: tuple[str, ...], attribute: AttributePath, op: Operator, operand: Operand
    ) -> str:
        if operand is None:
            return f"(NOT {self._is_present(root, path, attribute)})" if op == "eq" else "(1 = 0)"
        if isinstance(operand, bool):
            return (
                f"coalesce({self.boolean(root, path)} = {int(operand)}, (1 = 0))" if op == "eq" else "(1 = 0)"
            )
        if isinstance(operand, str) and attribute.column:
            # Never null, and bare, so that "id eq" can use its index.
            return f"({self._compare_text(f'r.{attribute.column}', op, operand)})"
        if isinstance(operand, str):
            return f"coalesce({self._compare_text(self.text(root, path), op, operand)}, (1 = 0))"
        self.parameters.append(self.bind_number(operand))
        return f"coalesce({self.number(root, path)} {_SYMBOLS[op]} {self.placeholder_number}, (1 = 0))"

    def _compare_text(self, value: str, op: Operator, operand: str) -> str:
        if op in _SYMBOLS:
            self.parameters.append(operand)
            collation = self.order_collation if op != "eq" else ""
            return f"{value}{collation} {_SYMBOLS[op]} {self.placeholder_text}"
        if not operand:
            return f"{value} IS NOT NULL"
        self.parameters.append(operand)
        return self.substring(op, value, operand)

    def _is_present(self, root: str, path: tuple[str, ...], attribute: AttributePath) -> str:
        return f"(r.{attribute.column} IS NOT NULL)" if attribute.column else self.exists(root, path)

    def _present(self, attribute: AttributePath) -> str:
        if attribute.multi_valued and attribute.path in _MEMBERSHIPS:
            return self._has_entries(attribute.path)
        if attribute.multi_valued and attribute.sub_attribute is not None:
            rows = self._rows(attribute.path)
            return f"EXISTS (SELECT 1 FROM {rows} WHERE {self.exists('e', (attribute.sub_attribute,))})"
        return self._is_present(self._root, attribute.path, attribute)


class _Sqlite(_Compiler):
    """JSON text, read with SQLite's own functions."""

    def _arguments(self, root: str, path: tuple[str, ...]) -> str:
        steps = "".join(f'."{_quoted(step)}"' for step in path)
        return f"{'e.value' if root == 'e' else root}, '${steps}'"

    def node(self, root: str, path: tuple[str, ...]) -> str:
        if root == "e" and not path:
            return "e.value"
        return f"json_extract({self._arguments(root, path)})"

    def _type(self, root: str, path: tuple[str, ...]) -> str:
        if root == "e" and not path:
            return "e.type"
        return f"json_type({self._arguments(root, path)})"

    def exists(self, root: str, path: tuple[str, ...]) -> str:
        return f"({self._type(root, path)} IS NOT NULL)"

    def text(self, root: str, path: tuple[str, ...]) -> str:
        return f"CASE {self._type(root, path)} WHEN 'text' THEN {self.node(root, path)} END"

    def number(self, root: str, path: tuple[str, ...]) -> str:
        return f"CASE WHEN {self._type(root, path)} IN ('integer', 'real') THEN {self.node(root, path)} END"

    def boolean(self, root: str, path: tuple[str, ...]) -> str:
        return f"CASE {self._type(root, path)} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END"

    def rows(self, root: str, path: tuple[str, ...]) -> str:
        return f"json_each({self._arguments(root, path)}) AS e"

    position = "e.key"

    def ordered_rows(self, root: str, path: tuple[str, ...]) -> str:
        return self.rows(root, path)

    def json_object(self, *pairs: tuple[str, str]) -> str:
        return "json_object(" + ", ".join(f"'{name}', {value}" for name, value in pairs) + ")"

    def bind_number(self, value: float) -> int | float:
        return value

    def substring(self, op: Operator, value: str, operand: str) -> str:
        if op == "co":
            return f"instr({value}, ?) > 0"
        if op == "sw":
            return f"substr({value}, 1, {len(operand)}) = ?"
        return f"substr({value}, -{len(operand)}) = ?"


class _Postgres(_Compiler):
    """jsonb; parameters are cast to text, so that the server knows their type, and never the operator ``?``."""

    placeholder_text = "CAST(? AS text)"
    placeholder_number = "CAST(CAST(? AS text) AS numeric)"
    order_collation = ' COLLATE "C"'

    def node(self, root: str, path: tuple[str, ...]) -> str:
        base = "e.value" if root == "e" else root
        return "(" + base + "".join(f" -> '{_quoted(step)}'" for step in path) + ")"

    def exists(self, root: str, path: tuple[str, ...]) -> str:
        return f"({self.node(root, path)} IS NOT NULL)"

    def _when(self, root: str, path: tuple[str, ...], kind: str, then: str) -> str:
        return f"(CASE jsonb_typeof({self.node(root, path)}) WHEN '{kind}' THEN {then} END)"

    def text(self, root: str, path: tuple[str, ...]) -> str:
        return self._when(root, path, "string", f"{self.node(root, path)} #>> '{{}}'")

    def number(self, root: str, path: tuple[str, ...]) -> str:
        return self._when(root, path, "number", f"CAST({self.node(root, path)} #>> '{{}}' AS numeric)")

    def boolean(self, root: str, path: tuple[str, ...]) -> str:
        return self._when(
            root, path, "boolean", f"CASE {self.node(root, path)} #>> '{{}}' WHEN 'true' THEN 1 ELSE 0 END"
        )

    def rows(self, root: str, path: tuple[str, ...]) -> str:
        node = self.node(root, path)
        array = f"CASE jsonb_typeof({node}) WHEN 'array' THEN {node} ELSE jsonb_build_array() END"
        return f"jsonb_array_elements({array}) AS e(value)"

    position = "e.position"

    def ordered_rows(self, root: str, path: tuple[str, ...]) -> str:
        node = self.node(root, path)
        array = f"CASE jsonb_typeof({node}) WHEN 'array' THEN {node} ELSE jsonb_build_array() END"
        return f"jsonb_array_elements({array}) WITH ORDINALITY AS e(value, position)"

    def json_object(self, *pairs: tuple[str, str]) -> str:
        return "jsonb_build_object(" + ", ".join(f"'{name}', {value}" for name, value in pairs) + ")"

    def bind_number(self, value: float) -> str:
        return repr(value)

    def substring(self, op: Operator, value: str, operand: str) -> str:
        if op == "co":
            return f"strpos({value}, CAST(? AS text)) > 0"
        side = "left" if op == "sw" else "right"
        return f"{side}({value}, {len(operand)}) = CAST(? AS text)"
