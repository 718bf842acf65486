"""Which webhooks this process delivers, and when it has a look at them.

A webhook is one process's at a time, by a lease in the database that it renews. Whoever is killed loses its leases after
seconds, and another goes on where it was. What is new is seen by one look at the log for all webhooks (``CommitWatch``);
there are none while the process has no webhook.
"""

import asyncio
import contextlib
import math
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, Literal

import structlog

from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.schedule import delay
from scim_api.delivery.worker import SendsDeliveries, WebhookWorker
from scim_api.store.change_log import CommitWatch
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import Store

log = structlog.get_logger(__name__)

LEASE_SECONDS: Final = 15.0
"""After which another process takes the webhooks of one that was killed."""
CLAIM_SECONDS: Final = 1.0
"""Between two looks at which webhooks there are."""
CLAIMS: Final = 16
"""Webhooks that are taken at a time, so that several processes share them."""
LOOK_SECONDS: Final = 0.1
"""Between two looks at the log."""
STALLED_SECONDS: Final = 120.0
"""After which the task of the leases is taken for stuck: a database that does not answer holds it up for less."""


def new_holder() -> str:
    """A name for this process that no other has."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class Dispatcher:
    """Delivers the webhooks whose leases it gets.

    Args:
        store: the database.
        new_sender: makes what sends one webhook's messages.
        metrics: what is told.
        keep: how long the log of changes goes back.
        lease_seconds: see ``LEASE_SECONDS``.
        claim_seconds: see ``CLAIM_SECONDS``.
        delay: seconds until the next attempt, by failures and chance.
        clock: seconds, from any beginning.
    """

    def __init__(
        self,
        store: Store,
        new_sender: Callable[[], SendsDeliveries],
        metrics: DeliveryMetrics,
        *,
        keep: timedelta,
        lease_seconds: float = LEASE_SECONDS,
        claim_seconds: float = CLAIM_SECONDS,
        delay: Callable[[int, float], float] = delay,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._new_sender, self._metrics, self._keep = store, new_sender, metrics, keep
        self._lease_seconds, self._claim_seconds, self._delay = lease_seconds, claim_seconds, delay
        self._clock = clock
        self._claimed_at, self._renewed_at = clock(), -math.inf
        self._holder = new_holder()
        self._workers: dict[int, WebhookWorker] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._held: Mapping[int, tuple[int, int]] = {}
        self._stopping = False

    def not_alive(self) -> str | None:
        """Why only another process would help; None while this one works. One whose tasks end returns from ``run``."""
        stalled = self._clock() - self._claimed_at
        return f"the leases were not looked at for {stalled:.0f} s" if stalled > STALLED_SECONDS else None

    def not_ready(self) -> str | None:
        """Why it delivers nothing now; None while it has had its leases renewed lately, be they none."""
        if self._stopping:
            return "stopping"
        if self._clock() - self._renewed_at > self._lease_seconds:
            return f"the leases of webhooks were not renewed within {self._lease_seconds:g} s"
        return None

    async def run(self, stop: asyncio.Event, shutdown_seconds: float = 8.0) -> None:
        """Deliver until ``stop`` is set; then what is under way may end, and the leases are given back.

        Args:
            stop: asks for the end.
            shutdown_seconds: how long what is under way may take to end.
        """
        claiming = asyncio.create_task(self._claim(), name="webhook leases")
        looking = asyncio.create_task(self._look(), name="webhook changes")
        stopped = asyncio.create_task(stop.wait())
        try:
            tasks: list[asyncio.Task[None] | asyncio.Task[Literal[True]]] = [claiming, looking, stopped]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in (claiming, looking):
                if task.done():
                    task.result()
        finally:
            looking.cancel()
            stopped.cancel()
            await self._end(shutdown_seconds)  # while the leases are renewed
            claiming.cancel()
            await asyncio.gather(claiming, looking, stopped, return_exceptions=True)
            try:
                await self._store.webhooks.release(self._holder)
            except Unavailable as error:
                log.warning("webhooks not given back", reason=str(error), after_seconds=self._lease_seconds)

    async def _end(self, seconds: float) -> None:
        self._stopping = True
        for worker in self._workers.values():
            worker.stop()
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        await self._cancel(list(self._tasks))

    async def _claim(self) -> None:
        """Take and renew leases, and have a worker for each webhook."""
        valid_until, is_down = self._clock(), False
        while True:
            self._claimed_at = began = self._clock()
            try:
                held = await self._store.webhooks.lease(self._holder, self._lease_seconds, CLAIMS)
                self._renewed_at, is_down = began, False
                valid_until = began + self._lease_seconds / 2
            except Unavailable as error:
                if not is_down:
                    log.warning("database unavailable", job="webhook leases", reason=str(error))
                is_down, held = True, self._held
                if self._clock() > valid_until:
                    held = {}
            await self._follow(held)
            await asyncio.sleep(self._claim_seconds)

    async def _follow(self, held: Mapping[int, tuple[int, int]]) -> None:
        former, self._held = self._held, held
        await self._cancel([pk for pk, task in self._tasks.items() if pk not in held or task.done()])
        for pk, (_, revision) in held.items():
            if pk not in self._tasks:
                if not self._stopping:
                    self._start(pk)
            elif pk in former and former[pk][1] != revision:
                self._workers[pk].wake()

    def _start(self, pk: int) -> None:
        worker = self._workers[pk] = WebhookWorker(
            pk,
            self._holder,
            self._store.webhooks,
            self._new_sender(),
            self._metrics,
            keep=self._keep,
            delay=self._delay,
        )
        self._tasks[pk] = asyncio.create_task(worker.run(), name=f"webhook {pk}")

    async def _cancel(self, numbers: list[int]) -> None:
        tasks = [self._tasks.pop(pk) for pk in numbers]
        for pk, task in zip(numbers, tasks, strict=True):
            del self._workers[pk]
            task.cancel()
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(error, Exception):
                log.error("webhook's worker ended", exc_info=error)

    async def _look(self) -> None:
        """Wake the workers of tenants that have changed."""
        commits = CommitWatch(self._store.change_log)
        while True:
            if self._workers:
                with contextlib.suppress(Unavailable):  # the leases' task tells
                    tenants = await commits.look()
                    for pk, worker in self._workers.items():
                        if tenants is None or (pk in self._held and self._held[pk][0] in tenants):
                            worker.wake()
            else:
                commits = CommitWatch(self._store.change_log)
            await asyncio.sleep(LOOK_SECONDS)
