"""``scim-api serve --workers N``: several processes behind the same ports, and the one that minds them.

The parent takes the ports, forks the workers and answers nothing itself. It hands SIGTERM and SIGINT on to
all of them, starts another in the place of one that died or stopped answering, and gives up when none can be
started. A worker whose parent is gone ends in order.

How the ports are shared. Each worker has a listening socket of its own on the public port (SO_REUSEPORT), and
the kernel deals connections out by a hash of their addresses: evenly when they are many, and with few as dice
fall. The parent holds these sockets too, so the port stays open when a worker dies, and what waits there is
its successor's. The obvious other way, one socket that all inherit, gives a connection to whoever is first,
which is fair while workers are busy but not when clients connect all at once: of 16 connections that were
opened together, one of two workers got all 16 in a quarter of all rounds, and kept them, for SCIM clients keep
theirs open. With sockets of their own it got 9 or 10 as a rule. The internal port is shared in just that way:
its callers are few, and a probe had better reach a worker that is free than wait for one that is not there.
"""

import contextlib
import dataclasses
import gc
import os
import selectors
import signal
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import structlog

from scim_api.http.metrics import Metrics, Shared
from scim_api.http.server import Listeners, Worker, bind, serve
from scim_api.settings import ApiSettings, SettingsError

log = structlog.get_logger(__name__)
TICK_SECONDS: Final = 1.0
SILENT_TICKS: Final = 30
"""A worker beats once a second; one that was silent for so many looks is stuck, and is killed."""
START_TRIES: Final = 5
"""So many starts in a row that fail end the service."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
"""Seconds between a death and the next start: doubled with each death that comes soon."""
SOON_SECONDS: Final = 10.0
END_SECONDS: Final = 15.0
"""Beyond ``shutdown_seconds``: until then every worker has to be gone, or is killed."""
BACKLOG: Final = 2048
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_BEAT: Final = b"."
_TROUBLE: Final = b"!"


class CannotStart(Exception):
    """A worker can't be started; the message says why, and what to do."""


@dataclasses.dataclass(slots=True)
class _Process:
    """A worker as its parent sees it."""

    number: int
    pid: int
    channel: socket.socket
    """Its beats, then perhaps why it could not start; it ends when the process does."""
    began: float
    silent: int = 0
    served: bool = False
    trouble: str = ""

    def hear(self, said: bytes) -> None:
        """Take in what it said."""
        beats, _, trouble = said.partition(_TROUBLE)
        self.silent = 0
        self.served |= bool(beats)
        self.trouble += trouble.decode(errors="replace")


class Supervisor:
    """Keeps a number of worker processes running until it is told to stop.

    Args:
        count: of workers.
        work: what a worker does, given its number and what to call about once a second while it does it.
            Raises ``CannotStart`` when it can't begin.
        stop_listening: closes the parent's own ends of the ports.
        forget: is told the number of each worker that is dead.
        end_seconds: how long workers may take to end after SIGTERM.
    """

    def __init__(
        self,
        count: int,
        work: Callable[[int, Callable[[], None]], None],
        *,
        stop_listening: Callable[[], None],
        forget: Callable[[int], None],
        end_seconds: float,
    ) -> None:
        self._count, self._work, self._stop_listening, self._forget = count, work, stop_listening, forget
        self._end_seconds = end_seconds
        self._processes: dict[int, _Process] = {}
        self._due: dict[int, float] = {}
        self._deaths: dict[int, int] = {}
        self._failures = 0
        self._has_served = self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Start the workers and return when all have ended after SIGTERM or SIGINT: the exit code.

        Raises:
            CannotStart: at the first start, or after several tries later; no worker is left then.
        """
        with self._hearing() as self._selector:
            self._due = dict.fromkeys(range(1, self._count + 1), 0.0)
            try:
                self._mind()
            finally:
                self._end()
        return self._exit_code

    @contextlib.contextmanager
    def _hearing(self) -> Iterator[selectors.BaseSelector]:
        """A selector that a signal wakes."""
        self._awake, alarm = socket.socketpair()
        for end in (self._awake, alarm):
            end.setblocking(False)
        before = signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        try:
            with selectors.DefaultSelector() as selector, self._awake, alarm:
                selector.register(self._awake, selectors.EVENT_READ)
                yield selector
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _mind(self) -> None:
        tick = time.monotonic() + TICK_SECONDS
        while not self._stopping:
            now = time.monotonic()
            for number in [number for number, due in self._due.items() if due <= now]:
                del self._due[number]
                self._start(number)
            if now >= tick:
                tick = now + TICK_SECONDS
                self._look_for_stuck_ones()
            self._listen(min([tick, *self._due.values()]) - time.monotonic())

    def _listen(self, seconds: float) -> None:
        """Take what workers say, for so long at most."""
        for key, _ in self._selector.select(max(0.0, seconds)):
            if key.data is None:
                self._awake.recv(4096)
                continue
            process: _Process = key.data
            said = process.channel.recv(65536)
            if not said:
                self._bury(process)
                continue
            served_before = process.served
            process.hear(said)
            if process.served and not served_before:
                self._failures, self._has_served = 0, True

    # -- starting -----------------------------------------------------------------------------------
    def _start(self, number: int) -> None:
        mine, its = socket.socketpair()
        mine.setblocking(False)
        its.setblocking(False)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # until the child has its own handlers
        try:
            pid = os.fork()
            if pid == 0:
                mine.close()
                self._become_worker(number, its, mask)
        except OSError as error:
            mine.close()
            self._try_again(number, f"no worker process can be started ({error.strerror})")
            return
        finally:
            its.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        process = self._processes[number] = _Process(number, pid, mine, time.monotonic())
        self._selector.register(mine, selectors.EVENT_READ, process)

    def _become_worker(
        self, number: int, channel: socket.socket, mask: set[int | signal.Signals]
    ) -> NoReturn:
        """The child's whole life; it never goes back into what its parent was doing."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in _SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for other in self._processes.values():
                other.channel.close()  # else it would not end when the parent does
            self._selector.close()
            structlog.contextvars.bind_contextvars(worker=number)
            self._work(number, lambda: _say(channel, _BEAT))
            code = 0
        except CannotStart as error:
            _say(channel, _TROUBLE + str(error).encode())
        except BaseException:
            log.exception("worker failed")
        finally:
            os._exit(code)

    # -- ending -------------------------------------------------------------------------------------
    def _look_for_stuck_ones(self) -> None:
        """Looks are counted, not seconds: a machine that slept has not made its workers stuck."""
        for process in self._processes.values():
            process.silent += 1
            if process.silent > SILENT_TICKS:
                log.error("worker does not respond; it is killed", worker=process.number, pid=process.pid)
                os.kill(process.pid, signal.SIGKILL)

    def _bury(self, process: _Process) -> None:
        """See to what a dead worker leaves, and to its successor."""
        self._selector.unregister(process.channel)
        process.channel.close()
        _, status = os.waitpid(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        del self._processes[process.number]
        self._forget(process.number)
        if self._stopping:
            if code not in (0, *(-number for number in _SIGNALS)) and not process.trouble:
                log.error("worker did not end in order", worker=process.number, pid=process.pid, code=code)
                self._exit_code = 1
            return
        self._replace(process, code)

    def _replace(self, process: _Process, code: int) -> None:
        number, failure = process.number, None
        if not process.served:
            failure = process.trouble or f"a worker process ended with code {code} before it served"
        if process.trouble and not self._has_served:
            raise CannotStart(process.trouble)
        log.warning("worker ended", worker=number, pid=process.pid, code=code, reason=process.trouble or None)
        if process.served and time.monotonic() - process.began >= SOON_SECONDS:
            self._deaths[number] = 0
            self._due[number] = 0.0
        else:
            self._try_again(number, failure)

    def _try_again(self, number: int, failure: str | None) -> None:
        """Start a worker after a pause. Raises ``CannotStart`` after too many failures in a row."""
        if failure is not None:
            self._failures += 1
            if self._failures >= START_TRIES:
                raise CannotStart(failure)
        deaths = self._deaths[number] = self._deaths.get(number, 0) + 1
        self._due[number] = time.monotonic() + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (deaths - 1))

    def _end(self) -> None:
        """Let all workers answer what they have, and wait until they are gone."""
        self._stopping = True
        self._stop_listening()
        for process in self._processes.values():
            os.kill(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._end_seconds
        while self._processes:
            left = deadline - time.monotonic()
            if left <= 0:
                for process in self._processes.values():
                    log.error("worker does not end; it is killed", worker=process.number, pid=process.pid)
                    os.kill(process.pid, signal.SIGKILL)
                left = TICK_SECONDS
            self._listen(left)


def _say(channel: socket.socket, what: bytes) -> None:
    """Raises ``OSError`` when the parent is gone; one that does not listen just now may hear the next."""
    with contextlib.suppress(BlockingIOError):
        channel.send(what)


def _one_for_each(listeners: Listeners, count: int) -> list[Listeners]:
    """As many sockets on the public port as there are workers; the internal one is the same for all.

    The first was bound without SO_REUSEPORT and listens before it gets it: so a port that is taken is still
    refused, also when another service with workers has it.
    """
    first = listeners.public
    first.listen(BACKLOG)
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found = [listeners]
    for _ in range(1, count):
        other = socket.socket(first.family, first.type)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(first.getsockname())
        found.append(Listeners(other, listeners.internal))
    return found


def serve_by_workers(settings: ApiSettings, run: Callable[[Callable[[], Awaitable[None]]], None]) -> int:
    """Serve with ``settings.workers`` processes until SIGTERM or SIGINT; the exit code.

    Args:
        settings: of the service.
        run: runs a coroutine function to its end in a worker. Raises ``CannotStart`` for what a person has
            to mend.

    Raises:
        SettingsError: the database can't be shared by several processes, or a port is taken.
        CannotStart: a worker could not be started.
    """
    if settings.database_url.startswith("sqlite:"):
        raise SettingsError(
            f"workers: an SQLite database is written by one process; write --workers 1 instead of "
            f"{settings.workers}, or use PostgreSQL for several "
            "(--database-url postgresql://user@host/database; `scim-api copy` moves the data)"
        )
    settings, bound = bind(settings)
    listeners = _one_for_each(bound, settings.workers)

    def stop_listening() -> None:
        for each in listeners:
            each.close()

    with _metrics_directory() as directory:

        def work(number: int, beat: Callable[[], None]) -> None:
            own = listeners.pop(number - 1)
            for other in listeners:
                other.public.close()  # else it would stay open when its worker stops listening
            worker = Worker(own, Metrics(Shared(directory, number)), beat)
            run(lambda: serve(settings, worker))

        gc.freeze()  # what was imported stays shared with the workers: their collector does not touch it
        return Supervisor(
            settings.workers,
            work,
            stop_listening=stop_listening,
            forget=lambda number: Shared(directory, number).forget_gauges(),
            end_seconds=settings.shutdown_seconds + END_SECONDS,
        ).run()


@contextlib.contextmanager
def _metrics_directory() -> Iterator[Path]:
    try:
        directory = tempfile.TemporaryDirectory(prefix="scim-api-")
    except OSError as error:
        raise SettingsError(
            f"workers: several keep their metrics in a temporary directory, and none can be made "
            f"({error.strerror}); let TMPDIR name one that can be written to"
        ) from error
    with directory as name:
        yield Path(name)
