"""Prometheus metrics of ScimWebhooks; names are part of the operator's interface. The dispatcher has its own."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scim_operator.api.custom_object import Key
from scim_operator.api.webhook_status import DELIVERING, ScimWebhookStatus

_LABELS: Final = ("namespace", "name")


class WebhookMetrics(Collector):
    """Samples are made at each scrape.

    Args:
        registry: where they are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._statuses: dict[Key, ScimWebhookStatus] = {}
        self._reconciles = Counter(
            "scim_operator_webhook_reconcile_total",
            "Reconciles of ScimWebhooks by result.",
            ["result"],
            registry=registry,
        )
        self._seconds = Histogram(
            "scim_operator_webhook_reconcile_time_seconds",
            "How long a reconcile of a ScimWebhook takes.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=registry,
        )
        self._depth = Gauge(
            "scim_operator_webhook_workqueue_depth",
            "ScimWebhooks that are due now or later.",
            registry=registry,
        )
        registry.register(self)

    def reconciled(self, result: str, seconds: float) -> None:
        """One reconcile ended."""
        self._reconciles.labels(result).inc()
        self._seconds.observe(seconds)

    def workqueue(self, *, depth: int, active_workers: int) -> None:
        """Depth of the workqueue."""
        del active_workers
        self._depth.set(depth)

    def show(self, key: Key, status: ScimWebhookStatus | None) -> None:
        """What is known of one ScimWebhook; None takes it out."""
        if status is None:
            self._statuses.pop(key, None)
        else:
            self._statuses[key] = status

    def clear(self) -> None:
        """This process no longer leads: another shows them."""
        self._statuses.clear()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without a sample, for the registry."""
        yield GaugeMetricFamily(
            "scim_operator_webhook_ready",
            "1 when the SCIM API has the ScimWebhook and its Secret shows what messages are signed with, else 0.",
            labels=_LABELS,
        )
        yield GaugeMetricFamily(
            "scim_operator_webhook_delivering",
            "1 when the receiver takes what is sent, else 0; absent while nothing is known or it is suspended.",
            labels=_LABELS,
        )

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The families with their samples."""
        ready, delivering = families = tuple(self.describe())
        for key, status in self._statuses.items():
            judged = status.condition("Ready")
            ready.add_metric(key, float(judged is not None and judged.status == "True"))
            judged = status.condition(DELIVERING)
            if judged is not None and judged.status != "Unknown" and judged.reason != "Suspended":
                delivering.add_metric(key, float(judged.status == "True"))
        yield from families
