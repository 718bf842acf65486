"""The history of changes over HTTP, on each database."""

from typing import Any

import pytest

from api.conftest import Scim

Headers = dict[str, str]
URL = "https://scim.test/changes/v1/history"


@pytest.fixture
async def entra(scim: Scim) -> Headers:
    return await scim.connect()


async def history(scim: Scim, headers: Headers, **parameters: Any) -> dict[str, Any]:
    answer = await scim.client.get(
        URL, headers=headers, params={name: str(value) for name, value in parameters.items()}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


async def made(scim: Scim, headers: Headers, name: str, **more: Any) -> dict[str, Any]:
    body = {"userName": name, "emails": [{"type": "work", "value": f"{name}@contoso.com"}], **more}
    answer = await scim.client.post("/Users", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    user: dict[str, Any] = answer.json()
    return user


async def test_who_was_deleted_is_found_by_external_id_and_then_their_whole_life(
    scim: Scim, entra: Headers
) -> None:
    ada = await made(scim, entra, "ada", externalId="e-1")
    await made(scim, entra, "bob", externalId="e-2")
    group = {"displayName": "staff", "members": [{"value": ada["id"]}]}
    staff = (await scim.client.post("/Groups", json=group, headers=entra)).json()
    await scim.client.delete(f"/Users/{ada['id']}", headers=entra)

    assert await history(scim, entra, externalId="e-2") == {"changes": [], "next": None}
    [deletion] = (await history(scim, entra, externalId="e-1"))["changes"]
    life = await history(scim, entra, resourceId=deletion["resourceId"])

    assert [(one["type"], one["resourceId"], one.get("member")) for one in life["changes"]] == [
        ("user.deleted", ada["id"], None),
        ("group.member_removed", staff["id"], ada["id"]),
        ("group.member_added", staff["id"], ada["id"]),
        ("user.created", ada["id"], None),
    ]
    assert life["next"] is None


async def test_changes_are_those_of_the_feed_the_newest_first_page_by_page(
    scim: Scim, entra: Headers
) -> None:
    for number in range(5):
        await made(scim, entra, f"u{number}")
    feed = (await scim.client.get("https://scim.test/changes/v1", headers=entra)).json()["changes"]

    first = await history(scim, entra, limit=2)
    second = await history(scim, entra, limit=2, after=first["next"])
    third = await history(scim, entra, limit=2, after=second["next"])

    assert first["changes"] + second["changes"] + third["changes"] == feed[::-1]
    assert third["next"] is None


async def test_filters_are_by_credential_type_and_time(scim: Scim, entra: Headers) -> None:
    ada = await made(scim, entra, "ada")
    await scim.client.delete(f"/Users/{ada['id']}", headers=entra)
    other = await scim.connect("other")
    eve = await made(scim, other, "eve")
    everything = (await history(scim, entra))["changes"]
    credential = everything[0]["actor"]["credential"]

    for parameters, expected in (
        ({"credential": credential}, [eve["id"]]),
        ({"types": "user.deleted"}, [ada["id"]]),
        (
            {"types": "user.deleted,user.created", "credential": everything[-1]["actor"]["credential"]},
            [ada["id"]] * 2,
        ),
        ({"since": everything[0]["at"]}, [eve["id"]]),
        ({"until": everything[0]["at"]}, [ada["id"]] * 2),
        ({"until": everything[-1]["at"]}, []),
    ):
        found = await history(scim, entra, **parameters)
        assert [one["resourceId"] for one in found["changes"]] == expected, parameters


async def test_another_tenants_history_is_never_told(scim: Scim, entra: Headers) -> None:
    stranger = await scim.connect("stranger", tenant="fabrikam")
    ada = await made(scim, stranger, "ada", externalId="e-1")
    await made(scim, stranger, "bob")
    await scim.client.delete(f"/Users/{ada['id']}", headers=stranger)
    theirs = await history(scim, stranger, limit=1)

    for parameters in ({}, {"resourceId": ada["id"]}, {"externalId": "e-1"}, {"after": theirs["next"]}):
        assert await history(scim, entra, **parameters) == {"changes": [], "next": None}


async def test_who_asks_wrongly_is_told_what_to_send(scim: Scim, entra: Headers) -> None:
    for query in (
        "since=tomorrow", "after=x", "limit=0", "types=x", "externalId=%00", "resourceId=%ff", "x=1",
        "since=2026-11-23T14:00:00%2B00:00&until=0001-01-01T00:00:00%2B23:59", "until=9999-12-31T23:59:59-23:59x",
    ):  # fmt: skip
        answer = await scim.client.get(f"{URL}?{query}", headers=entra)
        assert (answer.status_code, bool(answer.json()["detail"])) == (400, True), query
    for query in (
        "since=9999-12-31T23:59:59.999999-23:59", "until=0001-01-01T00:00:00%2B23:59", "credential=%F0%9F%90%98",
        f"externalId={'x' * 5000}",
    ):  # fmt: skip
        answer = await scim.client.get(f"{URL}?{query}", headers=entra)
        assert (answer.status_code, answer.json()) == (200, {"changes": [], "next": None}), query


async def test_a_read_only_token_reads_it_and_none_reads_nothing(scim: Scim, entra: Headers) -> None:
    await made(scim, entra, "ada")
    reader = await scim.connect("reader", access="ReadOnly")

    assert len((await history(scim, reader))["changes"]) == 1
    assert (await scim.client.get(URL)).status_code == 401
    refused = await scim.client.post(URL, headers=entra, json={})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert (await scim.client.head(URL, headers=reader)).status_code == 200
