"""A Service in miniature: connections go to whichever replica is ready, as far as the campaign has told."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

CONNECT_SECONDS: Final = 1.0
_CHUNK: Final = 65_536


class Balancer:
    """Forwards TCP connections to loopback ports, in turn.

    Args:
        ports: of the replicas, by name.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = dict(ports)
        self._turn = 0
        self.down: set[str] = set()
        """Replicas that a readiness probe would have taken out."""

    async def start(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop listening."""
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._turn += 1
        names = sorted(self._ports.keys() - self.down)
        with contextlib.suppress(OSError, TimeoutError):
            for offset in range(len(names)):
                name = names[(self._turn + offset) % len(names)]
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        other = await asyncio.open_connection("127.0.0.1", self._ports[name])
                except OSError:
                    continue
                await asyncio.gather(_pump(reader, other[1]), _pump(other[0], writer))
                break
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
