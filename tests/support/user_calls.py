"""What tests of Entra's conversation about users say again and again."""

from collections.abc import Callable
from typing import Any

from api.conftest import Scim

Person = Callable[..., dict[str, Any]]
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CUSTOM = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def ops(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


async def create(scim: Scim, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    answer = await scim.client.post("/Users", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def find(scim: Scim, headers: dict[str, str], text: str) -> list[dict[str, Any]]:
    answer = await scim.client.get("/Users", params={"filter": text}, headers=headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    assert body["totalResults"] == len(body["Resources"]) == body["itemsPerPage"]
    found: list[dict[str, Any]] = body["Resources"]
    return found
