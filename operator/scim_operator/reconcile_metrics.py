"""Prometheus metrics of a controller that works beside that of the ScimTokens; names are part of the operator's interface."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ReconcileMetrics:
    """Reconciles by result, how long they take, and what is due.

    Args:
        registry: where they are shown.
        prefix: of their names, such as ``scim_operator_entra``.
        reconciles: what one is called, such as ``Passes``.
        objects: what is due.
    """

    def __init__(self, registry: CollectorRegistry, prefix: str, *, reconciles: str, objects: str) -> None:
        self._reconciles = Counter(
            f"{prefix}_reconcile_total", f"{reconciles} by result.", ["result"], registry=registry
        )
        self._seconds = Histogram(
            f"{prefix}_reconcile_time_seconds",
            f"{reconciles}: how long one takes.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
            registry=registry,
        )
        self._depth = Gauge(
            f"{prefix}_workqueue_depth", f"{objects} that are due now or later.", registry=registry
        )

    def reconciled(self, result: str, seconds: float) -> None:
        """One ended."""
        self._reconciles.labels(result).inc()
        self._seconds.observe(seconds)

    def workqueue(self, *, depth: int, active_workers: int) -> None:
        """Depth of the workqueue."""
        del active_workers
        self._depth.set(depth)
