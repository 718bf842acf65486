"""PostgreSQL goes away under a running service: 503 and never 401, and all is well when it is back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.conftest import BASE, Scim
from scim_api.http.authentication import FRESH_SECONDS, Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from support.postgres import PostgresServer, fresh_database, own_server
from support.token_requests import ask as ask_for_token
from support.token_requests import bearer, register


@pytest.fixture
def mortal_server() -> Any:
    with own_server() as server:
        yield server


@pytest.fixture
async def mortal(mortal_server: PostgresServer, tmp_path: Any) -> AsyncIterator[Scim]:
    """A service on a PostgreSQL server that this test may stop."""
    async with fresh_database(mortal_server) as url:
        await migrate(url)
        store = create_store(url)
        await store.open()
        service = ServiceContext(store, Authenticator(store), RateLimiter(), Metrics(), BASE)
        transport = httpx.ASGITransport(public_app(service))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield Scim(service, client, client, tmp_path, Ed25519PrivateKey.generate())
        await store.close()


async def test_requests_during_an_outage_get_503_and_those_after_it_are_answered(
    mortal: Scim, mortal_server: PostgresServer, person: Callable[..., dict[str, Any]]
) -> None:
    headers = await mortal.connect()
    oauth = await register(mortal.service.store, name="oauth", tenant="oauth")
    access_token = bearer(await ask_for_token(mortal.client, oauth.form()))
    assert (await mortal.client.post("/Users", json=person("ada"), headers=headers)).status_code == 201
    assert mortal_server.own is not None

    async def ask(number: int) -> int:
        answer = await mortal.client.post("/Users", json=person(f"p{number}"), headers=headers)
        return answer.status_code

    during = [asyncio.create_task(ask(number)) for number in range(20)]
    await asyncio.to_thread(mortal_server.own.stop)
    assert set(await asyncio.gather(*during)) <= {201, 503}
    await asyncio.sleep(FRESH_SECONDS + 0.1)  # past the second in which the cache may answer
    for token in (headers, access_token, {}, {"authorization": "Bearer sct_unknown"}):
        answer = await mortal.client.get("/Users", headers=token)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.headers["content-type"] == "application/scim+json"
    for form in (oauth.form(), oauth.form(client_secret="wrong"), oauth.form(client_id="nobody")):
        answer = await ask_for_token(mortal.client, form)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["retry-after"]
    await asyncio.to_thread(mortal_server.own.start)
    deadline = time.monotonic() + 20
    while (found := await mortal.client.get("/Users?count=0", headers=headers)).status_code != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert (await mortal.client.get("/Users", headers={})).status_code == 401
    assert found.json()["totalResults"] >= 1
    assert (await mortal.client.get("/Users", headers=access_token)).status_code == 200
    assert (await ask_for_token(mortal.client, oauth.form())).status_code == 200
