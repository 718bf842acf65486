"""Bulk requests (RFC 7644 section 3.7) over HTTP on both databases."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import BASE, Scim
from api.test_bad_input import refused
from scim_api.core.limits import MAX_BODY, MAX_BULK_OPERATIONS

Person = Callable[..., dict[str, Any]]
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


def post(bulk_id: str, data: dict[str, Any], path: str = "/Users") -> dict[str, Any]:
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": data}


def group(bulk_id: str, *members: str, **more: Any) -> dict[str, Any]:
    data = {
        "schemas": [GROUP],
        "displayName": bulk_id,
        "members": [{"value": one} for one in members],
        **more,
    }
    return post(bulk_id, data, "/Groups")


async def send(scim: Scim, headers: dict[str, str], *operations: Any, **more: Any) -> list[dict[str, Any]]:
    body = {"schemas": [BULK], "Operations": list(operations), **more}
    answer = await scim.client.post("/Bulk", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/scim+json"
    content = answer.json()
    assert content["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]
    results: list[dict[str, Any]] = content["Operations"]
    for result in results:
        failed = int(result["status"]) >= 300
        assert ("response" in result) is failed
        if failed:
            assert result["response"]["schemas"] == [ERROR]
            assert result["response"]["status"] == result["status"]
            assert result["response"]["detail"].endswith(".")
    return results


async def read(scim: Scim, headers: dict[str, str], location: str) -> dict[str, Any]:
    answer = await scim.client.get(location.removeprefix(BASE), headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def count(scim: Scim, headers: dict[str, str]) -> int:
    total: int = (await scim.client.get("?count=0", headers=headers)).json()["totalResults"]
    return total


async def test_all_four_methods_and_what_is_told_of_each(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    (made,) = await send(scim, entra, post("a", person("ada")))
    assert made == {
        "method": "POST",
        "bulkId": "a",
        "status": "201",
        "version": 'W/"1"',
        "location": made["location"],
    }
    path = made["location"].removeprefix(BASE)
    title = {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    results = await send(
        scim, entra,
        {"method": "PUT", "path": path, "data": person("ada", title="Boss")},
        {"method": "PATCH", "path": path, "data": title, "bulkId": "b"},
        {"method": "DELETE", "path": path},
        {"method": "DELETE", "path": path},
    )  # fmt: skip
    assert [result["status"] for result in results] == ["200", "200", "204", "404"]
    assert [result["location"] for result in results] == [made["location"]] * 4
    assert [result.get("version") for result in results] == ['W/"2"', 'W/"3"', None, None]
    assert results[1]["bulkId"] == "b"
    assert await count(scim, entra) == 0


async def test_references_forward_and_back_are_resolved(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    eve = person("eve", **{ENTERPRISE: {"manager": {"value": "bulkId:ada"}}})
    more = {
        "schemas": [PATCH_OP],
        "Operations": [{"op": "add", "path": "members", "value": [{"value": "bulkId:bob"}]}],
    }
    staff, _, patched, ada, bob = results = await send(
        scim, entra,
        group("staff", "bulkId:ada", "bulkId:eve"),
        post("eve", eve),
        {"method": "PATCH", "path": "/Groups/bulkId:staff", "data": more},
        post("ada", person("ada")),
        post("bob", person("bob")),
    )  # fmt: skip
    assert [result["status"] for result in results] == ["201", "201", "204", "201", "201"]
    assert patched["location"] == staff["location"]
    found = await read(scim, entra, staff["location"])
    assert {member["$ref"] for member in found["members"]} == {
        result["location"] for result in results if result is not patched and result is not staff
    }
    user = await read(scim, entra, results[1]["location"])
    assert user[ENTERPRISE] == {
        "manager": {"value": ada["location"].rpartition("/")[2], "$ref": ada["location"]}
    }
    assert bob["location"] in {member["$ref"] for member in found["members"]}


async def test_circular_references_are_resolved(scim: Scim, entra: dict[str, str], person: Person) -> None:
    results = await send(scim, entra, group("a", "bulkId:b"), group("b", "bulkId:c"), group("c", "bulkId:a"))
    assert [result["status"] for result in results] == ["201"] * 3
    found = [await read(scim, entra, result["location"]) for result in results]
    for result, one, other in zip(results, found, [*found[1:], found[0]], strict=True):
        assert [member["value"] for member in one["members"]] == [other["id"]]
        assert result["version"] == one["meta"]["version"]
    boss = person("own", **{ENTERPRISE: {"manager": {"value": "bulkId:own"}}})
    (own,) = await send(scim, entra, post("own", boss))
    user = await read(scim, entra, own["location"])
    assert user[ENTERPRISE]["manager"] == {"value": user["id"], "$ref": user["meta"]["location"]}


async def test_a_resource_that_cannot_be_completed_is_taken_back(scim: Scim, entra: dict[str, str]) -> None:
    (own,) = await send(scim, entra, group("own", "bulkId:own"))
    assert own["status"] == "400"
    assert await count(scim, entra) == 0
    first, second = await send(scim, entra, group("a", "bulkId:b", displayName=""), group("b", "bulkId:a"))
    assert (first["status"], second["status"]) == ("400", "409")
    assert await count(scim, entra) == 0


async def test_a_reference_that_leads_nowhere_fails_its_operation_alone(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    broken = person("eve", userName="")
    results = await send(
        scim, entra,
        post("eve", broken),
        group("a", "bulkId:eve"),
        group("b", "bulkId:nobody"),
        {"method": "DELETE", "path": "/Users/bulkId:eve"},
        post("ada", person("ada")),
    )  # fmt: skip
    assert [result["status"] for result in results] == ["400", "409", "409", "409", "201"]
    assert "nobody" in results[2]["response"]["detail"]
    assert await count(scim, entra) == 1


@pytest.mark.parametrize(("limit", "done"), [(None, 5), (1, 2), (2, 4), (3, 5)])
async def test_fail_on_errors_ends_the_request_after_so_many(
    scim: Scim, entra: dict[str, str], person: Person, limit: int | None, done: int
) -> None:
    more = {} if limit is None else {"failOnErrors": limit}
    operations = [
        post("a", person("a")), post("b", person("a")), post("c", person("c")), post("d", {}),
        post("e", person("e")),
    ]  # fmt: skip
    results = await send(scim, entra, *operations, **more)
    assert [result["bulkId"] for result in results] == list("abcde")[:done]
    assert [result["status"] for result in results] == ["201", "409", "201", "400", "201"][:done]


async def test_nothing_half_made_stays_when_fail_on_errors_ends_the_request(
    scim: Scim, entra: dict[str, str]
) -> None:
    first, second = await send(
        scim, entra, group("a", "bulkId:b", "bulkId:nobody"), group("b", "bulkId:a"), failOnErrors=1
    )
    assert (first["status"], second["status"]) == ("409", "409")
    assert await count(scim, entra) == 0


async def test_the_version_of_an_operation_is_its_if_match(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = (await scim.client.post("/Users", json=person("ada"), headers=entra)).json()
    path = f"/Users/{made['id']}"
    results = await send(
        scim, entra,
        {"method": "PUT", "path": path, "version": 'W/"7"', "data": person("ada", title="no")},
        {"method": "PUT", "path": path, "version": 'W/"1"', "data": person("ada", title="yes")},
        {"method": "DELETE", "path": path, "version": 'W/"1"'},
        {"method": "DELETE", "path": path, "version": "ä\n"},
    )  # fmt: skip
    assert [result["status"] for result in results] == ["412", "200", "412", "412"]
    assert (await read(scim, entra, path))["title"] == "yes"


async def test_operations_that_make_no_sense_fail_alone(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    results = await send(
        scim, entra,
        5,
        {"method": "GET", "path": "/Users/1"},
        {"method": "POST", "path": "/Nothing", "bulkId": "n", "data": {}},
        {"method": "POST", "path": "/Users", "data": person("eve")},
        post("a", person("ada")),
        post("a", person("eve")),
        {"method": "PATCH", "path": "/Users/x", "data": {}},
        {"method": "PATCH", "path": "/Groups/ä", "data": {}},
    )  # fmt: skip
    assert [result["status"] for result in results] == ["400"] * 4 + ["201", "400", "404", "404"]
    assert await count(scim, entra) == 1


@pytest.mark.parametrize(
    "body",
    [{}, {"Operations": 5}, {"Operations": None}, {"Operations": [{}], "failOnErrors": -1}],
)
async def test_a_request_of_another_shape_is_refused_whole(
    scim: Scim, entra: dict[str, str], body: dict[str, Any]
) -> None:
    refused(await scim.client.post("/Bulk", json=body, headers=entra), 400)


async def test_a_request_without_operations_does_nothing(scim: Scim, entra: dict[str, str]) -> None:
    """Microsoft's validator sends one."""
    answer = await scim.client.post("/Bulk", json={"schemas": [], "Operations": []}, headers=entra)
    assert answer.status_code == 200
    assert answer.json() == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],
        "Operations": [],
    }


async def test_the_limits_are_those_that_discovery_tells(scim: Scim, entra: dict[str, str]) -> None:
    told = (await scim.client.get("/ServiceProviderConfig", headers=entra)).json()["bulk"]
    assert told == {"supported": True, "maxOperations": MAX_BULK_OPERATIONS, "maxPayloadSize": MAX_BODY}
    operations = [{"method": "DELETE", "path": "/Users/x"}] * (told["maxOperations"] + 1)
    detail = refused(await scim.client.post("/Bulk", json={"Operations": operations}, headers=entra), 413)
    assert str(told["maxOperations"]) in detail
    text = json.dumps({"Operations": [{"method": "x" * told["maxPayloadSize"]}]})
    detail = refused(await scim.client.post("/Bulk", content=text, headers=entra), 413)
    assert str(told["maxPayloadSize"]) in detail


async def test_as_many_operations_as_are_allowed_are_done(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    operations = [post(str(i), person(f"u{i}")) for i in range(MAX_BULK_OPERATIONS)]
    results = await send(scim, entra, *operations)
    assert {result["status"] for result in results} == {"201"}
    assert await count(scim, entra) == MAX_BULK_OPERATIONS


async def test_operations_are_paid_for_apart_from_single_requests(scim: Scim, person: Person) -> None:
    headers = await scim.connect("s", tenant="s", rateLimit={"requestsPerSecond": 25, "burst": 25})
    operations = [{"method": "DELETE", "path": "/Users/x"}] * 500
    await send(scim, headers, *operations)
    answer = await scim.client.post("/Bulk", json={"Operations": operations}, headers=headers)
    refused(answer, 429)
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    for name in ("a", "b", "c"):
        single = await scim.client.post("/Users", json=person(name), headers=headers)
        assert single.status_code == 201


async def test_a_tenant_in_debt_is_told_so_before_its_operations_are_read(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await scim.connect("s", tenant="s", rateLimit={"requestsPerSecond": 25, "burst": 25})
    operations = [{"method": "DELETE", "path": "/Users/x"}] * 500
    await send(scim, headers, *operations)
    monkeypatch.setattr("scim_api.http.scim.bulk.read_bulk", lambda _: pytest.fail("they were read"))
    refused(await scim.client.post("/Bulk", json={"Operations": operations}, headers=headers), 429)


async def test_other_requests_are_answered_between_operations(scim: Scim, entra: dict[str, str]) -> None:
    finished: list[str] = []

    async def bulk() -> None:
        unknown = f"/Users/{uuid.uuid4()}"  # the database is asked for each
        await send(scim, entra, *([{"method": "DELETE", "path": unknown}] * 500))
        finished.append("bulk")

    async def single() -> None:
        await asyncio.sleep(0)
        await scim.client.get("/ServiceProviderConfig", headers=entra)
        finished.append("single")

    await asyncio.gather(bulk(), single())
    assert finished == ["single", "bulk"]


async def test_without_groups_their_operations_fail(scim: Scim, person: Person) -> None:
    headers = await scim.connect("plain", tenant="plain", groups="Disabled")
    results = await send(scim, headers, group("g"), post("a", person("ada")))
    assert [result["status"] for result in results] == ["404", "201"]


async def test_a_bulk_request_stays_in_its_tenant(scim: Scim, entra: dict[str, str], person: Person) -> None:
    made = (await scim.client.post("/Users", json=person("ada"), headers=entra)).json()
    other = await scim.connect("other", tenant="other")
    path = f"/Users/{made['id']}"
    results = await send(
        scim, other, {"method": "DELETE", "path": path}, {"method": "PUT", "path": path, "data": person("x")}
    )
    assert [result["status"] for result in results] == ["404", "404"]
    assert await read(scim, entra, path) == made
