"""Discovery: /Schemas, /ResourceTypes, /ServiceProviderConfig, and what is not served."""

from scim_api.core.errors import ScimError, quoted
from scim_api.core.messages import discovery as documents
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse


async def schemas(request: ScimRequest) -> ScimResponse:
    """``GET /Schemas`` and ``/Schemas/{id}``. Raises ``ScimError`` 404 or 403."""
    _refuse_filter(request)
    if request.resource_id:
        body = documents.schema(request.tenant_schema, request.service.base_url, request.resource_id)
        if body is None:
            raise ScimError(
                404,
                f"There is no schema {quoted(request.resource_id)}; GET /Schemas lists those of this tenant.",
            )
        return ScimResponse(200, body)
    return ScimResponse(200, documents.schemas(request.tenant_schema, request.service.base_url))


async def resource_types(request: ScimRequest) -> ScimResponse:
    """``GET /ResourceTypes`` and ``/ResourceTypes/{id}``. Raises ``ScimError`` 404 or 403."""
    _refuse_filter(request)
    if request.resource_id:
        body = documents.resource_type(request.tenant_schema, request.service.base_url, request.resource_id)
        if body is None:
            raise ScimError(
                404,
                f"There is no resource type {quoted(request.resource_id)}; GET /ResourceTypes lists those of this tenant.",
            )
        return ScimResponse(200, body)
    return ScimResponse(200, documents.resource_types(request.tenant_schema, request.service.base_url))


async def service_provider_config(request: ScimRequest) -> ScimResponse:
    """``GET /ServiceProviderConfig``. Raises ``ScimError`` 403."""
    _refuse_filter(request)
    return ScimResponse(
        200, documents.service_provider_config(request.tenant_schema, request.service.base_url)
    )


def _refuse_filter(request: ScimRequest) -> None:
    """RFC 7644 section 4: a filter on discovery SHALL be answered with 403."""
    if "filter" in request.query_parameters():
        raise ScimError(403, "Discovery is answered whole: leave the filter out of the request.")


async def me(request: ScimRequest) -> ScimResponse:  # noqa: ARG001 (a handler's signature)
    """RFC 7644 section 3.11 leaves /Me to the service: here a token stands for a connection."""
    raise ScimError(
        501, "/Me is not served: a token belongs to a connection, not to a user. Use /Users/{id}."
    )
