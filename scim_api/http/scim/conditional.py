"""What users and groups share: ids, conditions, wanted attributes, and the headers of an answer."""

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
Headers = tuple[tuple[bytes, bytes], ...]


def resource_id(call: ScimRequest, kind: ResourceKind) -> str:
    """The id in the path, in its canonical form. Raises 404 for what can be none."""
    if _ID.fullmatch(call.resource_id) is None:
        raise not_found(kind, call.resource_id)
    return call.resource_id.lower()


def require_groups(call: ScimRequest) -> None:
    """Raises 404 when the tenant has groups switched off."""
    if call.access.settings.groups == "Disabled":
        raise ScimError(
            404,
            "Groups are switched off for this connection (groups: Disabled in the ScimToken). Switch off group"
            " provisioning in Entra ID, or enable groups.",
        )


def requested_projection(call: ScimRequest, kind: ResourceKind) -> Projection | None:
    """What the query parameters want of a resource; None for what is returned by default. Raises 400."""
    if not call.query:
        return None
    parameters = call.query_parameters()
    return projection(
        call.tenant_schema.tables[kind], parameters.get("attributes"), parameters.get("excludedattributes")
    )


def resource_headers(call: ScimRequest, resource: Resource, status: int = 200) -> Headers:
    """ETag and Content-Location, and for 201 Location: the public URL's, whatever the request's Host."""
    address = location(resource.kind, resource.id, call.service.base_url).encode()
    headers = ((b"etag", etag(resource.version).encode()), (b"content-location", address))
    return (*headers, (b"location", address)) if status == 201 else headers


def is_not_modified(call: ScimRequest, resource: Resource) -> bool:
    """Whether the client of a GET has this version already, by If-None-Match (RFC 9110 section 13.1.2).

    Raises:
        VersionMismatch: If-Match names other versions alone.
    """
    headers = call.headers
    required = headers.get(b"if-match")
    if required is not None and not _names_version(required, resource):
        raise VersionMismatch
    known = headers.get(b"if-none-match")
    return known is not None and _names_version(known, resource)


def not_modified(call: ScimRequest, resource: Resource) -> ScimResponse:
    """The answer for a client that has this version already."""
    return ScimResponse(304, b"", resource_headers(call, resource))


async def expected_version(call: ScimRequest, kind: ResourceKind, identity: str) -> int | None:
    """The version at which a resource may be changed, by If-Match and If-None-Match; None for any.

    Headers that name one version cost nothing; for others the present version is read, and then expected.

    Raises:
        VersionMismatch: the headers forbid it (RFC 9110 section 13.1, RFC 7644 section 3.14).
    """
    required, forbidden = call.headers.get(b"if-match"), call.headers.get(b"if-none-match")
    if required is None and forbidden is None:
        return None
    if required is not None and forbidden is None:
        versions = parse_etags(required.decode("latin-1"))
        if versions == "*":
            return None
        if len(versions) == 1:
            return next(iter(versions))
    current = await call.service.store.get(call.access.tenant, kind, identity)
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
