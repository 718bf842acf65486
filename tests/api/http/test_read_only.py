"""What a ReadOnly token may do: every route with every method, and nobody's requests but its own are limited by it."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import pytest

from api.conftest import BASE, Scim
from api.test_bad_input import refused
from scim_api.contract.admin import RateLimit
from scim_api.contract.urns import BULK_REQUEST, CORE_GROUP, CORE_USER, PATCH_OP, SEARCH_REQUEST
from scim_api.http import endpoint
from scim_api.http.endpoint import ScimEndpoint
from scim_api.http.public import TokenEndpoint, public_endpoints
from support.token_requests import ask, register

METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW")
SAFE: Final = ("GET", "HEAD", "OPTIONS")
Person = Callable[..., dict[str, Any]]


@pytest.fixture
async def world(scim: Scim, person: Person) -> dict[str, str]:
    """The ids of a user and a group that are there, and headers by the access of their token."""
    entra = await scim.connect(rate_limit=RateLimit(requests_per_second=1000, burst=1000))
    user = (await scim.client.post("/Users", json=person("ada"), headers=entra)).json()["id"]
    team = {"schemas": [CORE_GROUP], "displayName": "Team", "members": [{"value": user}]}
    group = (await scim.client.post("/Groups", json=team, headers=entra)).json()["id"]
    reader = await scim.connect("reports", access="ReadOnly")
    return {
        "User": user,
        "Group": group,
        "writes": entra["authorization"],
        "reads": reader["authorization"],
    }


def request_for(world: Mapping[str, str], path: str, method: str, person: Person) -> dict[str, Any]:
    """A request that does something if it is let through."""
    group = {"schemas": [CORE_GROUP], "displayName": "Renamed" if method == "PUT" else "Others"}
    bodies: dict[str, Any] = {
        "/Users": person("bea"), "/Groups": group, "/Users/{id}": person("ada", title="Chief"), "/Groups/{id}": group,
        "/Bulk": {
            "schemas": [BULK_REQUEST],
            "Operations": [{"method": "DELETE", "path": f"/Users/{world['User']}"}],
        },
    }  # fmt: skip
    route = path.removeprefix("/scim/v2")
    body = bodies.get(route, {"schemas": [SEARCH_REQUEST]})
    if method == "PATCH":
        change = {"displayName": "Changed"}
        body = {"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "value": change}]}
    ids = {"/Users/{id}": world["User"], "/Groups/{id}": world["Group"], "/Schemas/{id}": CORE_USER}
    return {
        "url": BASE.removesuffix("/scim/v2") + path.replace("{id}", ids.get(route, "User")),
        "json": None if method in SAFE else body,
    }


async def everything(scim: Scim, world: Mapping[str, str]) -> list[object]:
    found = await scim.client.get(BASE, headers={"authorization": world["writes"]})
    return found.json()["Resources"]  # type: ignore[no-any-return]


async def test_with_a_read_only_token_no_route_changes_anything_and_all_others_are_open(
    scim: Scim, world: dict[str, str], person: Person
) -> None:
    before = await everything(scim, world)
    tried = set[tuple[str, str]]()
    for path, app in public_endpoints(scim.service).items():
        if isinstance(app, TokenEndpoint):
            continue
        assert isinstance(app, ScimEndpoint), f"say what a ReadOnly token may do at {path}"
        for method in METHODS:
            answer = await scim.client.request(
                method,
                **request_for(world, path, method, person),
                headers={"authorization": world["reads"], "content-type": "application/scim+json"},
            )
            reads = method in SAFE or (method == "POST" and path.endswith("/.search"))
            if method not in app.methods:
                expected = {405}
            elif not reads:
                expected = {403}
                assert "may only read" in refused(answer, 403)
                tried.add((method, path.removeprefix("/scim/v2")))
            else:
                expected = {501} if path.endswith("/Me") else {200}
            assert answer.status_code in expected, (method, path, answer.text)
    assert await everything(scim, world) == before
    assert {
        *itertools.product(("POST",), ("/Users", "/Groups", "/Bulk")),
        *itertools.product(("PUT", "PATCH", "DELETE"), ("/Users/{id}", "/Groups/{id}")),
    } <= tried


async def test_the_same_requests_change_something_with_a_token_that_may_write(
    scim: Scim, world: dict[str, str], person: Person
) -> None:
    for method, path in (
        ("POST", "/Users"), ("POST", "/Groups"), ("PUT", "/Users/{id}"), ("PATCH", "/Users/{id}"),
        ("PUT", "/Groups/{id}"), ("DELETE", "/Groups/{id}"), ("POST", "/Bulk"),
    ):  # fmt: skip
        before = await everything(scim, world)
        sent = request_for(world, f"/scim/v2{path}", method, person)
        await scim.client.request(method, **sent, headers={"authorization": world["writes"]})
        assert await everything(scim, world) != before, (method, path)


@pytest.mark.parametrize("path", ["/users", "//Users", "/Users/", "/%55sers"])
async def test_another_spelling_of_a_path_lets_nothing_through(
    scim: Scim, world: dict[str, str], person: Person, path: str
) -> None:
    headers = {"authorization": world["reads"]}
    answer = await scim.client.post(BASE + path, json=person("bea"), headers=headers)
    assert answer.status_code in {403, 404}
    assert (await scim.client.get("/Users", headers=headers)).json()["totalResults"] == 1


async def test_a_body_that_is_still_sent_is_read_and_forgotten(scim: Scim, world: dict[str, str]) -> None:
    headers = {"authorization": world["reads"]}
    refused(await scim.client.post("/Users", content=b"x" * 300_000, headers=headers), 403)


async def test_an_access_token_may_do_what_the_connection_may_that_it_was_issued_for(
    scim: Scim, world: dict[str, str], person: Person
) -> None:
    client = await register(scim.service.store, name="reports-oauth", access="ReadOnly")
    issued = await ask(scim.client, client.form())
    headers = {"authorization": f"Bearer {issued.json()['access_token']}"}
    assert (await scim.client.get(f"/Users/{world['User']}", headers=headers)).status_code == 200
    refused(await scim.client.post("/Users", json=person("bea"), headers=headers), 403)
    refused(await scim.client.delete(f"/Users/{world['User']}", headers=headers), 403)


async def test_who_is_made_a_reader_writes_no_more(scim: Scim, person: Person) -> None:
    headers = await scim.connect()
    assert (await scim.client.post("/Users", json=person("ada"), headers=headers)).status_code == 201
    held = await scim.service.store.connection("demo", "entra")
    body = {
        "tenant": "contoso",
        "settings": None,
        "access": "ReadOnly",
        "credentials": [held.credentials[0].model_dump(mode="json", by_alias=True)],
    }
    target = "/admin/v1/connections/demo/entra"
    sent = httpx.Request("PUT", "http://x", json=body).content
    answer = await scim.admin_call("PUT", target, body=sent, revision=held.revision)
    assert (answer.status_code, answer.json()["access"]) == (200, "ReadOnly")
    refused(await scim.client.post("/Users", json=person("bea"), headers=headers), 403)
    back = httpx.Request("PUT", "http://x", json={**body, "settings": {}, "access": "ReadWrite"}).content
    answer = await scim.admin_call("PUT", target, body=back, revision=answer.json()["revision"])
    assert (answer.status_code, answer.json()["code"]) == (409, "AccessImmutable")


async def test_however_much_is_read_it_takes_nothing_from_whoever_provisions(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "REFUSAL_DELAY_SECONDS", 0.0)
    entra = await scim.connect(rate_limit=RateLimit(requests_per_second=25, burst=25))
    readers = [await scim.connect(name, access="ReadOnly") for name in ("one", "two")]
    answers = [await scim.client.get("/Users?count=0", headers=readers[n % 2]) for n in range(40)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert len(limited) >= 10, "those who read share the tenant's rate"
    assert "more than 25 requests per second" in limited[0].json()["detail"]
    answers = [await scim.client.get("/Users?count=0", headers=entra) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
