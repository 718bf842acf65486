"""Groups over HTTP, on both databases: what is answered, and what stays as it was."""

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.conftest import BASE, Scim
from scim_api.http.response import MAX_BUFFERED_BYTES
from scim_api.http.scim.groups import MEMBERS_PAGE, RENDERED_PAGE

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
Person = Callable[..., dict[str, Any]]


@pytest.fixture
def people(scim: Scim, entra: dict[str, str], person: Person) -> Callable[[int], Any]:
    """Creates so many users; their ids."""

    async def make(count: int) -> list[str]:
        ids = []
        for number in range(count):
            answer = await scim.client.post("/Users", json=person(f"p{number}"), headers=entra)
            ids.append(answer.json()["id"])
        return ids

    return make


async def post(scim: Scim, entra: dict[str, str], name: str = "Staff", **body: Any) -> httpx.Response:
    return await scim.client.post("/Groups", json={"displayName": name, **body}, headers=entra)


async def patch(
    scim: Scim, entra: dict[str, str], group: str, *operations: dict[str, Any], query: str = ""
) -> httpx.Response:
    body = {"schemas": [PATCH], "Operations": list(operations)}
    return await scim.client.patch(f"/Groups/{group}{query}", json=body, headers=entra)


async def members(scim: Scim, entra: dict[str, str], group: str) -> list[str]:
    answer = await scim.client.get(f"/Groups/{group}", headers=entra)
    return [one["value"] for one in answer.json()["members"]]


async def test_a_group_is_answered_with_its_members_and_its_address(
    scim: Scim, entra: dict[str, str], people: Any
) -> None:
    [ada] = await people(1)
    inner = (await post(scim, entra, "Inner")).json()["id"]

    answer = await post(scim, entra, externalId="g-1", members=[{"value": ada}, {"value": inner}])

    group = answer.json()["id"]
    assert answer.status_code == 201
    assert answer.headers["location"] == answer.headers["content-location"] == f"{BASE}/Groups/{group}"
    assert answer.headers["etag"] == 'W/"1"'
    body = answer.json()
    assert body.pop("meta")["location"] == f"{BASE}/Groups/{group}"
    assert body == {
        "schemas": [GROUP],
        "externalId": "g-1",
        "displayName": "Staff",
        "id": group,
        "members": [
            {"value": ada, "$ref": f"{BASE}/Users/{ada}", "type": "User"},
            {"value": inner, "$ref": f"{BASE}/Groups/{inner}", "type": "Group"},
        ],
    }
    assert (await scim.client.get(f"/Groups/{group}", headers=entra)).json()["members"] == body["members"]


async def test_a_name_is_unique_whatever_its_case(scim: Scim, entra: dict[str, str]) -> None:
    await post(scim, entra, "Staff")
    answer = await post(scim, entra, "STAFF")
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert "displayName" in answer.json()["detail"]


async def test_a_patch_is_answered_204_without_a_body_and_200_when_attributes_are_asked_for(
    scim: Scim, entra: dict[str, str], people: Any
) -> None:
    ada, bob = await people(2)
    group = (await post(scim, entra)).json()["id"]
    add = {"op": "Add", "path": "members", "value": [{"value": ada}]}

    bare = await patch(scim, entra, group, add)
    asked = await patch(
        scim, entra, group, {**add, "value": [{"value": bob}]}, query="?attributes=members.value"
    )
    without = await patch(scim, entra, group, add, query="?excludedAttributes=members")

    assert (bare.status_code, bare.content, bare.headers["etag"]) == (204, b"", 'W/"2"')
    assert asked.status_code == 200
    assert asked.json() == {"schemas": [GROUP], "id": group, "members": [{"value": ada}, {"value": bob}]}
    assert without.status_code == 200
    assert "members" not in without.json()
    assert without.json()["meta"]["version"] == 'W/"3"'


async def test_an_unknown_member_is_named_and_nothing_changes(
    scim: Scim, entra: dict[str, str], people: Any
) -> None:
    [ada] = await people(1)
    group = (await post(scim, entra)).json()["id"]
    nobody = str(uuid.uuid4())
    add = {"op": "add", "path": "members", "value": [{"value": ada}, {"value": nobody}]}

    answer = await patch(scim, entra, group, add)

    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert nobody in answer.json()["detail"]
    assert ada not in answer.json()["detail"]
    assert await members(scim, entra, group) == []


async def test_if_match_guards_a_group_and_a_deleted_member_makes_a_new_version(
    scim: Scim, entra: dict[str, str], people: Any
) -> None:
    [ada] = await people(1)
    group = (await post(scim, entra, members=[{"value": ada}])).json()["id"]
    known = {**entra, "if-none-match": 'W/"1"'}
    assert (await scim.client.get(f"/Groups/{group}", headers=known)).status_code == 304

    await scim.client.delete(f"/Users/{ada}", headers=entra)

    changed = await scim.client.get(f"/Groups/{group}", headers=known)
    assert (changed.status_code, changed.json()["members"]) == (200, [])
    stale = {**entra, "if-match": 'W/"1"'}
    assert (await scim.client.delete(f"/Groups/{group}", headers=stale)).status_code == 412
    fresh = {**entra, "if-match": 'W/"2"'}
    assert (await scim.client.delete(f"/Groups/{group}", headers=fresh)).status_code == 204
    assert (await scim.client.get(f"/Groups/{group}", headers=entra)).status_code == 404


async def test_put_replaces_the_members(scim: Scim, entra: dict[str, str], people: Any) -> None:
    ada, bob = await people(2)
    group = (await post(scim, entra, externalId="g-1", members=[{"value": ada}])).json()["id"]

    answer = await scim.client.put(
        f"/Groups/{group}", json={"displayName": "Crew", "members": [{"value": bob}]}, headers=entra
    )

    assert answer.status_code == 200
    assert answer.json()["displayName"] == "Crew"
    assert "externalId" not in answer.json()
    assert [one["value"] for one in answer.json()["members"]] == [bob]


async def test_groups_that_are_switched_off_answer_as_a_server_without_groups(
    scim: Scim, person: Person
) -> None:
    headers = await scim.connect(groups="Disabled")
    some = str(uuid.uuid4())
    for method, path in (
        ("POST", "/Groups"),
        ("POST", "/Groups/.search"),
        ("GET", f"/Groups/{some}"),
        ("PUT", f"/Groups/{some}"),
        ("PATCH", f"/Groups/{some}"),
        ("DELETE", f"/Groups/{some}"),
        ("GET", f"/Schemas/{GROUP}"),
        ("GET", "/ResourceTypes/Group"),
    ):
        body: dict[str, Any] | None = {} if method in {"POST", "PUT", "PATCH"} else None
        answer = await scim.client.request(method, path, json=body, headers=headers)
        assert answer.status_code == 404, (method, path, answer.text)
    await scim.client.post("/Users", json=person(), headers=headers)
    everything = await scim.client.post("/.search", json={}, headers=headers)
    assert everything.json()["totalResults"] == 1


@pytest.mark.parametrize(
    ("query", "start"),
    [
        ("", 1),
        ("?startIndex=3&count=7", 3),
        ("?cursor&count=7", None),
        ("?excludedAttributes=members&sortBy=displayName", 1),
        ("?filter=displayName eq %22x%22", 1),
        ("?filter=id eq %22x%22 and members[value eq %22y%22]", 1),
    ],
)
async def test_a_list_of_groups_that_are_switched_off_is_empty(
    scim: Scim, query: str, start: int | None
) -> None:
    headers = await scim.connect(groups="Disabled")
    for path in ("/Groups", "/groups/"):
        answer = await scim.client.get(f"{BASE}{path}{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": 0,
            "itemsPerPage": 0,
            "Resources": [],
        } | ({} if start is None else {"startIndex": start})
        head = await scim.client.head(f"{BASE}{path}{query}", headers=headers)
        assert head.headers == answer.headers
    for broken in ("?count=x", "?startIndex=1&startIndex=1"):
        assert (await scim.client.get(f"/Groups{broken}", headers=headers)).status_code == 400


async def test_a_list_holds_members_unless_they_are_excluded(
    scim: Scim, entra: dict[str, str], people: Any
) -> None:
    ada, bob = await people(2)
    one = (await post(scim, entra, "One", members=[{"value": ada}])).json()["id"]
    two = (await post(scim, entra, "Two", members=[{"value": ada}, {"value": bob}])).json()["id"]

    whole = (await scim.client.get("/Groups", headers=entra)).json()
    bare = (await scim.client.get("/Groups?excludedAttributes=members", headers=entra)).json()
    found = (
        await scim.client.get("/Groups", params={"filter": f'members[value eq "{bob}"]'}, headers=entra)
    ).json()

    assert [[m["value"] for m in group["members"]] for group in whole["Resources"]] == [[ada], [ada, bob]]
    assert [group["id"] for group in bare["Resources"]] == [one, two]
    assert not any("members" in group for group in bare["Resources"])
    assert [group["id"] for group in found["Resources"]] == [two]


async def test_a_users_groups_are_there_when_they_are_asked_for(
    scim: Scim, entra: dict[str, str], people: Any
) -> None:
    ada, bob = await people(2)
    group = (await post(scim, entra, 'The "Staff"', members=[{"value": ada}])).json()["id"]
    expected = [
        {"value": group, "$ref": f"{BASE}/Groups/{group}", "display": 'The "Staff"', "type": "direct"}
    ]

    bare = (await scim.client.get(f"/Users/{ada}", headers=entra)).json()
    asked = (await scim.client.get(f"/Users/{ada}?attributes=groups", headers=entra)).json()
    listed = (await scim.client.get("/Users?attributes=userName,groups", headers=entra)).json()
    found = await scim.client.get("/Users", params={"filter": f'groups.value eq "{group}"'}, headers=entra)

    assert "groups" not in bare
    assert asked["groups"] == expected
    assert [user.get("groups") for user in listed["Resources"]] == [expected, None]
    assert [user["id"] for user in found.json()["Resources"]] == [ada]
    assert bob not in found.text


async def crowd(scim: Scim, count: int) -> None:
    """Users straight into the database, all of them in the one group there is."""
    import apsw
    import asyncpg

    store = scim.service.store
    resources = (
        "INSERT INTO resource (tenant, kind, id, match_key, name_key, version, created, modified, doc, keys)"
        " SELECT tenant, 'User', {id}, 'm' || n, 'n' || n, 1, created, created, '{{}}', '{{}}'"
        " FROM resource, {numbers} WHERE kind = 'Group'"
    )
    memberships = (
        "INSERT INTO membership (container, member, tenant) SELECT g.pk, u.pk, u.tenant"
        " FROM resource g, resource u WHERE g.kind = 'Group' AND u.kind = 'User'"
    )
    if store.dialect == "sqlite":
        database = apsw.Connection(store.url.removeprefix("sqlite:///"))
        numbers = f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {count}) SELECT n FROM c)"
        identity = "'00000000-0000-4000-8000-' || substr('000000000000' || n, -12)"
        database.execute(resources.format(id=identity, numbers=numbers) + ";" + memberships)
        database.close()
        return
    session = await asyncpg.connect(store.url)
    identity = "'00000000-0000-4000-8000-' || lpad(n::text, 12, '0')"
    await session.execute(resources.format(id=identity, numbers=f"generate_series(1, {count}) AS n"))
    await session.execute(memberships)
    await session.close()


async def test_a_group_of_100_000_is_sent_in_bounded_pieces_while_others_are_answered(
    scim: Scim,
) -> None:
    entra = await scim.connect(rateLimit={"requestsPerSecond": 100_000, "burst": 100_000})
    group = (await post(scim, entra)).json()["id"]
    count = 100_000
    await crowd(scim, count)
    pieces: list[int] = []
    between: list[int] = []
    others: list[int] = []
    body = bytearray()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            pieces.append(len(message.get("body", b"")))
            body.extend(message.get("body", b""))

    async def ask() -> None:
        while True:
            answer = await scim.client.get('/Users?filter=userName eq "nobody"', headers=entra)
            others.append(answer.status_code)
            between.append(len(pieces))
            await asyncio.sleep(0)

    asking = asyncio.create_task(ask())
    await _raw_get(scim, entra, f"/scim/v2/Groups/{group}", send)
    asking.cancel()

    found = json.loads(body)["members"]
    assert len(found) == len({one["value"] for one in found}) == count
    assert max(pieces) <= MAX_BUFFERED_BYTES + RENDERED_PAGE * 200
    assert len(pieces) > count // RENDERED_PAGE // 2
    assert set(others) == {200}
    assert len(set(between)) > 10, "others should be answered between the pieces, not after them"


async def _raw_get(scim: Scim, headers: dict[str, str], path: str, send: Any) -> None:
    """A GET whose answer is seen piece by piece."""
    from scim_api.http.public import public_app

    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "https", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("test", 1),
        "server": ("scim.test", 443),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    await public_app(scim.service)(scope, receive, send)


@pytest.mark.parametrize(
    "count", [MEMBERS_PAGE - 1, MEMBERS_PAGE, MEMBERS_PAGE + 1, RENDERED_PAGE, RENDERED_PAGE + 1]
)
async def test_a_group_around_the_size_of_a_page_is_whole(
    scim: Scim, entra: dict[str, str], count: int
) -> None:
    group = (await post(scim, entra)).json()["id"]
    await crowd(scim, count)
    assert len(set(await members(scim, entra, group))) == count
    projected = await scim.client.get(f"/Groups/{group}?excludedAttributes=members.$ref", headers=entra)
    assert len(projected.json()["members"]) == count
    plain = await scim.client.get(f"/Groups/{group}?excludedAttributes=externalId", headers=entra)
    assert plain.content == (await scim.client.get(f"/Groups/{group}", headers=entra)).content
    assert projected.json()["members"][0].keys() == {"value", "type"}
