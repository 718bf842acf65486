"""Prometheus metrics of this process; served on the internal port."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """All metrics, in a registry of their own so that several services can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "scim_api_requests_total",
            "Answered SCIM requests.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "scim_api_request_duration_seconds",
            "Time from the request's head to the response's end.",
            ["method", "route"],
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )
        self.in_flight = Gauge(
            "scim_api_requests_in_flight",
            "SCIM requests being answered.",
            registry=self.registry,
        )
        self.admin_calls = Counter(
            "scim_api_admin_requests_total",
            "Answered admin calls.",
            ["method", "code"],
            registry=self.registry,
        )
        self.token_requests = Counter(
            "scim_api_token_requests_total",
            "Answered token requests: issued, or what did not hold.",
            ["result"],
            registry=self.registry,
        )
        self.token_requests.labels("issued")
        self.database_up = Gauge(
            "scim_api_database_up",
            "1 when the last reading of the database succeeded.",
            registry=self.registry,
        )
        self.key_fetches = Counter(
            "scim_api_key_fetches_total",
            "Fetches of the keys of issuers, by result: fetched, refused, unreachable or invalid.",
            ["result"],
            registry=self.registry,
        )
        for result in ("fetched", "refused", "unreachable", "invalid"):
            self.key_fetches.labels(result)  # 0 from the beginning, so that the first failure is an increase
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
