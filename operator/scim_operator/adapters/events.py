"""Events on an object of ours, counted, limited and sent in the background as client-go does, for ``kubectl describe``.

A reconcile does not wait for them: they are queued, and dropped when Kubernetes takes them slower than they come. The same thing said again raises the count of one Event (``x5 over 10m``); its name follows from what it says,
so that a restarted operator goes on counting. core/v1, because ``kubectl describe`` shows its counts best.
"""

import asyncio
import dataclasses
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal, Self

import structlog
from kubernetes.aio import client

from scim_api.contract import tokens
from scim_api.contract.token_bucket import TokenBucket
from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.api.custom_object import API_VERSION, FIELD_MANAGER, CustomObject
from scim_operator.api.status import format_time

EventKind = Literal["Normal", "Warning"]

MESSAGE_LIMIT: Final = 1024
"""Characters; the API server refuses longer ones."""
REASON_LIMIT: Final = 128
CALL_TIMEOUT: Final = 5.0
"""Seconds that one call may take."""
QUEUED: Final = 1000
"""Events that wait to be sent; what comes beyond them is dropped. client-go keeps as many."""
SENDERS: Final = 2
"""Events that are sent at the same time, so that a slow answer does not hold up all."""
REMEMBERED: Final = 4096
"""How many Events, and how many objects' budgets, are kept in memory; client-go keeps as many."""
BURST: Final = 25
REFILL_SECONDS: Final = 300.0
"""Each object may write 25 Events at once and then one every five minutes; the same numbers as client-go."""

_log = structlog.get_logger(__name__)


class EventRateLimiter:
    """A token bucket for each object: one that flaps must not fill etcd."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def allows(self, uid: str) -> bool:
        """Take one from the budget of the object with this uid; False when nothing is left of it."""
        now = self._monotonic()
        bucket = self._buckets.pop(uid, None) or TokenBucket(BURST, now)
        self._buckets[uid] = bucket
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return bucket.take(1, burst=BURST, rate=1 / REFILL_SECONDS, now=now) == 0


class EventRecorder:
    """Writes Events to the API server, in the background. No method raises but for cancellation.

    Args:
        api_client: with the credentials to use; the caller closes it.
        guard: called before each write; raises ``NotLeading`` when this process may not write.
        dropped: called for each Event that is not written.
        spam_filter: the budgets of objects.
        clock: UTC.
    """

    def __init__(
        self,
        api_client: client.ApiClient,
        *,
        guard: Callable[[], None] = lambda: None,
        dropped: Callable[[], None] = lambda: None,
        spam_filter: EventRateLimiter | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._core = CoreV1(api_client)
        self._guard, self._dropped = guard, dropped
        self._spam_filter = spam_filter or EventRateLimiter()
        self._clock = clock
        self._queue: asyncio.Queue[_EventContent] = asyncio.Queue(QUEUED)
        self._counts: OrderedDict[str, int] = OrderedDict()
        self._is_overflowing = False

    def record(self, owner: CustomObject, kind: EventKind, reason: str, message: str) -> None:
        """Record that this happened, or that it happened again; ``run`` writes it."""
        if not self._spam_filter.allows(owner.metadata.uid):
            _log.debug("event rate limit reached", object=f"{owner.kind} {owner.key}", reason=reason)
            return
        content = _EventContent.of(owner, kind, reason, message, self._clock())
        try:
            self._queue.put_nowait(content)
        except asyncio.QueueFull:
            self._dropped()
            if not self._is_overflowing:
                _log.warning("events are dropped: Kubernetes takes them slower than they come", queued=QUEUED)
            self._is_overflowing = True

    async def run(self) -> None:
        """Write what is recorded until cancelled; what waits then is dropped."""
        async with asyncio.TaskGroup() as senders:
            for _ in range(SENDERS):
                senders.create_task(self._send(), name="events")

    async def drain(self) -> None:
        """Wait until everything that was recorded has been written or dropped."""
        await self._queue.join()

    async def _send(self) -> None:
        while True:
            content = await self._queue.get()
            try:
                self._guard()
                self._remember(content.name, await self._write(content))
            except Exception as error:  # noqa: BLE001 (whatever it is: all else that a leader does goes on)
                self._dropped()
                _log.warning(
                    "event not recorded",
                    object=f"{content.about.kind} {content.about.namespace}/{content.about.name}",
                    reason=content.reason,
                    error=type(error).__name__,
                    status=getattr(error, "status", None),
                )
            finally:
                self._queue.task_done()
                self._is_overflowing = self._is_overflowing and not self._queue.empty()

    async def _write(self, content: "_EventContent") -> int:
        """Create the Event or raise its count, by the count that is cached; returns the new count."""
        count = self._counts.get(content.name)
        if count is not None and await self._raise_count(content, count + 1):
            return count + 1
        try:
            await self._core.create_namespaced_event(
                content.namespace, content.event(), field_manager=FIELD_MANAGER, _request_timeout=CALL_TIMEOUT
            )
        except client.ApiException as error:
            if error.status != 409:
                raise
        else:
            return 1
        present = await self._core.read_namespaced_event(
            content.name, content.namespace, _request_timeout=CALL_TIMEOUT
        )
        count = int(present.count or 1) + 1
        await self._raise_count(content, count)
        return count

    async def _raise_count(self, content: "_EventContent", count: int) -> bool:
        """Say once more that it happened; False when the Event has expired meanwhile (after an hour)."""
        try:
            await self._core.patch_namespaced_event(
                content.name,
                content.namespace,
                {"count": count, "lastTimestamp": format_time(content.now)},
                field_manager=FIELD_MANAGER,
                _content_type="application/merge-patch+json",
                _request_timeout=CALL_TIMEOUT,
            )
        except client.ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    def _remember(self, name: str, count: int) -> None:
        self._counts[name] = count
        self._counts.move_to_end(name)
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)


@dataclasses.dataclass(frozen=True, slots=True)
class _EventContent:
    """Something that happened to an object."""

    name: str
    """Of the Event; the same for the same news."""
    namespace: str
    about: client.V1ObjectReference
    kind: EventKind
    reason: str
    message: str
    now: datetime

    @classmethod
    def of(cls, owner: CustomObject, kind: EventKind, reason: str, message: str, now: datetime) -> Self:
        """Fit it to the API server's limits, and redact whatever looks like a token."""
        metadata = owner.metadata
        message = tokens.PATTERN.sub("[hidden]", message)
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 1] + "…"
        identity = hashlib.sha256(f"{metadata.uid}\0{kind}\0{reason}\0{message}".encode()).hexdigest()
        about = client.V1ObjectReference(
            api_version=API_VERSION,
            kind=owner.kind,
            name=metadata.name,
            namespace=metadata.namespace,
            uid=metadata.uid,
            resource_version=metadata.resource_version or None,
        )
        return cls(
            name=f"{metadata.name}.{identity[:16]}",
            namespace=metadata.namespace,
            about=about,
            kind=kind,
            reason=reason[:REASON_LIMIT],
            message=message,
            now=now,
        )

    def event(self) -> client.CoreV1Event:
        """As it is written the first time."""
        return client.CoreV1Event(
            metadata=client.V1ObjectMeta(name=self.name, namespace=self.namespace),
            involved_object=self.about,
            type=self.kind,
            reason=self.reason,
            message=self.message,
            source=client.V1EventSource(component=FIELD_MANAGER),
            reporting_component=FIELD_MANAGER,
            count=1,
            first_timestamp=self.now,
            last_timestamp=self.now,
        )
