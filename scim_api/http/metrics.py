"""Prometheus metrics, of one process or of all workers together; served on the internal port."""

import dataclasses
import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead


@dataclasses.dataclass(frozen=True, slots=True)
class Shared:
    """Where several workers gather their metrics, so that each of them can tell those of all.

    The files are named by the worker's number, not by its process: one that takes another's place counts on
    from there, so that no counter goes back and no file is left over.
    """

    directory: Path
    """Private to the workers of one service, empty at its start."""
    worker: int
    """Which of them this process is."""

    def forget_gauges(self) -> None:
        """What a process that is dead was doing, it does no more; what it counted stays counted."""
        mark_process_dead(self.worker, str(self.directory))  # type: ignore[no-untyped-call]


class Metrics:
    """All metrics, in a registry of their own so that several services can live in one process.

    Args:
        shared: with other processes; then no other metrics can be made in this process.
    """

    def __init__(self, shared: Shared | None = None) -> None:
        self.registry = CollectorRegistry()
        own: CollectorRegistry | None = self.registry
        if shared is not None:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared.directory)
            values.ValueClass = values.MultiProcessValue(lambda: shared.worker)  # type: ignore[no-untyped-call]
            MultiProcessCollector(self.registry, str(shared.directory))  # type: ignore[no-untyped-call]
            own = None
        self.requests = Counter(
            "scim_api_requests_total",
            "Answered SCIM requests.",
            ["method", "route", "status"],
            registry=own,
        )
        self.seconds = Histogram(
            "scim_api_request_duration_seconds",
            "Time from the request's head to the answer's end.",
            ["method", "route"],
            registry=own,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.in_flight = Gauge(
            "scim_api_requests_in_flight",
            "SCIM requests being answered.",
            registry=own,
            multiprocess_mode="livesum",
        )
        self.admin_calls = Counter(
            "scim_api_admin_calls_total", "Answered admin calls.", ["method", "code"], registry=own
        )
        self.database_up = Gauge(
            "scim_api_database_up",
            "1 when the last reading of the database succeeded.",
            registry=own,
            multiprocess_mode="livemin",  # 0 as soon as one worker can't read it
        )
        self._cache: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; the label look-up is made once for each combination."""
        key = (method, route, status)
        children = self._cache.get(key)
        if children is None:
            children = self._cache[key] = (
                self.requests.labels(method, route, str(status)),
                self.seconds.labels(method, route),
            )
        children[0].inc()
        children[1].observe(seconds)
