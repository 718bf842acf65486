"""Discovery over HTTP: what a tenant is told is what it gets."""

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import BASE, Scim
from api.test_bad_input import refused

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.mark.parametrize("path", ["/Schemas", "/ResourceTypes", "/ServiceProviderConfig", f"/Schemas/{USER}"])
async def test_a_filter_on_discovery_is_403(scim: Scim, entra: dict[str, str], path: str) -> None:
    detail = refused(await scim.client.get(path, params={"filter": "id pr"}, headers=entra), 403)
    assert detail.endswith(".")


async def test_every_listed_schema_and_type_is_found_at_its_address(
    scim: Scim, entra: dict[str, str]
) -> None:
    for path in ("/Schemas", "/ResourceTypes"):
        listed = (await scim.client.get(path, headers=entra)).json()
        assert listed["totalResults"] == len(listed["Resources"]) > 1
        for content in listed["Resources"]:
            address = content["meta"]["location"]
            assert address == f"{BASE}{path}/{content['id']}"
            single = await scim.client.get(address, headers=entra)
            assert single.json() == content
            assert single.headers["content-type"] == "application/scim+json"


async def test_every_endpoint_that_is_told_is_served(scim: Scim, entra: dict[str, str]) -> None:
    types = (await scim.client.get("/ResourceTypes", headers=entra)).json()["Resources"]
    assert {content["endpoint"] for content in types} == {"/Users", "/Groups"}
    for content in types:
        assert (await scim.client.get(content["endpoint"], headers=entra)).status_code == 200
        assert (await scim.client.get(f"/Schemas/{content['schema']}", headers=entra)).status_code == 200


async def test_without_groups_there_are_neither_schema_nor_type_nor_group(scim: Scim) -> None:
    headers = await scim.connect("plain", tenant="plain", groups="Disabled")
    for path in (f"/Schemas/{GROUP}", "/ResourceTypes/Group", "/Groups/x"):
        detail = refused(await scim.client.get(path, headers=headers), 404)
        assert detail.endswith(".")
    refused(await scim.client.post("/Groups", json={"displayName": "x"}, headers=headers), 404)
    assert "Group" not in (await scim.client.get("/ResourceTypes", headers=headers)).text


async def uniqueness(scim: Scim, headers: dict[str, str]) -> dict[str, str]:
    """What /Schemas says about the attributes of users that may be unique."""
    schema = (await scim.client.get(f"/Schemas/{USER}", headers=headers)).json()
    tops = {one["name"]: one for one in schema["attributes"]}
    values = {one["name"]: one for one in tops["emails"]["subAttributes"]}
    told = {name: tops[name]["uniqueness"] for name in ("userName", "externalId", "displayName")}
    return told | {"emails.value": values["value"]["uniqueness"]}


@pytest.mark.parametrize("matching", ["workEmail", "userName", "externalId"])
async def test_what_is_told_to_be_unique_is_refused_twice_and_nothing_else(
    scim: Scim, person: Callable[..., dict[str, Any]], matching: str
) -> None:
    headers = await scim.connect(matching=matching)
    first = person("ada")
    assert (await scim.client.post("/Users", json=first, headers=headers)).status_code == 201
    told = await uniqueness(scim, headers)
    for number, (path, said) in enumerate(told.items()):
        name = path.partition(".")[0]
        other = person(f"other{number}", **{name: first[name]})
        answer = await scim.client.post("/Users", json=other, headers=headers)
        assert answer.status_code == (409 if said == "server" else 201), path
    assert (told["userName"], told["displayName"]) == ("server", "none")
    assert told["externalId"] == ("server" if matching == "externalId" else "none")
    assert told["emails.value"] == ("server" if matching == "workEmail" else "none")


async def test_pages_are_as_large_as_is_told(scim: Scim, entra: dict[str, str]) -> None:
    told = (await scim.client.get("/ServiceProviderConfig", headers=entra)).json()
    pagination = told["pagination"]
    assert told["filter"]["maxResults"] == pagination["maxPageSize"]
    operations = [
        {"method": "POST", "path": "/Groups", "bulkId": str(i), "data": {"displayName": str(i)}}
        for i in range(pagination["maxPageSize"] + 1)
    ]
    await scim.client.post("/Bulk", json={"Operations": operations}, headers=entra)
    for query, items in (
        ("", pagination["defaultPageSize"]),
        ("?count=9999", pagination["maxPageSize"]),
        ("?cursor&count=9999", pagination["maxPageSize"]),
        ("?count=7", 7),
    ):
        page = (await scim.client.get(f"/Groups{query}", headers=entra)).json()
        assert page["itemsPerPage"] == len(page["Resources"]) == items
        assert page["totalResults"] == len(operations)
