"""Texts are shown as they are, and times as people say them."""

from datetime import timedelta

import pytest
from markupsafe import Markup

from scim_console import text
from support.played_source import NOW


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Ada", "Ada"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("\u2066\u200f\u061c", "\\u2066\\u200f\\u061c"),
        ("\x1b[31m\x00\x85", "\\x1b[31m\\x00\\x85"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("שלום", "שלום"),
        (None, ""),
        (3, "3"),
    ],
)  # fmt: skip
def test_what_turns_other_text_is_written_out(value: object, shown: str) -> None:
    assert text.plain(value) == shown


def test_markup_stays() -> None:
    assert text.plain(Markup("<b>\u202e</b>")) == "<b>\u202e</b>"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=-5), "5 seconds ago"),
        (timedelta(minutes=1, seconds=30), "in 1 minute"),
        (timedelta(hours=-47), "1 day ago"),
        (timedelta(days=89), "in 89 days"),
    ],
)
def test_distances_are_said_in_their_largest_unit(after: timedelta, said: str) -> None:
    assert text.distance(NOW + after, NOW) == said
    if after:
        assert said in str(text.relative(NOW + after, NOW))


def test_times_are_elements_with_utc_on_hover() -> None:
    assert text.absolute(NOW) == (
        '<time datetime="2026-11-30T12:00:00Z" title="2026-11-30T12:00:00Z">30 Nov 2026, 12:00 UTC</time>'
    )
    assert text.relative(NOW + timedelta(days=2), NOW) == (
        '<time datetime="2026-12-02T12:00:00Z" title="2026-12-02T12:00:00Z" data-relative>in 2 days</time>'
    )


def test_a_time_that_is_not_known_has_its_word() -> None:
    assert text.absolute(None) == "never"
    assert text.relative(None, NOW, "-") == "-"
