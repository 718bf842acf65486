"""Rotation under continuous requests: some clients keep the token they have, others take the Secret's."""

import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import Final, Self

from demo.console import DemoFailed, until
from entra_standin.client import EntraClient
from entra_standin.errors import EntraError, Rejected
from entra_standin.sign_in import SignIn

_CLIENTS_OF_EACH: Final = 2
_PAUSE_SECONDS: Final = 0.1
"""Between two requests of one client: 40 a second together, more than Entra sends (25 a second for a tenant,
Microsoft Learn) and less than the default rate limit, which would rightly answer 429."""
_ENOUGH: Final = 60
"""Requests with each token before and after the rotation, before it counts as seen."""
_SECONDS: Final = 30.0
_OK: Final = 200
_UNAUTHORIZED: Final = 401

Credential = str | SignIn
"""A secret token, or another way to sign in; each is told apart from every other."""


def ask(endpoint: str, credential: Credential) -> int:
    """What Entra's Test Connection begins with, signed in so; the status of the answer."""
    with EntraClient(endpoint, credential) as client:
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
        sent: requests answered so far, by credential and status; those that a client repeated, too.
    """

    def __init__(self, endpoint: str, credential: Credential) -> None:
        self._endpoint, self._old, self._published = endpoint, credential, credential
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.sent: collections.Counter[tuple[Credential, int]] = collections.Counter()
        self._failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(follows,), name=f"client {number}", daemon=True)
            for number, follows in enumerate([False, True] * _CLIENTS_OF_EACH)
        ]

    @classmethod
    @contextlib.contextmanager
    def on(cls, endpoint: str, credential: Credential) -> Iterator[Self]:
        """Clients that run for the length of the block, all with ``credential`` at first."""
        load = cls(endpoint, credential)
        for thread in load._threads:
            thread.start()
        try:
            yield load
        finally:
            load._end.set()
            for thread in load._threads:
                thread.join()

    def publish(self, credential: Credential) -> None:
        """Half of the clients use this one from now on, as if an admin had entered it in Entra."""
        self._published = credential

    def wait_enough(self, *credentials: Credential) -> None:
        """Wait until each of these was used often enough from now on. Raises ``DemoFailed``."""
        before = {credential: self.of(credential) for credential in credentials}
        until(
            "enough requests with each credential",
            lambda: self._failures or all(self.of(one) - before[one] >= _ENOUGH for one in credentials),
            _SECONDS,
        )
        if self._failures:
            raise DemoFailed(self._failures[0])

    def of(self, credential: Credential) -> int:
        """Requests answered with this credential."""
        with self._lock:
            return sum(count for (used, _), count in self.sent.items() if used == credential)

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
            used = self._published if follows else self._old
            try:
                with EntraClient(self._endpoint, used) as client:
                    while not self._end.is_set() and used == (self._published if follows else self._old):
                        repeated = client.rejected.total()
                        status = _find_nobody(client)
                        repeated = client.rejected.total() - repeated if status == _OK else 0
                        with self._lock:
                            self.sent[used, status] += 1
                            if repeated:
                                self.sent[used, _UNAUTHORIZED] += repeated
                        self._end.wait(_PAUSE_SECONDS)
            except DemoFailed as error:
                self._failures.append(str(error))
                return
