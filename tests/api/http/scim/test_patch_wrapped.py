"""A PATCH without a path whose value object comes in an array of one, as SCIM-SDK sends it."""

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import Scim
from api.test_bad_input import refused
from support.user_calls import CUSTOM, ENTERPRISE, create, ops

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
VALUE = {
    "title": "Boss",
    "name.givenName": "Augusta",
    'emails[type eq "work"].value': "augusta@contoso.com",
    f"{ENTERPRISE}:department": "Engines",
    CUSTOM: {"badge": "B-7"},
}


@pytest.mark.parametrize("op", ["add", "replace", "Add", "Replace"])
@pytest.mark.parametrize("path", [{}, {"path": ""}, {"path": None}, {"path": CORE}])
async def test_a_value_object_in_an_array_of_one_is_that_object(
    scim: Scim, person: Person, op: str, path: dict[str, Any]
) -> None:
    headers = await scim.connect(customFields=[{"name": "badge"}])
    results = []
    for name, value in (("ada", VALUE), ("bob", [VALUE])):
        made = await create(scim, headers, person(name, userName="same", emails=person("ada")["emails"]))
        answer = await scim.client.patch(
            f"/Users/{made['id']}", json=ops({"op": op, **path, "value": value}), headers=headers
        )
        assert answer.status_code == 200, answer.text
        changed = answer.json()
        results.append({key: changed[key] for key in ("title", "name", "emails", ENTERPRISE, CUSTOM)})
        await scim.client.delete(f"/Users/{made['id']}", headers=headers)
    results[1]["name"]["formatted"] = results[0]["name"]["formatted"]
    assert results[0] == results[1]
    assert results[0]["title"] == "Boss"


@pytest.mark.parametrize(
    "value",
    [{ENTERPRISE: [{"department": "Engines"}]}, [{ENTERPRISE: [{"department": "Engines"}]}], {CORE: [{"title": "x"}]}],
)  # fmt: skip
async def test_a_schema_inside_the_value_object_may_be_wrapped_as_well(
    scim: Scim, entra: Headers, person: Person, value: Any
) -> None:
    made = await create(scim, entra, person("ada"))
    answer = await scim.client.patch(
        f"/Users/{made['id']}", json=ops({"op": "add", "value": value}), headers=entra
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["title"] == "x" or answer.json()[ENTERPRISE] == {"department": "Engines"}


async def test_a_group_takes_it_as_well(scim: Scim, entra: Headers, person: Person) -> None:
    user = await create(scim, entra, person("ada"))
    group = (await scim.client.post("/Groups", json={"displayName": "Staff"}, headers=entra)).json()["id"]
    value = [{"displayName": "Crew", "members": [{"value": user["id"]}]}]
    body = ops({"op": "replace", "value": value})
    assert (await scim.client.patch(f"/Groups/{group}", json=body, headers=entra)).status_code == 204
    read = (await scim.client.get(f"/Groups/{group}", headers=entra)).json()
    assert (read["displayName"], [one["value"] for one in read["members"]]) == ("Crew", [user["id"]])


@pytest.mark.parametrize("value", [[], [{}, {}], [{"title": "x"}, {"title": "y"}], ["title"], [[{}]], "x", 7])
async def test_anything_else_without_a_path_is_refused(
    scim: Scim, entra: Headers, person: Person, value: Any
) -> None:
    made = await create(scim, entra, person("ada"))
    answer = await scim.client.patch(
        f"/Users/{made['id']}", json=ops({"op": "replace", "value": value}), headers=entra
    )
    refused(answer, 400, "invalidSyntax")
    assert (await scim.client.get(f"/Users/{made['id']}", headers=entra)).json() == made
