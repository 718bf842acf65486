"""Iterators that block, as streams of server-sent events; and the one watch that all open pages share."""

import asyncio
import contextlib
import dataclasses
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Final, TypeVar

from starlette.responses import StreamingResponse

from scim_console.model import Denied, Missing, Source, Unreachable

T = TypeVar("T")
RETRY: Final = 5.0
"""Seconds until a watch that ended is begun again."""
_LOOK: Final = 1.0
"""Seconds within which a follower sees that nobody listens any more."""


class Streams:
    """All that is followed while pages are open, so that it ends with the server."""

    def __init__(self) -> None:
        self._ends: dict[threading.Event, Callable[[], None]] = {}
        self._is_closed = False

    def close(self) -> None:
        """End all of them, and those that are still asked for; from any thread."""
        self._is_closed = True
        for stop, end in list(self._ends.items()):
            stop.set()
            end()

    async def items(self, produce: Callable[[threading.Event], Iterator[T]]) -> AsyncGenerator[T, None]:
        """What a blocking iterator has, each when it is there; whoever leaves ends it.

        Args:
            produce: called in a thread of its own, with what is set when nobody listens any more.

        Raises:
            Denied, Missing, Unreachable: what the iterator raised.
        """
        loop, stop = asyncio.get_running_loop(), threading.Event()
        queue: asyncio.Queue[tuple[T] | Exception | None] = asyncio.Queue()

        def put(item: tuple[T] | Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def run() -> None:
            try:
                for item in produce(stop):
                    put((item,))
                    if stop.is_set():
                        break
            except Exception as error:  # noqa: BLE001 (it is raised where it is waited for)
                put(error)
            put(None)

        self._ends[stop] = lambda: put(None)
        threading.Thread(target=run, daemon=True, name="console-stream").start()
        try:
            while not self._is_closed:
                got = await queue.get()
                if got is None:
                    return
                if isinstance(got, Exception):
                    raise got
                yield got[0]
        finally:
            stop.set()
            self._ends.pop(stop, None)


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """How the watch is."""

    is_live: bool
    message: str = ""
    """Why it is not live, and what to do."""


class Watch:
    """Tells all open pages that something may have changed.

    Args:
        source: what is watched.
        retry: seconds until a watch that ended is begun again.
    """

    def __init__(self, source: Source, retry: float = RETRY) -> None:
        self._source, self._retry = source, retry
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._version, self._state = 0, State(True)

    def close(self) -> None:
        """End it."""
        self._stop.set()

    def follow(self, stop: threading.Event) -> Iterator[State]:
        """How it is, each time that something may have changed. The watch begins with the first who follows."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="console-watch")
                self._thread.start()
        seen = 0

        def is_news() -> bool:
            return self._version != seen

        while not stop.is_set():
            with self._changed:
                if not self._changed.wait_for(is_news, _LOOK):
                    continue
                seen, state = self._version, self._state
            yield state

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if not self._state.is_live:  # a watch says nothing while there is nothing to say
                    self._source.tokens()
                self._tell(State(True))
                for _ in self._source.watch(self._stop):
                    self._tell(State(True))
            except Denied as error:
                self._tell(State(False, str(error)))
                return
            except (Missing, Unreachable) as error:
                self._tell(State(False, str(error)))
            self._stop.wait(self._retry)

    def _tell(self, state: State) -> None:
        with self._changed:
            self._version, self._state = self._version + 1, state
            self._changed.notify_all()


def event(name: str, data: str = "", identity: str = "") -> str:
    """A server-sent event (HTML Living Standard, section 9.2); an identity of more than one line is left out."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    known = f"id: {identity}\n" if identity.splitlines() == [identity] else ""
    return f"{known}event: {name}\n{lines}\n"


def stream(events: AsyncIterator[str]) -> StreamingResponse:
    """An answer that goes on."""
    return StreamingResponse(events, media_type="text/event-stream")
