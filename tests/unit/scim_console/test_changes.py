"""Changes as sentences, and what is looked for."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from scim_api.contract.change_types import ChangeType
from scim_console.changes import KINDS, Named, Wanted, moment, sentence, short, subjects
from support.played_people import change

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ADA = Named("user", "u-1", "Ada", exists=True)
CREW = Named("group", "g-1", "Crew", exists=True)


@pytest.mark.parametrize("kind", get_args(ChangeType))
def test_each_type_of_the_feed_has_words_and_a_kind_to_choose(kind: str) -> None:
    told = sentence(change(1, kind), {})
    assert told.word != "Other"
    assert told.did != kind
    assert [kind in types for _, types in KINDS.values()].count(True) == 1


def test_a_type_of_a_newer_release_is_told_as_it_is() -> None:
    told = sentence(change(1, "user.renamed"), {"u-1": ADA})
    assert (told.word, told.did, told.who) == ("Other", "user.renamed", ADA)


def test_a_membership_is_told_of_the_member() -> None:
    joined = change(1, "group.member_added", resourceId="g-1", member="u-1")
    assert subjects(joined) == [("user", "u-1"), ("group", "g-1")]
    told = sentence(joined, {"u-1": ADA, "g-1": CREW})
    assert (told.who, told.did, told.group) == (ADA, "joined", CREW)


def test_who_is_gone_is_told_by_the_external_id_else_by_the_id() -> None:
    told = sentence(change(1, "user.deleted", externalId="x-7", paths=["title"]), {})
    assert told.who == Named("user", "u-1", "x-7", exists=False)
    assert sentence(change(1), {}).who.name == "u-1"
    assert told.paths == [("title", "title")]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "enterprise:department"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:title", "title"),
        ('emails[type eq "work"].value', 'emails[type eq "work"].value'),
        ("urn:odd", "urn:odd"),
    ],
)
def test_a_path_is_told_without_the_length_of_its_urn(path: str, told: str) -> None:
    assert short(path) == told


def test_what_is_not_as_documented_leaves_the_rest_standing() -> None:
    told = sentence({"type": 7, "at": "yesterday", "actor": "me", "paths": "x"}, {})
    assert (told.at, told.credential, told.token, told.paths) == (None, "", None, ())


def test_what_is_looked_for_is_an_address_without_what_is_empty() -> None:
    assert Wanted(who="ada & co", kind="deleted").query(after="7") == "who=ada+%26+co&kind=deleted&after=7"
    assert Wanted().is_any
    assert not Wanted(period="1d").is_any
    assert Wanted(kind="nonsense").types == frozenset()


def test_times_are_a_period_or_two_moments_in_utc() -> None:
    assert Wanted(period="1d").begin(NOW) == NOW - timedelta(days=1)
    assert Wanted(period="1d", since="2026-11-01T10:00").begin(NOW) == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert Wanted().begin(NOW) is None
    assert Wanted(until="2026-11-01").end() == datetime(2026, 11, 1, tzinfo=UTC)
    assert moment("2026-11-01T10:00+01:00") == datetime(2026, 11, 1, 9, tzinfo=UTC)
    with pytest.raises(ValueError, match="write it like 2026"):
        moment("tomorrow")
