"""The server: many applications, many requests, ports, its end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from entra_standin.graph import Caller, Fault, MicrosoftCloud
from unit.entra_standin.graph.graph_client import GraphClient

DEADLINE_SECONDS = 10.0


def test_two_clouds_are_side_by_side_and_a_port_can_be_chosen() -> None:
    with MicrosoftCloud() as first:
        port = int(first.origin.rpartition(":")[2])
        with MicrosoftCloud() as second:
            assert first.origin != second.origin
        with pytest.raises(OSError, match="in use"), MicrosoftCloud(port=port):
            pass
    with MicrosoftCloud(port=port) as third:
        assert third.origin == first.origin


def test_a_request_that_comes_while_the_cloud_closes_is_hung_up_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with MicrosoftCloud() as cloud:
        cloud._app.closing.set()
        with pytest.raises(httpx.TransportError):
            httpx.post(cloud.token_url("x"), trust_env=False, timeout=DEADLINE_SECONDS)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def test_a_request_that_hangs_does_not_keep_the_cloud_from_closing() -> None:
    ended = threading.Event()

    def ask(url: str) -> None:
        try:
            httpx.get(url, trust_env=False, timeout=DEADLINE_SECONDS)
        except httpx.TransportError:
            ended.set()

    with MicrosoftCloud() as cloud:
        planted = cloud.faults.inject(Fault.HANGING, times=None)
        thread = threading.Thread(target=ask, args=(f"{cloud.graph_url}/v1.0/x",))
        thread.start()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while planted.hits == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    thread.join(DEADLINE_SECONDS)
    assert ended.is_set()


def test_a_thousand_applications_are_asked_by_many_at_once(cloud: MicrosoftCloud, caller: Caller) -> None:
    tenant = cloud.tenants[caller.home]
    applications = [tenant.add_application() for _ in range(1000)]
    graph = GraphClient(cloud, caller).sign_in()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: graph.sync(one, "GET", "/jobs"), applications))
    assert [answer.json()["value"][0]["id"] for answer in answers] == [
        application.jobs[0].id for application in applications
    ]
    assert cloud.requests.total == 1001
