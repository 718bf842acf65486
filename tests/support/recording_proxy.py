"""A proxy on loopback that notes what it is asked for, and passes nothing on."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator


class RecordingProxy:
    """Answers every request itself.

    Args:
        answer: the response, head and body.
    """

    def __init__(self, answer: bytes) -> None:
        self.asked: list[str] = []
        """The first lines: ``GET http://host/path HTTP/1.1`` or ``CONNECT host:port HTTP/1.1``."""
        asked = self.asked

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                line = self.rfile.readline().decode("latin-1").strip()
                asked.append(line)
                while self.rfile.readline().strip():
                    pass
                self.wfile.write(answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def authorities(self) -> set[str]:
        """Hosts, with the port where one was named."""
        return {
            target.partition("://")[2].partition("/")[0] or target
            for target in (line.split()[1] for line in self.asked)
        }

    def serve(self) -> None:
        """Until it is closed."""
        self._server.serve_forever(0.01)

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


REFUSED = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@contextlib.contextmanager
def recording_proxy(answer: bytes = REFUSED) -> Iterator[RecordingProxy]:
    """One that runs until the end."""
    proxy = RecordingProxy(answer)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
