"""Times as text whose order is the order of time."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from scim_api.store.sql.timestamps import from_text, text_of_posix, to_posix, to_text

MOMENTS = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


def test_there_is_one_form() -> None:
    assert to_text(datetime(2026, 11, 23, 14, 0, 0, 123456, UTC)) == "2026-11-23T14:00:00.123456Z"
    assert to_text(datetime(2026, 11, 23, 14, tzinfo=UTC)) == "2026-11-23T14:00:00.000000Z"


def test_other_zones_are_written_in_utc_and_none_is_taken_as_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert to_text(datetime(2026, 1, 1, 1, tzinfo=east)) == "2025-12-31T23:00:00.000000Z"
    assert to_text(datetime(2026, 1, 1, 1)) == "2026-01-01T01:00:00.000000Z"  # noqa: DTZ001


def test_what_utc_has_no_year_for_is_the_first_or_the_last_moment() -> None:
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))
    assert to_text(datetime(1, 1, 1, tzinfo=east)) == "0001-01-01T00:00:00.000000Z"
    assert to_text(datetime(9999, 12, 31, 23, tzinfo=west)) == "9999-12-31T23:59:59.999999Z"


@given(MOMENTS, MOMENTS)
def test_the_order_of_texts_is_that_of_moments(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


@given(MOMENTS)
def test_a_moment_that_is_written_is_read_again(moment: datetime) -> None:
    assert from_text(to_text(moment)) == moment
    assert from_text(to_text(moment)).tzinfo == UTC


def test_posix_times_go_both_ways() -> None:
    assert text_of_posix(0.5) == "1970-01-01T00:00:00.500000Z"
    assert to_posix("1970-01-01T00:00:00.500000Z") == 0.5
