"""Faults that a test, or a torture, plants: what becomes of requests that match."""

import dataclasses
import enum
import json
import random
import re
import threading
from typing import Final, Self

from entra_standin.graph.errors import GraphError, SignInError

GRAPH: Final = r"^/graph/"
LOGIN: Final = r"^/login/"
_NESTED: Final = {
    "error": {
        "code": "ServiceUnavailable",
        "message": json.dumps({"Message": "The request was refused by a service behind this one."}),
    }
}


class Fault(enum.StrEnum):
    """What happens instead of the right answer."""

    NOT_FOUND = "404"
    UNAUTHORIZED = "401"
    """``UnknownError`` without a message."""
    CONFLICT = "409"
    THROTTLED = "429"
    """With ``Retry-After`` when ``retry_after`` is given."""
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    NESTED = "nested"
    """400 whose message is a JSON document with another in its message."""
    HANGING = "hanging"
    """No answer until the fault is stopped, the client gives up or the cloud is closed."""
    CLOSED = "closed"
    """The connection is closed without an answer."""
    LATENCY = "latency"
    """The right answer, ``seconds`` later."""
    STALE = "stale"
    """A write is done, and reads of the application show for ``seconds`` what was before: 404 for a new job."""


_PLAIN: Final = {
    Fault.CONFLICT: (409, "Conflict", "Another object with the same value already exists."),
    Fault.SERVER_ERROR: (500, "InternalServerError", "An internal error has occurred."),
    Fault.BAD_GATEWAY: (502, "BadGateway", ""),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable", "The service is temporarily unavailable."),
    Fault.GATEWAY_TIMEOUT: (504, "GatewayTimeout", ""),
}


@dataclasses.dataclass(eq=False)
class Injection:
    """One planted fault; as a context manager it stops at the end of the block.

    Attributes:
        fault: what.
        times: how many requests it still meets; None is until it is stopped.
        method: of HTTP; None is any.
        path: a regular expression that is searched in the path.
        retry_after: seconds, with ``THROTTLED`` and ``UNAVAILABLE``.
        seconds: with ``LATENCY`` and ``STALE``.
        after_effect: the request is done before its answer is lost or replaced.
        chance: of meeting a request that matches, from 0 to 1.
        hits: how many requests it met.
    """

    fault: Fault
    times: int | None = 1
    method: str | None = None
    path: str = GRAPH
    retry_after: int | None = None
    seconds: float = 1.0
    after_effect: bool = False
    chance: float = 1.0
    hits: int = 0
    stopped: threading.Event = dataclasses.field(default_factory=threading.Event, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Meet no further request, and let go those that hang."""
        self.stopped.set()

    @property
    def is_over(self) -> bool:
        """Whether it meets no further request."""
        return self.stopped.is_set() or self.times == 0

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one that it is for."""
        return (
            not self.is_over
            and self.method in (None, method)
            and re.search(self.path, path) is not None
            and (self.fault is not Fault.STALE or method not in ("GET", "HEAD"))
        )


class Faults:
    """All that is planted. Several threads may use it at once."""

    def __init__(self, seed: int = 0) -> None:
        self._planted: list[Injection] = []
        self._lock = threading.Lock()
        self._random = random.Random(seed)

    def inject(
        self,
        fault: Fault,
        *,
        times: int | None = 1,
        method: str | None = None,
        path: str = GRAPH,
        retry_after: int | None = None,
        seconds: float = 1.0,
        after_effect: bool = False,
        chance: float = 1.0,
    ) -> Injection:
        """Plant one. ``Injection`` tells of the arguments; ``path=LOGIN`` is for the token endpoint."""
        planted = Injection(fault, times, method, path, retry_after, seconds, after_effect, chance)
        with self._lock:
            self._planted.append(planted)
        return planted

    def clear(self) -> None:
        """Stop all."""
        with self._lock:
            for planted in self._planted:
                planted.stop()
            self._planted.clear()

    def take(self, method: str, path: str) -> list[Injection]:
        """The faults that meet this request: every latency, and the first other one."""
        met: list[Injection] = []
        with self._lock:
            self._planted = [planted for planted in self._planted if not planted.is_over]
            for planted in self._planted:
                is_other = planted.fault is not Fault.LATENCY
                if is_other and any(one.fault is not Fault.LATENCY for one in met):
                    continue
                if planted.matches(method, path) and self._random.random() < planted.chance:
                    planted.hits += 1
                    if planted.times is not None:
                        planted.times -= 1
                    met.append(planted)
        return met


def refusal(planted: Injection, path: str) -> GraphError | SignInError:
    """The answer that a fault gives instead of the right one, where it gives one."""
    if re.search(LOGIN, path):
        status = int(planted.fault.value) if planted.fault.value.isdigit() else 400
        return SignInError(90033, "A transient error has occurred. Please try again.", "temporarily_unavailable", status, planted.retry_after)  # fmt: skip
    match planted.fault:
        case Fault.NOT_FOUND:
            resource = path.rpartition("/")[2]
            return GraphError(404, "Request_ResourceNotFound", f"Resource '{resource}' does not exist.")
        case Fault.UNAUTHORIZED:
            return GraphError(401, "UnknownError")
        case Fault.THROTTLED:
            return GraphError(429, "TooManyRequests", "Too many requests", planted.retry_after)
        case Fault.NESTED:
            return GraphError(400, "UnknownError", json.dumps(_NESTED))
        case _:
            status, code, message = _PLAIN[planted.fault]
            return GraphError(status, code, message, planted.retry_after)
