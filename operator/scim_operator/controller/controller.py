"""Runs workers that reconcile what the workqueue says is due, while this process leads."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog

from scim_api.contract.backoff import Backoff
from scim_operator.controller.workqueue import Result, Workqueue
from scim_operator.metrics import QueueMetrics
from scim_operator.planning.ports import Conflict, Key, KubernetesUnreachable, NotLeading

log = structlog.get_logger(__name__)


RETRIES: Final = Backoff(first=0.5, longest=60.0)


SPREAD_SHARE: Final = 0.02


SPREAD_SECONDS: Final = 60.0
"""What is planned for later is done up to so much later, so that what began together falls apart. A share of the
wait, because a token that lives a minute has no minute to lose."""


class Controller:
    """Reconciles due keys, at most ``workers`` at once and one key never twice at once, while resumed.

    Args:
        reconcile: the level-triggered reconcile; safe to be cancelled or repeated at any line.
        workers: how many run at once.
        longest_rest: seconds after which a key is reconciled even when its reconcile asked for later.
        metrics: counters to move.
        clock: seconds, monotonic.
        backoff: pauses after failures.
        rand: uniform in [0, 1), for the spread of what is planned for later.
    """

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[Result]],
        *,
        workers: int,
        max_interval: Callable[[Key], float | None],
        metrics: QueueMetrics,
        clock: Callable[[], float] = time.monotonic,
        backoff: Backoff = RETRIES,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._rand = rand
        self._reconcile, self._workers, self._max_interval = reconcile, workers, max_interval
        self._metrics, self._clock, self._backoff = metrics, clock, backoff
        self._queue = Workqueue()
        self._failures: dict[Key, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._resumed = False
        self._wake = asyncio.Event()

    @property
    def depth(self) -> int:
        """How many keys have a next moment."""
        return len(self._queue)

    @property
    def active_workers(self) -> int:
        """How many keys are being reconciled."""
        return len(self._tasks)

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Look at ``key`` within ``delay`` seconds; requests for the same key fall together."""
        self._queue.add(key, self._clock() + max(0.0, delay))
        self._wake.set()

    def resume(self) -> None:
        """Act from now on: this process leads."""
        self._resumed = True
        self._wake.set()

    def pause(self) -> None:
        """Start nothing more and forget the plan: whoever leads next makes its own."""
        self._resumed = False
        self._queue.clear()
        self._failures.clear()

    def dispatch(self) -> float | None:
        """Start what is due as far as workers are free; returns seconds until the next is due, or None."""
        if not self._resumed:
            return None
        now = self._clock()
        while len(self._tasks) < self._workers:
            key = self._queue.get(now)
            if key is None:
                break
            task = asyncio.create_task(self._reconcile_one(key), name=f"reconcile {key}")
            self._tasks.add(task)
            task.add_done_callback(self._worker_done)
        self._metrics.workqueue(depth=len(self._queue), active_workers=len(self._tasks))
        if len(self._tasks) >= self._workers:
            return None
        moment = self._queue.next_due()
        return None if moment is None else max(0.0, moment - now)

    async def run(self) -> None:
        """Dispatch until cancelled."""
        while True:
            self._wake.clear()
            pause = self.dispatch()
            # Not wait_for: Python 3.11's forgets a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def drain(self, seconds: float) -> None:
        """Let what runs come to its end for so long, then cancel it (a cancelled step is repeated later)."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _worker_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake.set()

    async def _reconcile_one(self, key: Key) -> None:
        started = self._clock()
        result = "error"
        try:
            outcome = await self._reconcile(key)
        except NotLeading:
            result = "not_leading"
        except Conflict:
            result = "conflict"
            self._requeue_with_backoff(key)
        except KubernetesUnreachable as error:
            result = "requeue"
            log.warning("Kubernetes is out of reach", key=str(key), reason=str(error))
            self._requeue_with_backoff(key)
        except Exception as error:
            # One object's failure must not end the others' service.
            log.exception("reconcile failed", key=str(key), error=type(error).__name__)
            self._requeue_with_backoff(key)
        else:
            result = "requeue" if outcome.requeue else "success"
            self._requeue(key, outcome)
        finally:
            self._queue.done(key)
            self._metrics.reconciled(result, self._clock() - started)

    def _requeue(self, key: Key, outcome: Result) -> None:
        if outcome.requeue:
            self._requeue_with_backoff(key, outcome.requeue_after)
            return
        self._failures.pop(key, None)
        delays = [] if outcome.requeue_after is None else [outcome.requeue_after.total_seconds()]
        longest = self._max_interval(key)
        if longest is not None:
            delays.append(longest)
        if delays and self._resumed:
            delay = min(delays)
            self.add(key, delay + min(SPREAD_SHARE * delay, SPREAD_SECONDS) * self._rand())

    def _requeue_with_backoff(self, key: Key, at_latest: timedelta | None = None) -> None:
        if not self._resumed:
            return
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = self._backoff.seconds(failures)
        self.add(key, pause if at_latest is None else min(pause, at_latest.total_seconds()))
