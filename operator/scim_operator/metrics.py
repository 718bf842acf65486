"""The operator's Prometheus metrics; names are part of its interface."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scim_operator.api.custom_object import Key
from scim_operator.planning.endpoint_verdict import EndpointVerdict

Result = Literal["success", "requeue", "conflict", "error", "not_leading"]


class _TokenExpiries(Collector):
    """When each ScimToken's token ends: samples made at each scrape, since there may be ten thousand of them."""

    def __init__(self) -> None:
        self.ends: tuple[tuple[Key, datetime], ...] = ()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The family without a sample, for the registry."""
        yield GaugeMetricFamily(
            "scim_operator_token_expiry_timestamp_seconds",
            "When the token in the Secret ends, of each ScimToken that has one.",
            labels=("namespace", "name"),
        )

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The family with a sample for each ScimToken."""
        for family in self.describe():
            for key, end in self.ends:
                family.add_metric((key.namespace, key.name), end.timestamp())
            yield family


class QueueMetrics(Protocol):
    """What a controller tells of its workqueue."""

    def reconciled(self, result: str, seconds: float) -> None:
        """One reconcile ended."""

    def workqueue(self, *, depth: int, active_workers: int) -> None:
        """Depth of the workqueue, and workers that reconcile."""


class Metrics:
    """Counters and gauges in a registry of their own, so that several may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "scim_operator_reconcile_total", "Reconciles by result.", ["result"], registry=self.registry
        )
        self._seconds = Histogram(
            "scim_operator_reconcile_time_seconds",
            "How long a reconcile takes.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self._workqueue_depth = Gauge(
            "scim_operator_workqueue_depth",
            "ScimTokens that are due now or later.",
            registry=self.registry,
        )
        self._active_workers = Gauge(
            "scim_operator_active_workers", "ScimTokens being reconciled now.", registry=self.registry
        )
        self._leader = Gauge("scim_operator_leader", "1 while this process leads.", registry=self.registry)
        self._tokens = Gauge(
            "scim_operator_scimtokens",
            "ScimTokens in the informer cache, by state.",
            ["state"],
            registry=self.registry,
        )
        self._watch_restarts = Counter(
            "scim_operator_watch_restarts_total",
            "Watches that ended and were restarted.",
            registry=self.registry,
        )
        self._unwatched = Gauge(
            "scim_operator_unwatched_namespace",
            "1 for a namespace of the settings that can't be watched: it is missing, or its RoleBinding is.",
            ["namespace"],
            registry=self.registry,
        )
        self._resyncs = Counter(
            "scim_operator_resync_total",
            "Comparisons with the API's pages.",
            ["result"],
            registry=self.registry,
        )
        self._revocations_held = Gauge(
            "scim_operator_revocations_held",
            "Connections whose ScimToken is gone or being deleted, not revoked because they are many.",
            registry=self.registry,
        )

        self._events_dropped = Counter(
            "scim_operator_events_dropped_total",
            "Events that were not written: Kubernetes refused them, or takes them slower than they come.",
            registry=self.registry,
        )
        self._in_use = Gauge(
            "scim_operator_superseded_token_in_use",
            "1 for a ScimToken whose superseded token ends soon and is still used: paste the new one.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self._rotation_overdue = Gauge(
            "scim_operator_rotation_overdue_expiry_timestamp_seconds",
            "When the token ends, for a ScimToken whose token should have been replaced by now and was not.",
            ["namespace", "name"],
            registry=self.registry,
        )
        self._token_expiries = _TokenExpiries()
        self.registry.register(self._token_expiries)
        self._endpoint_reachable = Gauge(
            "scim_operator_endpoint_reachable",
            "1 when the last check of the public endpoint found the SCIM API, 0 when not; absent when unchecked.",
            ["reason"],
            registry=self.registry,
        )

    def reconciled(self, result: str, seconds: float) -> None:
        """One reconcile ended."""
        self._reconciles.labels(result).inc()
        self._seconds.observe(seconds)

    def workqueue(self, *, depth: int, active_workers: int) -> None:
        """Depth of the workqueue, and workers that reconcile."""
        self._workqueue_depth.set(depth)
        self._active_workers.set(active_workers)

    def leader(self, *, leading: bool) -> None:
        """Whether this process leads."""
        self._leader.set(int(leading))

    def scimtokens(self, *, ready: int, not_ready: int) -> None:
        """ScimTokens that are Ready for their present generation, and the others."""
        self._tokens.labels("ready").set(ready)
        self._tokens.labels("not_ready").set(not_ready)

    def in_use(self, keys: Iterable[Key]) -> None:
        """The ScimTokens whose superseded token is in use near its end."""
        self._in_use.clear()
        for key in keys:
            self._in_use.labels(key.namespace, key.name).set(1)

    def rotation_overdue(self, tokens: Iterable[tuple[Key, datetime]]) -> None:
        """The ScimTokens whose token should have been replaced, and when it ends."""
        self._rotation_overdue.clear()
        for key, end in tokens:
            self._rotation_overdue.labels(key.namespace, key.name).set(end.timestamp())

    def token_expiries(self, tokens: Iterable[tuple[Key, datetime]]) -> None:
        """All ScimTokens with a token, and when it ends."""
        self._token_expiries.ends = tuple(tokens)

    def endpoint(self, verdict: EndpointVerdict | None) -> None:
        """The verdict of the last check of the endpoint; None when this process does not check."""
        self._endpoint_reachable.clear()
        if verdict is not None and verdict.status != "Unknown":
            self._endpoint_reachable.labels(verdict.reason).set(int(verdict.status == "True"))

    def watch_restarted(self) -> None:
        """The watch ended and is restarted."""
        self._watch_restarts.inc()

    def unwatched(self, namespaces: Iterable[str]) -> None:
        """The namespaces of the settings that can't be watched."""
        self._unwatched.clear()
        for namespace in namespaces:
            self._unwatched.labels(namespace).set(1)

    def event_dropped(self) -> None:
        """An Event was not written."""
        self._events_dropped.inc()

    def resynced(self, *, complete: bool) -> None:
        """A comparison ended; incomplete when the API could not be read."""
        self._resyncs.labels("success" if complete else "scim_api_unreachable").inc()

    def revocations_held(self, number: int) -> None:
        """How many revocations wait because they are many."""
        self._revocations_held.set(number)

    def render(self) -> bytes:
        """The text exposition of all of them."""
        return generate_latest(self.registry)
