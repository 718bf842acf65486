"""From an ASGI request to a handler and back: paths, authentication, bodies, errors.

One pass, no middleware and no framework object on the way: what a hot request costs is what stands here.
Every answer that is not a success is a SCIM error (RFC 7644 section 3.12), whatever went wrong.
"""

import asyncio
import dataclasses
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from scim_api.core import limits
from scim_api.core.errors import ScimError, too_many, uniqueness
from scim_api.core.members import unknown_members
from scim_api.core.profile import Profile, profile
from scim_api.core.text import decode_json
from scim_api.http.credentials import Credentials
from scim_api.http.metrics import Metrics
from scim_api.http.rate_limit import RateLimiter
from scim_api.store import (
    Access,
    Conflict,
    Store,
    TooSlow,
    Unavailable,
    UnknownMembers,
    VersionMismatch,
)

log = structlog.get_logger(__name__)
_plain_log = logging.getLogger(__name__)
"""Only to ask whether a level is wanted, which it knows at once."""
MEDIA_TYPE: Final = b"application/scim+json"
CACHE: Final = (b"cache-control", b"private, no-cache")
"""Answers hold personal data: no shared cache keeps them, and a client's own asks with its entity tag."""
WHOLE_BYTES: Final = 256 * 1024
"""A body in pieces that is no longer than this is sent whole."""
DRAIN_BYTES: Final = 32 * 1024 * 1024
"""How much of a body that nobody wants is read, so that the client can read why."""
DRAIN_SECONDS: Final = 5.0
REFUSED_SECONDS: Final = 0.1
"""How long a tenant that asks for more than its rate waits for its refusal. A client that does not heed them
asks again as soon as it is answered: refusals at once would keep the worker busy, and other tenants waiting."""
_AGENT: Final = re.compile(r"[A-Za-z0-9._+-]{1,64}")


@dataclasses.dataclass(slots=True)
class Service:
    """What requests share within one process."""

    store: Store
    credentials: Credentials
    limiter: RateLimiter
    metrics: Metrics
    base_url: str
    """The public URL up to and with ``/scim/v2``."""


@dataclasses.dataclass(slots=True)
class Call:
    """One authenticated request."""

    service: Service
    access: Access
    profile: Profile
    headers: Mapping[bytes, bytes]
    query: bytes
    body: bytes
    path_id: str

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises ``ScimError`` 415 or 400 (invalidSyntax)."""
        content_type = self.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        if content_type not in (b"", b"application/scim+json", b"application/json"):
            raise ScimError(
                415,
                "Send the body as application/scim+json or application/json: its Content-Type is another one.",
            )
        return decode_json(self.body)

    def parameters(self) -> dict[str, str]:
        """Query parameters with lower-case names; unknown ones (Entra's flags) are simply not looked at."""
        if not self.query:
            return {}
        try:
            pairs = parse_qsl(
                self.query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100
            )
        except ValueError as error:
            raise ScimError(
                400,
                "The query string has more than 100 parameters, or is not percent-encoded UTF-8; correct it.",
                "invalidValue",
            ) from error
        return {name.lower(): value for name, value in pairs}


@dataclasses.dataclass(slots=True)
class Answer:
    """Status, body, and headers beside Content-Type, Content-Length and Cache-Control."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    """In pieces where it can be long."""
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler = Callable[[Call], Awaitable[Answer]]


class BodyTooLarge(Exception):
    """The body is over ``limits.MAX_BODY``."""


class ClientGone(Exception):
    """The client hung up; nobody reads an answer."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body. Raises ``BodyTooLarge`` or ``ClientGone``."""
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(body) > limit:
            raise BodyTooLarge
        return body
    parts, size = [body], len(body)
    while message.get("more_body", False):
        if size > limit:
            raise BodyTooLarge
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if size > limit:
        raise BodyTooLarge
    return b"".join(parts)


async def drain(receive: Receive) -> None:
    """Read and forget the rest of a body, within bounds: a client that still sends can't read the answer."""
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
    except TimeoutError:
        return


def failure(error: Exception) -> Answer:
    """The answer for anything a request can raise."""
    if isinstance(error, ScimError):
        return Answer(error.status, error.body())
    if isinstance(error, Conflict):
        return Answer(409, uniqueness(error.attribute).body())
    if isinstance(error, UnknownMembers):
        return failure(unknown_members(error.ids))
    if isinstance(error, VersionMismatch):
        return Answer(
            412,
            ScimError(
                412, "The resource is not at the version that the request names; read it again and repeat."
            ).body(),
        )
    if isinstance(error, TooSlow):
        return Answer(
            400,
            too_many(
                "The query takes too long. Narrow its filter, or filter by userName, externalId, work e-mail or id."
            ).body(),
        )
    if isinstance(error, Unavailable):
        body = ScimError(
            503, "The service's database does not answer; repeat the request after some seconds."
        ).body()
        return Answer(503, body, ((b"retry-after", b"2"),))
    if isinstance(error, BodyTooLarge):
        return Answer(
            413, ScimError(413, f"The body is larger than {limits.MAX_BODY} bytes; send less at once.").body()
        )
    return Answer(500, ScimError(500, "The service failed to answer; its log says why.").body())


def too_fast(detail: str, wait: float) -> Answer:
    """The answer to a tenant that asks for more than its rate; it may ask again after ``wait`` seconds."""
    return Answer(429, ScimError(429, detail).body(), ((b"retry-after", str(math.ceil(wait)).encode()),))


_UNAUTHORIZED: Final = Answer(
    401,
    ScimError(
        401, "The token is missing, unknown, expired or revoked; paste the current one into Entra."
    ).body(),
    ((b"www-authenticate", b'Bearer realm="scim"'),),
)


def _agent_family(value: bytes | None) -> str | None:
    if not value:
        return None
    found = _AGENT.match(value.decode("latin-1"))
    return found[0].split("/", 1)[0] if found else None


class Endpoint:
    """One path with a handler for each method; an ASGI application that FastAPI routes to."""

    def __init__(self, service: Service, route: str, **handlers: Handler) -> None:
        self._service = service
        self._route = route
        self._handlers = handlers
        self._allow = ", ".join(handlers).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        service, method, began = self._service, scope["method"], time.perf_counter()
        service.metrics.in_flight.inc()
        try:
            answer = await self._answer(scope, receive)
            await respond(send, answer)
        except ClientGone:
            return
        finally:
            service.metrics.in_flight.dec()
        seconds = time.perf_counter() - began
        service.metrics.count(
            method if method in self._handlers else "other", self._route, answer.status, seconds
        )
        if _plain_log.isEnabledFor(logging.DEBUG):
            log.debug(
                "request", method=method, route=self._route, status=answer.status, seconds=round(seconds, 6)
            )

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        service = self._service
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body_read = False
        try:
            scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
            access = await service.credentials.authenticate(
                token.strip().decode("latin-1") if scheme.lower() == b"bearer" else "",
                _agent_family(headers.get(b"user-agent")),
            )
            if access is None:
                return _UNAUTHORIZED
            wait = service.limiter.wait_seconds(access.tenant, access.settings.rate_limit)
            if wait:
                await asyncio.sleep(REFUSED_SECONDS)
                rate = access.settings.rate_limit.requests_per_second
                return too_fast(
                    f"This tenant sent more than {rate} requests per second; wait and repeat.", wait
                )
            handler = self._handlers.get(scope["method"])
            if handler is None:
                body = ScimError(
                    405, f"{scope['method'][:20]} is not possible here; the header Allow lists what is."
                ).body()
                return Answer(405, body, ((b"allow", self._allow),))
            body = await read_body(receive, limits.MAX_BODY) if _has_body(headers) else b""
            body_read = True
            call = Call(
                service,
                access,
                profile(access.settings, access.settings_hash),
                headers,
                scope["query_string"],
                body,
                scope.get("path_params", {}).get("id", ""),
            )
            answer = await handler(call)
            if not isinstance(answer.body, bytes):
                answer.body = await gather(answer.body)
            return answer
        except ClientGone:
            body_read = True
            raise
        except Exception as error:
            answer = failure(error)
            if answer.status == 500:
                log.exception("request failed", route=self._route, method=scope["method"])
            return answer
        finally:
            if not body_read and _has_body(headers):
                await drain(receive)


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


async def gather(pieces: AsyncIterator[bytes]) -> bytes | AsyncIterator[bytes]:
    """The whole body if it is short, else its pieces, of which the first are read already.

    So a body that cannot be read at all is still answered by an error.
    """
    parts, size = [], 0
    async for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > WHOLE_BYTES:
            return _resume(b"".join(parts), pieces)
    return b"".join(parts)


async def _resume(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def respond(send: Send, answer: Answer) -> None:
    """Send an answer; every body is ``application/scim+json``.

    Raises:
        Exception: whatever ends a body before its end; the server then closes the connection, so that the
            client does not take what it has for the whole.
    """
    headers, body = [*answer.headers, CACHE], answer.body
    if answer.status not in {204, 304}:
        headers.append((b"content-type", MEDIA_TYPE))
        if isinstance(body, bytes):
            headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if isinstance(body, bytes):
        await send({"type": "http.response.body", "body": body})
        return
    async for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


_CANONICAL: Final = {
    name.lower(): name
    for name in (
        "scim",
        "v2",
        "Users",
        "Groups",
        "Schemas",
        "ResourceTypes",
        "ServiceProviderConfig",
        "Me",
        "Bulk",
        ".search",
    )
}


def canonical_path(path: str) -> str:
    """The path in the RFC's spelling: Entra and people vary case, and add or double slashes."""
    segments = [segment for segment in path.split("/") if segment]
    return "/" + "/".join(
        _CANONICAL.get(segment.lower(), segment) if position < 3 or segment.lower() == ".search" else segment
        for position, segment in enumerate(segments)
    )


class PathNormaliser:
    """Brings paths into the RFC's spelling before FastAPI routes them; never a redirect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with a canonical path."""
        if scope["type"] == "http":
            path = canonical_path(scope["path"])
            if path != scope["path"]:
                scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)
