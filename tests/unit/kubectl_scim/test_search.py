"""What people type is a filter or a text, a time or none."""

from datetime import datetime, timedelta, timezone

import pytest

from kubectl_scim.search import (
    groups_filter,
    ids_filter,
    is_filter,
    person_filters,
    quoted,
    since,
    users_filter,
)

NOW = datetime(2026, 11, 30, 13, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "ada@example.com"',
        "userName eq ada",  # the service says what is wrong with it
        'USERNAME SW "a"',
        "not (active eq false)",
        '((userName co "a") or title pr)',
        'emails[type eq "work"].value ew "@example.com"',
        'emails[type eq "work" and value co "x"]',
        'name.familyName co "love" and active eq true',
        'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department sw "R"',
        "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:grade gt 7",
        'groups.value eq "2819c223"',
        'usrName eq "ada"',
        "nickName pr",
        "something pr",
    ],
)
def test_a_filter_goes_on_as_it_is(text: str) -> None:
    assert is_filter(text)
    assert users_filter(text) == text
    assert groups_filter(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "ada",
        "Ada Lovelace",
        "ada@example.com",
        "Contoso co workers",
        "title",
        "id",
        "R&D (Berlin)",
        "7d1c",
        "not me",
    ],
)
def test_a_text_is_looked_for_in_names_and_addresses(text: str) -> None:
    assert (
        users_filter(text) == f'userName co "{text}" or displayName co "{text}" or emails.value co "{text}"'
    )
    assert groups_filter(f" {text} ") == f'displayName co "{text}"'


@pytest.mark.parametrize("text", [None, "", "  "])
def test_nothing_asks_for_all(text: str | None) -> None:
    assert users_filter(text) is None
    assert groups_filter(text) is None


def test_a_value_ends_where_its_quotes_say() -> None:
    assert quoted('a"b\\c\n') == '"a\\"b\\\\c\\n"'
    assert quoted("Zoë") == '"Zoë"'
    assert quoted("\udcff") == '"?"'
    assert next(person_filters('x" or id pr')) == 'id eq "x\\" or id pr"'
    assert ids_filter(["a", "b"]) == 'id eq "a" or id eq "b"'


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("30min", NOW - timedelta(minutes=30)),
        ("30m", NOW - timedelta(minutes=30)),
        (" 7 d ", NOW - timedelta(days=7)),
        ("1w", NOW - timedelta(days=7)),
        ("90s", NOW - timedelta(seconds=90)),
        ("2026-11-29T09:00:00Z", datetime.fromisoformat("2026-11-29T09:00:00+00:00")),
        ("2026-11-29", datetime(2026, 11, 29, tzinfo=NOW.tzinfo)),
    ],
)
def test_a_time_is_so_long_ago_or_as_it_is_written(text: str, then: datetime) -> None:
    assert since(text, NOW) == then


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-2h", "999999999w", "2026-13-01"])
def test_what_is_no_time_is_told_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: 2h"):
        since(text, NOW)
