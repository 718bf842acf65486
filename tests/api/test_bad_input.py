"""Whatever a client sends: a SCIM error that says what to change, never a 500, nothing half written."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.conftest import Scim

Person = Callable[..., dict[str, Any]]
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
JSON = {"content-type": "application/scim+json"}


def refused(answer: httpx.Response, status: int, scim_type: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/scim+json"
    body = answer.json()
    assert body["schemas"] == [ERROR]
    assert body["status"] == str(status)
    if scim_type is not None:
        assert body["scimType"] == scim_type
    detail: str = body["detail"]
    assert detail
    return detail


async def count(scim: Scim, headers: dict[str, str]) -> int:
    total: int = (await scim.client.get("/Users?count=0", headers=headers)).json()["totalResults"]
    return total


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        (b"", "invalidSyntax"),
        (b"{", "invalidSyntax"),
        (b"[]", "invalidSyntax"),
        (b'"x"', "invalidSyntax"),
        (b"null", "invalidSyntax"),
        (b'{"userName": "\xff\xfe"}', "invalidSyntax"),
        (b'{"userName": "a\\u0000b"}', None),
        (b'{"userName": "a", "userName": "b"}', "invalidSyntax"),
        (b'{"name": {"givenName": "a", "givenName": "b"}, "userName": "x"}', "invalidSyntax"),
        (b'{"userName": "\\ud800"}', None),
        (b"[" * 50_000, "invalidSyntax"),
        (b'{"userName": NaN}', "invalidSyntax"),
        (b'{"userName": 5}', "invalidValue"),
        (b'{"userName": ["a"]}', "invalidValue"),
        (b'{"userName": {"a": 1}}', "invalidValue"),
        (b'{"userName": ""}', "invalidValue"),
        (b'{"userName": null}', "invalidValue"),
        (b"{}", "invalidValue"),
    ],
)
async def test_a_broken_body_is_refused_and_nothing_is_written(
    scim: Scim, entra: dict[str, str], body: bytes, scim_type: str | None
) -> None:
    refused(await scim.client.post("/Users", content=body, headers={**entra, **JSON}), 400, scim_type)
    assert await count(scim, entra) == 0


@pytest.mark.parametrize("body", [b"[" * 50_001, b'{"userName":' + b"[" * 100_000])
async def test_a_body_that_opens_more_than_it_may_hold_is_refused(
    scim: Scim, entra: dict[str, str], body: bytes
) -> None:
    refused(await scim.client.post("/Users", content=body, headers={**entra, **JSON}), 413)
    assert await count(scim, entra) == 0


async def test_a_body_of_10_mb_is_refused(scim: Scim, entra: dict[str, str], person: Person) -> None:
    body = json.dumps(person(title="x" * 10_000_000))
    refused(await scim.client.post("/Users", content=body, headers={**entra, **JSON}), 413)
    assert await count(scim, entra) == 0


async def test_a_user_name_of_12_kb_is_refused_with_the_limit(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    answer = await scim.client.post("/Users", json=person(userName="x" * 12_000), headers=entra)
    detail = refused(answer, 400, "invalidValue")
    assert "userName" in detail
    assert "2048" in detail
    assert await count(scim, entra) == 0


async def test_a_nul_in_any_string_is_refused_on_both_databases(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    for field in ({"title": "a\0b"}, {"name": {"givenName": "\0"}}, {"displayName": "x\0"}):
        refused(await scim.client.post("/Users", json=person(**field), headers=entra), 400)
    refused(await scim.client.get('/Users?filter=userName eq "a%00b"', headers=entra), 400)
    assert (await scim.client.get("/Users/%00", headers=entra)).status_code == 404


async def test_a_filter_of_10000_characters_is_refused(scim: Scim, entra: dict[str, str]) -> None:
    text = 'userName eq "' + "a" * 10_000 + '"'
    refused(await scim.client.get("/Users", params={"filter": text}, headers=entra), 400, "invalidFilter")


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        "userName eq",
        'userName xx "a"',
        'eq "a"',
        "(",
        ")" * 50,
        'userName eq "a',
        "(" * 2000,
        "not " * 500,
        'emails[type eq "work"',
        'userName eq "a" and',
        "\\",
        '"',
        "userName eq 'a'",
        "true",
        "[]",
    ],
)
async def test_a_broken_filter_is_refused(scim: Scim, entra: dict[str, str], text: str) -> None:
    refused(await scim.client.get("/Users", params={"filter": text}, headers=entra), 400, "invalidFilter")


@pytest.mark.parametrize(
    ("query", "start", "items"),
    [
        ("startIndex=-5", 1, 3),
        ("startIndex=0&count=2", 1, 2),
        ("count=-1", 1, 0),
        ("count=0", 1, 0),
        ("startIndex=3&count=5", 3, 1),
        ("startIndex=99", 99, 0),
        ("startIndex=99999999999999999999999", 2**53, 0),
    ],
)
async def test_paging_numbers_below_the_lowest_count_as_the_lowest(
    scim: Scim, entra: dict[str, str], person: Person, query: str, start: int, items: int
) -> None:
    for name in ("a", "b", "c"):
        await scim.client.post("/Users", json=person(name), headers=entra)
    body = (await scim.client.get(f"/Users?{query}", headers=entra)).json()
    assert (body["totalResults"], body["startIndex"], len(body["Resources"])) == (3, start, items)
    assert body["itemsPerPage"] == items


@pytest.mark.parametrize(
    "query", ["startIndex=x", "count=1.5", "count=1e3", "startIndex=٣", "count=" + "9" * 200]
)
async def test_paging_that_is_no_integer_is_refused(scim: Scim, entra: dict[str, str], query: str) -> None:
    refused(await scim.client.get(f"/Users?{query}", headers=entra), 400, "invalidValue")


async def test_unknown_attributes_parameters_and_flags_are_no_reason_to_refuse(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    body = person(shoeSize=44, nickName=None, roles=[], **{"urn:unknown:2.0:Thing": {"a": 1}})
    answer = await scim.client.post("/Users?aadOptscim062020", json=body, headers=entra)
    assert answer.status_code == 201
    assert "shoeSize" not in answer.json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/Users/5", 405),
        ("DELETE", "/Users", 405),
        ("PATCH", "/Users", 405),
        ("GET", "/Nothing", 404),
        ("GET", "/Users/5", 404),
        ("GET", "/Users/../Users/x", 404),
        ("GET", "/Bulk", 405),
        ("GET", "/Me", 501),
        ("OPTIONS", "/Users", 405),
        ("GET", "/Schemas/urn:x", 404),
    ],
)
async def test_what_is_not_there_is_a_scim_error(
    scim: Scim, entra: dict[str, str], method: str, path: str, status: int
) -> None:
    refused(await scim.client.request(method, path, headers=entra), status)


@pytest.mark.parametrize("path", ["/", "/scim", "/users", "/scim/v3/Users"])
async def test_addresses_beside_the_service_are_scim_errors_too(scim: Scim, path: str) -> None:
    detail = refused(await scim.client.get(f"https://scim.test{path}"), 404)
    assert "https://scim.test/scim/v2" in detail


async def test_a_form_is_not_json(scim: Scim, entra: dict[str, str]) -> None:
    refused(await scim.client.post("/Users", data={"userName": "x"}, headers=entra), 415)


@pytest.mark.parametrize(
    "operations",
    [
        None,
        {},
        "x",
        [5],
        [{}],
        [{"op": "Replace"}],
        [{"op": "jump", "path": "title"}],
        [{"op": "Remove"}],
        [{"op": "Replace", "path": "title["}],
        [{"op": "Replace", "path": "shoeSize", "value": 5}],
        [{"op": "Replace", "path": 5, "value": 5}],
        [{"op": 5, "path": "title", "value": "x"}],
        [{"op": "Replace", "path": "active", "value": "perhaps"}],
        [{"op": "Replace", "path": "title", "value": {"a": 1}}],
        [{"op": "Add", "path": "emails", "value": "x"}] * 101,
    ],
)
async def test_a_broken_patch_is_refused_whole(
    scim: Scim, entra: dict[str, str], person: Person, operations: object
) -> None:
    created = (await scim.client.post("/Users", json=person("ada"), headers=entra)).json()
    good = {"op": "Replace", "path": "displayName", "value": "must not stay"}
    broken = [good, *operations] if isinstance(operations, list) and operations else operations
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": broken}
    answer = await scim.client.patch(f"/Users/{created['id']}", json=body, headers=entra)
    refused(answer, 413 if isinstance(broken, list) and len(broken) > 100 else 400)
    assert (await scim.client.get(f"/Users/{created['id']}", headers=entra)).json() == created
