"""Durations as users write them."""

import re
from datetime import timedelta

import pytest

from scim_api.contract.durations import LONGEST, PATTERN, SHORTEST, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", timedelta(seconds=1)),
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("90d", timedelta(days=90)),
        ("999999999s", timedelta(seconds=999_999_999)),
    ],
)
def test_a_number_and_a_unit_are_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "d", "90", "0d", "090d", "-1d", "1.5h", "90D", "90 d", " 90d", "90d\n", "1w", "1h30m", "1000000000s", "٣d"]
)  # fmt: skip
def test_any_other_form_is_refused_with_an_example_of_the_right_one(text: str) -> None:
    with pytest.raises(
        ValueError, match=f"^{re.escape(repr(text))} is not a duration: .*such as 90d or 12h$"
    ):
        parse_duration(text)


def test_a_unit_is_worth_what_it_is_worth_in_the_next_one() -> None:
    assert parse_duration("60s") == parse_duration("1m")
    assert parse_duration("60m") == parse_duration("1h")
    assert parse_duration("24h") == parse_duration("1d")


def test_the_pattern_of_the_crd_accepts_what_is_read_and_nothing_else() -> None:
    assert re.search(PATTERN, "90d")
    assert not re.search(PATTERN, "90d12h")


def test_the_bounds_are_a_minute_and_ten_years() -> None:
    assert parse_duration("1m") == SHORTEST
    assert parse_duration("3650d") == LONGEST
