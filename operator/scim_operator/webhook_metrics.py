"""Prometheus metrics of ScimWebhooks; names are part of the operator's interface. The dispatcher has its own."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scim_operator.api.custom_object import Key
from scim_operator.api.webhook_status import DELIVERING, ScimWebhookStatus
from scim_operator.reconcile_metrics import ReconcileMetrics

_LABELS: Final = ("namespace", "name")


class WebhookMetrics(ReconcileMetrics, Collector):
    """Samples are made at each scrape.

    Args:
        registry: where they are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._statuses: dict[Key, ScimWebhookStatus] = {}
        super().__init__(
            registry, "scim_operator_webhook", reconciles="Reconciles of ScimWebhooks", objects="ScimWebhooks"
        )
        registry.register(self)

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
