"""The load generator: prebuilt requests on keep-alive connections, and how long each answer took.

Two ways to ask. ``saturate`` keeps every connection busy, which shows how much a server can do; its
latencies only say how long the queue was. ``pace`` sends by a timetable, whatever the server does, and
counts from the moment a request was *due*: a server that stalls pays for all that would have come
meanwhile (no coordinated omission).

It is not the bottleneck: ``compare`` measures it first against a server that answers a fixed text, and
reports the share of a core that it takes in every cell.
"""

import asyncio
import dataclasses
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from typing import Final, Self, cast

CONNECTIONS: Final = 16
ANSWER_SECONDS: Final = 60.0
_LENGTH: Final = b"content-length:"
_HEAD_END: Final = b"\r\n\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked"
_LAST_CHUNK: Final = b"0\r\n\r\n"


class UnexpectedAnswer(Exception):
    """A server answered something else than the workload is about; the message shows it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Exchange:
    """A request as bytes, and the statuses that its answer may have; any when none is named."""

    request: bytes
    statuses: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Turns:
    """What one client does again and again."""

    begin: Callable[[], Generator[Exchange, bytes, None]]
    """One turn: yields exchanges to be made one after the other on one connection, and is sent each answer."""
    length: int = 1
    """How many exchanges a turn has."""


@dataclasses.dataclass(slots=True)
class Sample:
    """What was measured.

    Attributes:
        answers: how many were counted.
        seconds: from the first request to the last answer.
        latencies: of each answer, in seconds.
        client: processor seconds that the generator took.
    """

    answers: int
    seconds: float
    latencies: list[float]
    client: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


class _Connection(asyncio.Protocol):
    """One keep-alive connection; one exchange at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = -1
        self._body_at = 0
        self._waiting: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody will answer any more."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(
                UnexpectedAnswer(f"the connection ended, or an answer had no length ({exc})")
            )

    def data_received(self, data: bytes) -> None:
        """Collect an answer until it is whole."""
        buffer = self._buffer
        buffer += data
        if self._needed < 0:
            end = buffer.find(_HEAD_END)
            if end < 0:
                return
            head = bytes(buffer[:end]).lower()
            at = head.find(_LENGTH)
            self._body_at = end + 4
            if at >= 0:
                self._needed = self._body_at + int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0])
            elif head.startswith((b"http/1.1 204", b"http/1.1 304")):
                self._needed = self._body_at
            elif _CHUNKED in head:
                if not buffer.endswith(_LAST_CHUNK):
                    return
                self._needed = len(buffer)
            else:
                self.connection_lost(None)
                return
        if len(buffer) >= self._needed and self._waiting is not None:
            answer = bytes(buffer[: self._needed])
            del buffer[: self._needed]
            self._needed = -1
            waiting, self._waiting = self._waiting, None
            if not waiting.done():
                waiting.set_result(answer)

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the future yields the whole answer."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


def status_of(answer: bytes) -> int:
    """The status of a whole answer."""
    return int(answer[9:12])


def body_of(answer: bytes) -> bytes:
    """The body of a whole answer."""
    head, _, body = answer.partition(_HEAD_END)
    if _CHUNKED not in head.lower():
        return body
    whole = bytearray()
    while body:
        size, _, rest = body.partition(b"\r\n")
        whole += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return bytes(whole)


async def _checked(connection: _Connection, exchange: Exchange) -> bytes:
    answer = await connection.ask(exchange.request)
    if exchange.statuses and status_of(answer) not in exchange.statuses:
        raise UnexpectedAnswer(
            f"{exchange.statuses} expected, got:\n{answer[:1500].decode(errors='replace')}\n"
            f"for:\n{exchange.request[:800].decode(errors='replace')}"
        )
    return answer


def _next(turn: Generator[Exchange, bytes, None], answer: bytes) -> Exchange | None:
    try:
        return turn.send(answer)
    except StopIteration:
        return None


class Client:
    """Connections to one server."""

    def __init__(self, host: str, port: int, connections: int = CONNECTIONS) -> None:
        self._address, self._number = (host, port), connections
        self._open: list[_Connection] = []

    async def __aenter__(self) -> Self:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(self._number):
            _, connection = await loop.create_connection(_Connection, *self._address)
            self._open.append(connection)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        for connection in self._open:
            connection.close()

    async def once(self, exchange: Exchange) -> bytes:
        """Make one exchange, and return the body."""
        return body_of(await asyncio.wait_for(_checked(self._open[0], exchange), ANSWER_SECONDS))

    async def saturate(self, turns: Turns, seconds: float) -> Sample:
        """Keep all connections busy for so long, and until somebody has finished a turn."""
        latencies: list[float] = []
        clock = time.perf_counter
        began, cpu = clock(), time.process_time()

        async def keep_asking(connection: _Connection) -> None:
            while not latencies or clock() - began < seconds:
                turn = turns.begin()
                exchange: Exchange | None = next(turn)
                while exchange is not None:
                    asked = clock()
                    answer = await _checked(connection, exchange)
                    latencies.append(clock() - asked)
                    exchange = _next(turn, answer)

        async with asyncio.timeout(seconds + ANSWER_SECONDS):
            await asyncio.gather(*(keep_asking(connection) for connection in self._open))
        return Sample(len(latencies), clock() - began, latencies, time.process_time() - cpu)

    async def pace(self, turns: Turns, seconds: float, rate: float) -> Sample:
        """Begin exchanges by a timetable of ``rate`` per second; latencies count from when each was due.

        The exchanges of one turn follow each other on one connection, and are due one after the other.
        """
        latencies: list[float] = []
        clock, free = time.perf_counter, asyncio.Queue[_Connection]()
        for connection in self._open:
            free.put_nowait(connection)
        began, cpu = clock(), time.process_time()

        async def take(due: float, connection: _Connection) -> None:
            turn = turns.begin()
            exchange: Exchange | None = next(turn)
            while exchange is not None:
                early = due - clock()
                if early > 0:
                    await asyncio.sleep(early)
                answer = await _checked(connection, exchange)
                latencies.append(clock() - due)
                due += turns.length / rate
                exchange = _next(turn, answer)
            free.put_nowait(connection)

        async with asyncio.timeout(seconds + ANSWER_SECONDS), asyncio.TaskGroup() as group:
            due = began
            while due - began < seconds:
                early = due - clock()
                if early > 0:
                    await asyncio.sleep(early)
                group.create_task(take(due, await free.get()))
                due += turns.length / rate
        return Sample(len(latencies), clock() - began, latencies, time.process_time() - cpu)


def percentile(latencies: Sequence[float], share: float) -> float:
    """The latency in seconds that this share of answers did not exceed."""
    ordered = sorted(latencies)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def histogram(latencies: Sequence[float]) -> dict[str, int]:
    """Answers by their latency, in buckets that each end about 10 % later: microseconds to count."""
    steps = Counter(math.ceil(math.log(max(1.0, latency * 1e6), 1.1)) for latency in latencies)
    return {str(round(1.1**step)): steps[step] for step in sorted(steps)}
