"""``POST /oauth2/token``: an access token for a client secret or an assertion (RFC 6749 section 4.4).

Public clients of all tenants. ``docs/token-openapi.json`` describes it. FastAPI is imported with this module, and so
only once somebody asks here: see ``public.py``.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security.http import HTTPBase
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from scim_api.contract.admin import ACCESS_TOKEN_BOUNDS
from scim_api.contract.oauth import TOKEN_PATH
from scim_api.contract.proof import PROOF_HEADER
from scim_api.http.endpoint import REFUSAL_DELAY_SECONDS, agent_family, operator_proof
from scim_api.http.oauth.assertion import AssertionVerifier
from scim_api.http.oauth.token_error import Check, TokenError, invalid_client, invalid_request
from scim_api.http.oauth.token_issuer import Caller, IssuedToken, TokenIssuer
from scim_api.http.oauth.token_request import GRANT_TYPE, TokenRequest, read_token_request
from scim_api.http.request import (
    BodyTooLarge,
    ClientDisconnected,
    ServiceContext,
    discard_body,
    encoding_of,
)

log = structlog.get_logger(__name__)
MAX_BODY: Final = 16 * 1024
"""Bytes of a form: an assertion of Entra's has some 2,000."""
MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
NOT_STORED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 section 5.1."""
CHALLENGE: Final = 'Basic realm="token endpoint", charset="UTF-8"'

CLIENT_SECRET_BASIC = HTTPBase(
    scheme="basic",
    scheme_name="clientSecretBasic",
    description="Client id and client secret, each form-encoded (RFC 6749 section 2.3.1).",
    auto_error=False,
)
"""For the API's description; ``token_request.py`` reads it."""


class TokenResponse(BaseModel):
    """RFC 6749 section 5.1."""

    access_token: str = Field(description="Opaque; for `Authorization: Bearer` of the SCIM API.")
    token_type: str = Field("Bearer", description="Always `Bearer`.")
    expires_in: int = Field(
        ge=ACCESS_TOKEN_BOUNDS[0], le=ACCESS_TOKEN_BOUNDS[1], description="Seconds until it ends."
    )
    scope: str | None = Field(None, description="As asked for; it changes nothing.")


class TokenErrorResponse(BaseModel):
    """RFC 6749 section 5.2."""

    error: str = Field(description="A code for programs.")
    error_description: str = Field(description="What is wrong and what to do, for people.")


class TokenForm(BaseModel):
    """What is sent, form-encoded. Parameters that are not listed are ignored."""

    model_config = ConfigDict(extra="allow")

    grant_type: str = Field(description=f"Always `{GRANT_TYPE}`.")
    client_id: str | None = Field(None, description="Needed unless it is in the header.")
    client_secret: str | None = Field(None, description="A client secret (`scs_...`), unless in the header.")
    client_assertion_type: str | None = Field(None, description="With an assertion: the type of a JWT.")
    client_assertion: str | None = Field(None, description="A JWT that Entra has signed (RFC 7523).")
    scope: str | None = Field(None, description="Optional; echoed.")


class TokenRoute(APIRoute):
    """A route whose refusals are answered as RFC 6749 has them, counted and noted, whatever went wrong."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler; it raises nothing."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except TokenError as error:
                return await _refused(request, error)
            except Exception:
                log.exception("token request failed")
                return await _refused(request, _failure())

        return handler


def _failure() -> TokenError:
    description = "The service failed to answer; its log says why."
    return TokenError(Check.INTERNAL, "server_error", description, status=500)


class _Body:
    """A body that is read within bounds, or discarded, so that a client that still sends gets to read the response."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_ended = False

    async def __call__(self) -> Message:
        """The next piece."""
        message = await self._receive()
        self._has_ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def discard(self) -> None:
        """Discard what is left."""
        if not self._has_ended:
            await discard_body(self)


async def read_request(request: Request) -> TokenRequest:
    """The request, well-formed. Raises ``TokenError``."""
    body = _Body(request.receive)
    try:
        _check_head(request)
        form = await _service(request).bodies.read(body, MAX_BODY)
    except BodyTooLarge:
        await body.discard()
        raise TokenError(
            Check.SIZE,
            "invalid_request",
            f"The body is larger than {MAX_BODY} bytes. Send what the token endpoint needs and nothing else.",
            status=413,
        ) from None
    except ClientDisconnected:
        raise invalid_request(Check.DISCONNECTED, "The body ended early.") from None
    except TokenError:
        await body.discard()
        raise
    authorization = request.headers.getlist("authorization")
    if len(authorization) > 1:
        raise invalid_client(
            Check.AUTHORIZATION, "The Authorization header comes more than once. Send it once."
        )
    return read_token_request(form, authorization[0] if authorization else None)


def _check_head(request: Request) -> None:
    if encoding_of(request.scope["headers"]):
        raise TokenError(
            Check.ENCODING,
            "invalid_request",
            "The body is compressed, and only identity is taken. Send it without Content-Encoding.",
            status=415,
        )
    types = request.headers.getlist("content-type")
    if len(types) != 1 or types[0].partition(";")[0].strip().lower() != MEDIA_TYPE:
        # 400 and not 415: RFC 6749 section 5.2 has 400 for whatever is malformed, and clients read it.
        raise invalid_request(Check.MEDIA_TYPE, f"The body is no form. Send it as Content-Type {MEDIA_TYPE}.")


def _service(request: Request) -> ServiceContext:
    service: ServiceContext = request.app.state.service
    return service


def _issuer(request: Request) -> TokenIssuer:
    issuer: TokenIssuer = request.app.state.issuer
    return issuer


def _caller(request: Request) -> Caller:
    agent, proof = request.headers.get("user-agent"), request.headers.get(PROOF_HEADER)
    return Caller(
        agent_family(None if agent is None else agent.encode("latin-1")),
        None if proof is None else operator_proof(request.scope, proof.encode("latin-1")),
    )


def _responses() -> dict[int | str, dict[str, Any]]:
    refusals = {
        400: "`invalid_request`, `unsupported_grant_type` or `invalid_scope`: the request is malformed.",
        401: "`invalid_client`: the credentials are not accepted. The answer is the same for an unknown client id.",
        405: "`invalid_request`: another method than POST.",
        413: "`invalid_request`: the body is too large.",
        415: "`invalid_request`: the body is compressed.",
        429: "`slow_down`: the client asks too often; Retry-After says when to come again.",
        503: "`temporarily_unavailable`: the database does not answer; Retry-After says when to come again.",
    }
    return {status: {"description": text, "model": TokenErrorResponse} for status, text in refusals.items()}


router = APIRouter(route_class=TokenRoute, tags=["oauth"])


@router.post(
    TOKEN_PATH,
    operation_id="issueToken",
    response_model=TokenResponse,
    responses=_responses(),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {MEDIA_TYPE: {"schema": TokenForm.model_json_schema()}},
        },
        "security": [{}],
    },
    dependencies=[Depends(CLIENT_SECRET_BASIC)],
)
async def issue_token(
    request: Annotated[TokenRequest, Depends(read_request)],
    caller: Annotated[Caller, Depends(_caller)],
    issuer: Annotated[TokenIssuer, Depends(_issuer)],
) -> Response:
    """Issue an access token for a client secret, in the header, in the form or in both, or for an assertion."""
    issued = await issuer.issue(request, caller)
    return JSONResponse(_body(issued).model_dump(exclude_none=True), headers=NOT_STORED)


def _body(issued: IssuedToken) -> TokenResponse:
    return TokenResponse(
        access_token=issued.token,
        token_type="Bearer",  # noqa: S106
        expires_in=issued.seconds,
        scope=issued.scope,
    )


async def _refused(request: Request, error: TokenError) -> Response:
    await _issuer(request).note_refusal(error)
    if error.check == Check.RATE:
        await asyncio.sleep(REFUSAL_DELAY_SECONDS)
    headers = dict(NOT_STORED)
    if error.status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    if error.status == 415:
        headers["Accept-Encoding"] = "identity"
    if error.wait is not None:
        headers["Retry-After"] = str(math.ceil(error.wait))
    body = TokenErrorResponse(error=error.error, error_description=error.description)
    return JSONResponse(body.model_dump(), error.status, headers=headers)


async def _refused_method(request: Request, error: Exception) -> Response:
    """What no route takes: another method, for there is one path."""
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for nothing else)
    await discard_body(request.receive)
    refusal = TokenError(
        Check.METHOD,
        "invalid_request",
        "Only POST is taken here. Send the parameters as a form in the body, never in the URL.",
        status=error.status_code,
    )
    response = await _refused(request, refusal)
    response.headers.update(error.headers or {})
    return response


def token_app(service: ServiceContext, assertions: AssertionVerifier | None) -> FastAPI:
    """The application for ``TOKEN_PATH``.

    Args:
        service: what it shares with the SCIM API.
        assertions: verifies them; None: none is accepted.
    """
    app = FastAPI(
        title="token endpoint", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.service, app.state.issuer = service, TokenIssuer(service, assertions)
    app.include_router(router)
    app.add_exception_handler(HTTPException, _refused_method)
    return app
