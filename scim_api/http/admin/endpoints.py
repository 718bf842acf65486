"""``/admin/v1``: where the operator writes which credentials are accepted, and what is sent to whom. Internal port only.

Here are connections; ``webhook_endpoints`` has webhooks. Every request is signed (``scim_api.contract.signing``) and every write carries the revision it was decided
on. ``docs/admin-openapi.json`` describes it.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, Path, Query, Response

from scim_api.contract.admin import Connection, ConnectionPage, Name, PutConnection
from scim_api.http.admin import errors, webhook_endpoints
from scim_api.http.admin.common import (
    REFUSALS,
    After,
    Responses,
    Revision,
    decoded,
    etag,
    page_limit,
    responses,
    with_etag,
)
from scim_api.http.admin.context import AdminContext, Context
from scim_api.http.admin.signature import SIGNED_JWT, SignedRoute

PAGE_SIZE: Final = 500
"""The most connections on a page, and how many without ``limit``."""
Namespace = Annotated[Name, Path(description="Namespace of the ScimToken.")]
ConnectionName = Annotated[Name, Path(description="Name of the ScimToken.")]
Limit = Annotated[int, Query(ge=1, le=PAGE_SIZE, description="Connections on a page."), page_limit(PAGE_SIZE)]
Body = Annotated[PutConnection, decoded(PutConnection)]

_WRITE_REFUSALS: Final[Responses] = {
    412: {"description": "`RevisionMismatch`: the connection is not at the revision in If-Match."},
}
_PUT_REFUSALS: Final[Responses] = {
    409: {
        "description": "`SettingsConflict`, `MatchingImmutable`, `AccessImmutable`, `CredentialRevoked`, `DigestInUse`,"
        " `TenantPurging`, `NamespaceMismatch` or `ClientIdInUse`: the state asked for contradicts what the database holds."
    },
}

router = APIRouter(
    prefix="/admin/v1/connections",
    tags=["admin"],
    route_class=SignedRoute,
    dependencies=[Depends(SIGNED_JWT)],
    responses=responses(REFUSALS),
)


@router.get("", operation_id="listConnections")
async def list_connections(context: Context, after: After = None, limit: Limit = PAGE_SIZE) -> ConnectionPage:
    """All connections, by namespace and name, in pages."""
    return await context.store.connections(after=after, limit=limit)


@router.get("/{namespace}/{name}", operation_id="getConnection", responses=with_etag({}))
async def get_connection(
    context: Context, namespace: Namespace, name: ConnectionName, response: Response
) -> Connection:
    """A connection with its live credentials; one that was never written has revision `0`."""
    return _tagged(response, await context.store.connection(namespace, name))


@router.put(
    "/{namespace}/{name}",
    operation_id="putConnection",
    responses=with_etag(_PUT_REFUSALS | _WRITE_REFUSALS),
)
async def put_connection(
    context: Context,
    namespace: Namespace,
    name: ConnectionName,
    if_match: Revision,
    body: Body,
    response: Response,
) -> Connection:
    """Replace a connection's state; a live credential that is not listed is revoked."""
    connection = await context.store.put_connection(namespace, name, body, if_match=if_match)
    context.authenticator.invalidate()
    return _tagged(response, connection)


@router.delete("/{namespace}/{name}", operation_id="deleteConnection", responses=with_etag(_WRITE_REFUSALS))
async def delete_connection(
    context: Context, namespace: Namespace, name: ConnectionName, if_match: Revision, response: Response
) -> Connection:
    """Revoke all credentials of a connection and forget it."""
    connection = await context.store.delete_connection(namespace, name, if_match=if_match)
    context.authenticator.invalidate()
    return _tagged(response, connection)


def _tagged(response: Response, connection: Connection) -> Connection:
    response.headers["ETag"] = etag(connection.revision)
    return connection


ROUTERS: Final = (router, webhook_endpoints.router)


def register(app: FastAPI, context: AdminContext) -> None:
    """Serve ``/admin/v1`` on ``app``."""
    app.state.admin = context
    for each in ROUTERS:
        app.include_router(each)
    errors.register(app)
