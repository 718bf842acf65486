"""The traffic finds planted faults in a service that plays false."""

import asyncio
import base64
import dataclasses
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
CLIENT_SECRET, ACCESS = "client-secret", "access-token"


class Service:
    """Honest, unless told otherwise.

    Args:
        refuses: whether to answer 401, given the plaintext and how many requests there were.
        forgets: whether an acknowledged write is dropped.
    """

    def __init__(self, refuses: Callable[[str, int], bool], *, forgets: bool = False) -> None:
        self._refuses, self._forgets = refuses, forgets
        self._titles: dict[str, str] = {}
        self.requests = self.with_access_token = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests += 1
        if request.url.path == "/oauth2/token":
            return self._sign_in(request)
        self.with_access_token += request.headers["authorization"] == f"Bearer {ACCESS}"
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

    def _sign_in(self, request: httpx.Request) -> httpx.Response:
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        if self._refuses(pair.partition(":")[2], self.requests):
            return httpx.Response(401)
        return httpx.Response(200, json={"access_token": ACCESS, "expires_in": 3600})


async def played(service: Service, monkeypatch: pytest.MonkeyPatch, *more: tuple[Token, str]) -> Traffic:
    """The traffic's findings after some hundred requests."""
    monkeypatch.setattr(traffic, "BETWEEN_SECONDS", 0.001)
    monkeypatch.setattr(traffic, "SIGN_IN_SECONDS", 0.01)
    now = time.time()
    tokens = [
        (Token("valid", now - 10, now + 600), VALID),
        (Token("expired", now - 100, now - 5), EXPIRED),
        *more,
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


def client_secret(**changes: float) -> tuple[Token, str]:
    now = time.time()
    token = Token("secret", now - 10, now + 600, client_id="a-client")
    return dataclasses.replace(token, **changes), CLIENT_SECRET  # type: ignore[arg-type]


async def test_a_client_secret_is_traded_for_access_tokens_that_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Service(lambda plaintext, _: plaintext == EXPIRED)
    made = await played(service, monkeypatch, client_secret())
    assert made.violations == []
    assert service.with_access_token > 10
    await made.close()


async def test_an_access_token_that_is_rejected_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(lambda plaintext, _: plaintext in (EXPIRED, ACCESS))
    made = await played(service, monkeypatch, client_secret())
    assert {one.fault for one in made.violations} == {Fault.REJECTED}
    await made.close()


async def test_a_client_secret_that_is_rejected_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(lambda plaintext, _: plaintext in (EXPIRED, CLIENT_SECRET))
    made = await played(service, monkeypatch, client_secret())
    assert {one.fault for one in made.violations} == {Fault.REJECTED}
    await made.close()


async def test_an_access_token_for_a_client_secret_that_is_over_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = Service(lambda plaintext, _: plaintext == EXPIRED)
    made = await played(service, monkeypatch, client_secret(expires_at=time.time() - 5))
    assert {one.fault for one in made.violations} == {Fault.ACCEPTED}
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
