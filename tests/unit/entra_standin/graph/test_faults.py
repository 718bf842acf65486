"""Each fault, before and after the effect, for so many requests and for paths that match."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from entra_standin.graph import LOGIN, Application, Fault, Job
from unit.entra_standin.graph.graph_client import Clock, GraphClient, error_of, pairs

DEADLINE_SECONDS = 10.0


def jobs(graph: GraphClient, application: Application) -> httpx.Response:
    return graph.sync(application, "GET", "/jobs")


def put(graph: GraphClient, application: Application, value: str) -> httpx.Response:
    return graph.sync(application, "PUT", "/secrets", {"value": pairs(SecretToken=value)})


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.NOT_FOUND, 404, "Request_ResourceNotFound"),
        (Fault.UNAUTHORIZED, 401, "UnknownError"),
        (Fault.CONFLICT, 409, "Conflict"),
        (Fault.THROTTLED, 429, "TooManyRequests"),
        (Fault.SERVER_ERROR, 500, "InternalServerError"),
        (Fault.BAD_GATEWAY, 502, "BadGateway"),
        (Fault.UNAVAILABLE, 503, "ServiceUnavailable"),
        (Fault.GATEWAY_TIMEOUT, 504, "GatewayTimeout"),
        (Fault.NESTED, 400, "UnknownError"),
    ],
)
def test_a_fault_meets_as_many_requests_as_it_was_planted_for(
    graph: GraphClient, application: Application, fault: Fault, status: int, code: str
) -> None:
    planted = graph.cloud.faults.inject(fault, times=2)
    for _ in range(2):
        assert error_of(jobs(graph, application)) == (status, code)
    assert jobs(graph, application).status_code == 200
    assert planted.hits == 2


def test_a_throttled_answer_has_retry_after_or_not(graph: GraphClient, application: Application) -> None:
    graph.cloud.faults.inject(Fault.THROTTLED, retry_after=7)
    assert jobs(graph, application).headers["retry-after"] == "7"
    graph.cloud.faults.inject(Fault.THROTTLED)
    assert "retry-after" not in jobs(graph, application).headers


def test_a_nested_error_is_json_within_json(graph: GraphClient, application: Application) -> None:
    graph.cloud.faults.inject(Fault.NESTED)
    message = json.loads(jobs(graph, application).json()["error"]["message"])
    assert json.loads(message["error"]["message"])["Message"]


def test_a_fault_can_be_for_a_method_and_a_path(graph: GraphClient, application: Application) -> None:
    with graph.cloud.faults.inject(Fault.UNAVAILABLE, times=None, method="PUT", path=r"/secrets$"):
        for _ in range(3):
            assert put(graph, application, "x").status_code == 503
        assert graph.sync(application, "GET", "/secrets").status_code == 200
        assert jobs(graph, application).status_code == 200
    assert put(graph, application, "x").status_code == 204


def test_a_fault_of_graph_leaves_the_login_alone_and_the_other_way_round(
    graph: GraphClient, application: Application
) -> None:
    with graph.cloud.faults.inject(Fault.UNAVAILABLE, times=None):
        assert graph.token().status_code == 200
    with graph.cloud.faults.inject(Fault.UNAVAILABLE, times=None, path=LOGIN, retry_after=3):
        assert jobs(graph, application).status_code == 200
        refused = graph.token()
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "3"
        assert refused.json()["error"] == "temporarily_unavailable"
        assert refused.json()["error_codes"] == [90033]


def test_the_login_can_be_down(graph: GraphClient) -> None:
    with graph.cloud.faults.inject(Fault.CLOSED, times=None, path=LOGIN), pytest.raises(httpx.TransportError):
        graph.token()
    assert graph.token().status_code == 200


@pytest.mark.parametrize("fault", [Fault.CLOSED, Fault.GATEWAY_TIMEOUT, Fault.THROTTLED])
@pytest.mark.parametrize("after_effect", [False, True])
def test_an_answer_is_lost_before_or_after_the_effect(
    graph: GraphClient, application: Application, fault: Fault, after_effect: bool
) -> None:
    graph.cloud.faults.inject(fault, after_effect=after_effect)
    if fault is Fault.CLOSED:
        with pytest.raises(httpx.RemoteProtocolError):
            put(graph, application, "written")
    else:
        assert put(graph, application, "written").status_code == int(fault.value)
    assert (application.credentials["SecretToken"] == "written") is after_effect


@pytest.mark.parametrize("after_effect", [False, True])
def test_a_request_hangs_until_the_client_gives_up(
    graph: GraphClient, application: Application, after_effect: bool
) -> None:
    graph.cloud.faults.inject(Fault.HANGING, after_effect=after_effect)
    graph.http.timeout = httpx.Timeout(0.3)
    with pytest.raises(httpx.ReadTimeout):
        put(graph, application, "written")
    assert (application.credentials["SecretToken"] == "written") is after_effect
    eventually(lambda: graph.cloud.requests.log[-1].status == 0)
    assert jobs(graph, application).status_code == 200


def test_a_request_that_hangs_is_let_go_without_an_answer_when_the_fault_is_stopped(
    graph: GraphClient, application: Application
) -> None:
    planted = graph.cloud.faults.inject(Fault.HANGING)
    ended: list[Exception] = []

    def ask() -> None:
        try:
            jobs(graph, application)
        except httpx.RemoteProtocolError as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: planted.hits == 1)
    assert not ended
    planted.stop()
    thread.join(DEADLINE_SECONDS)
    assert len(ended) == 1


def test_latency_goes_with_another_fault(graph: GraphClient, application: Application) -> None:
    graph.cloud.faults.inject(Fault.LATENCY, times=None, seconds=0.2)
    graph.cloud.faults.inject(Fault.CONFLICT)
    for status in (409, 200):
        began = time.monotonic()
        assert jobs(graph, application).status_code == status
        assert time.monotonic() - began >= 0.2
    graph.cloud.faults.clear()
    assert graph.cloud.faults.take("GET", "/graph/v1.0/x") == []


def test_a_fault_by_chance_meets_some(graph: GraphClient, application: Application) -> None:
    with graph.cloud.faults.inject(Fault.CONFLICT, times=None, chance=0.5) as planted:
        statuses = {jobs(graph, application).status_code for _ in range(40)}
    assert statuses == {200, 409}
    assert 5 < planted.hits < 35


def test_faults_that_are_taken_down_name_themselves(graph: GraphClient, application: Application) -> None:
    graph.cloud.faults.inject(Fault.CONFLICT)
    jobs(graph, application)
    assert graph.cloud.requests.log[-1].faults == ("409",)


def test_a_fault_on_a_path_that_is_nowhere_is_a_fault(graph: GraphClient) -> None:
    graph.cloud.faults.inject(Fault.CONFLICT)
    assert graph.call("GET", "/nowhere").status_code == 409


# -- stale reads ------------------------------------------------------------------------------------
def test_reads_after_a_write_show_for_a_while_what_was_before(
    graph: GraphClient, application: Application, job: Job, clock: Clock
) -> None:
    graph.cloud.faults.inject(Fault.STALE, seconds=30)

    def keys() -> set[Any]:
        return {one["key"] for one in graph.sync(application, "GET", "/secrets").json()["value"]}

    assert graph.sync(application, "PUT", "/secrets", {"value": pairs(SyncAll="true")}).status_code == 204
    assert application.credentials["SyncAll"] == "true"
    assert "SyncAll" not in keys()
    graph.sync(application, "POST", f"/jobs/{job.id}/start")
    assert graph.status(application, job)["code"] == "NotRun"
    clock.advance(seconds=30)
    assert "SyncAll" in keys()
    assert graph.status(application, job)["code"] == "Active"


def test_a_new_job_is_not_found_for_a_while(
    graph: GraphClient, application: Application, clock: Clock
) -> None:
    graph.cloud.faults.inject(Fault.STALE, seconds=30, path=r"/jobs$")
    made = graph.sync(application, "POST", "/jobs", {"templateId": "scim"}).json()["id"]
    assert len(jobs(graph, application).json()["value"]) == 1
    assert graph.sync(application, "GET", f"/jobs/{made}").status_code == 404
    assert graph.sync(application, "POST", f"/jobs/{made}/start").status_code == 404
    clock.advance(seconds=30)
    assert graph.sync(application, "POST", f"/jobs/{made}/start").status_code == 204


def test_other_applications_are_not_stale(graph: GraphClient, application: Application) -> None:
    other = graph.cloud.tenants[graph.tenant_id].add_application()
    graph.cloud.faults.inject(Fault.STALE, seconds=30)
    put(graph, application, "x")
    put(graph, other, "x")
    shown = graph.sync(other, "GET", "/secrets").json()["value"]
    assert shown == [{"key": "SecretToken", "value": "*"}]
