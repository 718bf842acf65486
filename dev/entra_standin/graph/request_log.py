"""What was asked, for assertions on throttling and on calls for each rotation: no header, no body, no query."""

import collections
import dataclasses
import threading
from typing import Final

_KEPT: Final = 200_000


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One request.

    Attributes:
        time: POSIX time by the cloud's clock.
        method: of HTTP.
        path: without a query.
        template: the path with names in the place of ids; "" when there is no such resource.
        status: of the answer; 0 when there was none.
        faults: that met it.
    """

    time: float
    method: str
    path: str
    template: str
    status: int
    faults: tuple[str, ...] = ()


class RequestLog:
    """Requests in the order of their answers. Several threads may use it at once.

    Attributes:
        counts: by method and template since the beginning, or the last ``clear``.
        log: the last 200,000.
    """

    def __init__(self) -> None:
        self.counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self.log: collections.deque[LoggedRequest] = collections.deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def add(self, request: LoggedRequest) -> None:
        """Take one down."""
        with self._lock:
            self.counts[request.method, request.template] += 1
            self.log.append(request)

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self.counts.clear()
            self.log.clear()

    @property
    def total(self) -> int:
        """How many there were."""
        with self._lock:
            return self.counts.total()

    def times(self, method: str, template: str) -> list[float]:
        """When these were answered."""
        with self._lock:
            return [one.time for one in self.log if (one.method, one.template) == (method, template)]


class Limit:
    """So many requests within so many seconds, by key (Microsoft Graph: throttling limits)."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._taken: collections.defaultdict[object, collections.deque[float]] = collections.defaultdict(
            collections.deque
        )
        self._lock = threading.Lock()

    def wait(self, key: object, limit: int, now: float) -> float | None:
        """Take one, or tell how many seconds later there is one again."""
        with self._lock:
            taken = self._taken[key]
            while taken and taken[0] <= now - self._seconds:
                taken.popleft()
            if len(taken) >= limit:
                return (taken[0] if taken else now) + self._seconds - now
            taken.append(now)
            return None
