"""A server of issuers' keys on loopback, as honest or as bad as a test wants it."""

import contextlib
import dataclasses
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Final

from support import loopback_server
from support.loopback_server import LoopbackServer

PIECE: Final = b" " * 100


class _Handler(http.server.BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the test says."""
        place = self.server.owner
        with place.lock:
            place.asked.append(self.path)
            place.headers.append(dict(self.headers.items()))
        with contextlib.suppress(OSError):
            if place.behave is not None:
                place.behave(self)
            else:
                self.answer(place.body)

    def answer(
        self, body: bytes, status: int = 200, content_type: str = "application/json", **more: str
    ) -> None:
        """One whole answer."""
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **more}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        """An answer that never ends, some bytes at a time, until the test is over or nobody reads it."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        while not self.server.owner.over.wait(0.05):
            self.wfile.write(b" ")
            self.wfile.flush()

    def flood(self) -> None:
        """An answer without end, as fast as it goes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        while not self.server.owner.over.is_set():
            self.wfile.write(PIECE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Behaviour = Callable[[_Handler], None]


@dataclasses.dataclass
class KeyServer:
    """What the server answers, and what it was asked."""

    body: bytes = b""
    behave: Behaviour | None = None
    """In the place of answering ``body``."""
    origin: str = ""
    port: int = 0
    asked: list[str] = dataclasses.field(default_factory=list)
    headers: list[dict[str, str]] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    over: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Of the keys."""
        return f"{self.origin}/keys"

    @contextlib.contextmanager
    def serving(self, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator["KeyServer"]:
        """While it is up; at a port of its own unless one is given."""
        self.over.clear()
        with loopback_server.serving(_Handler, self, tls=tls, port=port) as self.port:
            self.origin = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
            try:
                yield self
            finally:
                self.over.set()
