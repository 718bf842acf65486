"""Prometheus metrics of a dispatcher."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from scim_api.delivery.outcome import Result

_LABELS: Final = ("webhook",)


class DeliveryMetrics:
    """What a dispatcher tells; a webhook's gauges are there while the process holds its lease.

    Args:
        registry: where they are registered; None for one of its own.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.deliveries = Counter(
            "scim_api_webhook_deliveries_total",
            "Attempts to deliver, by result: delivered, rejected, slow_down, unreachable or gone.",
            ["result"],
            registry=self.registry,
        )
        for result in Result:
            self.deliveries.labels(
                result.value
            )  # 0 from the beginning, so that the first failure is an increase
        self.queued = Gauge(
            "scim_api_webhook_queued",
            "Deliveries of a webhook that are queued; what the log has beyond 1,000 is not among them.",
            _LABELS,
            registry=self.registry,
        )
        self.behind = Gauge(
            "scim_api_webhook_behind_seconds",
            "Age of the oldest change that is queued for a webhook; 0 without any.",
            _LABELS,
            registry=self.registry,
        )

    def show(self, webhook: str, queued: int, behind_seconds: float) -> None:
        """Set a webhook's gauges."""
        self.queued.labels(webhook).set(queued)
        self.behind.labels(webhook).set(behind_seconds)

    def forget(self, webhook: str) -> None:
        """Drop a webhook's gauges: another process has it now, or nobody."""
        for gauge in (self.queued, self.behind):
            gauge.remove(webhook)
