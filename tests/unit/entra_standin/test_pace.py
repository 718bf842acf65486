"""Entra's rate, kept by a client that could send faster."""

import httpx
import pytest

from entra_standin.pace import PacedTransport

URL = "http://127.0.0.1/scim/v2/Users"


class Time:
    """A clock that goes forward by sleeping alone."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_requests_begin_an_interval_apart_and_a_pause_is_no_credit() -> None:
    time, begun = Time(), list[float]()

    def answer(_request: httpx.Request) -> httpx.Response:
        begun.append(time.now)
        return httpx.Response(200)

    transport = PacedTransport(
        httpx.MockTransport(answer), requests_per_second=4, clock=lambda: time.now, sleep=time.sleep
    )
    with httpx.Client(transport=transport) as client:
        for _ in range(3):
            assert client.get(URL).status_code == 200
        time.now += 10
        for _ in range(2):
            client.get(URL)
    assert begun == pytest.approx([100, 100.25, 100.5, 110.5, 110.75])
    assert time.slept == pytest.approx([0.25] * 3)
