"""Predicates on resources in their normal form."""

from typing import Any

import pytest

from scim_api.core.predicate import (
    AttributePath,
    Comparison,
    Constant,
    LogicalExpression,
    Not,
    Predicate,
    Present,
    ValuePath,
    compare,
    matches,
)
from scim_api.core.types import Operator

TITLE = AttributePath(("title",), "string")
CITY = AttributePath(("address", "city"), "string")
EMAIL = AttributePath(("emails",), "string", multi_valued=True, sub_attribute="value")
TAGS = AttributePath(("tags",), "string", multi_valued=True)
FORM = {
    "title": "b", "address": {"city": "x"}, "tags": ["a", "b"],
    "emails": [{"type": "work", "value": "a@x"}, {"type": "home"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("op", "value", "operand", "holds"),
    [
        ("eq", "a", "a", True), ("eq", "a", "b", False), ("ne", "a", "b", True), ("ne", "a", "a", False),
        ("co", "abc", "b", True), ("co", "abc", "d", False), ("sw", "abc", "a", True), ("sw", "abc", "b", False),
        ("ew", "abc", "c", True), ("ew", "abc", "b", False), ("gt", "b", "a", True), ("gt", "a", "a", False),
        ("ge", "a", "a", True), ("ge", "a", "b", False), ("lt", 1, 2, True), ("lt", 1, 1, False),
        ("le", 1, 1.0, True), ("le", 2, 1, False), ("eq", 1, 1.0, True),
    ],
)  # fmt: skip
def test_values_of_one_kind_compare(op: Operator, value: Any, operand: Any, holds: bool) -> None:
    assert compare(op, value, operand) is holds


@pytest.mark.parametrize("op", ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
@pytest.mark.parametrize(
    ("value", "operand"), [("1", 1), (True, 1), (True, "true"), ({"a": 1}, "a"), ([1], 1)]
)
def test_values_of_different_kinds_never_compare(op: Operator, value: Any, operand: Any) -> None:
    assert compare(op, value, operand) is False


def test_nothing_equals_only_nothing_and_has_no_order() -> None:
    assert compare("eq", None, None) is True
    for op in ("ne", "co", "sw", "ew", "gt", "ge", "lt", "le"):
        assert compare(op, None, None) is False
    for op in ("eq", "ne", "lt"):
        assert compare(op, "a", None) is compare(op, None, "a") is False  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        (Comparison(TITLE, "eq", "b"), True),
        (Comparison(CITY, "eq", "x"), True),
        (Comparison(AttributePath(("title", "city"), "string"), "eq", None), True),
        (Comparison(AttributePath(("missing",), "string"), "ne", "b"), True),
        (Comparison(AttributePath(("missing",), "string"), "gt", "a"), False),
        (Comparison(TAGS, "eq", "b"), True),
        (Comparison(TAGS, "ne", "b"), False),
        (Comparison(TAGS, "ne", "c"), True),
        (Comparison(EMAIL, "eq", "a@x"), True),
        (Comparison(EMAIL, "eq", None), True),
        (Comparison(EMAIL, "ne", "a@x"), False),
        (Present(EMAIL), True),
        (Present(AttributePath(("emails",), "string", multi_valued=True, sub_attribute="display")), False),
        (Present(AttributePath(("missing",), "string", multi_valued=True, sub_attribute="value")), False),
        (Present(AttributePath(("missing",), "string", multi_valued=True)), False),
        (Present(TITLE), True),
        (Not(Present(TITLE)), False),
        (LogicalExpression("and", (Present(TITLE), Present(CITY))), True),
        (LogicalExpression("and", (Present(TITLE), Constant(False))), False),
        (LogicalExpression("or", (Constant(False), Present(CITY))), True),
        (LogicalExpression("or", (Constant(False), Constant(False))), False),
        (Constant(True), True),
    ],
)
def test_a_predicate_holds_of_a_resource_or_not(predicate: Predicate, holds: bool) -> None:
    assert matches(predicate, FORM) is holds


def test_brackets_ask_for_one_entry_that_meets_all() -> None:
    kind, value = AttributePath(("type",), "string"), AttributePath(("value",), "string")
    emails = AttributePath(("emails",), "complex", multi_valued=True)
    for wanted, holds in (("work", True), ("home", False)):
        both = LogicalExpression("and", (Comparison(kind, "eq", wanted), Comparison(value, "eq", "a@x")))
        assert matches(ValuePath(emails, both), FORM) is holds
    assert matches(ValuePath(emails, Constant(True)), {}) is False


def test_an_entry_may_be_a_plain_value() -> None:
    tags = AttributePath(("tags",), "string", multi_valued=True)
    assert matches(ValuePath(tags, Comparison(AttributePath((), "string"), "eq", "a")), FORM) is True
    assert matches(ValuePath(tags, Comparison(AttributePath((), "string"), "eq", "c")), FORM) is False


def test_a_column_is_looked_up_beside_the_body() -> None:
    kind = Comparison(AttributePath((), "string", column="kind"), "eq", "User")
    assert matches(kind, FORM, {"kind": "User"}) is True
    assert matches(Not(kind), FORM, {"kind": "User"}) is False
    assert matches(LogicalExpression("and", (kind, kind)), FORM, {"kind": "Group"}) is False
    assert matches(kind, FORM) is False
