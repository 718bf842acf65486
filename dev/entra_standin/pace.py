"""Requests at Entra's rate: a laptop sends more in a second than any tenant is let."""

import threading
import time
from collections.abc import Callable
from typing import Final

import httpx

REQUESTS_PER_SECOND: Final = 25.0
"""What Microsoft asks a SCIM endpoint to take from one tenant."""


class PacedTransport(httpx.BaseTransport):
    """Lets requests to another transport begin one interval apart at least.

    Args:
        transport: the other one.
        requests_per_second: at most, on average.
        clock: seconds that only go forward.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        transport: httpx.BaseTransport,
        requests_per_second: float = REQUESTS_PER_SECOND,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._interval = 1 / requests_per_second
        self._clock, self._sleep = clock, sleep
        self._next = clock()
        self._choosing = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it when its turn has come."""
        with self._choosing:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)
        return self._transport.handle_request(request)

    def close(self) -> None:
        """Close the other transport."""
        self._transport.close()
