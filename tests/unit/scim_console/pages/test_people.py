"""Users and groups, and each of them."""

import html
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from scim_console.model import Denied, Unreachable
from scim_console.pages.people import ROWS
from support.console_client import browser
from support.played_people import PlayedPeople, user
from support.played_source import PlayedSource, token

ATTACK = '<script>alert(1)</script>\x1b[31m\u202e"'
HERE = "/tokens/team/entra"


def looking(people: PlayedPeople) -> TestClient:
    source = PlayedSource(token())
    source.people = {"entra": people}
    return browser(source)


def test_all_users_are_paged_and_counted() -> None:
    people = PlayedPeople()
    people.found[None] = [user(f"u-{number}", f"Person {number}") for number in range(ROWS + 1)]
    first = looking(people).get(f"{HERE}/users").text
    assert f"1–{ROWS} of {ROWS + 1} users" in first
    assert f'href="{HERE}/users?start={ROWS + 1}"' in first
    last = looking(people).get(f"{HERE}/users?start={ROWS + 1}").text
    assert f"Person {ROWS}" in last
    assert 'rel="next"' not in last
    assert f'href="{HERE}/users?start=1"' in last


def test_a_search_asks_until_one_filter_finds_somebody_and_works_as_a_form() -> None:
    people = PlayedPeople()
    people.found['userName co "p123" or displayName co "p123"'] = [user("u-1", "P123")]
    client = looking(people)
    page = client.get(f"{HERE}/users", params={"q": "p123"}).text
    assert [asked[1] for asked in people.asked] == [
        'externalId eq "p123"', 'userName co "p123" or displayName co "p123"',
    ]  # fmt: skip
    assert f'action="{HERE}/users"' in page
    assert 'value="p123"' in page
    part = client.get(f"{HERE}/parts/users", params={"q": "p123"}).text
    assert "<html" not in part
    assert "P123" in part


def test_what_an_index_finds_is_not_looked_for_in_names() -> None:
    people = PlayedPeople()
    people.found['externalId eq "p123"'] = [user()]
    assert "Ada Lovelace" in looking(people).get(f"{HERE}/users?q=p123").text
    assert len(people.asked) == 1


@pytest.mark.parametrize("kind", ["users", "groups"])
def test_no_people_and_nobody_found_say_what_to_do(kind: str) -> None:
    client = looking(PlayedPeople())
    assert "appear when Entra" in client.get(f"{HERE}/{kind}").text
    assert "Nobody found for" in client.get(f"{HERE}/{kind}?q=nobody").text


@pytest.mark.parametrize(
    "address", ["users", "groups", "users/u-1", "groups/g-1", "parts/groups/g-1/members", "log"]
)
@pytest.mark.parametrize(
    "trouble", [Denied("you need get on secrets"), Unreachable("kubectl port-forward ended")]
)
def test_what_can_not_be_read_is_said_on_the_page(address: str, trouble: Exception) -> None:
    people = PlayedPeople()
    people.trouble = trouble
    answer = looking(people).get(f"{HERE}/{address}")
    assert answer.status_code == 200
    assert str(trouble) in html.unescape(answer.text)


@pytest.mark.parametrize("address", ["users/u-9", "groups/g-9"])
def test_who_is_not_there_is_not_found_and_the_log_is_offered(address: str) -> None:
    answer = looking(PlayedPeople()).get(f"{HERE}/{address}")
    assert answer.status_code == 404
    assert f"{HERE}/log?who={address.partition('/')[2]}" in answer.text


def test_a_user_is_shown_with_attributes_groups_and_what_was_sent() -> None:
    people = PlayedPeople()
    people.found[None] = [user(title="Countess")]
    people.found_groups['members.value eq "u-1"'] = [{"id": "g-1", "displayName": "Crew"}]
    page = looking(people).get(f"{HERE}/users/u-1").text
    assert "Countess" in page
    assert f'href="{HERE}/groups/g-1"><bdi>Crew</bdi>' in page
    assert "2026-11-29T10:00:00Z" in page
    assert f'data-region="{HERE}/parts/log?who=u-1"' in page
    assert '"displayName": "Ada Lovelace"' in html.unescape(page)


def test_a_group_has_its_members_by_page_and_groups_in_it_without_reading_all_members() -> None:
    people = PlayedPeople()
    people.found_groups['id eq "g-1"'] = [{"id": "g-1", "displayName": "Crew"}]
    people.found['groups.value eq "g-1"'] = [
        user(f"u-{number}", f"Person {number}") for number in range(ROWS + 5)
    ]
    client = looking(people)
    assert f'data-region="{HERE}/parts/groups/g-1/members?start=1"' in client.get(f"{HERE}/groups/g-1").text
    part = client.get(f"{HERE}/parts/groups/g-1/members").text
    assert f"1–{ROWS} of {ROWS + 5} members" in part
    assert f'href="{HERE}/groups/g-1/members?start={ROWS + 1}"' in part
    assert f"start={ROWS + 1}" in client.get(f"{HERE}/groups/g-1/members?start={ROWS + 1}").text
    assert ("group", "g-1") not in people.asked
    people.found_groups['id eq "g-1" and members[type eq "Group"]'] = [{"id": "g-1"}]
    people.group_members = [{"value": "g-2", "type": "Group"}, {"value": "u-1", "type": "User"}]
    nested = client.get(f"{HERE}/parts/groups/g-1/members").text
    assert f'href="{HERE}/groups/g-2"' in nested
    assert 'groups/u-1"' not in nested


def test_whatever_others_wrote_is_text() -> None:
    people = PlayedPeople()
    bad = user("u-1", ATTACK, userName=ATTACK, title=ATTACK, externalId=ATTACK)
    bad["emails"][0] |= {"value": ATTACK, "type": ATTACK}
    people.found = {None: [bad], 'groups.value eq "g-1"': [bad]}
    bad_group = {"id": "g-1", "displayName": ATTACK}
    people.found_groups = {one: [bad_group] for one in (None, 'id eq "g-1"', 'members.value eq "u-1"')}
    client = looking(people)
    addresses = (
        "users",
        "users/u-1",
        f"users?q={quote(ATTACK)}",
        "groups",
        "groups/g-1",
        "parts/groups/g-1/members",
    )
    for address in addresses:
        text = client.get(f"{HERE}/{address}").text
        assert "alert(1)" in text
        assert "<script>alert" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_an_address_with_odd_names_leads_back_to_itself() -> None:
    page = looking(PlayedPeople()).get(f"{HERE}/users?start=-5").text
    assert "appear when Entra" in page
    assert looking(PlayedPeople()).get(f"{HERE}/users?start=x").status_code in {200, 422}
