"""The load generator: it notices wrong answers, and a server that stalls pays for the time it stood still."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager

import pytest

from bench.load import Client, Exchange, Turns, UnexpectedAnswer, body_of, histogram, percentile

REQUEST = b"GET / HTTP/1.1\r\nHost: scim.example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


@asynccontextmanager
async def served(answer: Callable[[int], tuple[float, bytes]]) -> AsyncIterator[int]:
    """A server that answers its n-th request so many seconds later; yields its port."""
    asked = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await reader.readuntil(b"\r\n\r\n"):
            asked += 1
            wait, text = answer(asked)
            await asyncio.sleep(wait)
            if not text:
                break
            writer.write(text)
        writer.close()

    def ended(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(talk(reader, writer))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    server = await asyncio.start_server(ended, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def always(*statuses: int) -> Turns:
    def turn() -> Generator[Exchange, bytes, None]:
        yield Exchange(REQUEST, statuses)

    return Turns(turn)


async def test_an_answer_with_another_status_ends_the_measurement() -> None:
    async with served(lambda _: (0, OK)) as port, Client("127.0.0.1", port, 2) as client:
        with pytest.raises(UnexpectedAnswer, match=r"\(404,\) expected"):
            await client.saturate(always(404), 5)


async def test_a_connection_that_ends_ends_the_measurement() -> None:
    ending = served(lambda number: (0, OK if number < 5 else b""))
    async with ending as port, Client("127.0.0.1", port, 1) as client:
        with pytest.raises(UnexpectedAnswer):
            await client.saturate(always(200), 5)


async def test_bodies_in_chunks_are_put_together() -> None:
    assert body_of(CHUNKED) == b"abcde"
    async with served(lambda _: (0, CHUNKED)) as port, Client("127.0.0.1", port, 1) as client:
        assert await client.once(Exchange(REQUEST, (200,))) == b"abcde"


async def test_every_answer_of_every_connection_is_counted() -> None:
    answered = 0

    def count(_: int) -> tuple[float, bytes]:
        nonlocal answered
        answered += 1
        return 0, OK

    async with served(count) as port, Client("127.0.0.1", port, 4) as client:
        sample = await client.saturate(always(200), 0.2)

    assert sample.answers == len(sample.latencies) == answered


async def test_a_stall_delays_all_that_was_due_meanwhile() -> None:
    """With one connection and a stall of 0.5 s, fifty requests of a timetable of 100/s were due meanwhile."""
    stalling = served(lambda number: (0.5 if number == 10 else 0, OK))
    async with stalling as port, Client("127.0.0.1", port, 1) as client:
        sample = await client.pace(always(200), 1.0, 100)

    late = [latency for latency in sample.latencies if latency > 0.1]
    assert len(late) >= 30  # a generator that waits before it sends the next would count one


async def test_a_turn_is_sent_the_answers_it_needs() -> None:
    seen: list[bytes] = []

    def turn() -> Generator[Exchange, bytes, None]:
        seen.append((yield Exchange(REQUEST)))
        seen.append((yield Exchange(REQUEST)))

    counting = served(lambda number: (0, OK.replace(b"{}", b"%02d" % number)))
    async with counting as port, Client("127.0.0.1", port, 1) as client:
        await client.pace(Turns(turn, 2), 0.05, 40)

    assert [body_of(answer) for answer in seen[:2]] == [b"01", b"02"]


def test_percentiles_and_histograms_tell_the_same_latencies() -> None:
    latencies = [number / 1e6 for number in range(1, 1001)]

    assert percentile(latencies, 0.5) == 501 / 1e6
    assert percentile(latencies, 0.999) == 1000 / 1e6
    buckets = histogram(latencies)
    assert sum(buckets.values()) == 1000
    assert sum(number for end, number in buckets.items() if int(end) <= 501) == pytest.approx(500, abs=50)
