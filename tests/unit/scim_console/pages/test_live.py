"""What an open page is told."""

import contextlib
import threading
from collections.abc import Iterator

from scim_console.live import Streams, Watch
from scim_console.memory import Memory
from scim_console.model import Denied
from scim_console.pages.live import _events
from scim_console.rendering import Console, environment
from support.played_source import NOW, PlayedSource


def _console(source: PlayedSource) -> Console:
    return Console(source, Memory(source), Watch(source), Streams(), "csrf", lambda: NOW, environment())


async def test_a_change_is_an_event_and_so_is_the_end_of_the_watch() -> None:
    told = threading.Event()
    source = PlayedSource()

    def changes(stop: threading.Event) -> Iterator[None]:
        yield None
        told.wait(10)
        raise Denied("you need watch on scimtokens\nin team")

    source.changes = changes
    async with contextlib.aclosing(_events(_console(source))) as events:
        assert await anext(events) == "event: changed\ndata: \n\n"
        told.set()
        async for event in events:
            if "state" in event:
                assert (
                    event == 'event: state\ndata: {"message": "you need watch on scimtokens\\nin team"}\n\n'
                )
                break
