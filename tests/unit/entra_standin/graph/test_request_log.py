"""What was asked is counted, and too many of it are refused."""

import pytest

from entra_standin.graph import Application, Job
from entra_standin.graph.request_log import Limit
from unit.entra_standin.graph.graph_client import Clock, GraphClient, pairs

SP = "/v1.0/servicePrincipals/{sp}/synchronization"


def test_requests_are_counted_by_method_and_template(
    graph: GraphClient, application: Application, job: Job, clock: Clock
) -> None:
    graph.cloud.requests.clear()
    graph.sign_in()
    graph.sync(application, "PUT", "/secrets", {"value": pairs(SecretToken="x")})
    for _ in range(2):
        graph.sync(application, "GET", f"/jobs/{job.id}")
    graph.sync(application, "PATCH", "/connectivityParameters", {"value": []}, version="beta")
    graph.call("GET", "/nowhere")
    assert graph.cloud.requests.counts == {
        ("POST", "/login/{tenant}/oauth2/v2.0/token"): 1,
        ("PUT", f"{SP}/secrets"): 1,
        ("GET", f"{SP}/jobs/{{job}}"): 2,
        ("PATCH", "/beta/servicePrincipals/{sp}/synchronization/connectivityParameters"): 1,
        ("GET", ""): 1,
    }
    assert graph.cloud.requests.total == 6
    assert graph.cloud.requests.times("PUT", f"{SP}/secrets") == [clock()]


def test_the_log_has_time_method_path_and_status_and_no_query(
    graph: GraphClient, application: Application, clock: Clock
) -> None:
    graph.cloud.requests.clear()
    graph.call("GET", "/servicePrincipals", **{"$filter": "appId eq 'x'"})
    [logged] = graph.cloud.requests.log
    assert (logged.time, logged.method, logged.status) == (clock(), "GET", 403)
    assert logged.path == "/graph/v1.0/servicePrincipals"
    assert logged.faults == ()


def test_a_limit_lets_so_many_through_in_any_ten_seconds() -> None:
    limit = Limit(10)
    assert [limit.wait("a", 2, now) for now in (0.0, 4.0, 5.0)] == [None, None, 5.0]
    assert limit.wait("b", 2, 5.0) is None
    assert limit.wait("a", 2, 10.0) is None
    assert limit.wait("a", 2, 10.0) == pytest.approx(4.0)


def test_an_application_in_a_tenant_has_so_many_requests(
    graph: GraphClient, application: Application, clock: Clock
) -> None:
    graph.cloud.behaviour.units_per_ten_seconds = 3
    statuses = [graph.sync(application, "GET", "/jobs").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert graph.sync(application, "GET", "/jobs").headers["retry-after"] == "10"
    graph.cloud.behaviour.sends_retry_after = False
    refused = graph.sync(application, "GET", "/jobs")
    assert refused.status_code == 429
    assert "retry-after" not in refused.headers
    clock.advance(seconds=10)
    assert graph.sync(application, "GET", "/jobs").status_code == 200
