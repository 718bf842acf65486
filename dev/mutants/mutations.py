"""Which faults can be put into a source: each is a piece of text in the place of another.

Left alone: docstrings and texts, annotations (but not the calls in ``Annotated``), decorators, and what stands
in f-strings, whose places Python 3.11 does not know.
"""

import ast
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Final

_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
_SYMBOLS: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_ARITHMETIC: Final[dict[type[ast.operator], str]] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*", ast.Pow: "*",
    ast.BitOr: "&", ast.BitAnd: "|",
}  # fmt: skip
_OPPOSITES: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_TEXTS: Final = (ast.JoinedStr, ast.List, ast.Tuple, ast.ListComp)
"""Plus between these joins, and minus would fail at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """One fault."""

    path: str
    """The file, from the project's root."""
    scope: str
    """The class and function, such as ``Store.create``; empty in the module itself."""
    line: int
    start: int
    """Where the replaced text begins, in bytes."""
    end: int
    old: str
    new: str

    def applied(self, source: bytes) -> bytes:
        """The file with the fault."""
        return source[: self.start] + self.new.encode() + source[self.end :]

    @property
    def name(self) -> str:
        """What stays the same when lines move: place and change."""
        old, new = (re.sub(r"\s+", " ", text) for text in (self.old, self.new))
        return f"{self.path}::{self.scope}: {old} -> {new}"


def find_mutants(path: str, source: bytes) -> list[Mutant]:
    """All faults that can be put into a file, in its order; what would not compile is left out."""
    finder = _Finder(path, source)
    found = {(mutant.start, mutant.end, mutant.new): mutant for mutant in finder.module()}
    mutants = sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.new))
    return [mutant for mutant in mutants if _compiles(mutant.applied(source))]


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


class _Finder:
    def __init__(self, path: str, source: bytes) -> None:
        self._path, self._source = path, source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._scope: list[str] = []
        self._functions = 0

    def module(self) -> Iterator[Mutant]:
        for statement in ast.parse(self._source).body:
            yield from self._walk(statement)

    def _walk(self, node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.JoinedStr() | ast.Import() | ast.ImportFrom():
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield from self._definition(node)
                return
            case ast.AnnAssign():
                yield from self._annotation(node.annotation)
                yield from self._statement(node)
                if node.value is not None:
                    yield from self._walk(node.value)
                return
            case ast.stmt():
                yield from self._statement(node)
            case ast.expr() | ast.comprehension() | ast.keyword() | ast.match_case():
                yield from self._expression(node)
            case ast.pattern():
                return
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield from self._condition(node.test)
        if isinstance(node, ast.comprehension):
            for condition in node.ifs:
                yield from self._condition(condition)
        for child in ast.iter_child_nodes(node):
            yield from self._walk(child)

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[Mutant]:
        self._scope.append(node.name)
        if isinstance(node, _FUNCTIONS):
            self._functions += 1
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if default is not None:
                    yield from self._walk(default)
        for statement in node.body:
            yield from self._walk(statement)
        self._functions -= isinstance(node, _FUNCTIONS)
        self._scope.pop()

    def _annotation(self, node: ast.expr) -> Iterator[Mutant]:
        """The calls in it are limits of a model's field."""
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                yield from self._walk(part)

    def _statement(self, node: ast.stmt) -> Iterator[Mutant]:
        match node:
            case ast.Return(value=ast.expr() as returned) if not _is_none(returned):
                yield self._mutant(returned, "None")
            case ast.Raise() | ast.Continue() | ast.Break() | ast.Delete():
                yield self._mutant(node, "pass")
            case ast.Expr(value=ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom()):
                if not self._text(node).startswith("log."):
                    yield self._mutant(node, "pass")
            case ast.AugAssign():
                yield self._mutant(node, "pass")
                symbol = _ARITHMETIC.get(type(node.op))
                if symbol is not None and not isinstance(node.value, (*_TEXTS, ast.GeneratorExp)):
                    target, value = self._text(node.target), self._text(node.value)
                    yield self._mutant(node, f"{target} {symbol}= {value}")
            case ast.Assign(targets=targets) if all(
                isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets
            ):
                yield self._mutant(node, "pass")

    def _condition(self, test: ast.expr) -> Iterator[Mutant]:
        """Of an ``if``; one that compares or joins has faults of its own."""
        if not isinstance(test, (ast.Compare, ast.BoolOp, ast.Constant)) and not _is_not(test):
            yield self._mutant(test, f"(not ({self._text(test)}))")

    def _expression(self, node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                yield from self._comparison(node, [left, *comparators], ops)
            case ast.BoolOp(op=op, values=values):
                texts = [f"({self._text(value)})" for value in values]
                word, other = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
                yield self._mutant(node, f"({f' {other} '.join(texts)})")
                for left_out in range(len(texts)):
                    rest = texts[:left_out] + texts[left_out + 1 :]
                    yield self._mutant(node, f"({f' {word} '.join(rest)})")
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self._mutant(node, f"({self._text(operand)})")
            case ast.BinOp(left=left, op=operator, right=right):
                symbol = self._arithmetic(left, operator, right)
                if symbol is not None:
                    yield self._mutant(node, f"(({self._text(left)}) {symbol} ({self._text(right)}))")
            case ast.Constant(value=bool() as value):
                yield self._mutant(node, str(not value))
            case ast.Constant(value=int() | float() as value):
                for near in (value + 1, value - 1):
                    yield self._mutant(node, str(near) if near >= 0 else f"({near})")
            case ast.Call(func=function, keywords=keywords):
                if isinstance(function, ast.Name) and function.id in _OPPOSITES:
                    yield self._mutant(function, _OPPOSITES[function.id])
                for keyword in keywords:
                    if keyword.arg is not None:
                        yield self._without(keyword)

    def _comparison(
        self, node: ast.Compare, operands: Sequence[ast.expr], operators: Sequence[ast.cmpop]
    ) -> Iterator[Mutant]:
        texts = [f"({self._text(operand)})" for operand in operands]
        symbols = [_SYMBOLS[type(operator)] for operator in operators]
        for index, operator in enumerate(operators):
            changed = [*symbols[:index], _COMPARISONS[type(operator)], *symbols[index + 1 :]]
            rest = "".join(f" {symbol} {text}" for symbol, text in zip(changed, texts[1:], strict=True))
            yield self._mutant(node, f"({texts[0]}{rest})")

    def _arithmetic(self, left: ast.expr, operator: ast.operator, right: ast.expr) -> str | None:
        for side in (left, right):
            text = isinstance(side, ast.Constant) and isinstance(side.value, (str, bytes))
            if text or isinstance(side, _TEXTS):
                return None
        if isinstance(operator, (ast.BitOr, ast.BitAnd)) and not self._functions:
            return None  # a union of types
        return _ARITHMETIC.get(type(operator))

    def _without(self, keyword: ast.keyword) -> Mutant:
        """The call without it, and without its comma."""
        start, end = self._place(keyword)
        comma = re.compile(rb"\s*,").match(self._source, end)
        return self._replaced(keyword.lineno, start, comma.end() if comma else end, "")

    def _mutant(self, node: ast.expr | ast.stmt, new: str) -> Mutant:
        return self._replaced(node.lineno, *self._place(node), new)

    def _replaced(self, line: int, start: int, end: int, new: str) -> Mutant:
        old = self._source[start:end].decode()
        return Mutant(self._path, ".".join(self._scope), line, start, end, old, new)

    def _place(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def _text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self._place(node)
        return self._source[start:end].decode()


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
