"""One webhook's deliveries, while this process holds its lease: a task of its own, so none waits for another's receiver.

Each turn is one transaction. It writes what came of the attempts that ended since the last one, and says what is due.
"""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

import structlog

from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.outcome import Outcome, Result
from scim_api.delivery.ready import ReadyDeliveries
from scim_api.delivery.receiver import ReceiverState, after
from scim_api.delivery.schedule import delay
from scim_api.delivery.sender import IN_FLIGHT
from scim_api.store.errors import StoreError, Unavailable
from scim_api.store.webhooks import AttemptResults, Delivery, FailedAttempt, LeasedWebhook, Turn, WebhookStore

log = structlog.get_logger(__name__)

LONGEST_WAIT: Final = 3600.0
"""Seconds between two turns at most: what is older than the log is dropped then."""
SHORTEST_WAIT: Final = 0.01
AHEAD: Final = 256
"""Deliveries that are held at most: under way, or about to be. So sending does not wait for the database."""
FRESH_SECONDS: Final = 5.0
"""Nothing is begun that was read longer ago: a process that was stopped may have lost its lease meanwhile."""
DATABASE_PAUSE: Final = 1.0
"""Seconds until a database that did not answer is asked again."""


class SendsDeliveries(Protocol):
    """What makes an attempt."""

    async def send(self, webhook: LeasedWebhook, delivery: Delivery) -> Outcome:
        """The outcome of one attempt. Raises ``StoreError``."""

    async def aclose(self) -> None:
        """Close what was opened."""


class WebhookWorker:
    """Delivers one webhook's changes.

    Args:
        webhook: surrogate key.
        holder: who has its lease.
        store: of webhooks.
        sender: makes the attempts.
        metrics: of the dispatcher.
        keep: how long the log of changes goes back.
        chance: random numbers from 0 to 1.
        delay: seconds until the next attempt, by failures and chance.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        webhook: int,
        holder: str,
        store: WebhookStore,
        sender: SendsDeliveries,
        metrics: DeliveryMetrics,
        *,
        keep: timedelta,
        chance: Callable[[], float] = random.random,
        delay: Callable[[int, float], float] = delay,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._webhook, self._holder, self._store, self._sender = webhook, holder, store, sender
        self._metrics, self._keep, self._chance, self._delay = metrics, keep, chance, delay
        self._wake = asyncio.Event()
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._ready, self._read_at = ReadyDeliveries(), 0.0
        self._was_cleared = False
        """During this turn: what it says is due may come after what was forgotten."""
        self._results = _Results()
        self._state = ReceiverState()
        self._leased: LeasedWebhook | None = None
        """As the last turn had it."""
        self._stopping = False

    def wake(self) -> None:
        """Have a look at once: there may be something new."""
        self._wake.set()

    def stop(self) -> None:
        """Send nothing more; ``run`` returns when what is under way has ended and is written."""
        self._stopping = True
        self._clear()
        self._wake.set()

    async def run(self) -> None:
        """Deliver until the lease is lost or ``stop`` is called; then, or cancelled, what is under way is dropped."""
        pending: AttemptResults | None = None
        try:
            while True:
                self._wake.clear()
                if pending is None:
                    pending = self._take_results()
                try:
                    turn = await self._turn(pending)
                except Unavailable as error:
                    log.warning("webhook's deliveries not read", reason=str(error))
                    await asyncio.sleep(DATABASE_PAUSE)
                    continue
                pending = None
                if turn is None or (self._stopping and not self._sending and not self._results.changes):
                    return
                self._begin(turn)
                await self._wait(turn)
        finally:
            await self._close()

    async def _turn(self, results: AttemptResults | None) -> Turn | None:
        held = frozenset(self._sending) | self._ready.changes
        # Half of it at a time: a row that is held is read again by each turn that wants more.
        most = 0 if self._stopping or len(held) > AHEAD // 2 else AHEAD - len(held)
        self._was_cleared = False
        turn = await self._store.turn(
            self._webhook,
            self._holder,
            results,
            in_flight=held | self._results.changes,
            most=most,
            keep=self._keep,
        )
        self._read_at = self._clock()
        return turn

    def _begin(self, turn: Turn) -> None:
        """Send what is due, as far as nothing has failed of its resource meanwhile."""
        webhook = turn.webhook
        if not self._results.changes and webhook.pause_level != self._state.level:
            self._state = ReceiverState(webhook.pause_level)
        self._leased = webhook
        self._metrics.show(webhook.full_name, turn.queued, turn.behind_seconds)
        if not self._was_cleared:
            failed = self._results.resources
            self._ready.add(one for one in turn.due if one.resource not in failed)
        self._send()

    def _send(self) -> None:
        """Begin as many attempts as may be under way together."""
        webhook = self._leased
        if webhook is None or self._clock() - self._read_at > FRESH_SECONDS:
            self._clear()
            return
        while len(self._sending) < IN_FLIGHT and (delivery := self._ready.begin()) is not None:
            self._sending[delivery.change] = asyncio.create_task(
                self._attempt(webhook, delivery), name=f"deliver {delivery.message_id}"
            )

    async def _wait(self, turn: Turn) -> None:
        """Until something is due, has ended or is new."""
        if turn.has_more:
            return
        seconds = LONGEST_WAIT if turn.wait_seconds is None else min(turn.wait_seconds, LONGEST_WAIT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, SHORTEST_WAIT)):
                await self._wake.wait()

    async def _attempt(self, webhook: LeasedWebhook, delivery: Delivery) -> None:
        level, is_delivered = self._state.level, False
        try:
            outcome = await self._sender.send(webhook, delivery)
        except StoreError as error:
            log.warning("webhook's resource not read", webhook=webhook.full_name, reason=str(error))
            self._results.failed.append(FailedAttempt(delivery.change, DATABASE_PAUSE))
        else:
            self._take(webhook, delivery, outcome, level)
            is_delivered = outcome.result is Result.DELIVERED
        self._results.note_revision(webhook.revision)
        del self._sending[delivery.change]
        if not is_delivered:
            self._results.resources.add(delivery.resource)
            self._ready.drop(delivery.resource)
        self._ready.end(delivery.resource)
        if self._state.level:  # it is probed with one at a time
            self._clear()
        self._send()
        self._wake.set()

    def _take(self, webhook: LeasedWebhook, delivery: Delivery, outcome: Outcome, level: int) -> None:
        """Remember what an attempt came to."""
        self._metrics.deliveries.labels(outcome.result.value).inc()
        results, former = self._results, self._state
        self._state = after(former, outcome, level, self._chance(), self._delay)
        if self._state.pause_seconds is not None and self._state is not former:
            results.pause_seconds = self._state.pause_seconds
        if outcome.result is Result.DELIVERED:
            results.delivered.append(delivery.change)
            results.pause_seconds = None
            return
        seconds = max(self._delay(delivery.attempts + 1, self._chance()), outcome.retry_after)
        results.failed.append(FailedAttempt(delivery.change, seconds))
        results.failure = outcome.reason
        results.is_stopped |= outcome.result is Result.GONE
        log.info(
            "webhook not delivered",
            webhook=webhook.full_name,
            message=delivery.message_id,
            result=outcome.result.value,
            attempt=delivery.attempts + 1,
            retry_seconds=round(seconds),
        )

    def _take_results(self) -> AttemptResults | None:
        results, self._results = self._results, _Results()
        if not results.changes:
            return None
        return AttemptResults(
            results.delivered,
            results.failed,
            results.failure,
            self._state.level,
            results.pause_seconds,
            results.is_stopped,
            results.revision,
        )

    def _clear(self) -> None:
        """Forget what is not sent yet; the next turn reads it again."""
        self._ready.clear()
        self._was_cleared = True

    async def _close(self) -> None:
        self._clear()
        tasks = list(self._sending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sender.aclose()
        if self._leased is not None:
            self._metrics.forget(self._leased.full_name)


@dataclasses.dataclass
class _Results:
    """What attempts came to that is not written yet."""

    delivered: list[int] = dataclasses.field(default_factory=list)
    failed: list[FailedAttempt] = dataclasses.field(default_factory=list)
    resources: set[str] = dataclasses.field(default_factory=set)
    """Of those that failed: nothing else of theirs is sent before this is written."""
    failure: str | None = None
    pause_seconds: float | None = None
    is_stopped: bool = False
    revision: int | None = None
    """The least at which one of them was made."""

    def note_revision(self, revision: int) -> None:
        """An attempt was made at this revision of its webhook."""
        self.revision = revision if self.revision is None else min(self.revision, revision)

    @property
    def changes(self) -> frozenset[int]:
        """Of which deliveries."""
        return frozenset(self.delivered) | {one.change for one in self.failed}
