"""``/Users/{id}`` and ``POST /Users``: each handler reads the request, lets the pure core decide, and asks
the store once.
"""

from scim_api.core.errors import not_found
from scim_api.core.messages.projection import Projection
from scim_api.core.messages.serialization import render, with_groups
from scim_api.core.model import Resource
from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.users import create_user, replace_user
from scim_api.http.request import Call
from scim_api.http.response import Answer
from scim_api.http.scim.conditional import (
    answer_headers,
    expected_version,
    is_known,
    not_modified,
    resource_id,
    wanted_attributes,
)


async def _answer(call: Call, resource: Resource, wanted: Projection | None, status: int = 200) -> Answer:
    base = call.service.base_url
    text = render(resource, base)
    if wanted is not None:
        if wanted.wants("groups") and "Group" in call.profile.tables:
            groups = await call.service.store.groups_of(call.access.tenant, (resource.pk,))
            text = with_groups(text, groups.get(resource.pk, ()), base)
        text = wanted.apply_text(text)
    return Answer(status, text.encode(), answer_headers(call, resource, status))


async def get(call: Call) -> Answer:
    """``GET /Users/{id}``; 304 when If-None-Match names the present version."""
    identity, wanted = resource_id(call, "User"), wanted_attributes(call, "User")
    resource = await call.service.store.get(call.access.tenant, "User", identity)
    if resource is None:
        raise not_found("User", identity)
    if is_known(call, resource):
        return not_modified(call, resource)
    return await _answer(call, resource, wanted)


async def create(call: Call) -> Answer:
    """``POST /Users``: 201, or 409 when the person is there already and stays as it was."""
    wanted = wanted_attributes(call, "User")
    prepared = create_user(call.profile, call.json())
    resource = await call.service.store.create(
        call.access.tenant, "User", prepared, actor=call.access.credential
    )
    return await _answer(call, resource, wanted, 201)


async def replace(call: Call) -> Answer:
    """``PUT /Users/{id}``."""
    identity, wanted = resource_id(call, "User"), wanted_attributes(call, "User")
    body = call.json()
    resource = await call.service.store.modify(
        call.access.tenant,
        "User",
        identity,
        lambda current: replace_user(call.profile, current, body),
        actor=call.access.credential,
        expected_version=await expected_version(call, "User", identity),
    )
    if resource is None:
        raise not_found("User", identity)
    return await _answer(call, resource, wanted)


async def patch(call: Call) -> Answer:
    """``PATCH /Users/{id}`` in either of Entra's dialects: 200 with the resource."""
    identity, wanted = resource_id(call, "User"), wanted_attributes(call, "User")
    operations = read_patch(call.profile, call.json())
    resource = await call.service.store.modify(
        call.access.tenant,
        "User",
        identity,
        lambda current: patch_user(call.profile, current, operations),
        actor=call.access.credential,
        expected_version=await expected_version(call, "User", identity),
    )
    if resource is None:
        raise not_found("User", identity)
    return await _answer(call, resource, wanted)


async def delete(call: Call) -> Answer:
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
    return Answer(204)
