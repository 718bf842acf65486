"""``/Users``: each handler reads the request, lets the pure core decide, and asks the store once."""

import re
from typing import Final

from scim_api.core import limits
from scim_api.core.errors import ScimError, invalid_value, not_found
from scim_api.core.filters import Expression, Indexed, parse_filter
from scim_api.core.normalise import read_patch
from scim_api.core.patch import patch_user
from scim_api.core.render import etag, list_response, project, read_etag, render
from scim_api.core.users import create_user, replace_user
from scim_api.http.protocol import Answer, Call
from scim_api.store import Page, Query, Resource, VersionMismatch
from scim_api.store.where import compile_where

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DEFAULT_COUNT: Final = 100
"""Resources on a page when the client asks for no number."""
_FAR: Final = 2**53
"""No list is that long; larger numbers would not fit into the databases' integers."""


def _resource_id(call: Call) -> str:
    if _ID.fullmatch(call.path_id) is None:
        raise not_found("User", call.path_id)
    return call.path_id.lower()


def _integer(name: str, text: str, default: int, lowest: int) -> int:
    """Paging numbers: below the lowest counts as the lowest (RFC 7644 section 3.4.2.4)."""
    if not text:
        return default
    if re.fullmatch(r"[+-]?[0-9]{1,30}", text) is None:
        raise invalid_value(f"{name} must be an integer such as {max(lowest, 1)}")
    return max(lowest, min(int(text), _FAR))


def _body(call: Call, resource: Resource, parameters: dict[str, str]) -> bytes:
    text = render(resource, "User", call.service.base_url)
    attributes, excluded = parameters.get("attributes"), parameters.get("excludedattributes")
    if attributes or excluded:
        text = project(call.profile, text, attributes, excluded)
    return text.encode()


def _resource(call: Call, resource: Resource, status: int = 200) -> Answer:
    headers = [(b"etag", etag(resource.version).encode())]
    if status == 201:
        headers.append((b"location", f"{call.service.base_url}/Users/{resource.id}".encode()))
    return Answer(status, _body(call, resource, call.parameters()), tuple(headers))


def _expected_version(call: Call) -> int | None:
    """The version that If-Match asks for; None when any will do. RFC 7644 section 3.14."""
    header = call.headers.get(b"if-match")
    if header is None:
        return None
    wanted = read_etag(header.decode("latin-1"))
    if wanted == "*":
        return None
    if wanted is None:
        raise VersionMismatch
    return int(wanted)


async def get(call: Call) -> Answer:
    """``GET /Users/{id}``; 304 when If-None-Match names the present version."""
    resource_id = _resource_id(call)
    resource = await call.service.store.get(call.access.tenant, "User", resource_id)
    if resource is None:
        raise not_found("User", resource_id)
    known = call.headers.get(b"if-none-match")
    if known is not None and read_etag(known.decode("latin-1")) in (resource.version, "*"):
        return Answer(304, b"", ((b"etag", etag(resource.version).encode()),))
    return _resource(call, resource)


async def search(call: Call) -> Answer:
    """``GET /Users``: Entra's equality filters by index, the rest compiled to SQL."""
    parameters = call.parameters()
    start = _integer("startIndex", parameters.get("startindex", ""), 1, 1)
    count = min(_integer("count", parameters.get("count", ""), DEFAULT_COUNT, 0), limits.MAX_RESULTS)
    page = await _page(call, parameters.get("filter"), start - 1, count)
    attributes, excluded = parameters.get("attributes"), parameters.get("excludedattributes")
    base = call.service.base_url
    rendered = [render(resource, "User", base) for resource in page.resources]
    if attributes or excluded:
        rendered = [project(call.profile, text, attributes, excluded) for text in rendered]
    return Answer(200, list_response(rendered, page.total, start))


async def _page(call: Call, text: str | None, offset: int, limit: int) -> Page:
    store, tenant = call.service.store, call.access.tenant
    if not text:
        return await store.search(tenant, "User", Query(offset=offset, limit=limit))
    wanted = parse_filter(call.profile, "User", text)
    if isinstance(wanted, Indexed):
        rest = (
            None
            if wanted.rest is None
            else compile_where(call.profile, Expression(wanted.rest), store.dialect)
        )
        found = await store.lookup(tenant, "User", wanted.by, wanted.key, rest)
        return Page(len(found), found[offset : offset + limit])
    where = compile_where(call.profile, wanted, store.dialect)
    return await store.search(tenant, "User", Query(where, offset=offset, limit=limit))


async def create(call: Call) -> Answer:
    """``POST /Users``: 201, or 409 when the person is there already and stays as it was."""
    prepared = create_user(call.profile, call.json())
    resource = await call.service.store.create(
        call.access.tenant, "User", prepared, actor=call.access.credential
    )
    return _resource(call, resource, 201)


async def replace(call: Call) -> Answer:
    """``PUT /Users/{id}``."""
    resource_id, body = _resource_id(call), call.json()
    resource = await call.service.store.modify(
        call.access.tenant,
        "User",
        resource_id,
        lambda current: replace_user(call.profile, current, body),
        actor=call.access.credential,
        expected_version=_expected_version(call),
    )
    if resource is None:
        raise not_found("User", resource_id)
    return _resource(call, resource)


async def patch(call: Call) -> Answer:
    """``PATCH /Users/{id}`` in either of Entra's dialects: 200 with the resource."""
    resource_id = _resource_id(call)
    operations = read_patch(call.profile, call.json())
    resource = await call.service.store.modify(
        call.access.tenant,
        "User",
        resource_id,
        lambda current: patch_user(call.profile, current, operations),
        actor=call.access.credential,
        expected_version=_expected_version(call),
    )
    if resource is None:
        raise not_found("User", resource_id)
    return _resource(call, resource)


async def delete(call: Call) -> Answer:
    """``DELETE /Users/{id}``: 204, and 404 the second time."""
    resource_id = _resource_id(call)
    if not await call.service.store.delete(
        call.access.tenant,
        "User",
        resource_id,
        actor=call.access.credential,
        expected_version=_expected_version(call),
    ):
        raise not_found("User", resource_id)
    return Answer(204)


async def groups(call: Call) -> Answer:
    """``/Groups``: what to do about it, as long as groups are not served."""
    if call.access.settings.groups == "Disabled":
        raise ScimError(
            404, "groups are switched off for this connection; switch off group provisioning in Entra"
        )
    raise ScimError(501, "this release serves no groups yet; switch off group provisioning in Entra")
