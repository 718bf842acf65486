"""Discovery: /Schemas, /ResourceTypes, /ServiceProviderConfig, and what is not served."""

from scim_api.core.errors import ScimError, shown
from scim_api.core.messages import discovery
from scim_api.http.request import Call
from scim_api.http.response import Answer


async def _schemas(call: Call) -> Answer:
    _refuse_filter(call)
    if call.path_id:
        body = discovery.schema(call.profile, call.service.base_url, call.path_id)
        if body is None:
            raise ScimError(
                404, f"There is no schema {shown(call.path_id)}; GET /Schemas lists those of this tenant."
            )
        return Answer(200, body)
    return Answer(200, discovery.schemas(call.profile, call.service.base_url))


async def _resource_types(call: Call) -> Answer:
    _refuse_filter(call)
    if call.path_id:
        body = discovery.resource_type(call.profile, call.service.base_url, call.path_id)
        if body is None:
            raise ScimError(
                404,
                f"There is no resource type {shown(call.path_id)}; GET /ResourceTypes lists those of this tenant.",
            )
        return Answer(200, body)
    return Answer(200, discovery.resource_types(call.profile, call.service.base_url))


async def _service_provider_config(call: Call) -> Answer:
    _refuse_filter(call)
    return Answer(200, discovery.service_provider_config(call.profile, call.service.base_url))


def _refuse_filter(call: Call) -> None:
    """RFC 7644 section 4: a filter on discovery SHALL be answered with 403."""
    if "filter" in call.parameters():
        raise ScimError(403, "Discovery is answered whole: leave the filter out of the request.")


async def _me(call: Call) -> Answer:  # noqa: ARG001 (a handler's signature)
    """RFC 7644 section 3.11 leaves /Me to the service: here a token stands for a connection."""
    raise ScimError(
        501, "/Me is not served: a token belongs to a connection, not to a user. Use /Users/{id}."
    )
