"""``manager.$ref``: computed wherever a user is returned, never stored, never a client's."""

import json
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from api.conftest import BASE, Scim
from api.test_bad_input import refused
from scim_api.http.scim import lists
from support.user_calls import ENTERPRISE, create, ops

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
MANAGER: Final = f"{ENTERPRISE}:manager"
SHAPES: Final[tuple[Callable[[str], Any], ...]] = (
    lambda boss: boss,
    lambda boss: {"value": boss},
    lambda boss: {"value": boss, "$ref": "https://elsewhere.test/Users/other", "displayName": "Boss"},
    lambda boss: {"$ref": f"https://elsewhere.test/Users/{boss}"},
    lambda boss: [{"$ref": None, "value": boss}],
)


def manager(user: dict[str, Any]) -> Any:
    return user[ENTERPRISE]["manager"]


def of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code in {200, 201}, answer.text
    body = answer.json()
    users: list[dict[str, Any]] = body.get("Resources", [body])
    return users


@pytest.mark.parametrize("shape", SHAPES)
async def test_it_is_in_every_answer_with_the_user_and_begins_with_our_address(
    scim: Scim, entra: Headers, person: Person, shape: Callable[[str], Any]
) -> None:
    boss = (await create(scim, entra, person("boss")))["id"]
    body = person("ada", **{ENTERPRISE: {"department": "R&D", "manager": shape(boss)}})
    path = f"/Users/{(made := await create(scim, entra, body))['id']}"
    change = ops({"op": "Replace", "path": MANAGER, "value": shape(boss)})
    title = ops({"op": "Replace", "path": "title", "value": "Boss"})
    search = {"filter": "title pr", "sortBy": "userName", "count": 1}
    answers = [
        [made],
        of(await scim.client.get(path, headers=entra)),
        of(await scim.client.put(path, json={**body, "title": "x"}, headers=entra)),
        of(await scim.client.patch(path, json=change, headers=entra)),
        of(await scim.client.patch(path, json=title, headers=entra)),
        of(await scim.client.get("/Users?startIndex=2&count=5", headers=entra)),
        of(await scim.client.get("/Users?startIndex=2&count=5&attributes=" + MANAGER, headers=entra)),
        of(await scim.client.get('/Users?filter=userName eq "ada@contoso.com"', headers=entra)),
        of(await scim.client.get(f'/Users?filter=manager eq "{boss}"', headers=entra)),
        of(await scim.client.post("/Users/.search", json=search, headers=entra)),
        of(await scim.client.get("?sortBy=userName&count=1", headers=entra)),
        of(await scim.client.get(f"{path}?attributes=groups,{MANAGER}", headers=entra)),
    ]
    address = {"value": boss, "$ref": f"{BASE}/Users/{boss}"}
    assert [[manager(user) for user in users] for users in answers] == [[address]] * len(answers)
    found = await scim.client.get(address["$ref"], headers=entra)
    assert found.json()["id"] == boss


async def test_nothing_of_it_is_stored(scim: Scim, entra: Headers, person: Person) -> None:
    boss = (await create(scim, entra, person("boss")))["id"]
    sent = {"value": boss, "$ref": "https://elsewhere.test/Users/x", "displayName": "Boss"}
    made = await create(scim, entra, person("ada", **{ENTERPRISE: {"manager": sent}}))
    assert manager(made) == {"value": boss, "$ref": f"{BASE}/Users/{boss}"}
    for _ in range(2):  # what was read, sent back, changes nothing
        put = await scim.client.put(f"/Users/{made['id']}", json=made, headers=entra)
        assert put.json() == made
    headers = {"authorization": entra["authorization"]}
    access = await scim.service.authenticator.authenticate(headers["authorization"].split()[1], None)
    assert access is not None
    stored = await scim.service.store.get(access.tenant, "User", made["id"])
    assert stored is not None
    assert manager(json.loads(stored.doc)) == {"value": boss}
    scim.service.base_url = "https://moved.test/scim/v2"
    for path in (f"/Users/{made['id']}", "/Users?startIndex=2&count=1"):
        [user] = of(await scim.client.get(path, headers=entra))
        assert manager(user)["$ref"] == f"https://moved.test/scim/v2/Users/{boss}"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"attributes={MANAGER}", {"manager": {"value": "b", "$ref": f"{BASE}/Users/b"}}),
        (f"attributes={MANAGER}.$ref", {"manager": {"$ref": f"{BASE}/Users/b"}}),
        ("attributes=manager.$REF", {"manager": {"$ref": f"{BASE}/Users/b"}}),
        (f"attributes={MANAGER}.value", {"manager": {"value": "b"}}),
        (f"attributes={MANAGER}.displayName", None),
        ("attributes=title", None),
        (f"excludedAttributes={MANAGER}.$ref", {"department": "R&D", "manager": {"value": "b"}}),
        (f"excludedAttributes={MANAGER}.value", {"department": "R&D", "manager": {"$ref": f"{BASE}/Users/b"}}),
        (f"excludedAttributes={MANAGER}", {"department": "R&D"}),
    ],
)  # fmt: skip
async def test_it_is_chosen_and_left_out_as_any_sub_attribute(
    scim: Scim, entra: Headers, person: Person, query: str, expected: Any
) -> None:
    extension = {"department": "R&D", "manager": "b"}
    made = await create(scim, entra, person("ada", **{ENTERPRISE: extension}))
    for path in (f"/Users/{made['id']}", "/Users"):
        [user] = of(await scim.client.get(f"{path}?{query}", headers=entra))
        assert user.get(ENTERPRISE) == expected
    body = person("ada", title="New", **{ENTERPRISE: extension})
    [user] = of(await scim.client.put(f"/Users/{made['id']}?{query}", json=body, headers=entra))
    assert user.get(ENTERPRISE) == expected


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("a b", "a%20b"), ('a"b', "a%22b"), ("a/b", "a%2Fb"), ("a\\b", "a%5Cb"), ("é", "%C3%A9"), ("a\tb", "a%09b"),
        ('"}', "%22%7D"), ('"manager":{"value":"x"}', "%22manager%22%3A%7B%22value%22%3A%22x%22%7D"), ("a.b~c-_", "a.b~c-_"),
    ],
)  # fmt: skip
async def test_an_id_that_is_none_of_ours_is_part_of_an_address_all_the_same(
    scim: Scim, entra: Headers, person: Person, name: str, segment: str
) -> None:
    text = '"manager":{"value":"in a string"}'
    body = person("ada", title=text, displayName=name, **{ENTERPRISE: {"department": text, "manager": name}})
    made = await create(scim, entra, body)
    for path in (f"/Users/{made['id']}", "/Users?startIndex=1&count=1"):
        [user] = of(await scim.client.get(path, headers=entra))
        assert manager(user) == {"value": name, "$ref": f"{BASE}/Users/{segment}"}
        assert (user["title"], user["displayName"], user[ENTERPRISE]["department"]) == (text, name, text)
    group = await scim.client.post("/Groups", json={"displayName": text}, headers=entra)
    assert group.json()["displayName"] == text


async def test_a_page_without_managers_is_left_as_the_database_made_it(
    scim: Scim, entra: Headers, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await create(scim, entra, person("ada"))
    monkeypatch.delattr(lists, "splice_manager")
    assert of(await scim.client.get("/Users?startIndex=1&count=1", headers=entra)) == [made]


async def test_a_filter_on_it_is_refused_with_what_to_compare(scim: Scim, entra: Headers) -> None:
    for text in (f'{MANAGER}.$ref eq "x"', "manager.$ref pr"):
        answer = await scim.client.get("/Users", params={"filter": text}, headers=entra)
        assert "manager.value" in refused(answer, 400, "invalidFilter")
