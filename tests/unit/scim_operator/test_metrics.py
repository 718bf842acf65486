"""Metrics as Prometheus reads them; their names are public."""

import re
import time
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from scim_operator.api.custom_object import Key
from scim_operator.metrics import Metrics
from scim_operator.planning.endpoint_verdict import (
    PENDING,
    ConnectionFailure,
    EndpointVerdict,
    verdict_of_failure,
)

A = Key("team", "entra")
NAMES = {
    "scim_operator_reconcile_total",
    "scim_operator_reconcile_time_seconds",
    "scim_operator_workqueue_depth",
    "scim_operator_active_workers",
    "scim_operator_leader",
    "scim_operator_scimtokens",
    "scim_operator_watch_restarts_total",
    "scim_operator_events_dropped_total",
    "scim_operator_unwatched_namespace",
    "scim_operator_resync_total",
    "scim_operator_revocations_held",
    "scim_operator_superseded_token_in_use",
    "scim_operator_rotation_overdue_expiry_timestamp_seconds",
    "scim_operator_token_expiry_timestamp_seconds",
    "scim_operator_endpoint_reachable",
}


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Values by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_names_are_those_of_the_stability_promise() -> None:
    exposed = set(re.findall(r"^# TYPE (\w+) ", Metrics().render().decode(), re.MULTILINE))
    families = {name for name in exposed if not name.endswith("_created")}
    assert families == NAMES


def test_reconciles_are_counted_by_result_and_timed() -> None:
    metrics = Metrics()
    metrics.reconciled("success", 0.2)
    metrics.reconciled("success", 0.2)
    metrics.reconciled("requeue", 0.1)
    found = samples(metrics)
    assert found["scim_operator_reconcile_total", (("result", "success"),)] == 2
    assert found["scim_operator_reconcile_total", (("result", "requeue"),)] == 1
    assert found["scim_operator_reconcile_time_seconds_count", ()] == 3


def test_the_workqueue_and_its_workers_are_gauges() -> None:
    metrics = Metrics()
    metrics.workqueue(depth=7, active_workers=2)
    metrics.workqueue(depth=3, active_workers=1)
    found = samples(metrics)
    assert (found["scim_operator_workqueue_depth", ()], found["scim_operator_active_workers", ()]) == (3, 1)


def test_a_scimtoken_that_is_well_again_leaves_no_sample_behind() -> None:
    metrics, labels = Metrics(), (("name", "entra"), ("namespace", "team"))
    end = datetime(2026, 3, 1, tzinfo=UTC)
    metrics.in_use([A])
    metrics.rotation_overdue([(A, end)])
    found = samples(metrics)
    assert found["scim_operator_superseded_token_in_use", labels] == 1
    assert found["scim_operator_rotation_overdue_expiry_timestamp_seconds", labels] == end.timestamp()
    metrics.in_use([])
    metrics.unwatched(["team"])
    assert samples(metrics)["scim_operator_unwatched_namespace", (("namespace", "team"),)] == 1
    metrics.unwatched([])
    assert not [key for key in samples(metrics) if key[0] == "scim_operator_unwatched_namespace"]
    metrics.rotation_overdue([])
    assert not [key for key in samples(metrics) if key[1] == labels]


def test_every_token_s_expiry_is_there_until_its_scimtoken_is_gone() -> None:
    metrics, end = Metrics(), datetime(2026, 3, 1, tzinfo=UTC)
    name = "scim_operator_token_expiry_timestamp_seconds"
    metrics.token_expiries([(A, end), (Key("team", "other"), end + timedelta(days=1))])
    found = {key[1]: value for key, value in samples(metrics).items() if key[0] == name}
    assert found == {
        (("name", "entra"), ("namespace", "team")): end.timestamp(),
        (("name", "other"), ("namespace", "team")): end.timestamp() + 86400,
    }
    metrics.token_expiries([(A, end)])
    assert [key[1] for key in samples(metrics) if key[0] == name] == [
        (("name", "entra"), ("namespace", "team"))
    ]
    metrics.token_expiries([])
    assert not [key for key in samples(metrics) if key[0] == name]


def test_ten_thousand_expiries_hold_the_event_loop_up_for_less_than_a_renewal_of_the_lease() -> None:
    """Rendering blocks it; the leader renews every two seconds."""
    metrics, end = Metrics(), datetime(2026, 3, 1, tzinfo=UTC)
    metrics.token_expiries((Key(f"team-{number % 200}", f"entra-{number}"), end) for number in range(10_000))
    begin = time.process_time()
    text = metrics.render()
    assert time.process_time() - begin < 1
    assert text.count(b"\nscim_operator_token_expiry_timestamp_seconds{") == 10_000


def test_the_endpoint_is_absent_while_unchecked_and_has_one_reason_at_a_time() -> None:
    metrics = Metrics()
    name = "scim_operator_endpoint_reachable"
    for verdict, expected in (
        (None, {}),
        (PENDING, {}),
        (EndpointVerdict("True", "Reachable", ""), {"Reachable": 1.0}),
        (verdict_of_failure("https://x.test", ConnectionFailure.DNS, ""), {"DnsFailed": 0.0}),
        (None, {}),
    ):
        metrics.endpoint(verdict)
        assert {key[1][0][1]: value for key, value in samples(metrics).items() if key[0] == name} == expected


def test_two_processes_in_one_have_metrics_of_their_own() -> None:
    one, other = Metrics(), Metrics()
    one.leader(leading=True)
    assert samples(one)["scim_operator_leader", ()] == 1
    assert samples(other)["scim_operator_leader", ()] == 0
