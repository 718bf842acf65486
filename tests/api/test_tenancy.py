"""Two tenants with the same people never see or touch each other's."""

from collections.abc import Callable
from typing import Any

from api.conftest import Scim


async def test_tenants_with_the_same_user_names_never_meet(
    scim: Scim, person: Callable[..., dict[str, Any]]
) -> None:
    ours, theirs = await scim.connect("a", tenant="a"), await scim.connect("b", tenant="b")
    mine = (await scim.client.post("/Users", json=person("ada"), headers=ours)).json()
    other = await scim.client.post("/Users", json=person("ada"), headers=theirs)
    assert other.status_code == 201
    assert other.json()["id"] != mine["id"]
    path = f"/Users/{mine['id']}"
    operations = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "title", "value": "taken over"}],
    }
    assert (await scim.client.get(path, headers=theirs)).status_code == 404
    assert (await scim.client.patch(path, json=operations, headers=theirs)).status_code == 404
    assert (await scim.client.put(path, json=person("ada"), headers=theirs)).status_code == 404
    assert (await scim.client.delete(path, headers=theirs)).status_code == 404
    listed = (await scim.client.get("/Users", headers=theirs)).json()
    assert [user["id"] for user in listed["Resources"]] == [other.json()["id"]]
    filtered = (await scim.client.get(f'/Users?filter=id eq "{mine["id"]}"', headers=theirs)).json()
    assert filtered["totalResults"] == 0
    assert (await scim.client.get(path, headers=ours)).json() == mine


async def test_nothing_in_path_header_or_body_names_another_tenant(
    scim: Scim, person: Callable[..., dict[str, Any]]
) -> None:
    ours, theirs = await scim.connect("a", tenant="a"), await scim.connect("b", tenant="b")
    await scim.client.post("/Users", json=person("ada", tenant="b"), headers={**ours, "x-tenant": "b"})
    assert (await scim.client.get("/Users?tenant=a", headers={**theirs, "x-tenant": "a"})).json()[
        "totalResults"
    ] == 0


async def test_two_connections_of_one_tenant_share_its_people(
    scim: Scim, person: Callable[..., dict[str, Any]]
) -> None:
    one, two = await scim.connect("one", tenant="t"), await scim.connect("two", tenant="t")
    created = (await scim.client.post("/Users", json=person("ada"), headers=one)).json()
    assert (await scim.client.get(f"/Users/{created['id']}", headers=two)).status_code == 200
