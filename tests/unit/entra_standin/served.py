"""The two services in memory, on the loopback address."""

import contextlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx

from support.loopback_server import serving
from unit.entra_standin.faulty_service import URL
from unit.entra_standin.token_service import World


@contextlib.contextmanager
def served(world: World) -> Iterator[str]:
    """The world on the loopback address; its origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            asked = httpx.Request(
                self.command,
                f"{URL[: URL.index('/', 8)]}{self.path}",
                headers=dict(self.headers),
                content=content,
            )
            answer = world.answer(asked)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}"
