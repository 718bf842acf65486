"""A TCP relay on loopback that a test can cut: what a network partition looks like to one client."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Relay:
    """Relays to ``host:port`` until it is cut; then connections hang, as behind a dead link.

    Args:
        host: where to relay to.
        port: its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """From now on nothing passes, and nobody is told."""
        self._open.clear()

    def mend(self) -> None:
        """Let everything pass again."""
        self._open.set()

    def lead_to(self, host: str, port: int) -> None:
        """New connections go there; those that are open stay where they are, as when a name is changed."""
        self._target = (host, port)

    async def _takes(self, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bool:
        """Whether a connection is relayed at all; for subclasses, which may talk with the client before."""
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not await self._takes(reader, writer):
                writer.close()
                return
            there_reader, there_writer = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return
        for source, target in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._copy(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):  # a TLS error is one
                while data := await source.read(65_536):
                    await self._open.wait()
                    target.write(data)
                    await target.drain()
        finally:
            target.close()
