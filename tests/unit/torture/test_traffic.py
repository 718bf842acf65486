"""The traffic finds planted faults in a service that plays false."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable

import httpx
import pytest

from torture import traffic
from torture.rules import Fault, Token, lost
from torture.traffic import Traffic

VALID, EXPIRED = "valid-plaintext", "expired-plaintext"


class Service:
    """Honest, unless told otherwise.

    Args:
        refuses: whether to answer 401, given the plaintext and how many requests there were.
        forgets: whether an acknowledged write is dropped.
    """

    def __init__(self, refuses: Callable[[str, int], bool], *, forgets: bool = False) -> None:
        self._refuses, self._forgets = refuses, forgets
        self._titles: dict[str, str] = {}
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests += 1
        if self._refuses(request.headers["authorization"].removeprefix("Bearer "), self.requests):
            return httpx.Response(401)
        identity = request.url.path.rpartition("/")[2]
        if request.method == "POST":
            identity = str(self.requests)
            self._titles[identity] = json.loads(request.content)["title"]
            return httpx.Response(201, json={"id": identity})
        if request.method == "PATCH":
            if not self._forgets:
                self._titles[identity] = json.loads(request.content)["Operations"][0]["value"]
            return httpx.Response(200, json={})
        if identity == "Users":
            return httpx.Response(200, json={})
        return httpx.Response(200, json={"title": self._titles[identity]})


async def played(service: Service, monkeypatch: pytest.MonkeyPatch) -> Traffic:
    """The traffic's findings after some hundred requests."""
    monkeypatch.setattr(traffic, "BETWEEN_SECONDS", 0.001)
    now = time.time()
    tokens = [
        (Token("valid", now - 10, now + 600), VALID),
        (Token("expired", now - 100, now - 5), EXPIRED),
    ]
    made = Traffic({"api-0": "http://api-0/scim/v2"}, lambda: tokens, 1, httpx.MockTransport(service))
    stop = asyncio.Event()
    running = asyncio.create_task(made.run(stop))
    while service.requests < 300:
        await asyncio.sleep(0.01)
    stop.set()
    await running
    return made


async def test_an_honest_service_breaks_no_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    made = await played(Service(lambda plaintext, _: plaintext == EXPIRED), monkeypatch)
    assert made.violations == []
    assert made.counts.served > 100
    assert made.counts.refused > 10
    assert made.counts.answers == made.counts.served + made.counts.refused
    assert lost(made.people.values(), await made.read_back(VALID, "api-0")) == []
    await made.close()


async def test_one_rejection_in_three_hundred_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = itertools.count()
    planted = Service(lambda plaintext, _: plaintext == EXPIRED or next(asked) == 100)
    made = await played(planted, monkeypatch)
    assert {one.fault for one in made.violations} == {Fault.REJECTED}
    await made.close()


async def test_a_token_accepted_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = await played(Service(lambda *_: False), monkeypatch)
    assert {one.fault for one in made.violations} == {Fault.ACCEPTED}
    await made.close()


async def test_a_write_that_was_acknowledged_and_dropped_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = await played(Service(lambda plaintext, _: plaintext == EXPIRED, forgets=True), monkeypatch)
    found = lost(made.people.values(), await made.read_back(VALID, "api-0"))
    assert {one.fault for one in found} == {Fault.LOST}
    await made.close()
