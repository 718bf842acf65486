"""Counting what an operation costs, in figures that depend on no machine.

Statements and transactions are counted where they arrive: PostgreSQL's on the wire, by a relay between client
and server, SQLite's by SQLite itself. Python is counted in bytecode instructions, which are the same on each
run with the same versions of Python and libraries.
"""

import asyncio
import contextlib
import dataclasses
import selectors
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import apsw
import httpx

from scim_api.store.protocol import Store
from scim_api.store.sqlite.store import SqliteStore
from support.wire import Line

_SOCKET: Final = ".s.PGSQL.5432"
_NOT_COUNTED: Final = tuple(
    str(Path(place))
    for place in (
        Path(asyncio.__file__).parent,
        selectors.__file__,
        threading.__file__,
        socket.__file__,
        Path(httpx.__file__).parent,
        Path(__file__).parents[1],
    )
)
"""The event loop's own work depends on when the kernel hands over which bytes; the client and the tests are no
part of what an operation costs."""

_ASKED_AGAIN: Final = frozenset({Line.is_waiting_for_the_client.__code__, Line.has_answered.__code__})
"""By the client, each millisecond, while a commit waits for the disk: no part of it either."""


@dataclasses.dataclass
class Counted:
    """What has been counted so far."""

    statements: int = 0
    """As the database was asked to run them, BEGIN and COMMIT included."""
    transactions: int = 0
    """SQLite: commits. PostgreSQL: transactions ended, those of single statements included."""


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None]
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            look(data)
            writer.write(data)
            await writer.drain()
    writer.close()


class _Messages:
    """Splits one direction of a conversation into messages: a type byte, then a length, then the rest."""

    def __init__(self, see: Callable[[bytes, bytes], None], *, startup: bool) -> None:
        self._see, self._startup, self._buffer = see, startup, bytearray()

    def __call__(self, data: bytes) -> None:
        """Take some bytes."""
        self._buffer += data
        while True:
            at = 0 if self._startup else 1  # a client's first message has no type
            if len(self._buffer) < at + 4:
                return
            size = at + int.from_bytes(self._buffer[at : at + 4])
            if len(self._buffer) < size:
                return
            if not self._startup:
                self._see(bytes(self._buffer[:1]), bytes(self._buffer[5:size]))
            self._startup = False
            del self._buffer[:size]


@contextlib.asynccontextmanager
async def relayed(url: str, directory: Path, counted: Counted) -> AsyncIterator[str]:
    """A URL for the same database through a relay that counts."""
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or "127.0.0.1"])[0]

    def from_client(kind: bytes, _rest: bytes) -> None:
        # Execute and Query run a statement each; Flush is what one that is prepared waits for.
        counted.statements += kind in b"EQH"

    def from_server(kind: bytes, rest: bytes) -> None:
        if kind == b"Z":  # ReadyForQuery, with I where no transaction is open
            counted.transactions += rest == b"I"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if host.startswith("/"):
            there = await asyncio.open_unix_connection(f"{host}/{_SOCKET}")
        else:
            there = await asyncio.open_connection(host, parts.port or 5432)
        await asyncio.gather(
            _copy(reader, there[1], _Messages(from_client, startup=True)),
            _copy(there[0], writer, _Messages(from_server, startup=False)),
        )

    server = await asyncio.start_unix_server(talk, directory / _SOCKET)
    async with server:
        netloc = parts.netloc.rpartition("@")[0]
        relay = parts._replace(
            netloc=f"{netloc}@" if netloc else "", query=f"host={quote(str(directory), safe='')}"
        )
        yield urlunsplit(relay)


async def watch_sqlite(store: SqliteStore, counted: Counted) -> None:
    """Count the statements and commits of a store's connections from now on."""

    def statement(event: dict[str, Any]) -> None:
        counted.statements += not event["sql"].startswith("--")  # what a trigger runs

    def commit() -> bool:
        counted.transactions += 1
        return False

    def writer(connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, statement)
        connection.set_commit_hook(commit)

    assert store._reader is not None
    store._reader.trace_v2(apsw.SQLITE_TRACE_STMT, statement)
    await store._write(writer)


class Instructions:
    """Counts the bytecode instructions of the threads that it is switched on in."""

    def __init__(self) -> None:
        self.number = 0

    def _called(self, frame: FrameType, _event: str, _argument: object) -> Any:
        if frame.f_code.co_filename.startswith(_NOT_COUNTED):
            return None
        if frame.f_back is not None and frame.f_back.f_code in _ASKED_AGAIN:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._stepped

    def _stepped(self, _frame: FrameType, event: str, _argument: object) -> Any:
        self.number += event == "opcode"
        return self._stepped

    @contextlib.asynccontextmanager
    async def counting(self, store: Store) -> AsyncIterator[None]:
        """Count in this thread meanwhile, and in the one in which the store writes."""
        if isinstance(store, SqliteStore):
            await store._write(lambda _: sys.settrace(self._called))
        sys.settrace(self._called)
        try:
            yield
        finally:
            sys.settrace(None)
            if isinstance(store, SqliteStore):
                await store._write(lambda _: sys.settrace(None))
