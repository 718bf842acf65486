"""Requests on one keep-alive connection, cheap enough that the campaign's clients leave the processors to the service."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

ANSWER_SECONDS: Final = 45.0
"""Longer than the feed waits for a change."""


class Unanswered(Exception):
    """The service did not answer, or said that it is not available (503): whether it did what was asked is open."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    document: Any
    """Of the JSON body; None without one."""


class Client:
    """One connection to one of some replicas; the next one after a failure.

    Args:
        ports: of the replicas, on loopback.
        token: sent with each request.
    """

    def __init__(self, ports: Sequence[int], token: str) -> None:
        self._ports, self._token, self._turn = ports, token, 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: object = None) -> Answer:
        """Ask, and wait for the answer. Raises ``Unanswered``."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._exchange(method, path, b"" if body is None else orjson.dumps(body))
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            self.close()
            self._turn += 1
            raise Unanswered(str(error)) from error
        except BaseException:
            self.close()
            raise
        if answer.status == 503:
            self._turn += 1
            self.close()
            raise Unanswered("503")
        return answer

    def close(self) -> None:
        """End the connection; the next request makes another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, method: str, path: str, body: bytes) -> Answer:
        if self._streams is None:
            port = self._ports[self._turn % len(self._ports)]
            self._streams = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self._token}\r\n"
            f"content-type: application/scim+json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        if headers.get("transfer-encoding") == "chunked":
            content = await _chunks(reader)
        else:
            content = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        document = None
        with contextlib.suppress(orjson.JSONDecodeError):
            document = orjson.loads(content)
        return Answer(int(lines[0].split()[1]), document)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = bytearray()
    while True:
        size = int(await reader.readline(), 16)
        content += await reader.readexactly(size)
        await reader.readline()
        if not size:
            return bytes(content)
