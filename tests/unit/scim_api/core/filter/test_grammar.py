"""The full grammar of filters and of paths with brackets."""

import pytest

from scim_api.core.errors import ScimError
from scim_api.core.filter.grammar import read_filter, read_path
from scim_api.core.limits import MAX_FILTER_DEPTH, MAX_FILTER_TERMS, MAX_PATH_TERMS
from scim_api.core.predicate import (
    AttributePath,
    Comparison,
    LogicalExpression,
    Not,
    Predicate,
    Present,
    ValuePath,
)
from support.scim_core import CUSTOM, ENT, profile_of

TABLE = profile_of().user
TITLE, NICK = AttributePath(("title",), "string"), AttributePath(("nickname",), "string")
EMAILS = AttributePath(("emails",), "complex", multi_valued=True)


def title(value: str) -> Comparison:
    return Comparison(TITLE, "eq", value)


def refusal(text: str) -> ScimError:
    with pytest.raises(ScimError) as refused:
        read_filter(TABLE, text)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")
    return refused.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('title eq "A"', title("a")),
        ("title pr", Present(TITLE)),
        ('not (title eq "a")', Not(title("a"))),
        ('title eq "a" AND nickName pr', LogicalExpression("and", (title("a"), Present(NICK)))),
        ('title eq "a" or nickName pr', LogicalExpression("or", (title("a"), Present(NICK)))),
        (
            'title eq "a" or title eq "b" and nickName pr',
            LogicalExpression("or", (title("a"), LogicalExpression("and", (title("b"), Present(NICK))))),
        ),
        (
            'emails[type eq "work" and not (display pr)]',
            ValuePath(
                EMAILS,
                LogicalExpression(
                    "and",
                    (
                        Comparison(AttributePath(("type",), "string"), "eq", "work"),
                        Not(Present(AttributePath(("display",), "string"))),
                    ),
                ),
            ),
        ),
        (
            f'{ENT}:department eq "X"',
            Comparison(AttributePath((ENT.lower(), "department"), "string"), "eq", "x"),
        ),
        (f"{ENT}:manager.value pr", Present(AttributePath((ENT.lower(), "manager", "value"), "string"))),
        (f"{CUSTOM}:floor gt 3", Comparison(AttributePath((CUSTOM.lower(), "floor"), "integer"), "gt", 3)),
    ],
)
def test_a_filter_is_read_by_the_rules_of_precedence(text: str, expected: Predicate) -> None:
    assert read_filter(TABLE, text) == expected


@pytest.mark.parametrize(
    "text", ["", "title", "title eq", 'title is "a"', '(title eq "a"', 'title eq "a" nickName pr']
)
def test_what_is_no_filter_is_refused_as_unreadable(text: str) -> None:
    assert refusal(text).detail.startswith("The filter cannot be read: ")


def test_brackets_cannot_stand_inside_brackets() -> None:
    with pytest.raises(ScimError):
        read_filter(TABLE, 'emails[emails[type eq "work"]]')


def test_a_filter_holds_so_many_comparisons_at_most_brackets_and_what_they_hold_included() -> None:
    plain = [f'title eq "{n}"' for n in range(MAX_FILTER_TERMS - 3)]
    inner = 'emails[type eq "work" and value pr]'
    for terms in ([*plain, inner], [inner, *plain]):
        read_filter(TABLE, " or ".join(terms))
        assert f"more than {MAX_FILTER_TERMS}" in refusal(" or ".join([*terms, "title pr"])).detail
    refusal(" or ".join([*plain, "title pr", inner]))


def test_a_filter_nests_so_deep_at_most() -> None:
    def nested(levels: int) -> str:
        return "not (" * levels + "title pr" + ")" * levels

    read_filter(TABLE, nested(MAX_FILTER_DEPTH - 1))
    assert f"deeper than {MAX_FILTER_DEPTH}" in refusal(nested(MAX_FILTER_DEPTH)).detail


def test_neighbours_do_not_add_to_the_depth() -> None:
    deep = "not (" * (MAX_FILTER_DEPTH - 2) + "title pr" + ")" * (MAX_FILTER_DEPTH - 2)
    read_filter(TABLE, " or ".join([deep] * 3))


@pytest.mark.parametrize(
    ("text", "equalities", "sub"),
    [
        ('emails[type eq "Work"].value', (("type", "Work"),), "value"),
        ('emails[type eq "work" and primary eq true]', (("type", "work"), ("primary", True)), None),
        ('emails[(type eq "a") and (value eq "b" and primary eq true)]', (("type", "a"), ("value", "b"), ("primary", True)), None),
        ('emails[type ne "work"].value', None, "value"),
        ('emails[type eq "work" or type eq "home"]', None, None),
        ('emails[type eq "work" and value pr]', None, None),
        ('emails[not (type eq "work")]', None, None),
    ],
)  # fmt: skip
def test_a_path_tells_whether_its_brackets_ask_for_equality_alone(
    text: str, equalities: object, sub: str | None
) -> None:
    field, _, found, tail = read_path(TABLE, text)
    assert (field.name, found, tail) == ("emails", equalities, sub)


def test_a_path_without_entries_is_refused() -> None:
    for text, kind in (
        ("name.givenName", "invalidPath"),
        ("emails[", "invalidPath"),
        ("title[value pr]", "invalidFilter"),
    ):
        with pytest.raises(ScimError) as refused:
            read_path(TABLE, text)
        assert refused.value.scim_type == kind


def test_a_path_holds_so_many_comparisons_at_most() -> None:
    def path(terms: int) -> str:
        return f"emails[{' or '.join(['value pr'] * terms)}]"

    read_path(TABLE, path(MAX_PATH_TERMS))
    with pytest.raises(ScimError, match=f"more than {MAX_PATH_TERMS}"):
        read_path(TABLE, path(MAX_PATH_TERMS + 1))


def test_a_neighbour_makes_no_room_for_deeper_nesting() -> None:
    deep = "not (" * (MAX_FILTER_DEPTH - 1) + "title pr" + ")" * (MAX_FILTER_DEPTH - 1)
    read_filter(TABLE, deep)
    refusal(f"title pr or nickName pr or {deep}")
