"""From a resolved filter to SQL, for both databases.

All comparisons are on the comparable form (``r.keys``: JSON text in SQLite, jsonb in PostgreSQL) and on
``r.id``, ``r.created``, ``r.modified``. Both databases give the same sets whatever their locale, because
operands and values went through the same Python function, substrings are never LIKE patterns, and order
is that of code points.

Every expression first asks for the JSON type of the value, so that an old value of another type (a custom
field may be declared anew) is a value that does not match, and never an error.
"""

from typing import Literal

from scim_api.core.filters import Expression
from scim_api.core.predicates import (
    Attribute,
    Compare,
    Constant,
    Entries,
    Junction,
    Not,
    Operand,
    Operator,
    Predicate,
    Present,
)
from scim_api.core.profile import Profile
from scim_api.core.records import Where

Dialect = Literal["sqlite", "postgresql"]
_SYMBOLS = {"eq": "=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def compile_where(profile: Profile, expression: Expression, dialect: Dialect) -> Where:
    """The SQL condition of a filter, over ``resource`` with the alias ``r``.

    Args:
        profile: the tenant's; the expression was resolved with it.
        expression: from ``parse_filter``.
        dialect: of the store.

    Returns:
        A condition that is true or false, never null, and its parameters in order.
    """
    del profile  # Names were resolved when the filter was read; the argument keeps callers honest.
    compiler = _Sqlite() if dialect == "sqlite" else _Postgres()
    sql = compiler.condition(expression.ast)
    return Where(sql, tuple(compiler.parameters))


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
            case Compare(attribute, op, operand):
                return self._compare(attribute, op, operand)
            case Present(attribute):
                return self._present(attribute)
            case Not(term):
                return f"(NOT {self.condition(term)})"
            case Junction(op, terms):
                return "(" + f" {op.upper()} ".join(self.condition(term) for term in terms) + ")"
            case Entries(attribute, term):
                rows = self.rows(self._root, attribute.path)
                outer, self._root = self._root, "e"
                try:
                    return f"EXISTS (SELECT 1 FROM {rows} WHERE {self.condition(term)})"
                finally:
                    self._root = outer
            case Constant(holds):
                return "(1 = 1)" if holds else "(1 = 0)"

    def _compare(self, attribute: Attribute, op: Operator, operand: Operand) -> str:
        if op == "ne":
            return f"(NOT {self._compare(attribute, 'eq', operand)})"
        if not attribute.multi_valued:
            return self._compare_one(self._root, attribute.path, attribute, op, operand)
        path = () if attribute.sub is None else (attribute.sub,)
        rows = self.rows(self._root, attribute.path)
        some = f"EXISTS (SELECT 1 FROM {rows} WHERE {self._compare_one('e', path, attribute, op, operand)})"
        if operand is None and op == "eq":
            return f"(NOT {self.exists(self._root, attribute.path)} OR {some})"
        return some

    def _compare_one(
        self, root: str, path: tuple[str, ...], attribute: Attribute, op: Operator, operand: Operand
    ) -> str:
        if operand is None:
            return f"(NOT {self._there(root, path, attribute)})" if op == "eq" else "(1 = 0)"
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

    def _there(self, root: str, path: tuple[str, ...], attribute: Attribute) -> str:
        return f"(r.{attribute.column} IS NOT NULL)" if attribute.column else self.exists(root, path)

    def _present(self, attribute: Attribute) -> str:
        if attribute.multi_valued and attribute.sub is not None:
            rows = self.rows(self._root, attribute.path)
            return f"EXISTS (SELECT 1 FROM {rows} WHERE {self.exists('e', (attribute.sub,))})"
        return self._there(self._root, attribute.path, attribute)


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

    def bind_number(self, value: float) -> str:
        return repr(value)

    def substring(self, op: Operator, value: str, operand: str) -> str:
        if op == "co":
            return f"strpos({value}, CAST(? AS text)) > 0"
        side = "left" if op == "sw" else "right"
        return f"{side}({value}, {len(operand)}) = CAST(? AS text)"
