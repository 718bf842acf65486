"""What users and groups share: ids, conditional requests, requested attributes, and response headers."""

import re
from typing import Final

from scim_api.core.errors import ScimError, not_found
from scim_api.core.messages.projection import Projection, projection
from scim_api.core.messages.serialization import etag, location, parse_etags
from scim_api.core.model import Resource
from scim_api.core.types import ResourceKind
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.store.errors import VersionMismatch

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WITH_LOCATION: Final = frozenset({200, 201})
Headers = tuple[tuple[bytes, bytes], ...]


def resource_id(request: ScimRequest, kind: ResourceKind) -> str:
    """The id in the path, in its canonical form. Raises ``ScimError`` 404 when no id looks like it."""
    if _ID.fullmatch(request.resource_id) is None:
        raise not_found(kind, request.resource_id)
    return request.resource_id.lower()


def require_groups(request: ScimRequest) -> None:
    """Raise ``ScimError`` 404 when the tenant has groups switched off."""
    if request.access.settings.groups == "Disabled":
        raise ScimError(
            404,
            "Groups are switched off for this connection (groups: Disabled in the ScimToken). Switch off group"
            " provisioning in Entra ID, or enable groups.",
        )


def requested_projection(request: ScimRequest, kind: ResourceKind) -> Projection | None:
    """The requested attributes of a resource; None for those returned by default. Raises 400."""
    if not request.query:
        return None
    parameters = request.query_parameters()
    return projection(
        request.tenant_schema.tables[kind], parameters.get("attributes"), parameters.get("excludedattributes")
    )


def resource_headers(request: ScimRequest, resource: Resource, status: int) -> Headers:
    """ETag and Content-Location, and beside a body Location: the public URL's, whatever the request's Host.

    RFC 7644 has Location in its examples of GET, PUT and PATCH too (sections 3.4.1, 3.5), and clients read it.
    """
    address = location(resource.kind, resource.id, request.service.base_url).encode()
    headers = ((b"etag", etag(resource.version).encode()), (b"content-location", address))
    return (*headers, (b"location", address)) if status in _WITH_LOCATION else headers


def is_not_modified(request: ScimRequest, resource: Resource) -> bool:
    """Whether the client of a GET has this version already, by If-None-Match (RFC 9110 section 13.1.2).

    Raises:
        VersionMismatch: If-Match names other versions alone.
    """
    headers = request.headers
    required = headers.get(b"if-match")
    if required is not None and not _names_version(required, resource):
        raise VersionMismatch
    known = headers.get(b"if-none-match")
    return known is not None and _names_version(known, resource)


def not_modified(request: ScimRequest, resource: Resource) -> ScimResponse:
    """304, for a client that has this version already."""
    return ScimResponse(304, b"", resource_headers(request, resource, 304))


async def expected_version(request: ScimRequest, kind: ResourceKind, identity: str) -> int | None:
    """The version at which a resource may be changed, by If-Match and If-None-Match; None for any.

    Headers that name one version cost nothing; for others the present version is read, and then expected.

    Raises:
        VersionMismatch: the headers forbid it (RFC 9110 section 13.1, RFC 7644 section 3.14).
    """
    required, forbidden = request.headers.get(b"if-match"), request.headers.get(b"if-none-match")
    if required is None and forbidden is None:
        return None
    if required is not None and forbidden is None:
        versions = parse_etags(required.decode("latin-1"))
        if versions == "*":
            return None
        if len(versions) == 1:
            return next(iter(versions))
    current = await request.service.store.get(request.access.tenant, kind, identity)
    if current is None:
        raise not_found(kind, identity)
    if (required is not None and not _names_version(required, current)) or (
        forbidden is not None and _names_version(forbidden, current)
    ):
        raise VersionMismatch
    return current.version


def _names_version(header: bytes, resource: Resource) -> bool:
    versions = parse_etags(header.decode("latin-1"))
    return versions == "*" or resource.version in versions
