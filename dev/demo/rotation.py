"""Rotation under continuous requests: some clients keep the token they have, others take the Secret's."""

import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import Final, Self

from demo.console import DemoFailed, until
from entra_standin.client import EntraClient
from entra_standin.errors import EntraError, Rejected

_CLIENTS_OF_EACH: Final = 2
_PAUSE_SECONDS: Final = 0.1
"""Between two requests of one client: 40 a second together, more than Entra sends (25 a second for a tenant,
Microsoft Learn) and less than the default rate limit, which would rightly answer 429."""
_ENOUGH: Final = 60
"""Requests with each token before and after the rotation, before it counts as seen."""
_SECONDS: Final = 30.0
_OK: Final = 200


def ask(endpoint: str, token: str) -> int:
    """What Entra's Test Connection begins with, with this token; the status of the answer."""
    with EntraClient(endpoint, token) as client:
        return _find_nobody(client)


def _find_nobody(client: EntraClient) -> int:
    try:
        client.find_nobody()
    except Rejected as refused:
        return refused.status
    except EntraError as error:
        raise DemoFailed(str(error)) from None
    return _OK


class Load:
    """Clients that ask all the time, at a steady pace.

    Attributes:
        sent: requests answered so far, by token and status.
    """

    def __init__(self, endpoint: str, token: str) -> None:
        self._endpoint, self._old, self._published = endpoint, token, token
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.sent: collections.Counter[tuple[str, int]] = collections.Counter()
        self._failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(follows,), name=f"client {number}", daemon=True)
            for number, follows in enumerate([False, True] * _CLIENTS_OF_EACH)
        ]

    @classmethod
    @contextlib.contextmanager
    def on(cls, endpoint: str, token: str) -> Iterator[Self]:
        """Clients that run for the length of the block, all with ``token`` at first."""
        load = cls(endpoint, token)
        for thread in load._threads:
            thread.start()
        try:
            yield load
        finally:
            load._end.set()
            for thread in load._threads:
                thread.join()

    def publish(self, token: str) -> None:
        """Half of the clients use this token from now on, as if an admin had pasted it into Entra."""
        self._published = token

    def wait_enough(self, *tokens: str) -> None:
        """Wait until each of these tokens was used often enough from now on. Raises ``DemoFailed``."""
        before = {token: self.of(token) for token in tokens}
        until(
            "enough requests with each token",
            lambda: self._failures or all(self.of(token) - before[token] >= _ENOUGH for token in tokens),
            _SECONDS,
        )
        if self._failures:
            raise DemoFailed(self._failures[0])

    def of(self, token: str) -> int:
        """Requests answered with this token."""
        with self._lock:
            return sum(count for (used, _), count in self.sent.items() if used == token)

    @property
    def total(self) -> int:
        """All requests answered."""
        with self._lock:
            return self.sent.total()

    @property
    def rejected(self) -> int:
        """Those not answered with 200."""
        return sum(self.refusals().values())

    def refusals(self) -> dict[int, int]:
        """Every status but 200 -> how often it was the answer."""
        with self._lock:
            counts: collections.Counter[int] = collections.Counter()
            for (_, status), count in self.sent.items():
                counts[status] += count
        return {status: count for status, count in counts.items() if status != _OK}

    def _run(self, follows: bool) -> None:  # noqa: FBT001 (a thread's argument)
        while not self._end.is_set():
            token = self._published if follows else self._old
            try:
                with EntraClient(self._endpoint, token) as client:
                    while not self._end.is_set() and token == (self._published if follows else self._old):
                        status = _find_nobody(client)
                        with self._lock:
                            self.sent[token, status] += 1
                        self._end.wait(_PAUSE_SECONDS)
            except DemoFailed as error:
                self._failures.append(str(error))
                return
