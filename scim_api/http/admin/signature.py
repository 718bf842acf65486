"""The signature of an admin request: verified over the exact bytes, before FastAPI decodes any of them."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from scim_api.contract.signing import SignatureRefused, verify
from scim_api.core import limits
from scim_api.http.admin.context import Context, context_of
from scim_api.http.request import read_body

_SIGNED_JWT = HTTPBearer(
    scheme_name="signature",
    bearerFormat="JWT",
    description="An Ed25519-signed JWT over method, path with query, body and If-Match of this one request.",
    auto_error=False,
)


class _BufferedRequest(Request):
    """A request whose body has been read, and is left undecoded.

    FastAPI decodes a JSON body before it solves dependencies, which here would be before the signature is
    verified. So it gets the bytes, and the body parameter's own type decodes them.
    """

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._bytes = body

    async def body(self) -> bytes:
        """The body as it came."""
        return self._bytes

    async def json(self) -> bytes:
        """The body as it came, too."""
        return self._bytes


class SignedRoute(APIRoute):
    """A route whose requests have bounded bodies; counts those that succeed.

    Raises:
        BodyTooLarge: a body is over ``limits.MAX_BODY``.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given requests that were read already."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            body = await read_body(request.receive, limits.MAX_BODY)
            response = await handle(_BufferedRequest(request, body))
            context_of(request).metrics.admin_calls.labels(request.method, "OK").inc()
            return response

        return handler


def revision_of(request: Request) -> str | None:
    """The value of If-Match without quotes, None without the header."""
    value = request.headers.get("if-match")
    return None if value is None else value.strip().strip('"')


async def verify_signature(
    request: Request,
    context: Context,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_SIGNED_JWT)],
) -> None:
    """Refuse every request but those of the operator whose installation the database belongs to.

    Raises:
        SignatureRefused: the request isn't signed by a trusted key, or not exactly this request.
        Unavailable: the database doesn't tell whose it is.
    """
    installation = context.keys.installation
    if installation is None:
        raise SignatureRefused("no operator has published its key here yet (--admin-keys-dir)")
    if bearer is None or bearer.scheme != "Bearer":
        raise SignatureRefused("the call carries no signature")
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].decode("latin-1")
    verify(
        bearer.credentials,
        context.keys.find,
        audience=installation,
        method=request.method,
        target=f"{path}?{query}" if query else path,
        body=await request.body(),
        if_match=revision_of(request),
    )
    if context.claimed_for != installation:
        owner = await context.store.claim(installation)
        if owner != installation:
            raise SignatureRefused(
                f"the database belongs to installation {owner}; one database serves one installation"
            )
        context.claimed_for = installation
