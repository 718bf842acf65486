"""The public application: ``/scim/v2``, feed and history of changes, the token endpoint, and nothing else.

FastAPI serves the internal port and the token endpoint, and isn't imported here: the SCIM API's paths need no
parameters but an id.
"""

import asyncio
import dataclasses
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from scim_api.contract.oauth import TOKEN_PATH
from scim_api.core.errors import ScimError
from scim_api.http.changes.feed import changes
from scim_api.http.changes.history import history
from scim_api.http.endpoint import ImmediateHandler, ScimEndpoint
from scim_api.http.oauth.assertion import AssertionVerifier
from scim_api.http.paths import CHANGES_PATH, HISTORY_PATH, SCIM_PATH, PathNormaliser
from scim_api.http.request import ScimRequest, ServiceContext, discard_body
from scim_api.http.response import ScimResponse, send_response
from scim_api.http.scim import discovery
from scim_api.http.scim.bulk import bulk
from scim_api.http.scim.groups import GROUPS
from scim_api.http.scim.lists import list_by_query, list_by_search_request, list_users_now
from scim_api.http.scim.users import USERS, get_user_now

_PLAIN_ID: Final = re.compile(rb"[0-9A-Za-z-]+")
"""An id that stands for itself in a path."""


class _NotFound:
    """Everything else: a SCIM 404 that names the Tenant URL."""

    def __init__(self, service: ServiceContext) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await discard_body(receive)
        detail = f"Nothing is served here; the Tenant URL is {self._service.base_url}."
        response = ScimResponse(404, ScimError(404, detail).body())
        await send_response(send, response, without_body=scope["method"] == "HEAD")


class Router:
    """Routes by whole paths, and by paths that end in one id; expects the RFC's spelling.

    Args:
        endpoints: applications by path; one with ``/{id}`` at its end takes any single segment there.
        default: the application for every other path.
    """

    def __init__(self, endpoints: Mapping[str, ASGIApp], default: ASGIApp) -> None:
        self._paths = {path: item for path, item in endpoints.items() if not path.endswith("/{id}")}
        self._parents = {
            path.removesuffix("{id}"): item for path, item in endpoints.items() if path.endswith("/{id}")
        }
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; a whole path comes before one with an id."""
        app = self._default
        if scope["type"] == "http":
            path: str = scope["path"]
            endpoint = self._paths.get(path)
            if endpoint is None:
                end = path.rfind("/") + 1
                endpoint = self._parents.get(path[:end]) if end < len(path) else None
                if endpoint is not None:
                    scope["path_params"] = {"id": path[end:]}
            app = endpoint or app
        await app(scope, receive, send)


class DirectRouter:
    """Takes requests for users and groups, in the RFC's spelling, straight to their endpoints.

    Other spellings are brought into the RFC's first, and end at the same endpoints.

    Args:
        app: the application for every other request.
        collections: the endpoints of a collection and of one resource in it, by the collection's path.
    """

    def __init__(self, app: ASGIApp, collections: Mapping[str, tuple[ScimEndpoint, ScimEndpoint]]) -> None:
        self._app = app
        self._collections = {path: both[0] for path, both in collections.items()}
        self._members = {f"{path}/": both[1] for path, both in collections.items()}
        self.targets = DirectTargets(collections)
        """For a server that passes such requests on without ASGI."""

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


MakeVerifier = Callable[[], AssertionVerifier]
"""Makes what verifies assertions; it may take some time, and is called once."""


@dataclasses.dataclass(frozen=True, slots=True)
class DirectTarget:
    """What a request's target says, of one that needs no routing."""

    endpoint: ScimEndpoint
    path: bytes
    query: bytes
    resource_id: str = ""

    def scope(self, method: str, headers: Sequence[tuple[bytes, bytes]]) -> Scope:
        """What of an ASGI scope ``ScimEndpoint.handle`` reads."""
        return {
            "type": "http",
            "method": method,
            "raw_path": self.path,
            "query_string": self.query,
            "headers": headers,
            "path_params": {"id": self.resource_id},
        }


class DirectTargets:
    """Finds the endpoints of users and groups by the bytes of a request's target, in the RFC's spelling and without escapes.

    Args:
        endpoints: of a collection and of one resource in it, by the collection's path.
    """

    def __init__(self, endpoints: Mapping[str, tuple[ScimEndpoint, ScimEndpoint]]) -> None:
        self._collections = {path.encode(): both[0] for path, both in endpoints.items()}
        self._members = {f"{path}/".encode(): both[1] for path, both in endpoints.items()}

    def find(self, target: bytes) -> DirectTarget | None:
        """The endpoint of a target; None for every other: the application has to route it."""
        path, _, query = target.partition(b"?")
        if b"#" in query or not query.isascii():
            return None
        endpoint = self._collections.get(path)
        if endpoint is not None:
            return DirectTarget(endpoint, path, query)
        end = path.rfind(b"/") + 1
        endpoint = self._members.get(path[:end])
        if endpoint is None or _PLAIN_ID.fullmatch(path, end) is None:
            return None
        return DirectTarget(endpoint, path, query, path[end:].decode("ascii"))


class TokenEndpoint:
    """The token endpoint, imported and made when somebody first asks for it: with FastAPI that takes some time.

    Args:
        service: what it shares with the SCIM API.
        assertions: makes what verifies them; None: none is accepted.
    """

    def __init__(self, service: ServiceContext, assertions: MakeVerifier | None) -> None:
        self._service, self._assertions = service, assertions
        self._app: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if self._app is None:
            async with self._making:
                if self._app is None:
                    # In another thread: others are answered meanwhile.
                    self._app = await asyncio.to_thread(self._make)
        await self._app(scope, receive, send)

    def _make(self) -> ASGIApp:
        from scim_api.http.oauth.token_endpoint import token_app

        return token_app(self._service, None if self._assertions is None else self._assertions())


def scim_endpoints(service: ServiceContext) -> Mapping[str, ScimEndpoint]:
    """The endpoints below ``/scim/v2`` by their paths."""
    endpoints: dict[str, ScimEndpoint] = {}

    def add(
        path: str,
        reads: Collection[str] = (),
        immediate: ImmediateHandler | None = None,
        /,
        **handlers: Callable[[ScimRequest], Awaitable[ScimResponse]],
    ) -> None:
        endpoints[SCIM_PATH + path] = ScimEndpoint(service, path, reads, immediate, **handlers)

    add("", GET=list_by_query(None))
    add("/.search", {"POST"}, POST=list_by_search_request(None))
    add("/Users/.search", {"POST"}, POST=list_by_search_request("User"))
    add("/Groups/.search", {"POST"}, POST=list_by_search_request("Group"))
    user = {"GET": USERS.get, "PUT": USERS.replace, "PATCH": USERS.patch, "DELETE": USERS.delete}
    add("/Users/{id}", (), get_user_now, **user)
    add("/Users", (), list_users_now, GET=list_by_query("User"), POST=USERS.create)
    add("/Groups/{id}", GET=GROUPS.get, PUT=GROUPS.replace, PATCH=GROUPS.patch, DELETE=GROUPS.delete)
    add("/Groups", GET=list_by_query("Group"), POST=GROUPS.create)
    add("/Schemas/{id}", GET=discovery.schemas)
    add("/Schemas", GET=discovery.schemas)
    add("/ResourceTypes/{id}", GET=discovery.resource_types)
    add("/ResourceTypes", GET=discovery.resource_types)
    add("/ServiceProviderConfig", GET=discovery.service_provider_config)
    add("/Bulk", POST=bulk)
    add("/Me", **dict.fromkeys(("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"), discovery.me))
    return endpoints


def public_endpoints(
    service: ServiceContext, assertions: MakeVerifier | None = None
) -> Mapping[str, ASGIApp]:
    """Everything that the public port serves, by its path; see ``public_app``."""
    return {
        TOKEN_PATH: TokenEndpoint(service, assertions),
        CHANGES_PATH: ScimEndpoint(service, CHANGES_PATH, GET=changes),
        HISTORY_PATH: ScimEndpoint(service, HISTORY_PATH, GET=history),
        **scim_endpoints(service),
    }


def public_app(
    service: ServiceContext, *, assertions: MakeVerifier | None = None, shortcut: bool = True
) -> ASGIApp:
    """The application for the public port.

    Args:
        service: what its endpoints share.
        assertions: makes what verifies those that come to the token endpoint; None: none is accepted.
        shortcut: False brings every path into the RFC's spelling first, which is answered alike.
    """
    endpoints = public_endpoints(service, assertions)
    normalised = PathNormaliser(Router(endpoints, _NotFound(service)))
    if not shortcut:
        return normalised
    own = {path: item for path, item in endpoints.items() if isinstance(item, ScimEndpoint)}
    paths = (f"{SCIM_PATH}/Users", f"{SCIM_PATH}/Groups")
    collections = {path: (own[path], own[f"{path}/{{id}}"]) for path in paths}
    return DirectRouter(normalised, collections)
