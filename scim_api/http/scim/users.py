"""``/Users/{id}`` and ``POST /Users``: how a user is created, replaced, patched and rendered."""

from typing import Final

from scim_api.core.errors import not_found
from scim_api.core.messages.projection import Projection
from scim_api.core.messages.serialization import serialize_resource, splice_groups
from scim_api.core.model import Resource
from scim_api.core.patch.apply import patch_user
from scim_api.core.resources.users import create_user, replace_user
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.http.scim.conditional import is_not_modified, not_modified, resource_headers, resource_id
from scim_api.http.scim.crud import ResourceHandlers
from scim_api.store.immediate_reads import ImmediateReads


async def _render(
    request: ScimRequest, resource: Resource, requested: Projection | None, status: int
) -> ScimResponse:
    base_url = request.service.base_url
    text = serialize_resource(resource, base_url)
    if requested is not None:
        if requested.wants("groups") and "Group" in request.tenant_schema.tables:
            groups = await request.service.store.groups_of(request.access.tenant, (resource.pk,))
            text = splice_groups(text, groups.get(resource.pk, ()), base_url)
        text = requested.apply_text(text)
    return ScimResponse(status, text.encode(), resource_headers(request, resource, status))


def get_user_now(request: ScimRequest, reads: ImmediateReads) -> ScimResponse | None:
    """As ``USERS.get``, with a store that need not be awaited; None where attributes are requested."""
    if request.query:
        return None
    identity = resource_id(request, "User")
    resource = reads.get(request.access.tenant, "User", identity)
    if resource is None:
        raise not_found("User", identity)
    if is_not_modified(request, resource):
        return not_modified(request, resource)
    text = serialize_resource(resource, request.service.base_url)
    return ScimResponse(200, text.encode(), resource_headers(request, resource, 200))


USERS: Final = ResourceHandlers(
    kind="User",
    create_resource=create_user,
    replace_resource=replace_user,
    patch_resource=patch_user,
    render=_render,
    patch_returns_body=True,
)
"""The handlers of ``/Users/{id}`` and of ``POST /Users``."""
