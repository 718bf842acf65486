"""What Prometheus is told."""

from scim_api.http.metrics import Metrics

REQUESTS, SECONDS = "scim_api_requests_total", "scim_api_request_duration_seconds"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    found: float | None = metrics.registry.get_sample_value(name, labels)
    return found


def test_a_request_is_counted_by_method_route_and_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 404):
        metrics.count("GET", "/Users", status, 0.1)
    assert value(metrics, REQUESTS, method="GET", route="/Users", status="200") == 2
    assert value(metrics, REQUESTS, method="GET", route="/Users", status="404") == 1
    assert value(metrics, REQUESTS, method="POST", route="/Users", status="200") is None


def test_the_time_of_a_request_is_counted_whatever_its_status() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.25), (500, 0.5)):
        metrics.count("GET", "/Users", status, seconds)
    assert value(metrics, f"{SECONDS}_count", method="GET", route="/Users") == 2
    assert value(metrics, f"{SECONDS}_sum", method="GET", route="/Users") == 0.75


def test_a_bucket_holds_what_took_that_long_at_most() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.0011, 11.0):
        metrics.count("GET", "/Users", 200, seconds)
    shares = [
        value(metrics, f"{SECONDS}_bucket", method="GET", route="/Users", le=le)
        for le in ("0.001", "0.0025", "10.0", "+Inf")
    ]
    assert shares == [1, 2, 2, 3]


def test_two_services_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count("GET", "/Users", 200, 0.1)
    assert value(other, REQUESTS, method="GET", route="/Users", status="200") is None


def test_a_new_process_has_no_request_in_flight_and_has_read_no_database() -> None:
    metrics = Metrics()
    assert value(metrics, "scim_api_requests_in_flight") == 0
    assert value(metrics, "scim_api_database_up") == 0


def test_fetches_of_keys_are_counted_by_their_result() -> None:
    metrics = Metrics()
    for result in ("fetched", "unreachable", "unreachable"):
        metrics.key_fetches.labels(result).inc()
    assert value(metrics, "scim_api_key_fetches_total", result="unreachable") == 2
    assert value(metrics, "scim_api_key_fetches_total", result="fetched") == 1
    assert value(metrics, "scim_api_key_fetches_total", result="invalid") == 0
