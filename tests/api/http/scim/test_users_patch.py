"""Entra's changes of users, line by line, on both databases."""

import uuid
from typing import Any

import pytest

from api.conftest import Scim
from support.user_calls import ENTERPRISE, Person, create, find, ops


@pytest.mark.parametrize(("sent", "held"), [("True", True), ("False", False), (False, False), ("true", True)])
async def test_active_arrives_as_boolean_or_string_and_is_held_as_boolean(
    scim: Scim, entra: dict[str, str], person: Person, sent: object, held: bool
) -> None:
    made = await create(scim, entra, person("ada", active=sent))
    assert made["active"] is held
    patched = await scim.client.patch(
        f"/Users/{made['id']}", json=ops({"op": "Replace", "path": "active", "value": sent}), headers=entra
    )
    assert patched.json()["active"] is held


DIALECT_1 = ops(
    {"op": "Replace", "path": "displayName", "value": "New"},
    {"op": "Add", "path": "name.givenName", "value": "Given"},
    {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "new@contoso.com"},
    {"op": "Replace", "path": 'addresses[type eq "work"].country', "value": "FR"},
    {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Sales"},
    {"op": "Replace", "path": "active", "value": "False"},
)
DIALECT_2 = ops(
    {
        "op": "replace",
        "value": {
            "displayName": "New",
            "name.givenName": "Given",
            'emails[type eq "work"].value': "new@contoso.com",
            'addresses[type eq "work"].country': "FR",
            f"{ENTERPRISE}:department": "Sales",
            "active": False,
        },
    },
)


@pytest.mark.parametrize("body", [DIALECT_1, DIALECT_2], ids=["without the flag", "aadOptscim062020"])
async def test_both_dialects_of_patch_do_the_same(
    scim: Scim, entra: dict[str, str], person: Person, body: dict[str, Any]
) -> None:
    made = await create(scim, entra, person("ada"))
    answer = await scim.client.patch(f"/Users/{made['id']}?aadOptscim062020", json=body, headers=entra)
    assert answer.status_code == 200, answer.text
    user = answer.json()
    assert user["displayName"] == "New"
    assert user["name"]["givenName"] == "Given"
    assert user["emails"] == [{"primary": True, "type": "work", "value": "new@contoso.com"}]
    assert user["addresses"] == [{"type": "work", "country": "FR"}]
    assert user[ENTERPRISE]["department"] == "Sales"
    assert user["active"] is False
    assert user["meta"]["version"] != made["meta"]["version"]
    assert [
        one["id"] for one in await find(scim, entra, 'emails[type eq "work"].value eq "new@contoso.com"')
    ] == [made["id"]]
    assert await find(scim, entra, 'emails[type eq "work"].value eq "ada@contoso.com"') == []


async def test_a_path_filter_that_matches_no_entry_creates_it(scim: Scim, person: Person) -> None:
    headers = await scim.connect("m", tenant="m", matching="userName")
    made = await create(scim, headers, person("ada", emails=...))
    body = ops({"op": "Replace", "path": 'emails[type eq "work"].value', "value": "x@y.z"})
    answer = await scim.client.patch(f"/Users/{made['id']}", json=body, headers=headers)
    assert answer.json()["emails"] == [{"type": "work", "value": "x@y.z"}]


@pytest.mark.parametrize(
    "path", ["title", "name.givenName", 'addresses[type eq "work"].country', f"{ENTERPRISE}:department"]
)
async def test_an_attribute_is_cleared_with_an_empty_string_and_again_with_null(
    scim: Scim, entra: dict[str, str], person: Person, path: str
) -> None:
    made = await create(scim, entra, person("ada"))
    for value in ("", None):
        answer = await scim.client.patch(
            f"/Users/{made['id']}", json=ops({"op": "Replace", "path": path, "value": value}), headers=entra
        )
        assert answer.status_code in {200, 204}, answer.text
    held = (await scim.client.get(f"/Users/{made['id']}", headers=entra)).text
    assert ':""' not in held
    assert "{}" not in held


async def test_clearing_the_work_email_twice_is_no_no_target(scim: Scim, person: Person) -> None:
    headers = await scim.connect("m", tenant="m", matching="userName")
    made = await create(scim, headers, person("ada"))
    for _ in range(2):
        body = ops({"op": "Replace", "path": 'emails[type eq "work"].value', "value": ""})
        answer = await scim.client.patch(f"/Users/{made['id']}", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
    assert "emails" not in answer.json()


async def test_clearing_the_work_email_is_refused_with_matching_work_email(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = await create(scim, entra, person("ada"))
    body = ops({"op": "Replace", "path": 'emails[type eq "work"].value', "value": ""})
    answer = await scim.client.patch(f"/Users/{made['id']}", json=body, headers=entra)
    assert 400 <= answer.status_code < 500
    assert "email" in answer.json()["detail"].lower()
    assert (await scim.client.get(f"/Users/{made['id']}", headers=entra)).json() == made


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "boss"},
        {"op": "Add", "path": "manager", "value": "boss"},
        {"op": "Add", "path": "manager", "value": [{"$ref": "x/Users/boss", "value": "boss"}]},
        {"op": "replace", "value": {f"{ENTERPRISE}:manager": "boss"}},
    ],
)
async def test_manager_comes_in_four_shapes_and_is_returned_as_a_value(
    scim: Scim, entra: dict[str, str], person: Person, operation: dict[str, Any]
) -> None:
    made = await create(scim, entra, person("ada"))
    answer = await scim.client.patch(f"/Users/{made['id']}", json=ops(operation), headers=entra)
    assert answer.status_code == 200, answer.text
    assert answer.json()[ENTERPRISE]["manager"]["value"] == "boss"
    listed = await find(scim, entra, f'id eq "{made["id"]}" and manager eq "boss"')
    assert [user["id"] for user in listed] == [made["id"]]
    gone = await scim.client.patch(
        f"/Users/{made['id']}", json=ops({"op": "Replace", "path": "manager", "value": ""}), headers=entra
    )
    assert "manager" not in gone.json()[ENTERPRISE]


@pytest.mark.parametrize("schemas", [{}, {"schemas": []}, {"schemas": None}])
async def test_no_operations_are_nothing_to_do_and_no_schemas_are_none_sent(
    scim: Scim, entra: dict[str, str], person: Person, schemas: dict[str, Any]
) -> None:
    """Microsoft's validator sends both."""
    made = await create(scim, entra, person("ada", **schemas))
    group = await scim.client.post("/Groups", json={**schemas, "displayName": "Staff"}, headers=entra)
    nothing = {**schemas, "Operations": []}
    for path, status in ((f"/Users/{made['id']}", 200), (f"/Groups/{group.json()['id']}", 204)):
        before = await scim.client.get(path, headers=entra)
        answer = await scim.client.patch(path, json=nothing, headers=entra)
        assert (answer.status_code, answer.headers["etag"]) == (status, before.headers["etag"]), answer.text
        assert (await scim.client.get(path, headers=entra)).json() == before.json()
        late = await scim.client.patch(path, json=nothing, headers={**entra, "if-match": 'W/"7"'})
        assert late.status_code == 412
        done = ops({"op": "replace", "path": "displayName", "value": "New"}) | schemas
        assert (await scim.client.patch(path, json=done, headers=entra)).status_code == status
    gone = await scim.client.patch(f"/Users/{uuid.UUID(int=1)}", json=nothing, headers=entra)
    assert gone.status_code == 404
