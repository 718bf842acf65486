"""The workqueue: which ScimToken is due when, and none of them twice at once. Pure: time is a number from outside."""

import dataclasses
import heapq
import itertools
from datetime import timedelta

from scim_operator.planning.ports import Key


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile says about the next one (controller-runtime's ``reconcile.Result``)."""

    requeue_after: timedelta | None = None
    """From now; None when only an event calls for another one."""
    requeue: bool = False
    """Whether something outside was in the way: reconcile again, with backoff."""
    reason: str = ""
    """Of the failure; for logs."""


class Workqueue:
    """When each key is due, and which keys are being processed. Moments are seconds of one clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._due: dict[Key, float] = {}
        self._processing: dict[Key, float | None] = {}
        """Keys being processed, each with the moment at which it was added meanwhile."""
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: Key, moment: float) -> None:
        """Make ``key`` due at ``moment``, or at the moment it already has, whichever is earlier."""
        if key in self._processing:
            added = self._processing[key]
            self._processing[key] = moment if added is None else min(added, moment)
            return
        present = self._due.get(key)
        if present is None or moment < present:
            self._due[key] = moment
            heapq.heappush(self._heap, (moment, next(self._order), key))

    def clear(self) -> None:
        """Drop what is due later; what is being processed goes on."""
        self._heap.clear()
        self._due.clear()
        self._processing = dict.fromkeys(self._processing)

    def get(self, now: float) -> Key | None:
        """The key longest due at ``now``, or None; it counts as being processed until ``done``."""
        moment = self.next_due()
        if moment is None or moment > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        self._processing[key] = None
        return key

    def done(self, key: Key) -> None:
        """``key`` is no longer being processed; if it was added meanwhile, it is due again."""
        added = self._processing.pop(key, None)
        if added is not None:
            self.add(key, added)

    def next_due(self) -> float | None:
        """When the earliest key is due; None when the queue is empty."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
