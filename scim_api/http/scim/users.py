"""``/Users/{id}`` and ``POST /Users``: each handler reads the request, lets the pure core decide, and asks
the store once.
"""

from scim_api.core.errors import not_found
from scim_api.core.messages.projection import Projection
from scim_api.core.messages.serialization import serialize_resource, splice_groups
from scim_api.core.model import Resource
from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.users import create_user, replace_user
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.http.scim.conditional import (
    expected_version,
    is_not_modified,
    not_modified,
    requested_projection,
    resource_headers,
    resource_id,
)


async def _answer(
    call: ScimRequest, resource: Resource, wanted: Projection | None, status: int = 200
) -> ScimResponse:
    base = call.service.base_url
    text = serialize_resource(resource, base)
    if wanted is not None:
        if wanted.wants("groups") and "Group" in call.tenant_schema.tables:
            groups = await call.service.store.groups_of(call.access.tenant, (resource.pk,))
            text = splice_groups(text, groups.get(resource.pk, ()), base)
        text = wanted.apply_text(text)
    return ScimResponse(status, text.encode(), resource_headers(call, resource, status))


async def get(call: ScimRequest) -> ScimResponse:
    """``GET /Users/{id}``; 304 when If-None-Match names the present version."""
    identity, wanted = resource_id(call, "User"), requested_projection(call, "User")
    resource = await call.service.store.get(call.access.tenant, "User", identity)
    if resource is None:
        raise not_found("User", identity)
    if is_not_modified(call, resource):
        return not_modified(call, resource)
    return await _answer(call, resource, wanted)


async def create(call: ScimRequest) -> ScimResponse:
    """``POST /Users``: 201, or 409 when the person is there already and stays as it was."""
    wanted = requested_projection(call, "User")
    prepared = create_user(call.tenant_schema, call.json())
    resource = await call.service.store.create(
        call.access.tenant, "User", prepared, actor=call.access.credential
    )
    return await _answer(call, resource, wanted, 201)


async def replace(call: ScimRequest) -> ScimResponse:
    """``PUT /Users/{id}``."""
    identity, wanted = resource_id(call, "User"), requested_projection(call, "User")
    body = call.json()
    resource = await call.service.store.modify(
        call.access.tenant,
        "User",
        identity,
        lambda current: replace_user(call.tenant_schema, current, body),
        actor=call.access.credential,
        expected_version=await expected_version(call, "User", identity),
    )
    if resource is None:
        raise not_found("User", identity)
    return await _answer(call, resource, wanted)


async def patch(call: ScimRequest) -> ScimResponse:
    """``PATCH /Users/{id}`` in either of Entra's dialects: 200 with the resource."""
    identity, wanted = resource_id(call, "User"), requested_projection(call, "User")
    operations = read_patch(call.tenant_schema, call.json())
    resource = await call.service.store.modify(
        call.access.tenant,
        "User",
        identity,
        lambda current: patch_user(call.tenant_schema, current, operations),
        actor=call.access.credential,
        expected_version=await expected_version(call, "User", identity),
    )
    if resource is None:
        raise not_found("User", identity)
    return await _answer(call, resource, wanted)


async def delete(call: ScimRequest) -> ScimResponse:
    """``DELETE /Users/{id}``: 204, and 404 the second time."""
    identity = resource_id(call, "User")
    if not await call.service.store.delete(
        call.access.tenant,
        "User",
        identity,
        actor=call.access.credential,
        expected_version=await expected_version(call, "User", identity),
    ):
        raise not_found("User", identity)
    return ScimResponse(204)
