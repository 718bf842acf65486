"""Blocking iterators as streams, and the watch that all pages share."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from scim_console.live import State, Streams, Watch, event, stream
from scim_console.model import Denied, Unreachable
from support.played_source import PlayedSource


async def test_a_stream_has_what_the_iterator_has_and_its_error() -> None:
    def produce(_stop: threading.Event) -> Iterator[int]:
        yield from (1, 2)
        raise Unreachable("gone")

    got = []
    with pytest.raises(Unreachable, match="gone"):
        async for one in Streams().items(produce):
            got.append(one)
    assert got == [1, 2]


async def test_whoever_leaves_ends_the_iterator() -> None:
    ended = threading.Event()

    def produce(stop: threading.Event) -> Iterator[int]:
        try:
            yield 1
            stop.wait(20)
        finally:
            ended.set()

    async with contextlib.aclosing(Streams().items(produce)) as items:
        assert await anext(items) == 1
    assert await asyncio.to_thread(ended.wait, 10)


async def test_closing_ends_who_waits_for_the_next_item_and_who_comes_later() -> None:
    streams, waiting, never = Streams(), threading.Event(), threading.Event()

    def produce(_stop: threading.Event) -> Iterator[int]:
        """Like checks, which nothing interrupts."""
        waiting.set()
        never.wait(60)
        yield from ()

    async def all_of_it() -> list[int]:
        return [one async for one in streams.items(produce)]

    task = asyncio.create_task(all_of_it())
    try:
        assert await asyncio.to_thread(waiting.wait, 10)
        await asyncio.to_thread(streams.close)
        assert await asyncio.wait_for(task, 10) == []
        assert await asyncio.wait_for(all_of_it(), 10) == []
    finally:
        never.set()


def test_one_watch_serves_all_pages_and_is_begun_again() -> None:
    begun: list[threading.Event] = []
    source, go_on = PlayedSource(), threading.Event()

    def changes(stop: threading.Event) -> Iterator[None]:
        begun.append(stop)
        if len(begun) == 1:
            raise Unreachable("the cluster is gone")
        go_on.wait(10)
        yield None
        raise Denied("you need watch")

    source.changes = changes
    watch, stop = Watch(source, retry=0), threading.Event()
    first, second = watch.follow(stop), watch.follow(stop)
    assert isinstance(next(first), State)
    assert isinstance(next(second), State)
    go_on.set()
    for states in (first, second):
        assert next(state for state in states if not state.is_live and "gone" not in state.message) == State(
            False, "you need watch"
        )
    assert len(begun) == 2


def test_a_cluster_that_is_gone_does_not_pass_for_live_between_attempts() -> None:
    source, attempts, said = PlayedSource(), list[int](), list[State]()

    def changes(stop: threading.Event) -> Iterator[None]:
        attempts.append(1)
        source.all = Unreachable("gone")
        yield from ()
        raise Unreachable("gone")

    source.changes = changes
    watch = Watch(source, retry=0)
    for state in watch.follow(threading.Event()):
        said.append(state)
        if len(said) == 20:
            source.all = ()
        if len(attempts) > 1:
            break
    watch.close()
    assert {one.is_live for one in said[2:19]} == {False}


def test_a_watch_that_may_not_be_is_not_tried_again() -> None:
    source, calls = PlayedSource(), list[int]()

    def changes(stop: threading.Event) -> Iterator[None]:
        calls.append(1)
        yield from ()
        raise Denied("no")

    source.changes = changes
    watch = Watch(source, retry=0)
    assert next(one for one in watch.follow(threading.Event()) if not one.is_live).message == "no"
    assert watch._thread is not None
    watch._thread.join(10)
    assert calls == [1]


def test_closing_ends_the_watch() -> None:
    source = PlayedSource()

    def changes(stop: threading.Event) -> Iterator[None]:
        stop.wait(10)
        yield from ()

    source.changes = changes
    watch = Watch(source)
    next(watch.follow(threading.Event()))
    watch.close()
    assert watch._thread is not None
    watch._thread.join(10)
    assert not watch._thread.is_alive()


def test_an_event_of_several_lines_has_each_of_them_as_data() -> None:
    assert event("item", "<li>\n</li>") == "event: item\ndata: <li>\ndata: </li>\n\n"
    assert event("end") == "event: end\ndata: \n\n"
    assert event("item", "x", "c-1") == "id: c-1\nevent: item\ndata: x\n\n"
    for forged in ("1\nevent: item", "1\n", "1\r", ""):
        assert event("item", "x", forged) == "event: item\ndata: x\n\n"


def test_what_goes_on_is_an_event_stream() -> None:
    async def none() -> object:
        yield

    assert stream(none()).media_type == "text/event-stream"  # type: ignore[arg-type]
