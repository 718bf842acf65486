"""How values compare: text without regard to its spelling, moments as numbers."""

from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import Path, User

from scim_api.core.values.comparison import comparison_key, from_microseconds, is_storable, to_microseconds
from support.case_pairs import AFTER, BEFORE, CASE_PAIRS, CODE_POINTS, LETTERS


@settings(max_examples=200)
@given(st.text(max_size=12))
def test_strings_whose_case_counts_compare_as_in_scim2_models(value: str) -> None:
    binding = Path[User[Any]]("externalId").resolve()
    assert binding is not None
    assert comparison_key(value, case_exact=True) == binding.comparable(value)


def key(text: str) -> str:
    return comparison_key(text, case_exact=False)


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("after", AFTER)
def test_the_two_letters_of_every_case_pair_have_one_key_wherever_they_stand(before: str, after: str) -> None:
    apart = {
        (first, second)
        for first, second in CASE_PAIRS
        if key(before + first + after) != key(before + second + after)
    }
    assert apart == set()


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("after", AFTER)
def test_a_key_is_the_keys_of_its_parts_for_every_letter_with_case_in_every_place(
    before: str, after: str
) -> None:
    apart = {
        first for first in LETTERS if key(before + first + after) != key(before) + key(first) + key(after)
    }
    assert apart == set()


@pytest.mark.parametrize("mark", ["\u0301", "\u0307", "\u0308", "\u0323", "\u0345", "\u3099"])
def test_a_case_pair_under_a_combining_mark_is_a_pair(mark: str) -> None:
    apart = {pair for pair in CASE_PAIRS if key(pair[0] + mark) != key(pair[1] + mark)}
    # The iota below is a mark itself and its capital a letter, so that a second mark is on one or the other.
    assert apart <= {pair for pair in CASE_PAIRS if "\u0345" in pair}


def test_a_key_is_its_own_key_and_that_of_every_normal_form() -> None:
    for letter in map(chr, CODE_POINTS):
        first = key(letter)
        assert key(first) == first, hex(ord(letter))
        assert key(normalize("NFC", letter)) == key(normalize("NFD", letter)) == first, hex(ord(letter))


def test_no_letter_becomes_two_but_by_its_decomposition() -> None:
    for letter in map(chr, CODE_POINTS):
        assert len(normalize("NFD", key(letter))) == len(normalize("NFD", letter)), hex(ord(letter))


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("\u039d\u0399\u039a\u039f\u03a3", "\u03bd\u03b9\u03ba\u03bf\u03c3", True),
        ("\u03bd\u03b9\u03ba\u03bf\u03c2", "\u03bd\u03b9\u03ba\u03bf\u03c3", True),
        ("STRA\u1e9eE", "stra\u00dfe", True),
        ("stra\u00dfe", "strasse", False),
        ("\ufb01sh", "fish", False),
        ("\u0130", "I\u0307", True),
        ("\u0130", "i\u0307", True),
        ("\u0130", "i", False),
        ("\u0131", "I", False),
        ("\u1fb3", "\u0391\u0399", True),
        ("\u00b5", "\u039c", True),
        ("\u017f", "S", True),
        ("e\u0301", "e", False),
        ("\u00df\u03a3\ufb01", "\u1e9e\u03c2\ufb01", True),
    ],
)
def test_what_is_equal_without_its_case_is_unicodes_simple_folding(one: str, other: str, equal: bool) -> None:
    assert (key(one) == key(other)) is equal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T00:00:00", 0),
        ("0001-01-01T00:00:00+14:00", -62135596800_000000 - 14 * 3600_000000),
        ("2024-02-30T00:00:00Z", None),
        ("20240101", None),
        ("2024-W01-1T00:00:00", None),
        ("yesterday", None),
    ],
)
def test_date_times_become_microseconds_in_utc(text: str, expected: int | None) -> None:
    assert to_microseconds(text) == expected


def test_a_moment_before_the_year_one_has_no_timestamp() -> None:
    assert from_microseconds(-62135596800_000001) is None
    assert from_microseconds(1) == "1970-01-01T00:00:00.000001Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.1234567Z", 123456),
        ("1970-01-01T00:00:00.123456999Z", 123456),
        ("1970-01-01T00:00:00.5Z", 500000),
        ("1970-01-01T00:00:00.1234567890Z", None),
        ("1970-01-01 00:00:00Z", None),
        ("1970-01-01T00:00:00z", None),
        ("1970-01-01T00:00:00Z ", None),
        ("1970-01-01T00:00:00+24:00", None),
        ("\u0661970-01-01T00:00:00Z", None),
    ],
)
def test_digits_past_the_sixth_are_cut_and_other_forms_are_no_moment(text: str, expected: int | None) -> None:
    assert to_microseconds(text) == expected


@given(st.integers(-62135596800_000000, 253402300799_999999))
def test_a_moment_that_is_written_is_read_again(value: int) -> None:
    text = from_microseconds(value)
    assert text is not None
    assert to_microseconds(text) == value


def test_a_moment_after_the_year_9999_has_no_text() -> None:
    assert from_microseconds(253402300799_999999) == "9999-12-31T23:59:59.999999Z"
    assert from_microseconds(253402300800_000000) is None


def test_case_counts_only_where_the_attribute_says_so() -> None:
    assert (
        comparison_key("\u00c9A", case_exact=False)
        == comparison_key("e\u0301a", case_exact=False)
        == "\u00e9a"
    )
    assert (
        comparison_key("\u00c9A", case_exact=True) == comparison_key("E\u0301A", case_exact=True) == "\u00c9A"
    )
    assert comparison_key("A", case_exact=True) == "A"
    assert comparison_key("A", case_exact=False) == "a"


@pytest.mark.parametrize(
    ("text", "storable"),
    [("", True), ("a\x01", True), ("\u00e9\U0001f600", True), ("a\x00b", False), ("\u00e9\x00", False), ("\ud800", False)],
)  # fmt: skip
def test_a_database_holds_no_nul_and_no_lone_surrogate(text: str, storable: bool) -> None:
    assert is_storable(text) is storable
