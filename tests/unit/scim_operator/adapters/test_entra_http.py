"""One request to Microsoft: bounded in time and size, no redirect followed, and nothing of it in errors or logs."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from structlog.testing import capture_logs

from scim_operator.adapters import entra_http
from scim_operator.planning.entra.diagnosis import Answer
from scim_operator.planning.entra.ports import EntraError, Obstacle
from support.microsoft import REQUEST_ID

URL = "https://graph.microsoft.com/v1.0/x"
TOKEN = "a-token-of-somebody"


async def send(handle: Callable[[httpx.Request], httpx.Response], seconds: float = 5.0) -> Answer:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        return await entra_http.send(
            client,
            "POST",
            URL,
            what="save",
            headers={"authorization": f"Bearer {TOKEN}"},
            seconds=seconds,
            json={"secret": TOKEN},
        )


async def failing(error: Exception) -> EntraError:
    def handle(_request: httpx.Request) -> httpx.Response:
        raise error

    with capture_logs() as logs, pytest.raises(EntraError) as told:
        await send(handle)
    assert told.value.obstacle is Obstacle.UNREACHABLE
    assert "graph.microsoft.com does not answer" in told.value.message
    assert TOKEN not in f"{told.value!r} {logs}"
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
    return told.value


async def test_a_request_has_an_id_and_its_answers_id_is_logged_without_bodies() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(400, headers={"Request-Id": REQUEST_ID}, json={"x": TOKEN})

    with capture_logs() as logs:
        found = await send(handle)
    assert (found.status, found.headers["request-id"]) == (400, REQUEST_ID)
    assert logs[0]["request_id"] == REQUEST_ID
    assert logs[0]["client_request_id"] == seen[0].headers["client-request-id"]
    assert logs[0]["status"] == 400
    assert TOKEN not in f"{logs} {found!r}"
    assert seen[0].headers["accept-encoding"] == "identity"


async def test_no_redirect_is_followed() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(307, headers={"location": "https://elsewhere.example/"})

    assert (await send(handle)).status == 307
    assert len(seen) == 1


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65_536


async def hanging() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


async def test_an_answer_without_end_is_not_read_to_it() -> None:
    with pytest.raises(EntraError, match="more than 1048576 bytes"):
        await send(lambda _request: httpx.Response(200, content=endless()))


async def test_an_answer_of_the_most_that_is_read_is_read_whole() -> None:
    body = b"x" * entra_http.ANSWER_LIMIT
    assert (await send(lambda _request: httpx.Response(200, content=body))).body == body


async def test_an_answer_that_hangs_ends_with_its_time() -> None:
    with pytest.raises(EntraError, match="it took too long"):
        await send(lambda _request: httpx.Response(200, content=hanging()), seconds=0.05)


def caused(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectTimeout(TOKEN), "NetworkPolicy"),
        (httpx.ReadTimeout(TOKEN), "took too long"),
        (caused(httpx.ConnectError(TOKEN), socket.gaierror(-2, TOKEN)), "its name is not found"),
        (caused(httpx.ConnectError(TOKEN), ConnectionRefusedError(TOKEN)), "refused"),
        (caused(httpx.ConnectError(TOKEN), ssl.SSLCertVerificationError(TOKEN)), "SSL_CERT_FILE"),
        (httpx.ProxyError(TOKEN), "proxy"),
        (httpx.RemoteProtocolError(TOKEN), "RemoteProtocolError"),
        (httpx.InvalidURL(TOKEN), "InvalidURL"),
        (OSError(TOKEN), "OSError"),
        (UnicodeEncodeError("utf-8", TOKEN, 0, 1, TOKEN), "UnicodeEncodeError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
async def test_a_connection_that_fails_is_told_with_its_cause(error: Exception, words: str) -> None:
    assert words in (await failing(error)).message
