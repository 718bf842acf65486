"""``/admin/v1``: where the operator writes which credentials are accepted. Internal port only.

Every request is signed (``scim_api.contract.signing``) and every write carries the revision it was decided
on. ``docs/admin-openapi.json`` describes it.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Query, Response
from pydantic import AfterValidator, BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from scim_api.contract.admin import AdminError, Connection, ConnectionPage, Name, PutConnection
from scim_api.http.admin import errors
from scim_api.http.admin.context import AdminContext, Context
from scim_api.http.admin.signature import SIGNED_JWT, SignedRoute


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("not a number")
    return value


def _unquoted(value: str) -> str:
    revision = value.strip().strip('"')
    if not revision:
        raise ValueError("no revision")
    return revision


def _decoded(body: bytes) -> PutConnection:
    """The body from the bytes that the signature was verified over; its errors name JSON's types."""
    try:
        return PutConnection.model_validate_json(body)
    except ValidationError as error:
        raise ValidationError.from_exception_data(
            error.title,
            [
                {
                    "type": PydanticCustomError(item["type"], item["msg"]),
                    "loc": item["loc"],
                    "input": None,
                }
                for item in error.errors(include_url=False, include_input=False)
            ],
        ) from None


Namespace = Annotated[Name, Path(description="Namespace of the ScimToken.")]
ConnectionName = Annotated[Name, Path(description="Name of the ScimToken.")]
Revision = Annotated[
    str,
    Header(alias="If-Match", description="The revision that the write was decided on, in double quotes."),
    AfterValidator(_unquoted),
]
Limit = Annotated[
    int, Query(ge=1, le=errors.PAGE_SIZE, description="Connections on a page."), BeforeValidator(_digits)
]
After = Annotated[str | None, Query(description="`next` of the page before.")]
Body = Annotated[PutConnection, BeforeValidator(_decoded)]

_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "`Invalid`: a name, parameter or field is wrong, or a write has no If-Match."},
    401: {
        "description": "`Unauthorized`: not signed by this installation's operator, or not for this request."
    },
    413: {"description": "`Invalid`: the body is too large."},
    503: {"description": "`Unavailable`: the database does not answer; nothing was written."},
    "4XX": {"description": "Any other refusal."},
}
_WRITE_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    412: {"description": "`RevisionMismatch`: the connection is not at the revision in If-Match."},
}
_PUT_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    409: {
        "description": "`SettingsConflict`, `MatchingImmutable`, `AccessImmutable`, `CredentialRevoked`, `DigestInUse`,"
        " `TenantPurging`, `NamespaceMismatch` or `ClientIdInUse`: the state asked for contradicts what the database holds."
    },
}


def _responses(refusals: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": AdminError, **refusal} for status, refusal in refusals.items()}


def _with_etag(refusals: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    headers = {"ETag": {"description": "The revision, in double quotes.", "schema": {"type": "string"}}}
    return {200: {"headers": headers}, **_responses(refusals)}


router = APIRouter(
    prefix="/admin/v1/connections",
    tags=["admin"],
    route_class=SignedRoute,
    dependencies=[Depends(SIGNED_JWT)],
    responses=_responses(_REFUSALS),
)


@router.get("", operation_id="listConnections")
async def list_connections(
    context: Context, after: After = None, limit: Limit = errors.PAGE_SIZE
) -> ConnectionPage:
    """All connections, by namespace and name, in pages."""
    return await context.store.connections(after=after, limit=limit)


@router.get("/{namespace}/{name}", operation_id="getConnection", responses=_with_etag({}))
async def get_connection(
    context: Context, namespace: Namespace, name: ConnectionName, response: Response
) -> Connection:
    """A connection with its live credentials; one that was never written has revision `0`."""
    return _tagged(response, await context.store.connection(namespace, name))


@router.put(
    "/{namespace}/{name}",
    operation_id="putConnection",
    responses=_with_etag(_PUT_REFUSALS | _WRITE_REFUSALS),
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


@router.delete("/{namespace}/{name}", operation_id="deleteConnection", responses=_with_etag(_WRITE_REFUSALS))
async def delete_connection(
    context: Context, namespace: Namespace, name: ConnectionName, if_match: Revision, response: Response
) -> Connection:
    """Revoke all credentials of a connection and forget it."""
    connection = await context.store.delete_connection(namespace, name, if_match=if_match)
    context.authenticator.invalidate()
    return _tagged(response, connection)


def _tagged(response: Response, connection: Connection) -> Connection:
    response.headers["ETag"] = f'"{connection.revision}"'
    return connection


def register(app: FastAPI, context: AdminContext) -> None:
    """Serve ``/admin/v1`` on ``app``."""
    app.state.admin = context
    app.include_router(router)
    errors.register(app)
