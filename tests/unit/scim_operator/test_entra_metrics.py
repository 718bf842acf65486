"""What is shown of applications in Entra."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from scim_operator.entra_metrics import EntraMetrics, EntraSample
from support.operator_world import KEY, START


def shown(registry: CollectorRegistry) -> list[str]:
    return [
        line
        for line in generate_latest(registry).decode().splitlines()
        if line.startswith("scim_operator_entra")
    ]


def test_each_application_has_its_samples_until_it_is_taken_out() -> None:
    registry = CollectorRegistry()
    metrics = EntraMetrics(registry)
    metrics.show(KEY, EntraSample(True, "Quarantine", START, START))
    labels = 'name="entra",namespace="team"'
    told = shown(registry)
    assert f"scim_operator_entra_handed_over{{{labels}}} 1.0" in told
    assert f'scim_operator_entra_job_state{{{labels},state="Quarantine"}} 1.0' in told
    assert registry.get_sample_value(
        "scim_operator_entra_job_disabled_timestamp_seconds", {"namespace": KEY.namespace, "name": KEY.name}
    ) == pytest.approx(START.timestamp())
    metrics.show(KEY, None)
    assert not any(labels in line for line in shown(registry))


def test_what_is_not_known_has_no_sample() -> None:
    registry = CollectorRegistry()
    metrics = EntraMetrics(registry)
    metrics.show(KEY, EntraSample(None, None, None, None))
    assert not any('name="entra"' in line for line in shown(registry))


def test_requests_are_counted_by_operation_and_outcome() -> None:
    registry = CollectorRegistry()
    EntraMetrics(registry).requested("save", "success")
    assert 'scim_operator_entra_requests_total{operation="save",outcome="success"} 1.0' in shown(registry)
