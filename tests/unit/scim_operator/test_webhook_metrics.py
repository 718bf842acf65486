"""What is shown of ScimWebhooks."""

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from scim_operator.api.custom_object import Key
from scim_operator.api.status import Condition
from scim_operator.api.webhook_status import ScimWebhookStatus
from scim_operator.webhook_metrics import WebhookMetrics

KEY = Key("team", "app")
LABELS = {"namespace": "team", "name": "app"}
NOW = datetime(2026, 11, 30, tzinfo=UTC)


def status(ready: str, delivering: str, reason: str = "x") -> ScimWebhookStatus:
    return ScimWebhookStatus(
        conditions=tuple(
            Condition(type=kind, status=value, reason=reason, message="", last_transition_time=NOW)
            for kind, value in (("Ready", ready), ("Delivering", delivering))
        )
    )


@pytest.mark.parametrize(
    ("shown", "ready", "delivering"),
    [
        (status("True", "True"), 1.0, 1.0),
        (status("False", "False"), 0.0, 0.0),
        (status("Unknown", "Unknown"), 0.0, None),
        (status("True", "False", "Suspended"), 1.0, None),
        (ScimWebhookStatus(), 0.0, None),
    ],
)
def test_each_scimwebhook_has_its_samples_until_it_is_taken_out(
    shown: ScimWebhookStatus, ready: float, delivering: float | None
) -> None:
    registry = CollectorRegistry()
    metrics = WebhookMetrics(registry)
    metrics.show(KEY, shown)
    assert registry.get_sample_value("scim_operator_webhook_ready", LABELS) == ready
    assert registry.get_sample_value("scim_operator_webhook_delivering", LABELS) == delivering
    metrics.show(KEY, None)
    assert registry.get_sample_value("scim_operator_webhook_ready", LABELS) is None


def test_who_no_longer_leads_shows_none() -> None:
    registry = CollectorRegistry()
    metrics = WebhookMetrics(registry)
    metrics.show(KEY, status("True", "True"))
    metrics.clear()
    assert registry.get_sample_value("scim_operator_webhook_ready", LABELS) is None


def test_reconciles_are_counted_by_result() -> None:
    registry = CollectorRegistry()
    metrics = WebhookMetrics(registry)
    metrics.reconciled("success", 0.1)
    metrics.workqueue(depth=3, active_workers=1)
    assert registry.get_sample_value("scim_operator_webhook_reconcile_total", {"result": "success"}) == 1
    assert registry.get_sample_value("scim_operator_webhook_workqueue_depth") == 3
