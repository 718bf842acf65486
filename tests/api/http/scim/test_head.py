"""HEAD: what GET answers, without the body (RFC 9110 section 9.3.2)."""

import uuid
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from api.conftest import BASE, Scim
from scim_api.http import response as responses
from support.conversation import raw_request

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
PATHS: Final = (
    "", "/Users", "/Users?startIndex=1&count=1", "/Users?filter=userName+eq+%22ada%40contoso.com%22",
    "/Users?sortBy=userName&cursor", "/Users?filter=nonsense", "/Users/{user}", "/Users/{user}?attributes=title",
    "/Users/nobody", f"/Users/{uuid.UUID(int=1)}", "/users/{user}/", "/Groups", "/Groups?excludedAttributes=members",
    "/Groups/{group}", "/Groups/{user}", "/Schemas", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User",
    "/Schemas/urn:none", "/Schemas?filter=id+pr", "/ResourceTypes", "/ResourceTypes/User", "/ServiceProviderConfig",
    "/Me", "/Bulk", "/.search", "/Users/.search", "/Nothing",
)  # fmt: skip


@pytest.fixture
async def made(scim: Scim, entra: Headers, person: Person) -> dict[str, str]:
    """The ids of a user and of a group that the user is in."""
    user = (await scim.client.post("/Users", json=person("ada"), headers=entra)).json()["id"]
    body = {"displayName": "Staff", "members": [{"value": user}]}
    group = (await scim.client.post("/Groups", json=body, headers=entra)).json()["id"]
    return {"user": user, "group": group}


def same_head(head: httpx.Response, get: httpx.Response) -> None:
    assert (head.status_code, head.headers.raw) == (get.status_code, get.headers.raw)
    assert head.content == b""


@pytest.mark.parametrize("path", PATHS)
async def test_a_head_is_answered_as_the_get_without_its_body(
    scim: Scim, entra: Headers, made: dict[str, str], path: str
) -> None:
    target = path.format(**made)
    get = await scim.client.get(f"{BASE}{target}", headers=entra)
    head = await scim.client.head(f"{BASE}{target}", headers=entra)
    if get.status_code == 405:  # nothing to read here, and an Allow that says so
        assert (head.status_code, head.headers["allow"]) == (405, get.headers["allow"])
        assert "HEAD" not in get.headers["allow"]
        assert head.content == b""
        return
    same_head(head, get)
    assert int(head.headers["content-length"]) == len(get.content) > 0


@pytest.mark.parametrize("tag", ['W/"1"', "*", 'W/"77"'])
@pytest.mark.parametrize("condition", ["if-none-match", "if-match"])
async def test_a_head_keeps_the_conditions_that_a_get_keeps(
    scim: Scim, entra: Headers, made: dict[str, str], condition: str, tag: str
) -> None:
    for path in (f"/Users/{made['user']}", f"/Groups/{made['group']}"):
        headers = {**entra, condition: tag}
        get, head = [await scim.client.request(method, path, headers=headers) for method in ("GET", "HEAD")]
        same_head(head, get)
        assert get.status_code in {200, 304, 412}


async def test_a_head_needs_a_token_as_a_get_does(scim: Scim, made: dict[str, str]) -> None:
    for path in ("/Users", f"/Users/{made['user']}", "/Schemas"):
        get, head = [await scim.client.request(method, path) for method in ("GET", "HEAD")]
        same_head(head, get)
        assert head.status_code == 401


async def test_a_long_body_has_no_length_for_either(
    scim: Scim, entra: Headers, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_BUFFERED_BYTES", 10)
    get, head = [
        await scim.client.request(method, f"/Groups/{made['group']}", headers=entra)
        for method in ("GET", "HEAD")
    ]
    same_head(head, get)
    assert "content-length" not in head.headers


async def test_the_server_writes_no_body_itself(scim: Scim, entra: Headers, made: dict[str, str]) -> None:
    """A client hides a body that comes with the answer to a HEAD; this looks at what was sent."""
    transport: Any = scim.client._transport
    for path in ("/Users", f"/Users/{made['user']}", "/Users/nobody", "/Nothing", "/Schemas"):
        answer = await raw_request(transport.app, "HEAD", path, entra)
        assert answer.content == b"", path
