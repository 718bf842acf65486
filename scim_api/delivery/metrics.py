"""Prometheus metrics of a dispatcher."""

import time
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from scim_api.delivery.outcome import Result

_LABELS: Final = ("webhook",)


class DeliveryMetrics:
    """What a dispatcher tells; a webhook's gauges are there while the process holds its lease.

    Args:
        registry: where they are registered; None for one of its own.
        clock: seconds, from any beginning.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.registry, self._clock = registry or CollectorRegistry(), clock
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
            "Deliveries of a webhook that are queued, 1,000 at most: what waits in the log behind them is not counted.",
            _LABELS,
            registry=self.registry,
        )
        self.behind = Gauge(
            "scim_api_webhook_behind_seconds",
            "Age of the oldest change that a webhook has not delivered; 0 without any.",
            _LABELS,
            registry=self.registry,
        )

    def show(self, webhook: str, queued: int, behind_seconds: float) -> None:
        """Set a webhook's gauges. The age grows until the next time: a paused receiver's may be an hour away."""
        self.queued.labels(webhook).set(queued)
        since = self._clock() - behind_seconds
        self.behind.labels(webhook).set_function(lambda: self._clock() - since if queued else 0.0)

    def forget(self, webhook: str) -> None:
        """Drop a webhook's gauges: another process has it now, or nobody."""
        for gauge in (self.queued, self.behind):
            gauge.remove(webhook)
