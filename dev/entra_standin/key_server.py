"""Where the issuer publishes its keys, over HTTP on the loopback address; it can be made to fail in several ways."""

import enum
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from entra_standin.signing_keys import SigningKeys

_LOOPBACK: Final = "127.0.0.1"
_LONGEST_SECONDS: Final = 60.0
"""How long a slow answer is held back, unless the server is closed before."""
_HUGE: Final = 8 * 1024 * 1024


class Behaviour(enum.StrEnum):
    """What becomes of a request."""

    RIGHT = "right"
    DOWN = "down"
    """The connection is closed without an answer."""
    FAILING = "failing"
    """500."""
    SLOW = "slow"
    """No answer for a minute."""
    DRIBBLING = "dribbling"
    """A byte at a time."""
    REDIRECTING = "redirecting"
    """302 to the keys of somebody else."""
    HUGE = "huge"
    """Megabytes of JSON."""
    NOT_JSON = "not JSON"
    EMPTY = "empty"
    """A JWK Set without a key."""
    LYING = "lying"
    """Another key under the right ``kid``."""


class KeyServer:
    """Serves a JWK Set at ``url`` for the length of a ``with`` block.

    Args:
        keys: what is published; a rotation shows at once.
        tenant_id: in the path, as in Entra's.
        port: 0 takes a free one.

    Attributes:
        behaviour: may be changed at any time.
        requests: how many came.
    """

    def __init__(self, keys: SigningKeys, tenant_id: str, *, port: int = 0) -> None:
        self.behaviour = Behaviour.RIGHT
        self.requests = 0
        self._keys, self._impostor = keys, SigningKeys()
        self._path = f"/{tenant_id}/discovery/v2.0/keys"
        self._closing = threading.Event()
        self._server = _Server((_LOOPBACK, port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def origin(self) -> str:
        """Scheme, host and port: what an administrator allows."""
        return f"http://{_LOOPBACK}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The address of the keys."""
        return f"{self.origin}{self._path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        served = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.requests += 1
                served._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's)
                """Keep standard error for the program."""

        return Handler

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        if request.path != self._path:
            _send(request, 404, b"{}")
            return
        right = json.dumps(self._keys.jwks()).encode()
        match self.behaviour:
            case Behaviour.RIGHT:
                _send(request, 200, right)
            case Behaviour.DOWN:
                request.connection.shutdown(socket.SHUT_RDWR)
            case Behaviour.FAILING:
                _send(request, 500, b"<html>")
            case Behaviour.SLOW:
                self._closing.wait(_LONGEST_SECONDS)
            case Behaviour.DRIBBLING:
                self._dribble(request, right)
            case Behaviour.REDIRECTING:
                _send(request, 302, b"", location=f"{self.url}?elsewhere")
            case Behaviour.HUGE:
                _send(request, 200, b'{"keys": [], "more": "' + b"x" * _HUGE + b'"}')
            case Behaviour.NOT_JSON:
                _send(request, 200, b"<html>not found</html>")
            case Behaviour.EMPTY:
                _send(request, 200, b'{"keys": []}')
            case Behaviour.LYING:
                _send(request, 200, json.dumps(self._lies()).encode())

    def _lies(self) -> dict[str, Any]:
        [key] = self._impostor.jwks()["keys"]
        return {"keys": [{**key, "kid": self._keys.kid}]}

    def _dribble(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        _head(request, 200, len(content))
        for byte in content:
            if self._closing.wait(0.2):
                return
            request.wfile.write(bytes([byte]))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _head(request: BaseHTTPRequestHandler, status: int, length: int, **headers: str) -> None:
    request.send_response(status)
    for name, value in {
        "content-type": "application/json",
        "content-length": str(length),
        **headers,
    }.items():
        request.send_header(name, value)
    request.end_headers()


def _send(request: BaseHTTPRequestHandler, status: int, content: bytes, **headers: str) -> None:
    _head(request, status, len(content), **headers)
    request.wfile.write(content)
