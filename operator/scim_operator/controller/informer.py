"""The watches on ScimTokens, ScimWebhooks and our Secrets, and nothing else with them: events in, ``WatchEvent`` messages out.

Each resource in each namespace has a watch of its own, so that one that is refused ends no other.
"""

import asyncio
import collections
import threading
import time
from collections.abc import Callable, Sequence

from scim_operator.adapters.watch_access import RESOURCES, WatchTarget
from scim_operator.controller.watch import FindObstacle, Watch
from scim_operator.controller.watch_events import WatchEvent
from scim_operator.settings import OperatorSettings


class Informer:
    """Watches ScimTokens, ScimWebhooks and our Secrets, and hands what it sees to the event loop that made it.

    Args:
        settings: which namespaces.
        deliver: called in the maker's loop with what was seen since the last call, in order.
        find_obstacle: awaited in the maker's loop before each start of a watch; what is in its way, or None.
        restarted: called in the maker's loop when a watch ended and is restarted.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        deliver: Callable[[Sequence[WatchEvent]], None],
        find_obstacle: FindObstacle,
        restarted: Callable[[], None],
    ) -> None:
        self._inbox = _EventQueue(asyncio.get_running_loop(), deliver)
        self._watches = [
            Watch(
                WatchTarget(resource, namespace),
                put=self._inbox.put,
                find_obstacle=find_obstacle,
                restarted=restarted,
            )
            for namespace in settings.watch_namespaces or (None,)
            for resource in RESOURCES
        ]

    @property
    def problem(self) -> str | None:
        """Why this process does not watch yet; None when it does. A namespace that can't be watched is no problem
        while another one is: see ``unwatched_namespaces``. Nor are ScimWebhooks: see ``WatchTarget.is_required``.
        """
        required = [watch for watch in self._watches if watch.target.is_required]
        closed = [watch for watch in required if not watch.is_open]
        waiting = [
            watch for watch in closed if watch.obstacle is None or not watch.obstacle.in_namespace_only
        ]
        if not waiting and len(closed) < len(required):
            return None
        reasons = [watch.obstacle.reason for watch in waiting or closed if watch.obstacle is not None]
        return f"not watching yet: {reasons[0]}" if reasons else "not watching yet"

    def unwatched_namespaces(self) -> frozenset[str]:
        """Those of the settings' namespaces in which something can't be watched now; the log says why."""
        return frozenset(
            watch.target.namespace
            for watch in self._watches
            if watch.target.is_required
            and watch.target.namespace is not None
            and not watch.is_open
            and watch.obstacle is not None
        )

    def silent_seconds(self) -> float:
        """How long the most silent of the threads has given no sign of life."""
        return max(watch.silent_seconds() for watch in self._watches)

    def start(self) -> None:
        """Begin to watch; returns at once."""
        for watch in self._watches:
            watch.start()

    async def stop(self, seconds: float) -> bool:
        """Ask the threads to end and wait for them; False when one did not end in time (they are daemons)."""
        self._inbox.close()
        for watch in self._watches:
            watch.ask_to_stop()
        return await asyncio.to_thread(self._join, time.monotonic() + seconds)

    def _join(self, deadline: float) -> bool:
        return all(watch.join(max(0.0, deadline - time.monotonic())) for watch in self._watches)


class _EventQueue:
    """Carries messages from kopf's thread into the main loop, many per wake-up."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Sequence[WatchEvent]], None]
    ) -> None:
        self._loop, self._deliver = loop, deliver
        self._waiting: collections.deque[WatchEvent] = collections.deque()
        self._called = False
        self._open = True
        self._lock = threading.Lock()

    def put(self, event: WatchEvent) -> None:
        """From kopf's thread."""
        with self._lock:
            self._waiting.append(event)
            if self._called or not self._open:
                return
            self._called = True
        self._loop.call_soon_threadsafe(self._flush)

    def close(self) -> None:
        """Deliver nothing more; the main loop is about to end."""
        with self._lock:
            self._open = False

    def _flush(self) -> None:
        with self._lock:
            batch = tuple(self._waiting)
            self._waiting.clear()
            self._called = False
            if not self._open:
                return
        self._deliver(batch)
