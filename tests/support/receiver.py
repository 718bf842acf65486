"""A receiver of webhooks on loopback that verifies what it gets, by a library that nobody here wrote."""

import contextlib
import dataclasses
import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from standardwebhooks.webhooks import Webhook

from support import loopback_server
from support.loopback_server import LoopbackServer


@dataclasses.dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def resource(self) -> str:
        return str(self.message["data"].get("resourceId"))

    def verify(self, secret: str) -> None:
        Webhook(secret).verify(self.body, self.headers)


Answer = tuple[int, dict[str, str], bytes]
OK: Answer = (204, {}, b"")


class _Handler(http.server.BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = int(headers["content-length"])
        request = Received(self.path, headers, self.rfile.read(length))
        if len(request.body) < length:  # the sender was killed
            self.close_connection = True
            return
        receiver = self.server.owner
        with receiver.lock:
            receiver.received.append(request)
        status, more, body = receiver.answer(request)
        with contextlib.suppress(OSError):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclasses.dataclass
class Receiver:
    """What it answers, and what it got."""

    answer: Callable[[Received], Answer] = lambda _: OK
    port: int = 0
    scheme: str = "http"
    received: list[Received] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)
    over: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    def hang(self, _: Received) -> Answer:
        self.over.wait(30)
        return OK

    @contextlib.contextmanager
    def serving(self, tls: ssl.SSLContext | None = None) -> Iterator["Receiver"]:
        """While it is up, at the port that it had before."""
        self.scheme = "http" if tls is None else "https"
        self.over.clear()
        with loopback_server.serving(_Handler, self, tls=tls, port=self.port) as self.port:
            try:
                yield self
            finally:
                self.over.set()


def eventually(check: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
