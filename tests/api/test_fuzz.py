"""Random requests that are nearly right: never a 5xx, every error a SCIM error, nothing half written.

What is accepted can be read, is found by its name, and is what /Schemas says; what is refused changes nothing.
"""

import dataclasses
import json
from typing import Any, Final

import httpx
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from api.conftest import Scim
from scim_api.http.public import public_app
from support import grammar
from support.conversation import (
    CUSTOM,
    ERROR,
    GROUP,
    LIST_RESPONSE,
    MEDIA_TYPE,
    USER,
    Conversation,
    raw_request,
)
from support.grammar import Request
from support.nearly_right import CUSTOM_FIELDS
from support.schema_check import Schemas, violations
from support.shared_scim import SHARED, Connect, connect, scim

__all__ = ["connect", "scim"]
pytestmark = SHARED

SCIM_TYPES: Final = {
    None, "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget",
    "invalidValue", "invalidVers", "sensitive", "invalidCursor", "expiredCursor", "invalidCount",
}  # fmt: skip
"""RFC 7644 table 9 and RFC 9865 section 4."""
BOUNDED: Final = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclasses.dataclass
class Tenant:
    """Two users, two groups, and what a test asks about them."""

    app: ASGIApp
    conversation: Conversation
    ids: dict[str, str]
    schemas: Schemas

    async def send(self, request: Request) -> httpx.Response:
        """A request with the tenant's credential."""
        headers = [*self.conversation.headers.items(), *request.headers]
        return await raw_request(self.app, request.method, request.target, headers, request.body)

    async def content(self) -> tuple[str, str]:
        """Everything that the tenant holds."""
        users = await self.conversation.send("GET", "/Users?count=200")
        groups = await self.conversation.send("GET", "/Groups?count=200")
        return users.text, groups.text


async def tenant_of(scim: Scim, connect: Connect) -> Tenant:
    """A new tenant with two users, two groups and custom fields of every type."""
    conversation = await connect(customFields=CUSTOM_FIELDS)
    ids = {}
    for number in range(2):
        mail = f"u{number}@fuzz.example"
        body = {"userName": mail, "emails": [{"type": "work", "value": mail}]}
        ids[f"u{number}"] = (await conversation.create(body))["id"]
    for number in range(2):
        ids[f"g{number}"] = (await conversation.create_group(f"group {number}", ids["u0"]))["id"]
    listed = (await conversation.send("GET", "/Schemas")).json()["Resources"]
    schemas = {item["id"]: item for item in listed}
    # SCIM has no type for custom fields of the type Any; they are published as strings and keep what comes.
    next(field for field in schemas[CUSTOM]["attributes"] if field["name"] == "postalCode")["type"] = "any"
    return Tenant(public_app(scim.service), conversation, ids, schemas)


@pytest_asyncio.fixture(loop_scope="module")
async def tenant(scim: Scim, connect: Connect) -> Tenant:
    """One tenant for all examples of a test that changes nothing."""
    return await tenant_of(scim, connect)


def check_error(status: int, body: Any) -> None:
    """A SCIM error of this status, with a sentence and a keyword of the RFCs."""
    assert set(body) <= {"schemas", "status", "scimType", "detail"}, body
    assert body["schemas"] == [ERROR]
    assert body["status"] == str(status)
    assert body.get("scimType") in SCIM_TYPES, body
    assert body["detail"].endswith("."), body
    assert len(body["detail"]) > 20, body


def check_answer(request: Request, answer: httpx.Response) -> None:
    """Whatever was asked: no 5xx but for what is not implemented, SCIM's media type, a body where one belongs."""
    assert answer.status_code < 500 or answer.status_code == 501, answer.text
    if answer.status_code in {204, 304}:
        assert answer.content == b""
        return
    if request.method == "HEAD":
        return
    assert answer.headers["content-type"] == MEDIA_TYPE
    body = answer.json()
    if answer.status_code >= 400:
        check_error(answer.status_code, body)
    elif LIST_RESPONSE in body["schemas"]:
        assert len(body["Resources"]) == body["itemsPerPage"] <= body["totalResults"]


async def check_written(tenant: Tenant, answer: httpx.Response) -> None:
    """What was accepted can be read, is found by its name, and is what /Schemas says."""
    location = answer.headers.get("location") or answer.json()["meta"]["location"]
    path = location.removeprefix("https://scim.test/scim/v2")
    read = await tenant.conversation.send("GET", path)
    assert read.status_code == 200, read.text
    resource = read.json()
    kind, name = (USER, "userName") if path.startswith("/Users") else (GROUP, "displayName")
    assert violations(resource, kind, tenant.schemas) == []
    quoted = json.dumps(resource[name])
    if len(quoted) < 4000:
        found = await tenant.conversation.find(f"{name} eq {quoted}", path.rpartition("/")[0])
        assert [item["id"] for item in found] == [resource["id"]]


async def play(tenant: Tenant, request: Request) -> None:
    """Send one request and check what it did."""
    request = request.filled(tenant.ids)
    writes = request.method in WRITES and ".search" not in request.target
    before = await tenant.content() if writes else None
    answer = await tenant.send(request)
    check_answer(request, answer)
    if answer.status_code >= 400 and before is not None:
        assert await tenant.content() == before
    if answer.status_code in {200, 201} and request.method in {"POST", "PUT", "PATCH"}:
        body = answer.json()
        if answer.status_code == 201 or "meta" in body:
            await check_written(tenant, answer)
        for operation in body.get("Operations", ()) if "Operations" in body else ():
            if int(operation["status"]) >= 400:
                check_error(int(operation["status"]), operation["response"])


@BOUNDED
@given(requests=st.lists(grammar.creates_and_replaces, min_size=1, max_size=3))
async def test_creates_and_replacements(scim: Scim, connect: Connect, requests: list[Request]) -> None:
    tenant = await tenant_of(scim, connect)
    for request in requests:
        await play(tenant, request)


@BOUNDED
@given(requests=st.lists(grammar.changes, min_size=1, max_size=4))
async def test_patches(scim: Scim, connect: Connect, requests: list[Request]) -> None:
    tenant = await tenant_of(scim, connect)
    for request in requests:
        await play(tenant, request)


@BOUNDED
@given(requests=st.lists(grammar.reads, min_size=4, max_size=8))
async def test_reads_and_searches(tenant: Tenant, requests: list[Request]) -> None:
    for request in requests:
        await play(tenant, request)


@BOUNDED
@given(requests=st.lists(grammar.bulk_requests, min_size=1, max_size=2))
async def test_bulk_jobs(scim: Scim, connect: Connect, requests: list[Request]) -> None:
    tenant = await tenant_of(scim, connect)
    for request in requests:
        await play(tenant, request)


@BOUNDED
@given(requests=st.lists(st.one_of(grammar.strays, grammar.requests), min_size=2, max_size=6))
async def test_stories_of_anything(scim: Scim, connect: Connect, requests: list[Request]) -> None:
    tenant = await tenant_of(scim, connect)
    for request in requests:
        await play(tenant, request)
