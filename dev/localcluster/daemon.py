"""Start and end our own processes: always by process id and start time, never by name."""

import contextlib
import dataclasses
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from localcluster.errors import ClusterError

STOP_SECONDS = 10.0


def start_time(pid: int) -> str | None:
    """The kernel's start time of a live process (ticks since boot); None when it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """A process that can't be mistaken for a later one with the same number."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return start_time(self.pid) == self.started

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """SIGTERM, then SIGKILL after ``seconds``; a reused process id is left alone."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            for number, wait in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5.0)):
                if not self.alive:
                    return
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
                if select.select([handle], [], [], wait)[0]:
                    return
        finally:
            os.close(handle)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back to the end of the block, in which a process is started and noted down.

    One that came between the two would lose the process id, and the process would stay. (Blocking the
    signals instead would be inherited by the process.) Only the main thread is ever interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for came in held:
            signal.raise_signal(came)


class Component:
    """One long-running program with its log."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self._popen: subprocess.Popen[bytes] | None = None
        self.identity: Identity | None = None

    def start(self, command: Sequence[str]) -> Identity:
        """Start it in a session of its own; its log is appended to."""
        with uninterrupted(), self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
            self.identity = Identity(self._popen.pid, start_time(self._popen.pid) or "")
        return self.identity

    @property
    def running(self) -> bool:
        """Whether it has not ended; reaps it when it has."""
        if self._popen is not None and self._popen.poll() is not None:
            return False
        return self.identity is not None and self.identity.alive

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it; harmless when it has ended."""
        if self.identity is not None:
            self.identity.stop(seconds)
        if self._popen is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(5)

    def kill(self) -> None:
        """SIGKILL: what a crash looks like."""
        self.stop(0.0) if self._popen is None else self._popen.kill()
        if self._popen is not None:
            self._popen.wait(10)

    def wait(self, missing: Callable[[], str | None], seconds: float) -> None:
        """Poll until nothing is missing.

        Raises:
            ClusterError: it ended, or the time is over; with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while (what := missing()) is not None:
            if not self.running:
                raise ClusterError(f"{self.name} ended at once ({what}); {self.tail()}")
            if time.monotonic() > deadline:
                raise ClusterError(f"{self.name}: {what} after {seconds:.0f} s; {self.tail()}")
            time.sleep(0.05)

    def log_text(self) -> str:
        """All it wrote."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines: int = 25) -> str:
        """The end of its log, for messages."""
        return f"end of {self.log}:\n" + "\n".join(self.log_text().splitlines()[-lines:])


_REAPER = """
import os, shutil, sys
sys.path.insert(0, sys.argv[1])
from localcluster.daemon import Identity
found = []
for line in sys.stdin:
    if line == "release\\n":
        sys.exit(0)
    pid, _, started = line.strip().partition(" ")
    found.append(Identity(int(pid), started))
for identity in reversed(found):
    identity.stop(5.0)
shutil.rmtree(sys.argv[2], ignore_errors=True)
"""


class Reaper:
    """Ends processes when this one does, however that happens: SIGKILL closes a pipe as well.

    A process of its own reads process ids from a pipe that only we hold open, and acts at its end.
    """

    def __init__(self, directory: Path) -> None:
        source = str(Path(__file__).resolve().parent.parent)
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _REAPER, source, str(directory)],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def watch(self, identity: Identity) -> None:
        """End this process, too, when we end."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{identity.pid} {identity.started}\n")
        self._popen.stdin.flush()

    def release(self) -> None:
        """Send it away: what it watched has been ended."""
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write("release\n")
            self._popen.stdin.close()
        self._popen.wait(10)
