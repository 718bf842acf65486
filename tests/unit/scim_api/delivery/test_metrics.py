"""What a dispatcher tells to Prometheus."""

from scim_api.delivery.metrics import DeliveryMetrics


def test_each_result_is_there_from_the_beginning() -> None:
    value = DeliveryMetrics().registry.get_sample_value
    for result in ("delivered", "rejected", "slow_down", "unreachable", "gone"):
        assert value("scim_api_webhook_deliveries_total", {"result": result}) == 0


def test_a_webhooks_gauges_go_when_another_process_has_it() -> None:
    metrics = DeliveryMetrics(clock=lambda: 100.0)
    metrics.show("demo/app", 3, 1.5)
    value = metrics.registry.get_sample_value
    assert value("scim_api_webhook_queued", {"webhook": "demo/app"}) == 3
    assert value("scim_api_webhook_behind_seconds", {"webhook": "demo/app"}) == 1.5
    metrics.forget("demo/app")
    assert value("scim_api_webhook_queued", {"webhook": "demo/app"}) is None


def test_the_age_of_what_is_not_delivered_grows_while_nobody_looks() -> None:
    now = 100.0
    metrics = DeliveryMetrics(clock=lambda: now)
    metrics.show("demo/app", 3, 1.5)
    metrics.show("demo/idle", 0, 0.0)
    now = 160.0
    value = metrics.registry.get_sample_value
    assert value("scim_api_webhook_behind_seconds", {"webhook": "demo/app"}) == 61.5
    assert value("scim_api_webhook_behind_seconds", {"webhook": "demo/idle"}) == 0
    metrics.show("demo/app", 0, 0.0)
    assert value("scim_api_webhook_behind_seconds", {"webhook": "demo/app"}) == 0
