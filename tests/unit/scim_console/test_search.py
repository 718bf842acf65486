"""What somebody types, as filters."""

import json

import pytest

from scim_console.search import (
    MAX_TEXT,
    MAX_WORDS,
    exact_group_filters,
    group_filters,
    literal,
    person_filters,
    user_filters,
)

ID = "7a820bfc-6ccf-4382-8b0f-e7f63548c5cc"


def test_nothing_finds_everybody() -> None:
    assert user_filters("  ") == (None,)
    assert group_filters("") == (None,)


def test_a_word_is_looked_for_in_names() -> None:
    assert user_filters("ada") == ('userName co "ada" or displayName co "ada"',)
    assert group_filters("crew") == ('displayName co "crew"',)


def test_each_of_several_words_has_to_be_there() -> None:
    assert user_filters("ada love") == (
        '(userName co "ada" or displayName co "ada") and (userName co "love" or displayName co "love")',
    )
    assert user_filters("a b c d e f")[0].count(" and ") == MAX_WORDS - 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (ID, f'id eq "{ID}"'),
        (f" {ID.upper()} ", f'id eq "{ID.upper()}"'),
        ("ada@contoso.example", 'userName eq "ada@contoso.example"'),
        ("p0000123", 'externalId eq "p0000123"'),
    ],
)
def test_what_may_be_whole_is_asked_of_an_index_first(text: str, first: str) -> None:
    filters = user_filters(text)
    assert filters[0] == first
    assert " co " in (filters[-1] or "")
    assert all(one is not None and " co " not in one for one in filters[:-1])


@pytest.mark.parametrize("text", ["ada@", "ada@contoso", "ada", "a1", "ada 123"])
def test_the_beginning_of_something_is_not_taken_for_the_whole(text: str) -> None:
    assert all(" co " in (one or "") for one in user_filters(text))


def test_who_is_meant_is_asked_of_indexes_alone_and_of_none_twice() -> None:
    assert person_filters("ada") == ('userName eq "ada"', 'externalId eq "ada"')
    assert len(person_filters("ada@contoso.example")) == 3
    assert exact_group_filters(ID) == (f'id eq "{ID}"', f'externalId eq "{ID}"')
    assert exact_group_filters("crew") == ()


@pytest.mark.parametrize("text", ['" or id pr or userName eq "', "\\", "\n\x00", "\u202e", "'"])
def test_whatever_is_typed_stays_one_string(text: str) -> None:
    assert json.loads(literal(text)) == text
    filters = user_filters(f"x{text}")
    assert filters[-1] is not None
    assert " or id pr" not in filters[-1].replace(literal(f"x{text}".split()[0]), "")


def test_a_long_text_is_cut() -> None:
    assert len(user_filters("x" * 10_000)[-1] or "") < 3 * MAX_TEXT
