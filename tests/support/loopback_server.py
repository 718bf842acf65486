"""HTTP servers on loopback for tests, in a thread of their own."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from typing import Any


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Its handlers find at ``owner`` what the test put there."""

    daemon_threads = True
    owner: Any = None

    def handle_error(self, *_: object) -> None:
        """Say nothing: the client went."""


@contextlib.contextmanager
def serving(
    handler: type[http.server.BaseHTTPRequestHandler],
    owner: object = None,
    *,
    tls: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[int]:
    """While it is up, its port: one of its own unless one is given."""
    server = LoopbackServer(("127.0.0.1", port), handler)
    server.owner = owner
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
