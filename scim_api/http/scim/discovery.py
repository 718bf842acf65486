"""Discovery: /Schemas, /ResourceTypes, /ServiceProviderConfig, and what is not served."""

from scim_api.core.errors import ScimError, quoted
from scim_api.core.messages import discovery
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse


async def _schemas(call: ScimRequest) -> ScimResponse:
    _refuse_filter(call)
    if call.resource_id:
        body = discovery.schema(call.tenant_schema, call.service.base_url, call.resource_id)
        if body is None:
            raise ScimError(
                404,
                f"There is no schema {quoted(call.resource_id)}; GET /Schemas lists those of this tenant.",
            )
        return ScimResponse(200, body)
    return ScimResponse(200, discovery.schemas(call.tenant_schema, call.service.base_url))


async def _resource_types(call: ScimRequest) -> ScimResponse:
    _refuse_filter(call)
    if call.resource_id:
        body = discovery.resource_type(call.tenant_schema, call.service.base_url, call.resource_id)
        if body is None:
            raise ScimError(
                404,
                f"There is no resource type {quoted(call.resource_id)}; GET /ResourceTypes lists those of this tenant.",
            )
        return ScimResponse(200, body)
    return ScimResponse(200, discovery.resource_types(call.tenant_schema, call.service.base_url))


async def _service_provider_config(call: ScimRequest) -> ScimResponse:
    _refuse_filter(call)
    return ScimResponse(200, discovery.service_provider_config(call.tenant_schema, call.service.base_url))


def _refuse_filter(call: ScimRequest) -> None:
    """RFC 7644 section 4: a filter on discovery SHALL be answered with 403."""
    if "filter" in call.query_parameters():
        raise ScimError(403, "Discovery is answered whole: leave the filter out of the request.")


async def _me(call: ScimRequest) -> ScimResponse:  # noqa: ARG001 (a handler's signature)
    """RFC 7644 section 3.11 leaves /Me to the service: here a token stands for a connection."""
    raise ScimError(
        501, "/Me is not served: a token belongs to a connection, not to a user. Use /Users/{id}."
    )
