"""PostgreSQL's TLS in front of a server that was built without: what a provider's proxy does."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

from support.cut import Relay

_SSL_REQUEST: Final = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


class TlsRelay(Relay):
    """Takes TLS on loopback, refuses sessions without, and relays to ``host:port`` in the clear.

    Args:
        host: of the server.
        port: its port.
        certificate: file of the certificate; its key is beside it, with the suffix ``.key``.
    """

    def __init__(self, host: str, port: int, certificate: Path) -> None:
        super().__init__(host, port)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, certificate.with_suffix(".key"))

    async def _takes(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        if await reader.readexactly(len(_SSL_REQUEST)) != _SSL_REQUEST:
            return False
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(self._context)
        return True
