"""Leader election: one Lease, held or waited for.

The elector of ``kubernetes.aio`` cannot create its Lease and lets a cut-off leader run on, hence this one.
Times of other processes are never compared with ours: a holder counts as gone when its record has not
changed for its lease duration as *we* measure it (the rule of client-go's leaderelection). A holder acts
only until a deadline counted from the moment *before* its last successful renewal was sent, so it stops
earlier than anybody else may take over. Late writes of a paused ex-leader are stopped by resourceVersion
and If-Match, not here.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import aiohttp
import structlog
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_api.contract.clock import boot_time
from scim_operator.planning.ports import NotLeading
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

_LEASE_ERRORS: Final = (ApiException, aiohttp.ClientError, OSError, TimeoutError)
_RELEASE_ATTEMPTS: Final = 3


class LeaderElector:
    """Holds the Lease or waits for it; ``guard`` is asked before every write.

    Args:
        api: the API client; one of its own, so that a busy pool never delays a renewal.
        settings: names and times of the Lease.
        on_gained: called in the event loop when this process begins to lead.
        on_lost: called when it stops leading, released or not.
        on_annotations: called with the Lease's annotations after each renewal.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        api: client.ApiClient,
        settings: OperatorSettings,
        *,
        on_gained: Callable[[], None],
        on_lost: Callable[[], None],
        on_annotations: Callable[[Mapping[str, str]], None] = lambda _annotations: None,
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._leases = client.CoordinationV1Api(api)
        self._settings = settings
        self._on_gained, self._on_lost, self._on_annotations = on_gained, on_lost, on_annotations
        self._clock = clock
        self._acting = False
        self._valid_until = float("-inf")
        self._record: tuple[object, ...] | None = None
        self._record_seen_at = float("-inf")
        self._last_trouble = ""

    @property
    def leading(self) -> bool:
        """Whether this process may write now; true to the clock even right after a SIGCONT."""
        return self._acting and self._clock() < self._valid_until

    def check_leading(self) -> None:
        """Raises ``NotLeading`` unless this process may write now."""
        if not self.leading:
            raise NotLeading("this process does not hold the Lease any more")

    async def run(self, stop: asyncio.Event) -> None:
        """Take part in the election until ``stop`` is set, then release the Lease before returning."""
        try:
            while not stop.is_set():
                await self._try_acquire_or_renew()
                await _sleep(self._pause(), stop)
        finally:
            await self._release()

    def _pause(self) -> float:
        """Seconds until the next round; a leader whose renewal failed tries again sooner, and wakes for its deadline."""
        if not self._acting:
            return self._settings.lease_retry_period_seconds
        period = (
            self._settings.lease_retry_period_seconds
            if self._last_trouble
            else self._settings.lease_renew_period_seconds
        )
        return max(0.01, min(period, self._valid_until - self._clock()))

    async def _try_acquire_or_renew(self) -> None:
        started = self._clock()
        try:
            async with asyncio.timeout(self._request_seconds()):
                is_holder = await self._take_or_renew(started)
        except _LEASE_ERRORS as error:
            self._report(error)
        else:
            self._last_trouble = ""
            if is_holder:
                self._valid_until = started + self._settings.lease_renew_deadline_seconds
                self._start_leading()
            else:
                self._valid_until = float("-inf")
        if self._acting and self._clock() >= self._valid_until:
            self._stop_leading(
                "the Lease could not be renewed in time" if self._last_trouble else "another holds the Lease"
            )

    def _request_seconds(self) -> float:
        """A holder's request leaves time for a second try before the deadline."""
        patience = self._settings.lease_renew_deadline_seconds / 2
        return max(0.1, min(patience, self._valid_until - self._clock())) if self._acting else patience

    async def _take_or_renew(self, started: float) -> bool:
        """One read of the Lease and, where we may hold it, one write at its resourceVersion."""
        name, namespace = self._settings.lease_name, self._settings.namespace
        try:
            lease = await self._leases.read_namespaced_lease(name, namespace)
        except ApiException as error:
            if error.status != 404:
                raise
            await self._leases.create_namespaced_lease(namespace, self._new_lease())
            return True
        spec = lease.spec or client.V1LeaseSpec()
        version = lease.metadata.resource_version if lease.metadata else None
        observed = (spec.holder_identity, spec.renew_time, version)
        if observed != self._record:
            self._record, self._record_seen_at = observed, started
        is_holder = spec.holder_identity == self._settings.identity
        patience = spec.lease_duration_seconds or self._settings.lease_duration_seconds
        if spec.holder_identity and not is_holder and started < self._record_seen_at + patience:
            return False
        now = datetime.now(UTC)
        if not is_holder:
            spec.holder_identity, spec.acquire_time = self._settings.identity, now
            spec.lease_transitions = (spec.lease_transitions or 0) + 1
        spec.renew_time, spec.lease_duration_seconds = now, self._settings.lease_duration_seconds
        lease.spec = spec
        try:
            await self._leases.replace_namespaced_lease(name, namespace, lease)
        except ApiException as error:
            if error.status != 409:
                raise
            return (
                self._acting and is_holder and self._clock() < self._valid_until and await self._is_holder()
            )
        self._on_annotations((lease.metadata and lease.metadata.annotations) or {})
        return True

    async def _is_holder(self) -> bool:
        """After a conflict on our own Lease: whether somebody merely edited it beside us."""
        lease = await self._leases.read_namespaced_lease(self._settings.lease_name, self._settings.namespace)
        return lease.spec is not None and lease.spec.holder_identity == self._settings.identity

    def _new_lease(self) -> client.V1Lease:
        now = datetime.now(UTC)
        return client.V1Lease(
            metadata=client.V1ObjectMeta(name=self._settings.lease_name),
            spec=client.V1LeaseSpec(
                holder_identity=self._settings.identity,
                lease_duration_seconds=self._settings.lease_duration_seconds,
                acquire_time=now, renew_time=now, lease_transitions=1,
            ),
        )  # fmt: skip

    def _start_leading(self) -> None:
        if not self._acting:
            self._acting = True
            log.info("started leading", lease=self._settings.lease_name, identity=self._settings.identity)
            self._on_gained()

    def _stop_leading(self, why: str) -> None:
        if self._acting:
            self._acting = False
            self._valid_until = float("-inf")
            log.warning("stopped leading", lease=self._settings.lease_name, reason=why)
            self._on_lost()

    def _report(self, error: BaseException) -> None:
        """Log what is wrong with the Lease, once per kind of problem."""
        problem = _explain(error, self._settings)
        if problem != self._last_trouble:
            log.warning("lease not acquired", reason=problem)
        self._last_trouble = problem

    async def _release(self) -> None:
        """Give the Lease up, so that a standby takes it at its next try."""
        if not self._acting:
            return
        self._acting = False
        self._on_lost()
        name, namespace = self._settings.lease_name, self._settings.namespace
        for _ in range(_RELEASE_ATTEMPTS):
            try:
                async with asyncio.timeout(1):
                    lease = await self._leases.read_namespaced_lease(name, namespace)
                    if lease.spec is None or lease.spec.holder_identity != self._settings.identity:
                        return
                    lease.spec.holder_identity, lease.spec.renew_time = "", datetime.now(UTC)
                    lease.spec.lease_duration_seconds = 1
                    await self._leases.replace_namespaced_lease(name, namespace, lease)
            except _LEASE_ERRORS as error:
                self._report(error)
            else:
                log.info("lease released", lease=name)
                return
        log.warning("lease not released; a standby takes it when it expires", lease=name)


def _explain(error: BaseException, settings: OperatorSettings) -> str:
    if isinstance(error, ApiException):
        where = f"Lease {settings.namespace}/{settings.lease_name}"
        if error.status == 403:
            return f"{where}: not permitted; this ServiceAccount needs get, create and update on leases there"
        if error.status == 404:
            return f"{where}: there is no namespace {settings.namespace}; create it or set SCIM_OPERATOR_NAMESPACE"
        if error.status == 409:
            return f"{where}: somebody else wrote it at the same time"
        return f"{where}: the Kubernetes API answered {error.status}"
    return f"the Kubernetes API did not answer: {type(error).__name__}"


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
