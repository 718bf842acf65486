"""What a deleted user leaves behind in those who had it as manager: a reference that points to nobody."""

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import Scim
from support.change_rows import change_rows
from support.user_calls import ENTERPRISE, create, find, ops

Person = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    "change",
    [
        {"op": "Remove", "path": f"{ENTERPRISE}:manager"},
        {"op": "Replace", "path": "manager", "value": ""},
        {"op": "replace", "value": {f"{ENTERPRISE}:manager": None}},
    ],
)
async def test_who_had_a_deleted_user_as_manager_is_unchanged_until_the_reference_is_removed(
    scim: Scim, entra: dict[str, str], person: Person, change: dict[str, Any]
) -> None:
    boss = await create(scim, entra, person("boss"))
    made = await create(
        scim, entra, person("ada", **{ENTERPRISE: {"department": "R&D", "manager": boss["id"]}})
    )
    path = f"/Users/{made['id']}"
    before = await change_rows(scim.service.store)
    assert (await scim.client.delete(f"/Users/{boss['id']}", headers=entra)).status_code == 204
    assert [row.resource_id for row in (await change_rows(scim.service.store))[len(before) :]] == [boss["id"]]
    assert (await scim.client.get(path, headers=entra)).json() == made
    by_manager = f'manager eq "{boss["id"]}"'
    assert [user["id"] for user in await find(scim, entra, by_manager)] == [made["id"]]
    again = await create(scim, entra, person("boss"))
    assert again["id"] != boss["id"]
    answer = await scim.client.patch(path, json=ops(change), headers=entra)
    assert answer.json()[ENTERPRISE] == {"department": "R&D"}
    assert await find(scim, entra, by_manager) == []
