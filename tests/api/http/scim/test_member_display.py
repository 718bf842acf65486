"""What is kept of a member: its id. Names that clients send beside it are not."""

from collections.abc import Callable
from typing import Any

from api.conftest import BASE, Scim
from support.user_calls import create, ops

Person = Callable[..., dict[str, Any]]


async def test_the_display_of_a_member_is_taken_and_not_kept(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    ids = [(await create(scim, entra, person(name)))["id"] for name in ("ada", "bob", "eve")]
    sent = [{"value": one, "display": "A name", "type": "User"} for one in ids]
    body = {"displayName": "Staff", "members": sent[:1]}
    made = (await scim.client.post("/Groups", json=body, headers=entra)).json()
    path = f"/Groups/{made['id']}"
    kept = [{"value": one, "$ref": f"{BASE}/Users/{one}", "type": "User"} for one in ids]
    assert made["members"] == kept[:1]
    change = ops({"op": "add", "path": "members", "value": sent[1:2]})
    assert (await scim.client.patch(path, json=change, headers=entra)).status_code == 204
    assert (await scim.client.get(path, headers=entra)).json()["members"] == kept[:2]
    put = await scim.client.put(path, json={"displayName": "Staff", "members": sent}, headers=entra)
    assert put.json()["members"] == kept
    [listed] = (await scim.client.get("/Groups", headers=entra)).json()["Resources"]
    assert listed["members"] == kept
    schema = (await scim.client.get(f"/Schemas/{made['schemas'][0]}", headers=entra)).json()
    [members] = [one for one in schema["attributes"] if one["name"] == "members"]
    assert [sub["name"] for sub in members["subAttributes"]] == ["value", "$ref", "type"]
