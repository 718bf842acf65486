"""Start and end our own processes: always by process id and start time, never by name."""

import contextlib
import dataclasses
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from localcluster.errors import ClusterError

STOP_SECONDS = 10.0
KILL_SECONDS = 5.0


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
        self._signal((signal.SIGTERM, seconds), (signal.SIGKILL, KILL_SECONDS))

    def kill(self) -> None:
        """SIGKILL: what a crash looks like. A reused process id is left alone."""
        self._signal((signal.SIGKILL, KILL_SECONDS))

    def _signal(self, *steps: tuple[signal.Signals, float]) -> None:
        """Send one signal after another until it has ended, waiting so many seconds after each."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            for number, seconds in steps:
                if not self.alive:
                    return
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
                if select.select([handle], [], [], seconds)[0]:
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
        self.identity: Identity | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.identity is not None and self.identity.alive

    def stop(self) -> None:
        """End it; harmless when it has ended."""
        if self.identity is not None:
            self.identity.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self.identity is not None:
            self.identity.kill()

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


class Reaper:
    """Ends processes when this one does, however that happens: SIGKILL closes a pipe as well.

    A process of its own (``localcluster.reaper``) reads what to do from a pipe that only we hold open, and ends
    everything when the pipe does. It starts the processes itself, so that there is no moment at which one
    runs and only we know of it.
    """

    def __init__(self, directory: Path) -> None:
        """Start it; ``directory`` is removed after the processes have ended."""
        source = str(Path(__file__).resolve().parent.parent)
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "localcluster.reaper", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C goes to all of a terminal's foreground processes, and must not reach this one.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": source},
        )

    def spawn(self, command: Sequence[str], log: Path) -> Identity:
        """Start a program in a session of its own; ``log`` is appended to.

        Raises:
            ClusterError: it could not be started.
        """
        self._say({"spawn": list(command), "log": str(log)})
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline()
        if not line:
            raise ClusterError("the process that looks after the others has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise ClusterError(f"{command[0]} could not be started: {answer['error']}")
        return Identity(answer["pid"], answer["started"])

    def watch(self, identity: Identity) -> None:
        """End this process, too, when we end; for one that was started by somebody else."""
        self._say({"watch": dataclasses.astuple(identity)})

    def at_end(self, command: Sequence[str]) -> None:
        """Run this program when all processes have ended because we did; how it ends is told to nobody."""
        self._say({"at_end": list(command)})

    def release(self) -> None:
        """Send it away; what it started or watched runs on."""
        with contextlib.suppress(ClusterError):
            self._say({"release": True})
        self._hang_up()

    def end(self) -> None:
        """End now what it started or watched, the last first, and remove the directory."""
        self._hang_up()

    def _say(self, message: dict[str, Any]) -> None:
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(json.dumps(message) + "\n")
            self._popen.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise ClusterError("the process that looks after the others has ended") from error

    def _hang_up(self) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        self._popen.wait(60)
