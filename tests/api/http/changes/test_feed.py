"""The feed of changes over HTTP, on each database."""

import asyncio
import dataclasses
import json
from typing import Any

import pytest

from api.conftest import Scim
from scim_api.store import feed_cursor as cursor
from support.stored import tenant_of

Headers = dict[str, str]


@pytest.fixture
async def entra(scim: Scim) -> Headers:
    return await scim.connect()


async def feed(scim: Scim, headers: Headers, **parameters: Any) -> dict[str, Any]:
    answer = await scim.client.get(
        "https://scim.test/changes/v1",
        headers=headers,
        params={name: str(value) for name, value in parameters.items()},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


async def refused(scim: Scim, headers: Headers, **parameters: Any) -> tuple[int, str]:
    answer = await scim.client.get("https://scim.test/changes/v1", headers=headers, params=parameters)
    return answer.status_code, answer.json()["detail"]


async def made(scim: Scim, headers: Headers, name: str, **more: Any) -> dict[str, Any]:
    body = {"userName": name, "emails": [{"type": "work", "value": f"{name}@contoso.com"}], **more}
    answer = await scim.client.post("/Users", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


def operations(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(steps)}


async def test_the_life_of_a_person_is_told_step_by_step(scim: Scim, entra: Headers) -> None:
    ada = await made(scim, entra, "ada", externalId="e-1")
    path = f"/Users/{ada['id']}"
    for step in (
        operations({"op": "replace", "path": "title", "value": "Countess"}),
        operations({"op": "replace", "path": "active", "value": False}),
        operations({"op": "replace", "path": "active", "value": False}),
    ):
        await scim.client.patch(path, json=step, headers=entra)
    version = (await scim.client.get(path, headers=entra)).json()["meta"]["version"]
    await scim.client.put(path, json={**ada, "active": True}, headers=entra)
    await scim.client.delete(path, headers=entra)

    told = (await feed(scim, entra))["changes"]

    assert [(one["type"], one["paths"]) for one in told] == [
        ("user.created", None),
        ("user.updated", ["title"]),
        ("user.deactivated", ["active"]),
        ("user.updated", ["title"]),
        ("user.activated", ["active"]),
        ("user.deleted", None),
    ]
    assert {(one["resourceType"], one["resourceId"], one["externalId"]) for one in told} == {
        ("User", ada["id"], "e-1")
    }
    assert told[2]["version"] == version
    assert told[0]["actor"]["scimToken"] == "demo/entra"
    assert told[0]["at"] == ada["meta"]["created"]
    assert len({one["id"] for one in told}) == len(told)


async def test_memberships_are_told_whichever_way_they_came_about(scim: Scim, entra: Headers) -> None:
    ada, bob = await made(scim, entra, "ada"), await made(scim, entra, "bob")
    staff = (
        await scim.client.post(
            "/Groups", json={"displayName": "staff", "members": [{"value": ada["id"]}]}, headers=entra
        )
    ).json()
    path = f"/Groups/{staff['id']}"
    await scim.client.patch(
        path,
        json=operations({"op": "add", "path": "members", "value": [{"value": bob["id"]}]}),
        headers=entra,
    )
    await scim.client.put(
        path, json={"displayName": "people", "members": [{"value": bob["id"]}]}, headers=entra
    )
    bulk = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "PATCH", "path": path, "data": operations({"op": "add", "path": "members", "value": [{"value": ada["id"]}]})},
        ],
    }  # fmt: skip
    await scim.client.post("/Bulk", json=bulk, headers=entra)
    await scim.client.delete(f"/Users/{ada['id']}", headers=entra)

    told = [one for one in (await feed(scim, entra))["changes"] if one["resourceId"] == staff["id"]]

    names = {ada["id"]: "ada", bob["id"]: "bob", None: None}
    assert [(one["type"], names[one.get("member")], one["version"]) for one in told] == [
        ("group.created", None, 'W/"1"'),
        ("group.member_added", "ada", 'W/"1"'),
        ("group.member_added", "bob", 'W/"2"'),
        ("group.member_removed", "ada", 'W/"3"'),
        ("group.updated", None, 'W/"3"'),
        ("group.member_added", "ada", 'W/"4"'),
        ("group.member_removed", "ada", 'W/"5"'),
    ]


async def test_a_reader_goes_on_from_where_it_was_and_gets_no_more_than_it_asks_for(
    scim: Scim, entra: Headers
) -> None:
    for number in range(5):
        await made(scim, entra, f"u{number}")

    first = await feed(scim, entra, limit=2)
    second = await feed(scim, entra, limit=2, after=first["next"])
    again = await feed(scim, entra, limit=2, after=first["next"])
    third = await feed(scim, entra, limit=2, after=second["next"])

    assert [len(page["changes"]) for page in (first, second, third)] == [2, 2, 1]
    assert [page["hasMore"] for page in (first, second, third)] == [True, True, False]
    # A cursor on PostgreSQL names transactions of the whole server, so that two of the same place may differ.
    assert second["changes"] == again["changes"]
    assert again["hasMore"]
    fourth = await feed(scim, entra, limit=2, after=again["next"])
    assert fourth["changes"] == third["changes"]
    assert (await feed(scim, entra, after=third["next"]))["changes"] == []


async def test_after_now_only_what_comes_is_told(scim: Scim, entra: Headers) -> None:
    await made(scim, entra, "before")
    head = await feed(scim, entra, after="now")
    eve = await made(scim, entra, "eve")

    assert head["changes"] == []
    [change] = (await feed(scim, entra, after=head["next"]))["changes"]
    assert change["resourceId"] == eve["id"]


async def test_a_request_that_waits_is_answered_as_soon_as_something_it_wants_is_committed(
    scim: Scim, entra: Headers
) -> None:
    head = await feed(scim, entra, after="now")
    waiting = asyncio.create_task(feed(scim, entra, after=head["next"], wait=20, types="user.deactivated"))
    ada = await made(scim, entra, "ada")
    await asyncio.sleep(0.2)
    assert not waiting.done()
    off = operations({"op": "replace", "path": "active", "value": False})
    await scim.client.patch(f"/Users/{ada['id']}", json=off, headers=entra)

    async with asyncio.timeout(5):
        answer = await waiting

    assert [one["type"] for one in answer["changes"]] == ["user.deactivated"]


async def test_a_request_that_waits_for_nothing_is_answered_with_where_to_go_on(
    scim: Scim, entra: Headers
) -> None:
    head = await feed(scim, entra, after="now")
    answer = await feed(scim, entra, after=head["next"], wait=1)
    assert (answer["changes"], answer["hasMore"]) == ([], False)
    await made(scim, entra, "ada")
    assert len((await feed(scim, entra, after=answer["next"]))["changes"]) == 1


async def test_who_waits_with_a_token_that_is_revoked_meanwhile_gets_nothing(
    scim: Scim, entra: Headers
) -> None:
    writer = await scim.connect("other")
    head = await feed(scim, entra, after="now")
    waiting = asyncio.create_task(
        scim.client.get(
            "https://scim.test/changes/v1", headers=entra, params={"after": head["next"], "wait": "20"}
        )
    )
    await asyncio.sleep(0.2)
    await scim.service.store.delete_connection("demo", "entra", if_match=None)
    scim.service.authenticator.invalidate()
    await made(scim, writer, "ada")

    async with asyncio.timeout(5):
        assert (await waiting).status_code == 401


async def test_who_waits_is_answered_when_the_service_is_to_end(scim: Scim, entra: Headers) -> None:
    waiting = asyncio.create_task(feed(scim, entra, after="now", wait=20))
    head = await waiting
    waiting = asyncio.create_task(feed(scim, entra, after=head["next"], wait=20))
    await asyncio.sleep(0.2)
    scim.service.stopping = True
    scim.service.change_watch.stop()
    async with asyncio.timeout(5):
        assert (await waiting)["changes"] == []


async def test_another_tenants_changes_are_never_told(scim: Scim, entra: Headers) -> None:
    stranger = await scim.connect("stranger", tenant="fabrikam")
    await made(scim, stranger, "ada")
    theirs = await feed(scim, stranger)

    assert len(theirs["changes"]) == 1
    assert (await feed(scim, entra))["changes"] == []
    assert (await refused(scim, entra, after=theirs["next"]))[0] == 410


async def test_forged_cursors_open_nothing(scim: Scim, entra: Headers) -> None:
    """Of another tenant's key and of another history, with everything else as it should be."""
    stranger = await scim.connect("stranger", tenant="fabrikam")
    await made(scim, stranger, "ada")
    mine = cursor.decode((await feed(scim, entra))["next"])
    tenant = await tenant_of(scim.service.store, "fabrikam")
    for forged in (
        dataclasses.replace(mine, tenant=tenant),
        dataclasses.replace(mine, epoch=mine.epoch + 1),
        dataclasses.replace(mine, pk=10**9),
        dataclasses.replace(mine, tenant=tenant, pk=1, mark=1),
    ):
        status, detail = await refused(scim, entra, after=cursor.encode(forged))
        assert status == 410
        assert "after=now" in detail
        assert "fabrikam" not in json.dumps(detail)


async def test_without_a_token_nothing_is_told(scim: Scim) -> None:
    answer = await scim.client.get("https://scim.test/changes/v1")
    assert answer.status_code == 401


async def test_only_get_is_possible(scim: Scim, entra: Headers) -> None:
    answer = await scim.client.post("https://scim.test/changes/v1", headers=entra, json={})
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
