"""Bodies in pieces: short ones whole, long ones as they come, broken ones broken off."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn

from scim_api.http.response import MAX_BUFFERED_BYTES, ScimResponse, buffer_short_body, send_response


async def pieces(*parts: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
    if then is not None:
        raise then


async def sent(answer: ScimResponse) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    try:
        await send_response(send, answer)
    except OSError:
        messages.append({"type": "broken"})
    return messages


async def test_a_short_body_is_sent_whole() -> None:
    assert await buffer_short_body(pieces(b"[1", b",2]")) == b"[1,2]"


async def test_a_body_that_cannot_be_read_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(OSError, match="gone"):
        await buffer_short_body(pieces(b"[1", then=OSError("gone")))


async def test_a_long_body_is_sent_in_pieces_without_a_length() -> None:
    parts = [b"x" * MAX_BUFFERED_BYTES, b"y", b"z" * 10, b"end"]
    body = await buffer_short_body(pieces(*parts))
    assert not isinstance(body, bytes)
    start, *rest = await sent(ScimResponse(200, body))
    assert "content-length" not in {name.decode() for name, _ in start["headers"]}
    assert b"".join(message["body"] for message in rest) == b"".join(parts)
    assert [message.get("more_body", False) for message in rest][-2:] == [True, False]


async def test_a_body_that_breaks_off_is_not_ended() -> None:
    body = await buffer_short_body(pieces(b"x" * MAX_BUFFERED_BYTES, b"y", b"z", then=OSError("gone")))
    messages = await sent(ScimResponse(200, body))
    assert messages[-1] == {"type": "broken"}
    assert all(message.get("more_body") for message in messages[1:-1])


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_tells_neither_type_nor_length(status: int) -> None:
    (start, _) = await sent(ScimResponse(status, b"", ((b"etag", b'W/"1"'),)))
    names = {name for name, _ in start["headers"]}
    assert names == {b"etag", b"cache-control"}


async def test_a_client_notices_that_a_body_broke_off() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send_response(send, ScimResponse(200, pieces(b'{"members":[', b"1", then=OSError("gone"))))

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            async with httpx.AsyncClient() as client:
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        finally:
            server.should_exit = True
            await serving
