"""Who somebody is, and what happened to them."""

from typing import Any

import pytest

from kubectl_scim import people
from kubectl_scim.people import About, Names
from scim_console.model import Directory, HistoryQuery, Unreachable
from support.played_directory import PlayedDirectory, change, user

ADA, BOB = "2819c223-7f76-453a-919d-413861904646", "9a0cb3de-52ea-4d2c-8a3c-34f2f0f20e9b"
GONE = "11111111-7f76-453a-919d-413861904646"
GROUPS: list[dict[str, Any]] = [
    {"id": "g1", "displayName": "Engineers", "members": [{"value": ADA}]},
    {"id": "g2", "displayName": "Others", "members": []},
]
CHANGES = [
    change("5", "group.member_added", "g1", member=ADA),
    change("4", "user.deleted", GONE),
    change("3", "user.updated", ADA, actor={"credential": "t2", "scimToken": "team/entra"}),
    change("2", "user.created", GONE),
    change("1", "user.created", ADA),
]


@pytest.fixture
def directory() -> PlayedDirectory:
    shared = [{"type": "work", "value": "team@example.com"}]
    return PlayedDirectory(
        [
            user(ADA, "ada@example.com"),
            user(BOB, "bob@example.com", emails=shared),
            user("c", "carol", emails=shared),
        ],
        GROUPS,
        CHANGES,
        page=2,
    )


def unreachable(_query: object) -> None:
    raise Unreachable("it takes a port-forward")


def ids(changes: object) -> list[str]:
    return [one["id"] for one in changes]  # type: ignore[attr-defined]


def test_the_played_one_is_a_directory(directory: PlayedDirectory) -> None:
    real: Directory = directory
    assert real is directory


@pytest.mark.parametrize("value", [ADA, "ada@example.com", f"e-{ADA}"])
def test_one_is_found_by_each_of_their_names(directory: PlayedDirectory, value: str) -> None:
    assert ids(people.matching(directory, value)) == [ADA]


def test_several_may_share_an_address(directory: PlayedDirectory) -> None:
    assert ids(people.matching(directory, "team@example.com")) == [BOB, "c"]
    assert people.matching(directory, "nobody") == ()


def test_a_person_has_groups_and_a_log(directory: PlayedDirectory) -> None:
    person = people.present(directory, directory.user(ADA), HistoryQuery(limit=20))
    assert ids(person.groups) == ["g1"]
    assert ids(person.log.changes) == ["5", "3", "1"]
    assert person.log.is_whole
    assert person.deletion is None


@pytest.mark.parametrize("value", [GONE, f"e-{GONE}"])
def test_who_was_deleted_is_found_in_the_log(directory: PlayedDirectory, value: str) -> None:
    person = people.former(directory, value, HistoryQuery(limit=20))
    assert person is not None
    assert person.user is None
    assert person.deletion is not None
    assert person.deletion["id"] == "4"
    assert ids(person.log.changes) == ["4", "2"]


def test_an_external_id_that_looks_like_an_id_is_found_too() -> None:
    entras = "22222222-7f76-453a-919d-413861904646"
    directory = PlayedDirectory(changes=[change("1", "user.deleted", "x", externalId=entras)])
    person = people.former(directory, entras, HistoryQuery())
    assert person is not None
    assert person.about == About("x", entras)
    assert people.whom(directory, entras) == [About("x", entras)]
    directory.asked.clear()
    assert people.former(directory, "never", HistoryQuery()) is None
    assert [query.about for query in directory.asked] == [None], "no id looks like that"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("ada@example.com", [About(id=ADA)]),
        ("team@example.com", [About(id=BOB), About(id="c")]),
        ("Engineers", [About(id="g1")]),
        ("g2", [About(id="g2")]),
        (GONE, [About(id=GONE)]),
        (f"e-{GONE}", [About(GONE, f"e-{GONE}")]),
        ("gone", [About(external_id="gone")]),
    ],
)
def test_what_the_log_is_about_is_named_as_people_do(
    directory: PlayedDirectory, value: str, found: list[About]
) -> None:
    assert people.whom(directory, value) == found


def test_a_person_is_shown_where_the_log_can_not_be_read(directory: PlayedDirectory) -> None:
    directory.history = unreachable  # type: ignore[method-assign, assignment]
    person = people.present(directory, directory.user(ADA), HistoryQuery())
    assert (person.log.changes, person.log.obstacle) == ((), "it takes a port-forward")
    with pytest.raises(Unreachable):
        people.former(directory, GONE, HistoryQuery())


def test_a_log_is_read_over_short_and_empty_pages_up_to_its_limit(directory: PlayedDirectory) -> None:
    whole = people.history(directory, About(), HistoryQuery(limit=20))
    assert (ids(whole.changes), whole.is_whole) == (["5", "4", "3", "2", "1"], True)
    some = people.history(directory, About(), HistoryQuery(limit=3))
    assert (ids(some.changes), some.is_whole) == (["5", "4", "3"], False)
    assert directory.asked[-1].limit == 1, "no more than is missing"
    people.history(directory, About(), HistoryQuery(limit=5000))
    assert all(query.limit <= 1000 for query in directory.asked)


def test_of_what_comes_is_shown_what_was_asked_for() -> None:
    def shown(about: About, **query: object) -> list[str]:
        return ids(people.following(reversed(CHANGES), about, HistoryQuery(**query), {"1"}))  # type: ignore[arg-type]

    assert shown(About()) == ["2", "3", "4", "5"]
    assert shown(About(id=ADA)) == ["3", "5"]
    assert shown(About(external_id=f"e-{GONE}")) == ["2", "4"]
    assert shown(About(GONE, "e")) == ["2", "4"]
    assert shown(About(), credential="t2") == ["3"]
    assert shown(About(), types=frozenset({"user.deleted"})) == ["4"]


def test_names_are_asked_for_once_and_together(directory: PlayedDirectory) -> None:
    names = Names(directory)
    found = names.of(CHANGES)
    assert {key: found[key] for key in (ADA, "g1", GONE)} == {
        ADA: "ada@example.com",
        "g1": "Engineers",
        GONE: "",
    }
    assert len(directory.asked) == 2
    names.of(CHANGES)
    assert len(directory.asked) == 2


def test_more_ids_than_a_filter_takes_are_asked_for_in_parts(directory: PlayedDirectory) -> None:
    found = Names(directory).of([change(str(number), "user.created", f"u{number}") for number in range(120)])
    assert len(found) == 120
    assert len(directory.asked) == 3


def test_where_names_can_not_be_told_there_are_none(directory: PlayedDirectory) -> None:
    def refuse(*_arguments: object) -> None:
        raise ValueError("tooMany")

    directory.users = refuse  # type: ignore[assignment, method-assign]
    assert Names(directory).of(CHANGES)[ADA] == ""


@pytest.mark.parametrize(("limit", "shown", "pages"), [(450, 450, 3), (1000, 500, 3), (10, 10, 1)])
def test_a_list_is_read_page_by_page(limit: int, shown: int, pages: int) -> None:
    directory = PlayedDirectory([user(str(number), f"u{number}") for number in range(500)])
    page = people.users(directory, None, limit)
    assert (page.total, len(page.resources), len(directory.asked)) == (500, shown, pages)
    assert people.groups(directory, None, limit).total == 0
