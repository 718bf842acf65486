"""Create, read, modify and delete one resource: the handlers that users and groups share."""

import dataclasses
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from scim_api.core.errors import not_found
from scim_api.core.messages.projection import Projection
from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.patch.request import PatchOperation, read_patch
from scim_api.core.schema.tenant_schema import TenantSchema
from scim_api.core.types import ResourceKind
from scim_api.http.request import ScimRequest, aside
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
from scim_api.store.protocol import Transform

CreateResource = Callable[[TenantSchema, dict[str, Any]], ResourceWrite]
ReplaceResource = Callable[[TenantSchema, Resource, dict[str, Any]], ResourceWrite]
PatchResource = Callable[[TenantSchema, Resource, tuple[PatchOperation, ...]], ResourceWrite | None]
Render = Callable[[ScimRequest, Resource, Projection | None, int], Awaitable[ScimResponse]]
"""The response with a resource, its requested attributes and this status."""


@dataclasses.dataclass(frozen=True, slots=True)
class ResourceHandlers:
    """The handlers of one resource type; each reads the request and asks the store once.

    Raises:
        ScimError: from each handler, for what the request does wrong.
        StoreError: from each handler, as the store does.
    """

    kind: ResourceKind
    create_resource: CreateResource
    replace_resource: ReplaceResource
    patch_resource: PatchResource
    render: Render
    patch_returns_body: bool
    """Whether a PATCH that asks for no attributes is answered 200, or 204 (RFC 7644 section 3.5.2)."""

    async def get(self, request: ScimRequest) -> ScimResponse:
        """GET: 200, or 304 when If-None-Match names the present version."""
        identity, requested = self._target(request)
        resource = await request.service.store.get(request.access.tenant, self.kind, identity)
        if resource is None:
            raise not_found(self.kind, identity)
        if is_not_modified(request, resource):
            return not_modified(request, resource)
        return await self.render(request, resource, requested, 200)

    async def create(self, request: ScimRequest) -> ScimResponse:
        """POST: 201, or 409 when the resource exists already and stays as it was."""
        self._require_served(request)
        requested = requested_projection(request, self.kind)
        prepared = self.create_resource(request.tenant_schema, request.json())
        resource = await request.service.store.create(
            request.access.tenant, self.kind, prepared, actor=request.access.actor
        )
        return await self.render(request, resource, requested, 201)

    async def replace(self, request: ScimRequest) -> ScimResponse:
        """PUT: 200 with the resource."""
        identity, requested = self._target(request)
        body = request.json()
        resource = await self._modify(
            request, identity, lambda current: self.replace_resource(request.tenant_schema, current, body)
        )
        return await self.render(request, resource, requested, 200)

    async def patch(self, request: ScimRequest) -> ScimResponse:
        """PATCH in either of Entra's dialects: 200 with the resource, or 204."""
        identity, requested = self._target(request)
        read = functools.partial(read_patch, request.tenant_schema, kind=self.kind)
        body = request.json()
        operations = read(body) if request.document is None else await aside(read, body)
        resource = await self._modify(
            request, identity, lambda current: self.patch_resource(request.tenant_schema, current, operations)
        )
        if requested is None and not self.patch_returns_body:
            return ScimResponse(204, b"", resource_headers(request, resource, 204))
        return await self.render(request, resource, requested, 200)

    async def delete(self, request: ScimRequest) -> ScimResponse:
        """DELETE: 204, and 404 the second time."""
        self._require_served(request)
        identity = resource_id(request, self.kind)
        if not await request.service.store.delete(
            request.access.tenant,
            self.kind,
            identity,
            actor=request.access.actor,
            expected_version=await expected_version(request, self.kind, identity),
        ):
            raise not_found(self.kind, identity)
        return ScimResponse(204)

    async def _modify(self, request: ScimRequest, identity: str, transform: Transform) -> Resource:
        resource = await request.service.store.modify(
            request.access.tenant,
            self.kind,
            identity,
            transform,
            actor=request.access.actor,
            expected_version=await expected_version(request, self.kind, identity),
        )
        if resource is None:
            raise not_found(self.kind, identity)
        return resource

    def _target(self, request: ScimRequest) -> tuple[str, Projection | None]:
        """The id in the path and the requested attributes."""
        self._require_served(request)
        return resource_id(request, self.kind), requested_projection(request, self.kind)

    def _require_served(self, request: ScimRequest) -> None:
        if self.kind == "Group":
            require_groups(request)
