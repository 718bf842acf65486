"""What others wrote moves no cursor, and times are as people say them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_scim.text import length, moment, plain, seen, stamp

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Ada", "Ada"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\nc", "a\\rb\\nc"),
        ("\x9b2J", "\\x9b2J"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("Zoë 日本 😀", "Zoë 日本 😀"),
        (7, "7"),
    ],
)
def test_a_terminal_shows_a_value_as_it_is(value: object, shown: str) -> None:
    assert plain(value) == shown


@given(st.text())
def test_nothing_that_is_shown_controls_a_terminal(value: str) -> None:
    assert not any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in plain(value))


@pytest.mark.parametrize("value", [None, 7, "", "soon", "2026-11-30", "2026-11-30T12:00:00"])
def test_what_is_no_time_with_a_zone_is_none(value: object) -> None:
    assert moment(value) is None


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (None, "never"),
        (NOW, "now"),
        (NOW + timedelta(days=89, hours=3), "in 89 d"),
        (NOW - timedelta(hours=3), "3 h ago"),
        (NOW - timedelta(minutes=59), "59 min ago"),
        (NOW + timedelta(seconds=30), "in 30 s"),
    ],
)
def test_a_time_is_said_from_now(then: datetime | None, said: str) -> None:
    assert seen(then, NOW) == said


def test_a_duration_and_a_time_are_written_in_their_usual_form() -> None:
    assert length(timedelta(seconds=0)) == "0 s"
    assert stamp(datetime.fromisoformat("2026-11-30T13:00:00.9+01:00")) == "2026-11-30T12:00:00Z"
