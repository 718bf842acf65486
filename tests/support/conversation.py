"""What a test says to the service over HTTP: one tenant's conversation, and requests byte for byte."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpx
from starlette.types import ASGIApp, Message

from api.conftest import BASE

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CUSTOM: Final = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
LIST_RESPONSE: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
ENTRA_GROUP: Final = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
MEDIA_TYPE: Final = "application/scim+json"
WORK_EMAIL: Final = 'emails[type eq "work"].value'
WORK_COUNTRY: Final = 'addresses[type eq "work"].country'

Json = dict[str, Any]


def op(kind: str, path: str | None = None, *value: Any) -> Json:
    """One PATCH operation; a value that is not given is left out."""
    operation: Json = {"op": kind}
    if path is not None:
        operation["path"] = path
    if value:
        operation["value"] = value[0]
    return operation


@dataclasses.dataclass(frozen=True)
class Conversation:
    """A tenant's client. Methods that name no status expect success and fail with the answer otherwise."""

    client: httpx.AsyncClient
    headers: Mapping[str, str]

    async def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """Any request; the answer as it came."""
        headers = {**self.headers, **more.pop("headers", {})}
        if body is not None:
            more["content"] = json.dumps(body).encode()
            headers.setdefault("content-type", MEDIA_TYPE)
        return await self.client.request(method, path, headers=headers, **more)

    async def create(self, body: Json, path: str = "/Users") -> Json:
        """POST; the resource that was made."""
        return expect(await self.send("POST", path, body), 201)

    async def get(self, resource_id: str, path: str = "/Users", query: str = "") -> Json:
        """GET by id."""
        return expect(await self.send("GET", f"{path}/{resource_id}{query}"), 200)

    async def find(self, text: str, path: str = "/Users", **query: Any) -> list[Json]:
        """The resources that a filter finds, in a well-formed list."""
        answer = await self.send("GET", path, params={"filter": text, **query})
        return listed(answer)

    async def patch(self, resource_id: str, *operations: Json, query: str = "") -> Json:
        """PATCH a user; what a GET tells afterwards, which the answer must tell too when it has a body."""
        answer = await self.patched(f"/Users/{resource_id}{query}", *operations)
        assert answer.status_code in {200, 204}, answer.text
        now = await self.get(resource_id)
        if answer.status_code == 200:
            assert answer.json() == now
        return now

    async def patched(self, path: str, *operations: Json) -> httpx.Response:
        """PATCH anything; the answer as it came."""
        return await self.send("PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)})

    async def delete(self, path: str) -> None:
        """DELETE; 204 without a body."""
        answer = await self.send("DELETE", path)
        assert (answer.status_code, answer.content) == (204, b""), answer.text

    # -- groups -------------------------------------------------------------------------------------
    async def create_group(self, name: str, *members: str, **more: Any) -> Json:
        """POST a group, without ``members`` when none are named, as Entra does."""
        body = {"schemas": [GROUP], "displayName": name, **more}
        if members:
            body["members"] = [{"value": member} for member in members]
        return await self.create(body, "/Groups")

    async def patch_group(self, group_id: str, *operations: Json) -> None:
        """PATCH a group; 204 without a body."""
        answer = await self.patched(f"/Groups/{group_id}", *operations)
        assert (answer.status_code, answer.content) == (204, b""), answer.text

    async def members(self, group_id: str) -> set[str]:
        """The ids of a group's members, none of them twice."""
        found = [member["value"] for member in (await self.get(group_id, "/Groups")).get("members", [])]
        assert len(found) == len(set(found))
        return set(found)


def expect(answer: httpx.Response, status: int) -> Json:
    """The body of an answer of this status, which has SCIM's media type."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    body: Json = answer.json()
    return body


def listed(answer: httpx.Response) -> list[Json]:
    """The resources of a ListResponse that is whole: all that was found stands on this page."""
    body = expect(answer, 200)
    assert body["schemas"] == [LIST_RESPONSE]
    assert body["totalResults"] == len(body["Resources"]) == body["itemsPerPage"]
    found: list[Json] = body["Resources"]
    return found


def refusal(answer: httpx.Response, status: int, scim_type: str | None = None) -> str:
    """The detail of a well-formed SCIM error of this status and type."""
    body = expect(answer, status)
    assert body["schemas"] == [ERROR]
    assert body["status"] == str(status)
    assert body.get("scimType") == scim_type, body
    detail: str = body["detail"]
    assert detail
    return detail


async def raw_request(
    app: ASGIApp,
    method: str,
    target: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    base: str = urlsplit(BASE).path,
) -> httpx.Response:
    """A request whose target stands in the URL exactly as it is given: no client encodes anything.

    Args:
        app: the ASGI application.
        method: the HTTP method.
        target: path and query below the base URL, as bytes on the wire.
        headers: header names and values.
        body: the body.
        base: what comes before the target.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    path, _, query = f"{base}{target}".partition("?")
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    if body:
        raw.append((b"content-length", str(len(body)).encode()))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "https", "path": unquote(path, errors="replace"), "raw_path": path.encode("utf-8"),
        "query_string": query.encode("utf-8"), "root_path": "", "headers": raw,
        "client": ("127.0.0.1", 1), "server": ("scim.test", 443),
    }  # fmt: skip
    sent: list[Message] = []
    bodies = iter([body])

    async def receive() -> Message:
        part = next(bodies, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(sent[0]["status"], headers=sent[0].get("headers", []), content=content)
