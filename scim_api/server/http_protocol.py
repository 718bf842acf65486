"""HTTP within bounds: what a connection may cost before anybody has signed in.

uvicorn's parser accepts heads without end, waits for ever, and takes trailers for headers. Here a head has a
size and a deadline, a body a deadline, a response somebody who reads it, and a server a number of connections.
Whatever is refused gets a SCIM error, then the connection ends (RFC 9112, RFC 6585 section 5).
"""

import asyncio
import dataclasses
import socket
import struct
import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from scim_api.core.errors import ScimError

MAX_HEAD_BYTES: Final = 32 * 1024
"""Request line and headers together. A trailer section, or what surrounds the chunks of a body, may be as long."""
MAX_PIPELINED: Final = 16
"""Requests that may wait on one connection behind the one that is being answered."""
_ONCE: Final = frozenset((b"host", b"authorization"))
"""Headers whose second appearance would leave open which one counts. The parser refuses lengths by itself."""
_UPGRADE: Final = frozenset((b"connection", b"upgrade", b"http2-settings"))
"""Headers of an offer to speak another protocol."""
_HINTS: Final = {
    400: "This is no valid HTTP/1.1 request; correct it.",
    408: "The request did not arrive in time; send it again without pauses.",
    431: f"Request line and headers are longer than {MAX_HEAD_BYTES} bytes; send less.",
    503: "The service has too many connections; repeat the request after some seconds.",
}
_MORE_HEADERS: Final = {503: b"retry-after: 2\r\n"}


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one listener grants its connections."""

    connections: int = 1000
    """At most so many at a time. The next one takes the place of the oldest that has no request in progress."""
    head_seconds: float = 10.0
    """How long a head may take, counted from the connection or from the head's first byte."""
    body_seconds: float = 30.0
    """How long a body may take after its head."""
    send_seconds: float = 30.0
    """How long a client may leave a response unread."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        config: uvicorn's.
        server_state: uvicorn's: the connections there are.
        app_state: uvicorn's.
        limits: what the connection may cost.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.last_active = 0.0
        """When the connection was made, or had its latest response. The loop's clock stands still for all that it
        accepts at once."""
        self._limits = limits
        self._receiving = "head"
        """What comes next: a head, or a body to a head that is complete."""
        self._unparsed = 0
        """Bytes received since the last complete head or piece of a body."""
        self._refusal = 400
        """Status of the error when the parser gives up, or one of its callbacks does."""
        self._once: set[bytes] = set()
        self._may_be_long = False
        """Whether a head that is parsed now can be longer than it may."""
        self._ending = False
        """Whether what still comes is not for us: the connection ends with the response under way, or now."""
        self._receive_deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered: nothing is lost with the connection but a part of a head."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or give it the place of one that has no request in progress."""
        full = len(self.connections) >= self._limits.connections
        oldest = _longest_idle(self.connections) if full else None
        super().connection_made(transport)
        self.last_active = time.monotonic()
        if oldest is not None:
            oldest.transport.abort()
        elif full:
            self._refuse(503)
            return
        self._expect("head")

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of the timers."""
        self._cancel_receive_deadline()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and wait only so long for what is missing."""
        if self._ending:
            return
        self._unset_keepalive_if_required()
        self._unparsed += len(data)
        self._may_be_long = self._unparsed > MAX_HEAD_BYTES
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal)
            return
        if self._unparsed > MAX_HEAD_BYTES:
            self._refuse(431 if self._receiving == "head" else 400)
        elif self._receive_deadline is None and (self._unparsed or self._receiving == "body"):
            self._expect(self._receiving)

    def _parse(self, data: bytes) -> None:
        """Parse; a request that offers an upgrade is parsed once more without the offer.

        The parser takes what follows such a head for another protocol. A server that speaks none ignores the offer
        (RFC 9110 section 7.8): Java's client makes it with each first request, body and all.
        """
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                head = [b"%s %s HTTP/1.1" % (self.parser.get_method(), self.url)]
                head += [b"%s: %s" % field for field in self.headers if field[0] not in _UPGRADE]
                if not self.parser.should_keep_alive():
                    head.append(b"connection: close")
                data = b"\r\n".join((*head, b"", b"")) + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            else:
                return

    # -- the parser's callbacks; an exception in one of them ends the parsing

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._once.clear()
        self._unparsed = self._unparsed or 1

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header of the head; a trailer is none (RFC 9110 section 6.5.1)."""
        if self._receiving == "body":
            return
        name = name.lower()
        if name in _ONCE:
            if name in self._once:
                self._fail(400)
            self._once.add(name)
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete: start to answer."""
        if self._may_be_long and self._head_bytes() > MAX_HEAD_BYTES:
            self._fail(431)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._fail(400)  # to be a tunnel (RFC 9110 section 9.3.6)
            return
        if b"host" not in self._once and self.parser.get_http_version() == "1.1":
            self._fail(400)  # RFC 9112 section 3.2
        if len(self.pipeline) >= MAX_PIPELINED:
            self._fail(400)
        self._begin()
        self._unparsed = 0
        self._cancel_receive_deadline()
        self._receiving = "body"

    def _begin(self) -> None:
        """Start to answer a request whose head is complete."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self.parser.should_upgrade():
            return
        self._unparsed = 0
        self._cancel_receive_deadline()
        self._receiving = "head"
        self._complete()

    def _complete(self) -> None:
        """Answer a request that is complete."""
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A response is complete: the connection is idle, or goes on with the next request."""
        self.last_active = time.monotonic()
        super().on_response_complete()

    # -- refusals and deadlines

    def pause_writing(self) -> None:
        """The client does not read: wait only so long."""
        super().pause_writing()
        if self._send_deadline is None:
            self._send_deadline = self.loop.call_later(self._limits.send_seconds, self._reset)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._send_deadline is not None:
            self._send_deadline.cancel()
            self._send_deadline = None
        super().resume_writing()

    def _reset(self) -> None:
        """End the connection, and forget what the kernel has still to send on it."""
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _fail(self, status: int) -> None:
        self._refusal = status
        raise ValueError(status)

    def _refuse(self, status: int) -> None:
        """End the connection with an error; responses under way, for one of which it would be taken, come first."""
        self._ending = True
        self._cancel_receive_deadline()
        if not self.is_idle:
            self.cycle.keep_alive = False
            if self._receiving == "head":
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started or self.pipeline:
                self.transport.abort()
                return
        elif self._receiving == "body":
            self.transport.close()  # the request that this is a body of has its response
            return
        body = ScimError(status, _HINTS[status]).body()
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/scim+json\r\ncontent-length: %d\r\n%s"
            b"connection: close\r\n\r\n%s"
            % (status, HTTPStatus(status).phrase.encode(), len(body), _MORE_HEADERS.get(status, b""), body)
        )
        self.transport.close()

    def _expect(self, part: str) -> None:
        self._cancel_receive_deadline()
        seconds = self._limits.head_seconds if part == "head" else self._limits.body_seconds
        self._receive_deadline = self.loop.call_later(seconds, self._missed_receive_deadline)

    def _missed_receive_deadline(self) -> None:
        self._receive_deadline = None
        if self._receiving == "head" and not self.is_idle:
            self._expect("head")  # of a request that waits behind one that is being answered
        elif self._unparsed or self._receiving == "body":
            self._refuse(408)
        else:
            self.transport.abort()  # a connection that has sent nothing

    def _cancel_receive_deadline(self) -> None:
        if self._receive_deadline is not None:
            self._receive_deadline.cancel()
            self._receive_deadline = None


def _longest_idle(connections: Iterable[object]) -> BoundedHttpProtocol | None:
    idle = [item for item in connections if isinstance(item, BoundedHttpProtocol) and item.is_idle]
    return min(idle, key=lambda item: item.last_active, default=None)
