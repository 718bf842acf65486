"""Requests for users and groups past ASGI: what arrives whole is answered where it arrives.

uvicorn makes an event, a cycle of messages and a task for each request, and looks at each header of the response; that
was more than half of what a GET cost. A request that is not whole with the first bytes, that another one on the same
connection has to be answered before, or that is unusual in any other way, takes uvicorn's way, which a test compares.
"""

import asyncio
import re
from typing import Any, Final

import structlog
from starlette.types import Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from scim_api.http.endpoint import ScimEndpoint
from scim_api.http.public import DirectTarget, DirectTargets
from scim_api.http.response import CACHE_CONTROL, ScimResponse, send_response
from scim_api.server.http_protocol import BoundedHttpProtocol, ConnectionLimits

log = structlog.get_logger(__name__)
MAX_HELD_BYTES: Final = 64 * 1024
"""Of a body that is taken as a whole."""
_CACHE_CONTROL: Final = b"%b: %b\r\n" % CACHE_CONTROL
_NOT_IN_HEADERS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NOBODY_WAITS: Final = asyncio.Event()


class _DirectCycle:
    """What uvicorn's connection asks of a request that is being answered."""

    __slots__ = ("disconnected", "keep_alive", "response_complete", "response_started")
    message_event: Final = _NOBODY_WAITS

    def __init__(self) -> None:
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False


class DirectHttpProtocol(BoundedHttpProtocol):
    """One connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's: the connections there are.
        app_state: uvicorn's.
        limits: what the connection may cost.
        targets: endpoints that are asked without ASGI.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
        targets: DirectTargets,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop, limits=limits)
        self._targets = targets
        self._held: DirectTarget | None = None
        """Of a request whose head is complete, while its body may still come with the same bytes."""
        self._held_body = bytearray()
        self._is_first = False
        """Whether no request of the bytes that are parsed now was answered directly: a client that sends many at once
        waits for its turn with each, as others do."""

    def _parse(self, data: bytes) -> None:
        """Parse; a request that is not whole by then takes the other way."""
        self._is_first = True
        try:
            super()._parse(data)
        finally:
            if self._held is not None:
                self._begin_held()

    def _begin(self) -> None:
        """Hold a request back until it is whole, if it can be answered directly."""
        if (
            self._is_first
            and self.is_idle
            and not self.expect_100_continue
            and not self.server_state.default_headers
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
        ):
            self._held = self._targets.find(self.url)
        if self._held is None:
            super()._begin()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        if self._held is not None and len(self._held_body) + len(body) > MAX_HELD_BYTES:
            self._begin_held()
        if self._held is None:
            super().on_body(body)
        else:
            self._unparsed = 0
            self._held_body += body

    def _complete(self) -> None:
        """Answer a request that is complete."""
        held, self._held = self._held, None
        if held is None:
            super()._complete()
        else:
            self._is_first = False
            self._answer(held)

    def _begin_held(self) -> None:
        """Let uvicorn have the request that is held, and what there is of its body."""
        self._held = None
        body = self._take_body()
        super()._begin()
        if body:
            super().on_body(body)

    def _take_body(self) -> bytes:
        """What there is of the body that is held; an idle connection keeps nothing of it."""
        body = bytes(self._held_body)
        self._held_body.clear()
        return body

    def _answer(self, target: DirectTarget) -> None:
        scope, body = target.scope(self.parser.get_method().decode("ascii"), self.headers), self._take_body()
        if not body and not self.flow.write_paused:
            response = target.endpoint.respond_now(scope)
            if response is not None and isinstance(response.body, bytes):
                self.transport.write(_serialized(response, response.body, scope["method"], keep_alive=True))
                self.on_response_complete()
                return
        self.cycle = cycle = _DirectCycle()  # type: ignore[assignment]
        task = self.loop.create_task(self._handle(target.endpoint, scope, body, cycle))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _handle(self, endpoint: ScimEndpoint, scope: Scope, body: bytes, cycle: _DirectCycle) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def deliver(response: ScimResponse) -> None:
            if self.flow.write_paused and not cycle.disconnected:
                await self.flow.drain()
            if cycle.disconnected:
                return
            body = response.body
            if not isinstance(body, bytes):
                await self._stream(response, scope, cycle)
                return
            self.transport.write(_serialized(response, body, scope["method"], keep_alive=cycle.keep_alive))
            cycle.response_started = cycle.response_complete = True
            if not cycle.keep_alive:
                self.transport.close()
            self.on_response_complete()

        try:
            await endpoint.handle(scope, receive, deliver)
        except Exception:
            log.exception("request failed")
            self.transport.abort()
        except asyncio.CancelledError:
            self.transport.abort()  # the time for a shutdown is over
            raise

    async def _stream(self, response: ScimResponse, scope: Scope, cycle: _DirectCycle) -> None:
        """Send a body in pieces, as uvicorn does."""

        async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send_response(send, response, without_body=scope["method"] == "HEAD")

        streaming = RequestResponseCycle(
            scope=scope,  # type: ignore[arg-type]
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=cycle.keep_alive,
            on_response=self.on_response_complete,
        )
        newest: object = self.cycle
        if newest is cycle:
            self.cycle = streaming
        await streaming.run_asgi(app)  # type: ignore[arg-type]


def _serialized(response: ScimResponse, body: bytes, method: str, *, keep_alive: bool) -> bytes:
    """A response with its whole body as it is sent, in the form that uvicorn gives it.

    Raises:
        ValueError: for a header that would be two.
    """
    parts = [STATUS_LINE[response.status]]
    for name, value in response.headers:
        if _NOT_IN_HEADERS.search(value) is not None:
            raise ValueError(f"header {name!r}")
        parts += (name, b": ", value, b"\r\n")
    parts.append(_CACHE_CONTROL)
    if response.status not in {204, 304}:
        parts.append(b"content-type: %b\r\ncontent-length: %d\r\n" % (response.media_type, len(body)))
    parts.append(b"\r\n" if keep_alive else b"connection: close\r\n\r\n")
    if method != "HEAD":
        parts.append(body)
    return b"".join(parts)
