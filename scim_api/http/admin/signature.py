"""The signature of an admin request: verified over the exact bytes, before FastAPI decodes any of them."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from scim_api.contract.signing import SignatureRefused, verify, verify_body
from scim_api.core import limits
from scim_api.http.admin.context import AdminContext, context_of

SIGNED_JWT = HTTPBearer(
    scheme_name="signature",
    bearerFormat="JWT",
    description="An Ed25519-signed JWT over method, path with query, body and If-Match of this one request.",
    auto_error=False,
)
"""For the API's description; ``SignedRoute`` verifies."""


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
    """A route that only the operator may use, whose installation the database belongs to.

    The head's signature is verified before the body is read, and its digest before the body is decoded. Requests
    that succeed are counted.

    Raises:
        BodyTooLarge: a body is over ``limits.MAX_BODY``.
        SignatureRefused: the request isn't signed by a trusted key, or not exactly this request, or was made before.
        TooManyBodies: there is no room for the body now.
        Unavailable: the database doesn't tell whose it is.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, given requests that were verified and read already."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            context = context_of(request)
            digest = await _verify_head(request, context)
            body = await context.bodies.read(request.receive, limits.MAX_BODY)
            try:
                verify_body(digest, body)
                response = await handle(_BufferedRequest(request, body))
            finally:
                context.bodies.release(body)
            context.metrics.admin_calls.labels(request.method, "OK").inc()
            return response

        return handler


def revision_of(request: Request) -> str | None:
    """The value of If-Match without quotes, None without the header."""
    value = request.headers.get("if-match")
    return None if value is None else value.strip().strip('"')


async def _verify_head(request: Request, context: AdminContext) -> str:
    installation = context.keys.installation
    if installation is None:
        raise SignatureRefused("no operator has published its key here yet (--admin-keys-dir)")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise SignatureRefused("the call carries no signature")
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope["raw_path"].decode("latin-1")
    head = verify(
        token.strip(),
        context.keys.find,
        audience=installation,
        method=request.method,
        target=f"{path}?{query}" if query else path,
        if_match=revision_of(request),
    )
    if context.claimed_for != installation:
        owner = await context.store.claim(installation)
        if owner != installation:
            raise SignatureRefused(
                f"the database belongs to installation {owner}; one database serves one installation"
            )
        context.claimed_for = installation
    if head.nonce is not None and not context.seen.is_first(head.nonce):
        raise SignatureRefused("this very call was made before; each has to be signed anew")
    return head.body_digest
