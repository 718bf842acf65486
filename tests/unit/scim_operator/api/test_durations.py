from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_operator.api.durations import Until, format_duration, parse_duration, parse_overlap


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60s", 60), ("90m", 5400), ("12h", 43_200), ("90d", 7_776_000), ("3650d", 315_360_000)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "d", "0d", "-1d", "1.5h", "1w", "90d ", "90d\n", "9" * 10 + "s", "PT1H"]
)
def test_anything_else_is_refused_with_the_right_form(text: str) -> None:
    with pytest.raises(ValueError, match="such as 90d or 12h"):
        parse_duration(text)


@pytest.mark.parametrize("until", Until)
def test_an_overlap_until_something_happens_has_no_length_of_its_own(until: Until) -> None:
    assert parse_overlap(until.value) is until


def test_an_overlap_may_be_nothing_at_all() -> None:
    assert parse_overlap("0s") == timedelta()


def test_an_overlap_may_be_a_duration() -> None:
    assert parse_overlap("24h") == timedelta(days=1)


@given(st.integers(min_value=1, max_value=315_360_000))
def test_a_written_duration_reads_back_as_itself(seconds: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=seconds))).total_seconds() == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (61, "61s"), (120, "2m"), (86_400, "1d"), (90_000, "25h")]
)
def test_a_duration_is_written_in_its_largest_even_unit(seconds: int, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text
