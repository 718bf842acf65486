"""What happened: found, told, and followed."""

from typing import Any

from starlette.testclient import TestClient

from scim_console.model import HistoryQuery, Unreachable
from scim_console.pages.log import ROWS
from support.console_client import browser
from support.played_people import PlayedPeople, change, user
from support.played_source import NOW, PlayedSource, token

HERE = "/tokens/team/entra"


def looking(people: PlayedPeople) -> TestClient:
    source = PlayedSource(token())
    source.people = {"entra": people}
    return browser(source)


def with_ada() -> PlayedPeople:
    people = PlayedPeople()
    for one in ('id eq "u-1"', 'userName eq "ada@contoso.example"', 'externalId eq "x-1"'):
        people.found[one] = [user()]
    people.past = [
        change(3, "group.member_added", resourceId="g-1", member="u-1"),
        change(2, "user.deleted", resourceId="u-2", externalId="x-2"),
        change(1),
    ]
    return people


def queries(people: PlayedPeople) -> list[HistoryQuery]:
    return [one for one in people.asked if isinstance(one, HistoryQuery)]


def ids(text: str) -> list[str]:
    return [part.partition('"')[0] for part in text.split('data-id="')[1:]]


def test_changes_are_told_the_newest_first_with_the_names_of_those_who_are_there() -> None:
    page = looking(with_ada()).get(f"{HERE}/log").text
    assert ids(page) == ["3-0000", "2-0000", "1-0000"]
    assert page.count(f'href="{HERE}/users/u-1"><bdi>Ada Lovelace</bdi>') == 2
    assert '<bdi class="gone">x-2</bdi>' in page
    assert f'data-stream="{HERE}/log/live?seen=3-0000"' in page
    assert '<option value="fb8c8bfa672c14f3">' in page


def test_a_person_is_found_by_whatever_names_them() -> None:
    for who in ("u-1", "ada@contoso.example", "x-1"):
        people = with_ada()
        people.found["id eq u-1"] = []
        assert ids(looking(people).get(f"{HERE}/log", params={"who": who}).text) == ["3-0000", "1-0000"], who


def test_who_was_deleted_is_found_by_the_external_id() -> None:
    people = with_ada()
    assert ids(looking(people).get(f"{HERE}/log?who=x-2").text) == ["2-0000"]
    assert queries(people)[-1].about == "u-2"


def test_of_several_who_may_be_meant_one_is_chosen() -> None:
    people = with_ada()
    people.found['userName co "love" or displayName co "love"'] = [user(), user("u-7", "Love Joy")]
    people.found_groups['displayName co "love"'] = [{"id": "g-9", "displayName": "Lovers"}]
    page = looking(people).get(f"{HERE}/log?who=love&kind=deleted").text
    assert "Who is meant?" in page
    for one in ("u-1", "u-7", "g-9"):
        assert f'href="{HERE}/log?who={one}&amp;kind=deleted"' in page
    assert ids(page) == []
    assert ids(looking(people).get(f"{HERE}/log/live?who=love").text) == []


def test_the_only_one_who_may_be_meant_is() -> None:
    people = with_ada()
    people.found['userName co "love" or displayName co "love"'] = [user()]
    assert ids(looking(people).get(f"{HERE}/log?who=love").text) == ["3-0000", "1-0000"]


def test_kind_credential_and_time_are_asked_of_the_source() -> None:
    people = with_ada()
    looking(people).get(f"{HERE}/log?kind=enabled&credential=c-1&period=1h&until=2026-11-30T11:30")
    [query] = queries(people)
    assert query.types == {"user.activated", "user.deactivated"}
    assert query.credential == "c-1"
    assert query.since is not None
    assert (NOW - query.since).total_seconds() == 3600
    assert query.until is not None
    assert query.until.isoformat() == "2026-11-30T11:30:00+00:00"


def test_a_time_that_is_none_says_how_to_write_it() -> None:
    assert "write it like 2026" in looking(with_ada()).get(f"{HERE}/log?since=tomorrow").text


def test_nothing_nobody_and_nothing_like_this_are_told_apart() -> None:
    assert "Nothing has happened yet" in looking(PlayedPeople()).get(f"{HERE}/log").text
    assert "Nobody found for" in looking(PlayedPeople()).get(f"{HERE}/log?who=nobody").text
    assert "Nothing like this happened" in looking(PlayedPeople()).get(f"{HERE}/log?kind=deleted").text


def test_older_ones_come_by_a_link_that_is_a_button_with_a_script() -> None:
    people = with_ada()
    people.past = [change(number) for number in range(ROWS + 2, 0, -1)]
    client = looking(people)
    page = client.get(f"{HERE}/log").text
    assert f'href="{HERE}/log?after={ROWS}"' in page
    assert f'data-region="{HERE}/parts/log?after={ROWS}"' in page
    assert ids(client.get(f"{HERE}/parts/log?after={ROWS}").text) == ["2-0000", "1-0000"]
    older = client.get(f"{HERE}/log?after={ROWS}").text
    assert "data-stream" not in older
    assert "That is all." in older


class ShortPages(PlayedPeople):
    """Looks at one change in a page, whether it is wanted or not."""

    def history(self, query: HistoryQuery) -> Any:
        page = super().history(HistoryQuery(after=query.after, limit=1))
        return type(page)([one for one in page.changes if one["type"] in query.types], page.next)


def test_short_and_empty_pages_of_the_source_are_put_together() -> None:
    people = ShortPages()
    people.past = [change(4), change(3, "user.deleted"), change(2), change(1, "user.deleted")]
    assert ids(looking(people).get(f"{HERE}/log?kind=deleted").text) == ["3-0000", "1-0000"]


def test_a_page_is_told_what_came_since_and_what_comes_each_once() -> None:
    people = with_ada()
    people.coming = [people.past[0], change(4, "user.deactivated"), change(5, resourceId="u-8")]
    text = looking(people).get(f"{HERE}/log/live?seen=2-0000").text
    assert ids(text) == ["3-0000", "4-0000", "5-0000"]
    assert [line for line in text.splitlines() if line.startswith("id: ")] == [
        "id: 3-0000",
        "id: 4-0000",
        "id: 5-0000",
    ]
    assert ids(looking(with_ada()).get(f"{HERE}/log/live?seen=1-0000").text) == ["2-0000", "3-0000"]
    again = looking(people).get(f"{HERE}/log/live?seen=1-0000", headers={"last-event-id": "3-0000"}).text
    assert ids(again) == ["4-0000", "5-0000"]


def test_what_comes_is_filtered_like_the_page() -> None:
    people = with_ada()
    people.coming = [
        change(4, resourceId="u-8"),
        change(5, "user.deactivated"),
        change(6, "user.deactivated", actor={"credential": "another"}),
    ]
    client = looking(people)
    for query in ("who=u-1", "kind=enabled&credential=fb8c8bfa672c14f3"):
        text = client.get(f"{HERE}/log/live?{query}&seen=3-0000").text
        assert ids(text)[:1] == ["5-0000"], query
        assert "4-0000" not in text
    assert "6-0000" not in text


def test_a_stream_that_breaks_off_says_why() -> None:
    people = with_ada()
    people.trouble = Unreachable("the <b>tunnel</b> is gone")
    text = looking(people).get(f"{HERE}/log/live").text
    assert "the &lt;b&gt;tunnel&lt;/b&gt; is gone" in text
    assert text.rstrip().endswith("event: end\ndata:")
