"""``/Groups/{id}`` and ``POST /Groups``: as for users, but the members are read apart.

A group can have 100,000 members. What changes them never reads them, and a PATCH is answered 204 without
a body unless attributes were asked for; what publishes them reads and sends them page by page.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

import orjson

from scim_api.core.errors import not_found
from scim_api.core.messages.projection import Projection
from scim_api.core.messages.serialization import serialize_member, serialize_resource
from scim_api.core.model import Member, Resource
from scim_api.core.patch.groups import patch_group
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.groups import create_group, replace_group
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.http.scim.conditional import (
    expected_version,
    is_not_modified,
    not_modified,
    requested_projection,
    require_groups,
    resource_headers,
    resource_id,
)

MEMBERS_PAGE: Final = 1_000
"""Members that are read, rendered and sent at a time: some 150 kB, a few milliseconds of the event loop."""
_MEMBERS: Final = "members"


async def group_body(
    call: ScimRequest, resource: Resource, wanted: Projection | None
) -> AsyncIterator[bytes]:
    """The JSON text of a group in pieces of bounded size; one whose members nobody wants, in one.

    Raises:
        Unavailable: the database stopped answering; what was sent so far is no whole JSON text then.
    """
    base = call.service.base_url
    head = serialize_resource(resource, base)
    if wanted is not None:
        head = wanted.apply_text(head)
        if not wanted.wants(_MEMBERS):
            yield head.encode()
            return
    before, after = f'{head[:-1]},"members":[', 0
    while True:
        page = await call.service.store.members(
            call.access.tenant, resource.pk, after=after, limit=MEMBERS_PAGE
        )
        texts = _rendered(page, base, wanted)
        if texts:
            yield f"{before}{','.join(texts)}".encode()
            before = ","
        if len(page) < MEMBERS_PAGE:
            break
        after = page[-1].pk
        await asyncio.sleep(0)  # SQLite answers without waiting: let others have their turn.
    yield f"{'' if before == ',' else before}]}}".encode()


def _rendered(page: Sequence[Member], base: str, wanted: Projection | None) -> list[str]:
    texts = [serialize_member(member, base) for member in page]
    if wanted is None:
        return texts
    entries = wanted.apply({_MEMBERS: [orjson.loads(text) for text in texts]}).get(_MEMBERS, ())
    return [orjson.dumps(entry).decode() for entry in entries]


def _answer(
    call: ScimRequest, resource: Resource, wanted: Projection | None, status: int = 200
) -> ScimResponse:
    return ScimResponse(status, group_body(call, resource, wanted), resource_headers(call, resource, status))


async def get(call: ScimRequest) -> ScimResponse:
    """``GET /Groups/{id}``; 304 when If-None-Match names the present version."""
    require_groups(call)
    identity, wanted = resource_id(call, "Group"), requested_projection(call, "Group")
    resource = await call.service.store.get(call.access.tenant, "Group", identity)
    if resource is None:
        raise not_found("Group", identity)
    if is_not_modified(call, resource):
        return not_modified(call, resource)
    return _answer(call, resource, wanted)


async def create(call: ScimRequest) -> ScimResponse:
    """``POST /Groups``: 201, or 409 when there is one of this name."""
    require_groups(call)
    wanted = requested_projection(call, "Group")
    prepared = create_group(call.tenant_schema, call.json())
    resource = await call.service.store.create(
        call.access.tenant, "Group", prepared, actor=call.access.credential
    )
    return _answer(call, resource, wanted, 201)


async def replace(call: ScimRequest) -> ScimResponse:
    """``PUT /Groups/{id}``: the members are those of the body and no others."""
    require_groups(call)
    identity, wanted = resource_id(call, "Group"), requested_projection(call, "Group")
    body = call.json()
    resource = await call.service.store.modify(
        call.access.tenant,
        "Group",
        identity,
        lambda current: replace_group(call.tenant_schema, current, body),
        actor=call.access.credential,
        expected_version=await expected_version(call, "Group", identity),
    )
    if resource is None:
        raise not_found("Group", identity)
    return _answer(call, resource, wanted)


async def patch(call: ScimRequest) -> ScimResponse:
    """``PATCH /Groups/{id}``: 204, or 200 with what was asked for (RFC 7644 section 3.5.2)."""
    require_groups(call)
    identity, wanted = resource_id(call, "Group"), requested_projection(call, "Group")
    operations = read_patch(call.tenant_schema, call.json(), "Group")
    resource = await call.service.store.modify(
        call.access.tenant,
        "Group",
        identity,
        lambda current: patch_group(call.tenant_schema, current, operations),
        actor=call.access.credential,
        expected_version=await expected_version(call, "Group", identity),
    )
    if resource is None:
        raise not_found("Group", identity)
    if wanted is None:
        return ScimResponse(204, b"", resource_headers(call, resource))
    return _answer(call, resource, wanted)


async def delete(call: ScimRequest) -> ScimResponse:
    """``DELETE /Groups/{id}``: 204, and 404 the second time; its members stay."""
    require_groups(call)
    identity = resource_id(call, "Group")
    if not await call.service.store.delete(
        call.access.tenant,
        "Group",
        identity,
        actor=call.access.credential,
        expected_version=await expected_version(call, "Group", identity),
    ):
        raise not_found("Group", identity)
    return ScimResponse(204)
