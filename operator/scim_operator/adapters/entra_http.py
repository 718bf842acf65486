"""One request to Microsoft's login or Graph over HTTP."""

import asyncio
import socket
import ssl
import uuid
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx
import structlog

from scim_operator.planning.entra.diagnosis import Answer, no_answer, request_id_of

log = structlog.get_logger(__name__)

ANSWER_LIMIT: Final = 1_048_576
"""Bytes of an answer that are read."""
AGENT: Final = "scim-operator"
SUCCESS: Final = "success"

Requested = Callable[[str, str], None]
"""Told of each request's operation and outcome, for metrics."""


def not_counted(_operation: str, _outcome: str) -> None:
    """Where there are no metrics."""


async def send(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    what: str,
    headers: Mapping[str, str],
    seconds: float,
    json: object = None,
    form: Mapping[str, str] | None = None,
    requested: Requested = not_counted,
) -> Answer:
    """Send one request, and read its answer within bounds. No redirect is followed.

    Args:
        client: by which to send.
        method: of HTTP.
        url: absolute.
        what: is asked for, for the log and for metrics.
        headers: besides those that every request has.
        seconds: for everything together.
        json: the body.
        form: the body as a form, instead.
        requested: told when no answer came; of answers the caller tells.

    Raises:
        EntraError: UNREACHABLE, when no answer came; the message has nothing of the request but the host.
    """
    request_id = str(uuid.uuid4())
    whole = {
        "user-agent": AGENT,
        "accept": "application/json",
        "accept-encoding": "identity",
        "client-request-id": request_id,
        **headers,
    }
    host = urlsplit(url).hostname or url
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(
                method, url, headers=whole, json=json, data=form, timeout=seconds, follow_redirects=False
            ) as answer,
        ):
            body = await _read(answer, host)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
        failure = no_answer(host, _reason(error))
        requested(what, failure.obstacle.value)
        log.warning("no answer", call=what, host=host, reason=failure.message, client_request_id=request_id)
        raise failure from None
    found = Answer(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)
    (log.debug if found.status < 400 else log.warning)(
        "answer",
        call=what,
        host=host,
        status=found.status,
        request_id=request_id_of(found),
        client_request_id=request_id,
    )
    return found


async def _read(answer: httpx.Response, host: str) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > ANSWER_LIMIT:
            raise no_answer(host, f"its answer has more than {ANSWER_LIMIT} bytes")
    return bytes(body)


def _reason(error: BaseException) -> str:
    """Why no answer came, by the most specific cause; never with the text of an exception, which may hold anything."""
    at: BaseException | None = error
    chain: list[BaseException] = []
    while at is not None and at not in chain:
        chain.append(at)
        at = at.__cause__ or at.__context__
    for cause in reversed(chain):
        match cause:
            case ssl.SSLCertVerificationError():
                return "its certificate is not trusted; a proxy that opens TLS needs its CA in SSL_CERT_FILE"
            case socket.gaierror():
                return "its name is not found; do DNS and the NetworkPolicy let the operator out?"
            case ConnectionRefusedError():
                return "the connection is refused"
            case httpx.ProxyError():
                return "the proxy of HTTPS_PROXY does not let the request through"
            case TimeoutError() | httpx.TimeoutException():
                return "it took too long; does the NetworkPolicy let the operator out, or does it need HTTPS_PROXY?"
            case _:
                continue
    return f"the connection failed ({type(error).__name__})"
