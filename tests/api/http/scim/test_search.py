"""SearchRequests (RFC 7644 section 3.4.3), searches over all resource types, and groups in lists."""

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import BASE, Scim
from api.test_bad_input import refused

Person = Callable[..., dict[str, Any]]
SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@pytest.fixture
async def made(scim: Scim, entra: dict[str, str], person: Person) -> dict[str, str]:
    """Ids by name: the users ada and bob, the group Staff with both, and Board with ada and Staff."""
    ids: dict[str, str] = {}
    for name in ("ada", "bob"):
        answer = await scim.client.post("/Users", json=person(name), headers=entra)
        ids[name] = answer.json()["id"]
    for name, members in (("Staff", ("ada", "bob")), ("Board", ("ada", "Staff"))):
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": ids[one]} for one in members]}
        answer = await scim.client.post("/Groups", json=body, headers=entra)
        assert answer.status_code == 201, answer.text
        ids[name] = answer.json()["id"]
    return ids


async def search(scim: Scim, headers: dict[str, str], path: str = "/Users/.search", /, **body: Any) -> Any:
    answer = await scim.client.post(path, json={"schemas": [SEARCH], **body}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert "location" not in answer.headers
    return answer.json()


def ids_of(page: dict[str, Any]) -> list[str]:
    return [resource["id"] for resource in page["Resources"]]


async def test_a_search_request_says_what_parameters_say(
    scim: Scim, entra: dict[str, str], made: dict[str, str]
) -> None:
    page = await search(
        scim, entra,
        attributes=["userName", "name.givenName"], filter="userName pr", sortBy="userName",
        sortOrder="descending", startIndex=2, count=1,
    )  # fmt: skip
    parameters: dict[str, str | int] = {
        "attributes": "userName,name.givenName", "filter": "userName pr", "sortBy": "userName",
        "sortOrder": "descending", "startIndex": 2, "count": 1,
    }  # fmt: skip
    assert page == (await scim.client.get("/Users", params=parameters, headers=entra)).json()
    assert ids_of(page) == [made["ada"]]
    assert page["Resources"][0].keys() == {"schemas", "id", "userName", "name"}


async def test_names_come_in_any_case_and_unknown_ones_are_ignored(
    scim: Scim, entra: dict[str, str], made: dict[str, str]
) -> None:
    page = await search(
        scim, entra, "/users/.SEARCH/", FILTER='userName eq "bob@contoso.com"', Shoe=5, sortby=None, COUNT="7"
    )
    assert ids_of(page) == [made["bob"]]


@pytest.mark.usefixtures("made")
async def test_excluded_attributes_of_a_search_request(scim: Scim, entra: dict[str, str]) -> None:
    page = await search(scim, entra, excludedAttributes=["emails", "name"], count=1)
    assert not {"emails", "name"} & page["Resources"][0].keys()


async def test_an_empty_search_request_finds_all(
    scim: Scim, entra: dict[str, str], made: dict[str, str]
) -> None:
    answer = await scim.client.post("/Users/.search", json={}, headers=entra)
    assert ids_of(answer.json()) == [made["ada"], made["bob"]]


async def test_a_search_request_pages_by_cursor(
    scim: Scim, entra: dict[str, str], made: dict[str, str]
) -> None:
    found, cursor = [], ""
    for _ in range(4):
        page = await search(scim, entra, "/.search", cursor=cursor, count=1)
        found += ids_of(page)
        cursor = page.get("nextCursor", "")
    assert found == list(made.values())
    assert cursor == ""


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"attributes": "a" * 9000}, "attributes"),
        ({"attributes": [5]}, "attributes"),
        ({"attributes": {"a": 1}}, "attributes"),
        ({"excludedAttributes": 5}, "excludedAttributes"),
        ({"filter": 5}, "filter"),
        ({"filter": ["a"]}, "filter"),
        ({"sortBy": 5}, "sortBy"),
        ({"sortBy": "userName", "sortOrder": "up"}, "sortOrder"),
        ({"sortOrder": True}, "sortOrder"),
        ({"startIndex": "x"}, "startIndex"),
        ({"startIndex": 1.5}, "startIndex"),
        ({"count": True}, "count"),
        ({"count": []}, "count"),
        ({"cursor": 5}, "cursor"),
        ({"attributes": ["userName"], "excludedAttributes": ["title"]}, "excludedAttributes"),
        ({"count": 1, "Count": 2}, "count"),
    ],
)
async def test_a_search_request_of_wrong_types_is_refused_and_told_what_to_write(
    scim: Scim, entra: dict[str, str], body: dict[str, Any], named: str
) -> None:
    for path in ("/Users/.search", "/Groups/.search", "/.search"):
        detail = refused(await scim.client.post(path, json=body, headers=entra), 400)
        assert named in detail
        assert detail.endswith(".")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'"x"'])
async def test_a_search_request_that_is_no_object_is_refused(
    scim: Scim, entra: dict[str, str], content: bytes
) -> None:
    answer = await scim.client.post("/.search", content=content, headers=entra)
    refused(answer, 400, "invalidSyntax")


async def test_a_search_is_a_post(scim: Scim, entra: dict[str, str]) -> None:
    for path in ("/.search", "/Users/.search", "/Groups/.search"):
        refused(await scim.client.get(path, headers=entra), 405)


async def test_the_base_path_lists_users_and_groups_each_as_its_kind(
    scim: Scim, entra: dict[str, str], made: dict[str, str]
) -> None:
    page = (await scim.client.get("", headers=entra)).json()
    assert page == await search(scim, entra, "/.search")
    assert page["totalResults"] == 4
    assert ids_of(page) == list(made.values())
    for resource in page["Resources"]:
        kind = resource["meta"]["resourceType"]
        single = await scim.client.get(f"/{kind}s/{resource['id']}", headers=entra)
        assert resource == single.json()
        assert resource["meta"]["location"] == f"{BASE}/{kind}s/{resource['id']}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('meta.resourceType eq "Group"', ["Staff", "Board"]),
        ('displayName eq "staff"', ["Staff"]),
        ('displayName eq "ADA"', ["ada"]),
        ('userName sw "b"', ["bob"]),
        ('userName sw "b" or displayName sw "b"', ["bob", "Board"]),
        ("userName pr", ["ada", "bob"]),
        ("displayName pr", ["ada", "bob", "Staff", "Board"]),
        ('userName eq "ada@contoso.com"', ["ada"]),
        ('emails[type eq "work"].value eq "bob@contoso.com"', ["bob"]),
        ("members pr", ["Staff", "Board"]),
    ],
)
async def test_a_filter_on_the_base_path_looks_at_all_kinds(
    scim: Scim, entra: dict[str, str], made: dict[str, str], text: str, found: list[str]
) -> None:
    page = await search(scim, entra, "/.search", filter=text)
    assert ids_of(page) == [made[name] for name in found]
    assert page["totalResults"] == len(found)


async def test_sorting_across_kinds(scim: Scim, entra: dict[str, str], made: dict[str, str]) -> None:
    page = await search(scim, entra, "/.search", sortBy="displayName", sortOrder="descending")
    assert ids_of(page) == [made[name] for name in ("Staff", "bob", "Board", "ada")]


async def test_projection_across_kinds(scim: Scim, entra: dict[str, str], made: dict[str, str]) -> None:
    page = await search(scim, entra, "/.search", attributes=["userName", "members.value"])
    ada, bob, staff, board = page["Resources"]
    assert ada.keys() == bob.keys() == {"schemas", "id", "userName"}
    assert staff["members"] == [{"value": made["ada"]}, {"value": made["bob"]}]
    assert board.keys() == {"schemas", "id", "members"}


async def test_groups_of_users_are_returned_on_request(
    scim: Scim, entra: dict[str, str], made: dict[str, str]
) -> None:
    def entry(name: str) -> dict[str, str]:
        return {"value": made[name], "$ref": f"{BASE}/Groups/{made[name]}", "display": name, "type": "direct"}

    plain = (await scim.client.get("/Users", headers=entra)).json()
    assert all("groups" not in user for user in plain["Resources"])
    asked = {"attributes": "groups"}
    ada, bob = (await scim.client.get("/Users", params=asked, headers=entra)).json()["Resources"]
    assert ada["groups"] == [entry("Staff"), entry("Board")]
    assert bob["groups"] == [entry("Staff")]
    single = await scim.client.get(f"/Users/{made['ada']}", params=asked, headers=entra)
    assert single.json() == ada
    part = {"attributes": "groups.display,userName"}
    single = await scim.client.get(f"/Users/{made['bob']}", params=part, headers=entra)
    assert single.json()["groups"] == [{"display": "Staff"}]


async def test_groups_in_a_list_have_their_members_unless_excluded(
    scim: Scim, entra: dict[str, str], made: dict[str, str]
) -> None:
    staff, board = (await scim.client.get("/Groups", headers=entra)).json()["Resources"]
    assert [member["value"] for member in staff["members"]] == [made["ada"], made["bob"]]
    assert {member["type"] for member in board["members"]} == {"User", "Group"}
    excluded = {"excludedAttributes": "members"}
    for group in (await scim.client.get("/Groups", params=excluded, headers=entra)).json()["Resources"]:
        assert group.keys() == {"schemas", "id", "displayName", "meta"}


async def test_with_groups_switched_off_only_users_are_searched(scim: Scim, person: Person) -> None:
    headers = await scim.connect("plain", tenant="plain", groups="Disabled")
    await scim.client.post("/Users", json=person("ada"), headers=headers)
    page = (await scim.client.get("", headers=headers)).json()
    assert [resource["userName"] for resource in page["Resources"]] == ["ada@contoso.com"]
    refused(await scim.client.post("/Groups/.search", json={}, headers=headers), 404)
    asked = await scim.client.get("/Users", params={"attributes": "groups"}, headers=headers)
    assert asked.json()["Resources"][0].keys() == {"schemas", "id"}
    sorted_by = {"sortBy": "members.value"}
    refused(await scim.client.get("", params=sorted_by, headers=headers), 400, "invalidPath")
