"""A server of issuers' keys on loopback, as honest or as bad as a test wants it."""

import contextlib
import dataclasses
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Final

PIECE: Final = b" " * 100


class _Handler(http.server.BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the test says."""
        place = self.server.place
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
        while not self.server.place.over.wait(0.05):
            self.wfile.write(b" ")
            self.wfile.flush()

    def flood(self) -> None:
        """An answer without end, as fast as it goes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        while not self.server.place.over.is_set():
            self.wfile.write(PIECE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    place: "KeyServer"

    def handle_error(self, *_: object) -> None:
        """Say nothing: the client went."""


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
        server = _Server(("127.0.0.1", port), _Handler)
        server.place = self
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        self.origin = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        self.over.clear()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            server.shutdown()
            server.server_close()
            thread.join()
