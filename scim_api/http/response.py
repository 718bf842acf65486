"""Responses: bodies, headers, and what each error becomes (RFC 7644 section 3.12)."""

import dataclasses
import math
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Send

from scim_api.core.errors import ScimError, quoted, too_many, uniqueness
from scim_api.core.resources.members import no_member_selected, unknown_members
from scim_api.http.request import BodyTooLarge, TooManyBodies
from scim_api.store.errors import (
    Conflict,
    NoMembersSelected,
    TooSlow,
    Unavailable,
    UnknownMembers,
    VersionMismatch,
)

MEDIA_TYPE: Final = b"application/scim+json"
JSON: Final = b"application/json"
"""Of what is beside SCIM: feed and history."""


CACHE_CONTROL: Final = (b"cache-control", b"private, no-cache")
"""Responses hold personal data: no shared cache keeps them, and a private cache revalidates by entity tag."""


MAX_BUFFERED_BYTES: Final = 256 * 1024
"""A body in pieces that is no longer than this is sent whole."""


@dataclasses.dataclass(slots=True)
class ScimResponse:
    """Status, body, and headers beside Content-Type, Content-Length and Cache-Control."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    """In pieces where it can be long."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = MEDIA_TYPE
    waited: float = 0.0
    """Seconds of its time that were spent on waiting because the client wished so."""


def error_response(error: Exception) -> ScimResponse:
    """The response for anything that a handler can raise."""
    if isinstance(error, ScimError):
        return ScimResponse(error.status, error.body())
    if isinstance(error, Conflict):
        return ScimResponse(409, uniqueness(error.attribute).body())
    if isinstance(error, UnknownMembers):
        return error_response(unknown_members(error.ids))
    if isinstance(error, NoMembersSelected):
        return error_response(no_member_selected(error.path))
    if isinstance(error, VersionMismatch):
        return ScimResponse(
            412,
            ScimError(
                412, "The resource is not at the version that the request names; read it again and repeat."
            ).body(),
        )
    if isinstance(error, TooSlow):
        return ScimResponse(
            400,
            too_many(
                "The query takes too long. Narrow its filter, or filter by userName, externalId, work e-mail or id."
            ).body(),
        )
    if isinstance(error, Unavailable):
        body = ScimError(
            503, "The service's database does not answer; repeat the request after some seconds."
        ).body()
        return ScimResponse(503, body, ((b"retry-after", b"2"),))
    if isinstance(error, TooManyBodies):
        body = ScimError(
            503, "Too many large requests arrive at once; repeat the request after some seconds."
        ).body()
        return ScimResponse(503, body, ((b"retry-after", b"2"),))
    if isinstance(error, BodyTooLarge):
        return ScimResponse(
            413, ScimError(413, f"The body is larger than {error.limit} bytes; send less at once.").body()
        )
    return ScimResponse(500, ScimError(500, "The service failed to answer; its log says why.").body())


def too_many_requests(detail: str, wait: float) -> ScimResponse:
    """429 for a tenant over its rate; it may send the next request after ``wait`` seconds."""
    return ScimResponse(
        429, ScimError(429, detail).body(), ((b"retry-after", str(math.ceil(wait)).encode()),)
    )


def unsupported_encoding(encoding: str) -> ScimResponse:
    """415 for a body that is compressed, with what is taken (RFC 9110 sections 12.5.3 and 15.5.16).

    Args:
        encoding: the request's Content-Encoding.
    """
    detail = (
        f"The request has Content-Encoding {quoted(encoding)}, and only identity is taken: send the body as it is,"
        " without Content-Encoding."
    )
    return ScimResponse(415, ScimError(415, detail).body(), ((b"accept-encoding", b"identity"),))


UNAUTHORIZED: Final = ScimResponse(
    401,
    ScimError(
        401, "The token is missing, unknown, expired or revoked; paste the current one into Entra."
    ).body(),
    ((b"www-authenticate", b'Bearer realm="scim"'),),
)


READ_ONLY: Final = ScimResponse(
    403,
    ScimError(
        403,
        "This token may only read: it was issued with access ReadOnly. Change users and groups where they come from, or"
        " with a token that was issued with access ReadWrite.",
    ).body(),
)


async def buffer_short_body(pieces: AsyncIterator[bytes]) -> bytes | AsyncIterator[bytes]:
    """The whole body if it is short, else its pieces, of which the first are read already.

    So a body that cannot be read at all is still answered by an error.
    """
    parts, size = [], 0
    async for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > MAX_BUFFERED_BYTES:
            return _resume(b"".join(parts), pieces)
    return b"".join(parts)


async def _resume(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def send_response(send: Send, response: ScimResponse, *, without_body: bool = False) -> None:
    """Send a response.

    Args:
        send: of the ASGI server.
        response: what to send.
        without_body: send the head alone, as a HEAD wants it; it is the same as with the body.

    Raises:
        Exception: whatever ends a body before its end; the server then closes the connection, so that the
            client notices that the body is incomplete.
    """
    headers, body = [*response.headers, CACHE_CONTROL], response.body
    if response.status not in {204, 304}:
        headers.append((b"content-type", response.media_type))
        if isinstance(body, bytes):
            headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if without_body or isinstance(body, bytes):
        await send({"type": "http.response.body", "body": b"" if without_body else body})
        return
    async for piece in body:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
