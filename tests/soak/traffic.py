"""Who asks: Entra's cycles without a pause, with a credential that is a while behind the Secret, and a follower of the feed."""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from entra_standin.__main__ import changed_people, changed_teams, play
from entra_standin.client import EntraClient
from entra_standin.cycle import incremental_cycle
from entra_standin.dialects import Dialect
from entra_standin.directory import six_people, three_teams
from entra_standin.groups import incremental_groups
from inpods import HOST, ThroughIngress

LAG_SECONDS: Final = 30.0
"""How long Entra goes on with a credential after the Secret has another: nobody pastes at once."""
WAIT_SECONDS: Final = 10
_SHOWN: Final = 20
REFUSED: Final = frozenset({401, 403, 429})


class Tally:
    """What was answered. Several threads may use it at once.

    Attributes:
        answers: how many there were, by status; 0 stands for no answer.
        wrong: what must not have happened, the first of it.
    """

    def __init__(self) -> None:
        self.answers: collections.Counter[int] = collections.Counter()
        self.wrong: list[str] = []
        self._counting = threading.Lock()

    def count(self, status: int, what: str) -> None:
        """One answer to a request."""
        with self._counting:
            self.answers[status] += 1
        if status in REFUSED or status >= httpx.codes.INTERNAL_SERVER_ERROR or status == 0:
            self.complain(f"{what} answered {status or 'nothing'}")

    def complain(self, what: str) -> None:
        """Something that must not happen."""
        with self._counting:
            if len(self.wrong) < _SHOWN:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {what}")

    @property
    def rejected(self) -> int:
        """Answers that say that a credential counts for nothing, or that there were too many."""
        return sum(self.answers[status] for status in REFUSED)


class Counted(ThroughIngress):
    """Requests through the ingress, each answer counted."""

    def __init__(self, authority: Path, tally: Tally) -> None:
        super().__init__(authority)
        self._tally = tally

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        what = f"{request.method} {request.url.path}"
        try:
            answer = super().handle_request(request)
        except httpx.TransportError as error:
            self._tally.count(0, f"{what} ({type(error).__name__})")
            raise
        self._tally.count(answer.status_code, what)
        return answer


class Credentials:
    """What each Secret held, so that somebody may use what it held a while ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._history: dict[str, list[tuple[float, str]]] = {}
        self.rotations = 0

    def saw(self, name: str, token: str) -> None:
        """A Secret holds this now."""
        history = self._history.setdefault(name, [])
        if not history or history[-1][1] != token:
            self.rotations += bool(history)
            history.append((self._clock(), token))
            del history[:-3]

    def pasted(self, name: str, lag: float = LAG_SECONDS) -> str:
        """What a person has pasted by now: the newest that is at least ``lag`` seconds old, or else the oldest."""
        history = self._history[name]
        old = [token for at, token in history if at <= self._clock() - lag]
        return old[-1] if old else history[0][1]


def everybody_leaves(client: EntraClient, tell: Callable[[str], None]) -> bool:
    """All that a play left is deleted, as when the scope of a job becomes empty; whether it went as Entra needs it."""
    reports = (
        incremental_groups(client, changed_teams(three_teams()), (), {}),
        incremental_cycle(client, changed_people(six_people()), ()),
    )
    for line in (line for report in reports for line in report.lines()):
        tell(f"the end: {line}")
    return all(report.ok for report in reports)


@dataclasses.dataclass
class Entra:
    """Plays all cycles for one tenant, again and again, each with what is pasted then, and ends with nobody."""

    name: str
    endpoint: str
    authority: Path
    credentials: Credentials
    tally: Tally
    rest: float = 0.0
    """Seconds between two plays."""
    plays: int = 0

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        dialects = list(Dialect)
        while not stop.is_set():
            lines: list[str] = []
            token = self.credentials.pasted(self.name)
            dialect = dialects[self.plays % len(dialects)]
            with EntraClient(
                self.endpoint, token, dialect, transport=Counted(self.authority, self.tally)
            ) as client:
                if not (play(client, lines.append) and everybody_leaves(client, lines.append)):
                    self.tally.complain(f"{self.name}: {lines[-1]}")
            self.plays += 1
            stop.wait(self.rest)


@dataclasses.dataclass
class Follower:
    """Follows the changes of a tenant with a token that only reads, by long polls."""

    name: str
    authority: Path
    credentials: Credentials
    tally: Tally
    changes: int = 0

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        cursor = "now"
        with httpx.Client(
            transport=Counted(self.authority, self.tally), trust_env=False, timeout=WAIT_SECONDS + 20
        ) as client:
            while not stop.is_set():
                token = self.credentials.pasted(self.name, lag=0)
                try:
                    answer = client.get(
                        f"https://{HOST}/changes/v1",
                        params={"after": cursor, "wait": WAIT_SECONDS, "limit": 500},
                        headers={"authorization": f"Bearer {token}"},
                    )
                except httpx.TransportError:
                    continue  # it is counted
                if answer.status_code != httpx.codes.OK:
                    stop.wait(1)
                    continue
                page = answer.json()
                self.changes += len(page["changes"])
                cursor = page["next"]
