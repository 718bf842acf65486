"""Where a resource is: Location and Content-Location in answers about one."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.conftest import BASE, Scim
from support.user_calls import ops

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]


def places(answer: httpx.Response) -> tuple[str | None, str | None]:
    return answer.headers.get("location"), answer.headers.get("content-location")


@pytest.mark.parametrize("kind", ["Users", "Groups"])
async def test_every_answer_with_a_resource_says_where_it_is_in_both_headers(
    scim: Scim, entra: Headers, person: Person, kind: str
) -> None:
    body = person("ada") if kind == "Users" else {"displayName": "Staff"}
    made = await scim.client.post(f"/{kind}", json=body, headers=entra)
    path = f"/{kind}/{made.json()['id']}"
    change = ops({"op": "replace", "path": "displayName", "value": "Other"})
    answers = [
        made,
        await scim.client.get(path, headers=entra),
        await scim.client.get(f"{path}?attributes=displayName", headers=entra),
        await scim.client.patch(f"{path}?attributes=displayName", json=change, headers=entra),
        await scim.client.put(path, json=body, headers={**entra, "host": "elsewhere.test"}),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200]
    assert [places(answer) for answer in answers] == [(f"{BASE}{path}",) * 2] * 5


async def test_an_answer_without_a_resource_names_no_location(
    scim: Scim, entra: Headers, person: Person
) -> None:
    made = await scim.client.post("/Groups", json={"displayName": "Staff"}, headers=entra)
    path, tag = f"/Groups/{made.json()['id']}", made.headers["etag"]
    unchanged = await scim.client.get(path, headers={**entra, "if-none-match": tag})
    change = ops({"op": "replace", "path": "displayName", "value": "Other"})
    changed = await scim.client.patch(path, json=change, headers=entra)
    assert (unchanged.status_code, changed.status_code) == (304, 204)
    assert places(unchanged) == places(changed) == (None, f"{BASE}{path}")
    for answer in (
        await scim.client.get("/Groups", headers=entra),
        await scim.client.get("/Groups/nobody", headers=entra),
        await scim.client.delete(path, headers=entra),
    ):
        assert places(answer) == (None, None)
