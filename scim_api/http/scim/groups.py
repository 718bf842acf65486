"""``/Groups/{id}`` and ``POST /Groups``: as for users, but the members are read separately.

A group can have 100,000 members. Writes never read them, and a PATCH is answered 204 without a body
unless attributes are requested; reads send them page by page.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Final

import orjson

from scim_api.core.messages.projection import Projection
from scim_api.core.messages.serialization import serialize_member, serialize_resource
from scim_api.core.model import Member, Resource
from scim_api.core.patch.groups import patch_group
from scim_api.core.resources.groups import create_group, replace_group
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.http.scim.conditional import resource_headers
from scim_api.http.scim.crud import ResourceHandlers
from scim_api.store.serialized import SerializedMembers

MEMBERS_PAGE: Final = 1_000
"""Members read, rendered and sent at a time, where attributes are chosen: a few milliseconds of the event loop."""
RENDERED_PAGE: Final = 2_000
"""Members that the database renders and that are sent at a time: about 300 kB, a millisecond of SQLite's."""
_MEMBERS: Final = "members"


async def group_body(
    request: ScimRequest, resource: Resource, requested: Projection | None
) -> AsyncIterator[bytes]:
    """The JSON text of a group in pieces of bounded size; in one piece when members are not requested.

    Raises:
        Unavailable: the database stopped answering; what was sent so far is incomplete JSON.
    """
    base = request.service.base_url
    head = serialize_resource(resource, base)
    if requested is not None:
        head = requested.apply_text(head)
        if not requested.wants(_MEMBERS):
            yield head.encode()
            return
    prefix = f'{head[:-1]},"members":['.encode()
    pages = _rendered(request, resource) if requested is None else _projected(request, resource, requested)
    async for page in pages:
        yield prefix + page
        prefix = b","
    yield b"]}" if prefix == b"," else prefix + b"]}"


async def _rendered(request: ScimRequest, group: Resource) -> AsyncIterator[bytes]:
    """All members as the database renders them."""
    store, tenant, base = request.service.store, request.access.tenant, request.service.base_url

    def read(after: int) -> Awaitable[SerializedMembers | None]:
        return store.rendered_members(tenant, group.pk, base, after=after, limit=RENDERED_PAGE)

    page = await read(0)
    while page is not None:
        # The next page is read while this one is sent; a task of its own also lets other requests run.
        coming = asyncio.ensure_future(read(page.last)) if page.count == RENDERED_PAGE else None
        try:
            yield page.text
            page = None if coming is None else await coming
        finally:
            if coming is not None:
                coming.cancel()


async def _projected(request: ScimRequest, group: Resource, requested: Projection) -> AsyncIterator[bytes]:
    """All members with their requested attributes."""
    store, tenant, base = request.service.store, request.access.tenant, request.service.base_url
    after = 0
    while page := await store.members(tenant, group.pk, after=after, limit=MEMBERS_PAGE):
        if entries := _project_members(page, base, requested):
            yield b",".join(entries)
        if len(page) < MEMBERS_PAGE:
            return
        after = page[-1].pk
        await asyncio.sleep(0)


def _project_members(page: Sequence[Member], base: str, requested: Projection) -> list[bytes]:
    members = [orjson.loads(serialize_member(member, base)) for member in page]
    return [orjson.dumps(entry) for entry in requested.apply({_MEMBERS: members}).get(_MEMBERS, ())]


async def _render(
    request: ScimRequest, resource: Resource, requested: Projection | None, status: int
) -> ScimResponse:
    return ScimResponse(
        status, group_body(request, resource, requested), resource_headers(request, resource, status)
    )


GROUPS: Final = ResourceHandlers(
    kind="Group",
    create_resource=create_group,
    replace_resource=replace_group,
    patch_resource=patch_group,
    render=_render,
    patch_returns_body=False,
)
"""The handlers of ``/Groups/{id}`` and of ``POST /Groups``; the members of a deleted group stay."""
