"""The public application: ``/scim/v2`` and nothing else. FastAPI routes, lean endpoints answer."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from scim_api.core.errors import ScimError
from scim_api.http.endpoint import ScimEndpoint
from scim_api.http.paths import SCIM_PATH, PathNormaliser
from scim_api.http.request import ScimRequest, ServiceContext, discard_body
from scim_api.http.response import ScimResponse, send_response
from scim_api.http.scim import groups, users
from scim_api.http.scim.bulk import bulk
from scim_api.http.scim.discovery import _me, _resource_types, _schemas, _service_provider_config
from scim_api.http.scim.lists import list_by_query, list_by_search_request


class _NotFound:
    """Whatever is not SCIM: a SCIM 404 that tells the right address."""

    def __init__(self, service: ServiceContext) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await discard_body(receive)
        detail = f"Nothing is served here; the Tenant URL is {self._service.base_url}."
        await send_response(send, ScimResponse(404, ScimError(404, detail).body()))


class DirectRouter:
    """Takes requests for users and groups, in the RFC's spelling, straight to their endpoints.

    The walk through FastAPI's layers and routes costs a fifth of a point read, and ends at the same place:
    the rest of the application answers every request alike, only later.

    Args:
        app: whatever is no such request.
        collections: the endpoints of a collection and of one resource in it, by the collection's path.
    """

    def __init__(self, app: ASGIApp, collections: Mapping[str, tuple[ScimEndpoint, ScimEndpoint]]) -> None:
        self._app = app
        self._collections = {path: both[0] for path, both in collections.items()}
        self._members = {f"{path}/": both[1] for path, both in collections.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            path: str = scope["path"]
            endpoint = self._collections.get(path)
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
            end = path.rfind("/") + 1
            endpoint = self._members.get(path[:end])
            if endpoint is not None and end < len(path) and path[end] != ".":
                scope["path_params"] = {"id": path[end:]}
                await endpoint(scope, receive, send)
                return
        await self._app(scope, receive, send)


def public_app(service: ServiceContext, *, shortcut: bool = True) -> ASGIApp:
    """The application for the public port.

    Args:
        service: what its endpoints share.
        shortcut: False leaves all routing to FastAPI, which answers the same.
    """
    app = FastAPI(title="scim-api", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    def at(path: str, **handlers: Callable[[ScimRequest], Awaitable[ScimResponse]]) -> ScimEndpoint:
        endpoint = ScimEndpoint(service, path, **handlers)
        app.router.routes.append(Route(SCIM_PATH + path, endpoint))
        return endpoint

    at("", GET=list_by_query(None))
    at("/.search", POST=list_by_search_request(None))
    at("/Users/.search", POST=list_by_search_request("User"))
    at("/Groups/.search", POST=list_by_search_request("Group"))
    user = at("/Users/{id}", GET=users.get, PUT=users.replace, PATCH=users.patch, DELETE=users.delete)
    people = at("/Users", GET=list_by_query("User"), POST=users.create)
    group = at("/Groups/{id}", GET=groups.get, PUT=groups.replace, PATCH=groups.patch, DELETE=groups.delete)
    teams = at("/Groups", GET=list_by_query("Group"), POST=groups.create)
    at("/Schemas/{id}", GET=_schemas)
    at("/Schemas", GET=_schemas)
    at("/ResourceTypes/{id}", GET=_resource_types)
    at("/ResourceTypes", GET=_resource_types)
    at("/ServiceProviderConfig", GET=_service_provider_config)
    at("/Bulk", POST=bulk)
    at("/Me", **dict.fromkeys(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"), _me))
    app.router.default = _NotFound(service)
    whole = PathNormaliser(app)
    if not shortcut:
        return whole
    return DirectRouter(whole, {f"{SCIM_PATH}/Users": (people, user), f"{SCIM_PATH}/Groups": (teams, group)})
