"""One HTTP connection without sockets: bytes to the server's protocol, and the bytes that it writes."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import uvicorn
from uvicorn.server import ServerState

from scim_api.http.public import DirectRouter
from scim_api.server.direct_protocol import DirectHttpProtocol
from scim_api.server.http_protocol import BoundedHttpProtocol, ConnectionLimits
from support.grammar import Request

LIMITS: Final = ConnectionLimits()


class _Wire(asyncio.Transport):
    """A connection's transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class Line:
    """One connection to an application, with uvicorn's protocol or past it."""

    def __init__(self, app: Any, *, direct: bool) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False
        )
        config.load()
        self.wire = _Wire()
        self.protocol: BoundedHttpProtocol
        if direct:
            assert isinstance(app, DirectRouter)
            self.protocol = DirectHttpProtocol(config, ServerState(), {}, limits=LIMITS, targets=app.targets)
        else:
            self.protocol = BoundedHttpProtocol(config, ServerState(), {}, limits=LIMITS)
        self.protocol.connection_made(self.wire)

    async def send(self, *pieces: bytes) -> bytes:
        """What is written until everything is answered that came in these pieces."""
        for piece in pieces:
            if not self.wire.closed:
                self.protocol.data_received(piece)
            await self._until(self.is_waiting_for_the_client)
        await self._until(self.has_answered)
        written, self.wire.written = self.wire.written, b""
        return written

    def is_waiting_for_the_client(self) -> bool:
        """Whether more has to come before there is an answer. Asked again and again."""
        waits = self.protocol.is_idle or self.protocol._receiving == "body"
        return waits and not self.protocol.pipeline

    def has_answered(self) -> bool:
        """Whether all that came is answered. Asked again and again."""
        return self.protocol.is_idle and not self.protocol.pipeline

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
            while not self.wire.closed and not is_so():
                await asyncio.sleep(0.001)

    def end(self) -> None:
        self.protocol.connection_lost(None)


def wire_form(request: Request, headers: Sequence[tuple[str, str]], prefix: str = "/scim/v2") -> bytes:
    """A request as a client sends it."""
    more = list(request.headers)
    if request.body and not any(name == "transfer-encoding" for name, _ in more):
        more.append(("Content-Length", str(len(request.body))))
    lines = [f"{request.method} {prefix}{request.target} HTTP/1.1", "Host: a"]
    lines += [f"{name}: {value}" for name, value in (*headers, *more)]
    return "\r\n".join([*lines, "", ""]).encode() + request.body
