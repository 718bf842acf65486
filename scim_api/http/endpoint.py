"""From an ASGI request to a handler and back: paths, authentication, bodies, errors.

Requests pass no middleware and no framework objects: this module is all that a hot request costs here.
Every response that is not a success is a SCIM error (RFC 7644 section 3.12), whatever went wrong.
"""

import asyncio
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import structlog
from starlette.types import Receive, Scope, Send

from scim_api.contract.proof import PROOF_HEADER
from scim_api.core import limits
from scim_api.core.errors import ScimError
from scim_api.core.resources.long_lists import decode_group
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.http.authentication import OperatorProof
from scim_api.http.rate_limit import BYTES_PER_REQUEST
from scim_api.http.request import (
    ClientDisconnected,
    ScimRequest,
    ServiceContext,
    discard_body,
    encoding_of,
    has_body,
)
from scim_api.http.response import (
    READ_ONLY,
    UNAUTHORIZED,
    ScimResponse,
    buffer_short_body,
    error_response,
    send_response,
    too_many_requests,
    unsupported_encoding,
)
from scim_api.store.immediate_reads import ImmediateReads
from scim_api.store.protocol import Access

log = structlog.get_logger(__name__)
_plain_log = logging.getLogger(__name__)
"""Only to ask whether a level is enabled, which the standard library caches."""
REFUSAL_DELAY_SECONDS: Final = 0.1
"""How long a 429 is held back. A client that ignores it sends the next request at once: immediate refusals
would keep the worker busy, and other tenants waiting."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1)."""
_WITH_DOCUMENT: Final = frozenset({"POST", "PUT", "PATCH"})
_GROUPS: Final = frozenset({"/Groups", "/Groups/{id}"})
"""Whose bodies can have many members."""
_PROOF_HEADER: Final = PROOF_HEADER.lower().encode()
_MORE_TO_DO: Final = frozenset({b"transfer-encoding", b"content-length", b"content-encoding", _PROOF_HEADER})
"""Headers of requests that ``respond_now`` leaves alone."""
_ADMITTED: Final = "scim_api.admitted"
"""Where a scope has the access of a request that has passed authentication and rate limit."""
_AGENT: Final = re.compile(r"[A-Za-z0-9._+-]{1,64}")


Handler = Callable[[ScimRequest], Awaitable[ScimResponse]]
ImmediateHandler = Callable[[ScimRequest, ImmediateReads], ScimResponse | None]
"""Answers some of what the handler of GET does, in the same way and without waiting; None for the others."""
Deliver = Callable[[ScimResponse], Awaitable[None]]


def agent_family(value: bytes | None) -> str | None:
    """The family of a client by its User-Agent, such as ``Azure-AD-SCIM``; None where it names none."""
    if not value:
        return None
    match = _AGENT.match(value.decode("latin-1"))
    return None if match is None else match[0]


def operator_proof(scope: Scope, jwt: bytes) -> OperatorProof:
    """What ``PROOF_HEADER`` of a request says, unverified."""
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return OperatorProof(jwt.decode("latin-1"), scope["method"], f"{path}?{query}" if query else path)


class ScimEndpoint:
    """One path with a handler for each method; an ASGI application to which the router passes requests.

    A HEAD is answered as the GET would be, without the body (RFC 9110 section 9.3.2). A ReadOnly token gets 403 for
    every method that is not safe, unless the endpoint says that it changes nothing.

    Args:
        service: what requests share.
        route: the path below the base URL, for metrics and logs.
        reads: methods that change nothing, though they are not safe by their name.
        immediate: of GET, for ``respond_now``.
        handlers: by method.
    """

    def __init__(
        self,
        service: ServiceContext,
        route: str,
        reads: Collection[str] = (),
        immediate: ImmediateHandler | None = None,
        /,
        **handlers: Handler,
    ) -> None:
        self._immediate = immediate
        self._service = service
        self._route = route
        self._handlers = handlers
        if "GET" in handlers:
            self._handlers = {"GET": handlers["GET"], "HEAD": handlers["GET"], **handlers}
        self._writes = self._handlers.keys() - _SAFE - set(reads)
        self._reads = self._handlers.keys() - self._writes
        self._allow = ", ".join(self._handlers).encode()
        is_group = route in _GROUPS
        self._max_body = service.group_body if is_group else limits.MAX_BODY
        self._decode = decode_group if is_group else None

    @property
    def methods(self) -> frozenset[str]:
        """Those that have a handler."""
        return frozenset(self._handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        await self.handle(
            scope, receive, functools.partial(send_response, send, without_body=scope["method"] == "HEAD")
        )

    async def handle(self, scope: Scope, receive: Receive, deliver: Deliver) -> None:
        """Handle one request.

        Args:
            scope: of ASGI: ``method``, ``raw_path``, ``query_string``, ``headers`` and ``path_params``.
            receive: of ASGI.
            deliver: sends the response, without its body where the method is HEAD.
        """
        service, began = self._service, time.perf_counter()
        service.metrics.in_flight.inc()
        try:
            response = await self._respond(scope, receive)
            await deliver(response)
        except ClientDisconnected:
            return
        finally:
            service.metrics.in_flight.dec()
        self._count(scope["method"], response, began)

    def respond_now(self, scope: Scope) -> ScimResponse | None:
        """The response to a request without a body that needs no waiting; None: ``handle`` has to do it.

        It is the response that ``handle`` would deliver. A request that was let through here and is left to
        ``handle`` counts once.

        Args:
            scope: as for ``handle``.
        """
        service, reads, began = self._service, self._service.store.immediate, time.perf_counter()
        if reads is None or self._immediate is None or scope["method"] != "GET":
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not _MORE_TO_DO.isdisjoint(headers):
            return None
        try:
            access = service.authenticator.authenticate_now(
                _bearer_token(headers), agent_family(headers.get(b"user-agent")), reads=True
            )
            if access is None:
                return None
            limiter = service.reading_limiter if access.is_read_only else service.limiter
            if limiter.wait_seconds(access.tenant, access.settings.rate_limit):
                return None
            scope[_ADMITTED] = access
            response = self._immediate(self._request(scope, access, headers, b""), reads)
        except Exception as error:  # noqa: BLE001 (it is logged there)
            response = self._failed(scope, error)
        if response is not None:
            self._count("GET", response, began)
        return response

    def _count(self, method: str, response: ScimResponse, began: float) -> None:
        seconds = time.perf_counter() - began - response.waited
        self._service.metrics.count(
            method if method in self._handlers else "other", self._route, response.status, seconds
        )
        if _plain_log.isEnabledFor(logging.DEBUG):
            log.debug(
                "request finished",
                method=method,
                route=self._route,
                status=response.status,
                seconds=round(seconds, 6),
            )

    async def _respond(self, scope: Scope, receive: Receive) -> ScimResponse:
        service = self._service
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body, body_read = b"", False
        try:
            access = scope.get(_ADMITTED) or await service.authenticator.authenticate(
                _bearer_token(headers),
                agent_family(headers.get(b"user-agent")),
                operator_proof(scope, headers[_PROOF_HEADER]) if _PROOF_HEADER in headers else None,
                reads=scope["method"] in self._reads,
            )
            if access is None:
                return UNAUTHORIZED
            limiter = service.reading_limiter if access.is_read_only else service.limiter
            wait = (
                0.0 if _ADMITTED in scope else limiter.wait_seconds(access.tenant, access.settings.rate_limit)
            )
            if wait:
                await asyncio.sleep(REFUSAL_DELAY_SECONDS)
                rate = access.settings.rate_limit.requests_per_second
                return too_many_requests(
                    f"This tenant sent more than {rate} requests per second; wait and repeat.", wait
                )
            handler = self._handlers.get(scope["method"])
            if handler is None:
                refusal = ScimError(
                    405, f"{scope['method'][:20]} is not possible here; the header Allow lists what is."
                )
                return ScimResponse(405, refusal.body(), ((b"allow", self._allow),))
            if access.is_read_only and scope["method"] in self._writes:
                return READ_ONLY
            if b"content-encoding" in headers and (encoding := encoding_of(scope["headers"])):
                return unsupported_encoding(encoding)
            if has_body(headers):
                body = await service.bodies.read(receive, self._max_body)
                if len(body) >= BYTES_PER_REQUEST:
                    limiter.charge_body(access.tenant, len(body))
            body_read = True
            request = self._request(scope, access, headers, body)
            if len(body) >= BYTES_PER_REQUEST and scope["method"] in _WITH_DOCUMENT:
                await request.decode_aside(self._decode)
            response = await handler(request)
            if not isinstance(response.body, bytes):
                response.body = await buffer_short_body(response.body)
            return response
        except ClientDisconnected:
            body_read = True
            raise
        except Exception as error:  # noqa: BLE001 (it is logged there)
            return self._failed(scope, error)
        finally:
            if body:
                service.bodies.release(body)
            elif not body_read and has_body(headers):
                await discard_body(receive)

    def _request(self, scope: Scope, access: Access, headers: dict[bytes, bytes], body: bytes) -> ScimRequest:
        return ScimRequest(
            self._service,
            access,
            compile_tenant_schema(access.settings, access.settings_hash),
            headers,
            scope["query_string"],
            body,
            scope.get("path_params", {}).get("id", ""),
        )

    def _failed(self, scope: Scope, error: Exception) -> ScimResponse:
        """The response for an exception, to be called where it is handled."""
        response = error_response(error)
        if response.status == 500:
            log.error("request failed", route=self._route, method=scope["method"], exc_info=error)
        return response


def _bearer_token(headers: Mapping[bytes, bytes]) -> str:
    """The token of ``Authorization: Bearer``; empty without one."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""
