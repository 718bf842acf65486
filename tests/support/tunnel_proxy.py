"""A company's way out: a proxy on loopback whose tunnels end at servers with certificates of a private authority."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cryptography.x509.oid import ExtendedKeyUsageOID

from localcluster.pki import Authority

_CHUNK: Final = 65_536


class TunnelProxy:
    """Takes CONNECT, plays the server that was asked for, and passes what it hears on in the clear.

    Args:
        origin: host and port of the plain HTTP server behind all names.
        names: of the servers.
        directory: for the authority's files.

    Attributes:
        asked: the authorities that were asked for, in their order.
        authority: file with the private authority's certificate.
    """

    def __init__(self, origin: tuple[str, int], names: tuple[str, ...], directory: Path) -> None:
        self.asked: list[str] = []
        authority = Authority.create(directory, "company-ca")
        authority.issue("outside", "outside", ExtendedKeyUsageOID.SERVER_AUTH, names=names)
        self.authority = directory / "company-ca.crt"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "outside.crt", directory / "outside.key")
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    proxy._serve(self.request, context, origin)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def _serve(self, client: socket.socket, context: ssl.SSLContext, origin: tuple[str, int]) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(_CHUNK)
            if not part:
                return
            head += part
        self.asked.append(head.split()[1].decode("ascii"))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with context.wrap_socket(client, server_side=True) as inside, socket.create_connection(origin) as out:
            back = threading.Thread(target=_pass_on, args=(out, inside), daemon=True)
            back.start()
            _pass_on(inside, out)
            back.join(5)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(_CHUNK):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def tunnel_proxy(origin: tuple[str, int], names: tuple[str, ...], directory: Path) -> Iterator[TunnelProxy]:
    """One that runs until the end."""
    proxy = TunnelProxy(origin, names, directory)
    thread = threading.Thread(target=proxy._server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy._server.shutdown()
        proxy._server.server_close()
        thread.join()
