"""Lists over HTTP: pages by index and by cursor, order, projection, addresses."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.conftest import BASE, Scim
from api.test_bad_input import refused

Person = Callable[..., dict[str, Any]]
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


async def add(scim: Scim, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    answer = await scim.client.post("/Users", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def ask(scim: Scim, headers: dict[str, str], path: str = "/Users", **parameters: Any) -> Any:
    names = {name.rstrip("_"): value for name, value in parameters.items()}
    answer = await scim.client.get(path, params=names, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names_of(page: dict[str, Any]) -> list[str]:
    return [resource["userName"].partition("@")[0] for resource in page["Resources"]]


@pytest.fixture
async def five(scim: Scim, entra: dict[str, str], person: Person) -> dict[str, str]:
    """Headers of a tenant with the people a to e, created in another order."""
    titles = {"c": "Zoo", "a": "ant", "e": None, "b": "Bee", "d": "cow"}
    for name, title in titles.items():
        await add(scim, entra, person(name, title=title))
    return entra


async def pages(scim: Scim, headers: dict[str, str], **parameters: Any) -> list[dict[str, Any]]:
    """All pages by cursor, the first one asked for with an empty one."""
    found = [await ask(scim, headers, cursor="", **parameters)]
    while "nextCursor" in found[-1]:
        assert len(found) < 20
        found.append(await ask(scim, headers, cursor=found[-1]["nextCursor"], **parameters))
    return found


@pytest.mark.parametrize(
    ("sort_by", "order", "expected"),
    [
        ("userName", None, "abcde"),
        ("userName", "ascending", "abcde"),
        ("USERNAME", "Descending", "edcba"),
        ("title", "ascending", "abdce"),
        ("title", "descending", "ecdba"),
        ("meta.created", "descending", "dbeac"),
        ("emails.value", "ascending", "abcde"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:displayName", None, "abcde"),
    ],
)
async def test_a_list_is_sorted(
    scim: Scim, five: dict[str, str], sort_by: str, order: str | None, expected: str
) -> None:
    parameters = {"sortBy": sort_by} | ({} if order is None else {"sortOrder": order})
    assert "".join(names_of(await ask(scim, five, **parameters))) == expected


async def test_without_sort_by_the_order_is_that_of_creation(scim: Scim, five: dict[str, str]) -> None:
    assert names_of(await ask(scim, five)) == list("caebd")
    assert names_of(await ask(scim, five, sortOrder="descending")) == list("caebd")


async def test_those_who_share_an_indexed_value_are_sorted_too(scim: Scim, person: Person) -> None:
    headers = await scim.connect("m", tenant="m", matching="userName")
    for name in "bca":
        emails = [{"type": "work", "value": "team@contoso.com"}]
        await add(scim, headers, person(name, emails=emails, externalId="same", active=name != "c"))
    for text in ('emails[type eq "work"].value eq "team@contoso.com"', 'externalId eq "same"'):
        assert names_of(await ask(scim, headers, filter=text, sortBy="userName")) == list("abc")
    narrowed = 'externalId eq "same" and active eq true'
    assert names_of(await ask(scim, headers, filter=narrowed, sortBy="userName")) == list("ab")


@pytest.mark.parametrize(
    ("parameters", "scim_type"),
    [
        ({"sortBy": "shoeSize"}, "invalidPath"),
        ({"sortBy": "userName", "sortOrder": "upwards"}, "invalidValue"),
        ({"sortBy": "\0"}, "invalidPath"),
        ({"sortBy": "."}, "invalidPath"),
        ({"attributes": "userName", "excludedAttributes": "emails"}, "invalidValue"),
        ({"attributes": "a" * 9000}, "invalidValue"),
        ({"startIndex": "1", "cursor": ""}, "invalidValue"),
        ({"cursor": "", "count": "some"}, "invalidCount"),
        ({"cursor": "no-cursor"}, "invalidCursor"),
        ({"cursor": "ä"}, "invalidCursor"),
        ({"cursor": "a" * 23}, "invalidCursor"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(
    scim: Scim, entra: dict[str, str], parameters: dict[str, str], scim_type: str | None
) -> None:
    answer = await scim.client.get("/Users", params=parameters, headers=entra)
    if scim_type is None:
        assert answer.status_code in {200, 400}
        return
    detail = refused(answer, 400, scim_type)
    assert detail[0].isupper() or detail.startswith(tuple(parameters))
    assert detail.endswith(".")


@pytest.mark.parametrize("sort", [{}, {"sortBy": "userName"}], ids=["by creation", "sorted"])
@pytest.mark.parametrize(
    "filtered", [{}, {"filter": "userName pr"}, {"filter": 'meta.resourceType eq "User"'}]
)
async def test_cursors_lead_through_all_pages(
    scim: Scim, five: dict[str, str], sort: dict[str, str], filtered: dict[str, str]
) -> None:
    found = await pages(scim, five, count=2, **sort, **filtered)
    assert [page["itemsPerPage"] for page in found] == [2, 2, 1]
    assert {page["totalResults"] for page in found} == {5}
    assert "".join("".join(names_of(page)) for page in found) == ("abcde" if sort else "caebd")
    assert all("startIndex" not in page for page in found)


async def test_a_page_that_holds_the_rest_exactly_is_the_last(scim: Scim, five: dict[str, str]) -> None:
    assert "nextCursor" not in await ask(scim, five, cursor="", count=5)
    assert "nextCursor" not in await ask(scim, five, cursor="")
    empty = await ask(scim, five, cursor="", count=0)
    assert empty == {"schemas": [LIST], "totalResults": 5, "itemsPerPage": 0, "Resources": []}


async def test_without_a_cursor_a_page_is_by_index(scim: Scim, five: dict[str, str]) -> None:
    page = await ask(scim, five, count=2)
    assert page["startIndex"] == 1
    assert "nextCursor" not in page


async def test_cursors_characters_need_no_escaping(scim: Scim, five: dict[str, str]) -> None:
    found = await pages(scim, five, count=1)
    for page in found[:-1]:
        assert page["nextCursor"].replace("-", "").replace("_", "").isalnum()


async def test_nobody_is_skipped_or_repeated_while_others_come_and_go(
    scim: Scim, five: dict[str, str], person: Person
) -> None:
    first = await ask(scim, five, cursor="", count=2)
    gone = first["Resources"][0]["id"]
    assert (await scim.client.delete(f"/Users/{gone}", headers=five)).status_code == 204
    await add(scim, five, person("f"))
    second = await ask(scim, five, cursor=first["nextCursor"], count=10)
    assert names_of(second) == list("ebdf")


async def test_a_cursor_belongs_to_its_query_and_tenant(scim: Scim, five: dict[str, str]) -> None:
    cursor = (await ask(scim, five, cursor="", count=2))["nextCursor"]
    other = await scim.connect("other", tenant="other")
    for headers, path, more in (
        (five, "/Users", {"filter": "userName pr"}),
        (five, "/Users", {"sortBy": "userName"}),
        (five, "/Users", {"sortBy": "userName", "sortOrder": "descending"}),
        (five, "/Groups", {}),
        (five, "", {}),
        (other, "/Users", {}),
    ):
        answer = await scim.client.get(path, params={"cursor": cursor, **more}, headers=headers)
        refused(answer, 400, "invalidCursor")


async def test_pages_by_index_of_a_sorted_list(scim: Scim, five: dict[str, str]) -> None:
    page = await ask(scim, five, sortBy="userName", startIndex=4, count=3)
    assert (page["startIndex"], page["itemsPerPage"], page["totalResults"]) == (4, 2, 5)
    assert names_of(page) == list("de")


async def test_a_list_has_the_attributes_that_were_asked_for(scim: Scim, five: dict[str, str]) -> None:
    page = await ask(scim, five, attributes="userName,name.givenName", count=1)
    (user,) = page["Resources"]
    assert user.keys() == {"schemas", "id", "userName", "name"}
    assert user["name"] == {"givenName": "C"}
    page = await ask(scim, five, excludedAttributes="id,userName,emails.type", count=1)
    (user,) = page["Resources"]
    assert "id" in user
    assert "userName" not in user
    assert "type" not in user["emails"][0]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "POST"])
async def test_every_answer_with_a_user_is_projected(
    scim: Scim, entra: dict[str, str], person: Person, method: str
) -> None:
    made = await add(scim, entra, person("ada"))
    path = "/Users" if method == "POST" else f"/Users/{made['id']}"
    patch = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "x"}],
    }
    body = {"POST": person("bob"), "PUT": person("ada"), "PATCH": patch}.get(method)
    answer = await scim.client.request(method, path, params={"attributes": "title"}, json=body, headers=entra)
    assert answer.json().keys() == {"schemas", "id", "title"}


async def test_a_projection_that_makes_no_sense_changes_nothing(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    both = {"attributes": "title", "excludedAttributes": "title"}
    refused(await scim.client.post("/Users", params=both, json=person("ada"), headers=entra), 400)
    assert (await ask(scim, entra))["totalResults"] == 0


def tagged(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers["etag"], answer.headers["content-location"]


async def test_every_answer_with_one_user_has_its_tag_and_address(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = await scim.client.post("/Users", json=person("ada"), headers=entra)
    address = f"{BASE}/Users/{made.json()['id']}"
    path = address.removeprefix(BASE)
    assert made.headers["location"] == address
    changed = person("ada", title="Other")
    for answer in (
        made,
        await scim.client.get(path, headers=entra),
        await scim.client.put(path, json=changed, headers=entra),
        await scim.client.get(path, headers={**entra, "if-none-match": "*"}),
    ):
        tag, location = tagged(answer)
        assert location == address
        assert answer.status_code == 304 or tag == answer.json()["meta"]["version"]
        assert answer.headers["cache-control"] == "private, no-cache"


async def test_addresses_are_the_public_urls_whatever_the_host_header_says(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    lies = {**entra, "host": "evil.example", "x-forwarded-host": "evil.example", "forwarded": "host=evil"}
    made = await scim.client.post("/Users", json=person("ada"), headers=lies)
    assert made.headers["location"].startswith(f"{BASE}/")
    for path in (f"/Users/{made.json()['id']}", "/Users", "", "/Schemas", "/ResourceTypes", "/Nowhere"):
        answer = await scim.client.get(path, headers=lies)
        assert "evil" not in answer.text + str(answer.headers)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_me_is_501_by_any_method(scim: Scim, entra: dict[str, str], method: str) -> None:
    refused(await scim.client.request(method, "/Me", headers=entra), 501)
