"""Prometheus metrics of what is done and seen at Microsoft Entra; names are part of the operator's interface."""

import dataclasses
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from scim_operator.api.custom_object import Key
from scim_operator.reconcile_metrics import ReconcileMetrics

_LABELS: Final = ("namespace", "name")


@dataclasses.dataclass(frozen=True, slots=True)
class EntraSample:
    """What is known of one ScimToken's application."""

    handed_over: bool | None
    """None where the operator does not hand over."""
    job_state: str | None
    disabled_at: datetime | None
    last_success_at: datetime | None


class EntraMetrics(ReconcileMetrics, Collector):
    """Samples are made at each scrape, since there may be thousands of ScimTokens.

    Args:
        registry: where they are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples: dict[Key, EntraSample] = {}
        self._requests = Counter(
            "scim_operator_entra_requests_total",
            "Requests to Microsoft's login and Microsoft Graph.",
            ["operation", "outcome"],
            registry=registry,
        )
        super().__init__(
            registry, "scim_operator_entra", reconciles="Passes", objects="ScimTokens with spec.entra"
        )
        registry.register(self)

    def requested(self, operation: str, outcome: str) -> None:
        """One request ended.

        Args:
            operation: such as ``save``; few.
            outcome: ``success`` or an obstacle.
        """
        self._requests.labels(operation, outcome).inc()

    def show(self, key: Key, sample: EntraSample | None) -> None:
        """What is known of one ScimToken's application; None takes it out."""
        if sample is None:
            self._samples.pop(key, None)
        else:
            self._samples[key] = sample

    def shows(self, key: Key) -> bool:
        """Whether something is shown of one ScimToken's application."""
        return key in self._samples

    def clear(self) -> None:
        """This process no longer leads: another shows them."""
        self._samples.clear()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The families without a sample, for the registry."""
        yield GaugeMetricFamily(
            "scim_operator_entra_handed_over",
            "1 when Entra comes with the published credential, 0 when not yet; absent where nothing is handed over.",
            labels=_LABELS,
        )
        yield GaugeMetricFamily(
            "scim_operator_entra_job_state",
            "1 for the state that the provisioning job is in.",
            labels=(*_LABELS, "state"),
        )
        yield GaugeMetricFamily(
            "scim_operator_entra_job_disabled_timestamp_seconds",
            "When Entra disables a job in quarantine.",
            labels=_LABELS,
        )
        yield GaugeMetricFamily(
            "scim_operator_entra_last_success_timestamp_seconds",
            "When a provisioning cycle last succeeded.",
            labels=_LABELS,
        )

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The families with their samples."""
        handed_over, states, disabled, success = families = tuple(self.describe())
        for key, sample in self._samples.items():
            if sample.handed_over is not None:
                handed_over.add_metric(key, float(sample.handed_over))
            if sample.job_state is not None:
                states.add_metric((*key, sample.job_state), 1.0)
            if sample.disabled_at is not None:
                disabled.add_metric(key, sample.disabled_at.timestamp())
            if sample.last_success_at is not None:
                success.add_metric(key, sample.last_success_at.timestamp())
        yield from families
