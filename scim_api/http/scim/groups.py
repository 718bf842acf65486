"""``/Groups/{id}`` and ``POST /Groups``: as for users, but the members are read separately.

A group can have 100,000 members. Writes never read them, and a PATCH is answered 204 without a body
unless attributes are requested; reads send them page by page.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
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

MEMBERS_PAGE: Final = 1_000
"""Members read, rendered and sent at a time: about 150 kB, a few milliseconds of the event loop."""
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
    prefix, after = f'{head[:-1]},"members":[', 0
    while True:
        page = await request.service.store.members(
            request.access.tenant, resource.pk, after=after, limit=MEMBERS_PAGE
        )
        rendered = _render_members(page, base, requested)
        if rendered:
            yield f"{prefix}{','.join(rendered)}".encode()
            prefix = ","
        if len(page) < MEMBERS_PAGE:
            break
        after = page[-1].pk
        await asyncio.sleep(0)  # SQLite answers without waiting: let other requests run.
    yield f"{'' if prefix == ',' else prefix}]}}".encode()


def _render_members(page: Sequence[Member], base: str, requested: Projection | None) -> list[str]:
    rendered = [serialize_member(member, base) for member in page]
    if requested is None:
        return rendered
    entries = requested.apply({_MEMBERS: [orjson.loads(text) for text in rendered]}).get(_MEMBERS, ())
    return [orjson.dumps(entry).decode() for entry in entries]


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
