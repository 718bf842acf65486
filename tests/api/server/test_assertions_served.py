"""The verifier of assertions as ``serve`` makes it: from the settings, handed to the public port, closed at the end."""

import time
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp

from scim_api.http.metrics import Metrics
from scim_api.http.oauth.assertion import AssertionRefused
from scim_api.http.oauth.federated_assertions import FederatedAssertions
from scim_api.http.oauth.issuer_keys import IssuerKeyCache
from scim_api.http.oauth.key_fetch import KeyFetcher
from scim_api.http.public import MakeVerifier
from scim_api.server import serve
from scim_api.server.settings import load
from scim_api.store.protocol import Store
from support.federation import TRUST, Issuer, client_with
from support.key_server import KeyServer

DAY = 86_400


def assertion(now: float) -> str:
    return Issuer().assertion(nbf=int(now), exp=int(now) + 3900)


async def test_hosts_and_age_of_keys_come_from_the_settings(store: Store) -> None:
    place, metrics, now = KeyServer(Issuer().key_set()), Metrics(), time.time()
    with place.serving():
        trust = TRUST.model_copy(update={"keys_url": place.url})
        settings = load(keys_hosts=place.origin, keys_max_age_days=2)
        async with serve._assertions(settings, store, metrics) as make:
            first = make()
            taking = client_with(trust, ends_at=now + 9 * DAY)
            assert await first.verify(taking, assertion(now), now) == taking.credentials[0]
            with pytest.raises(AssertionRefused, match="SCIM_API_KEYS_HOSTS"):
                await first.verify(client_with(TRUST, ends_at=now + DAY), assertion(now), now)
    assert metrics.registry.get_sample_value("scim_api_key_fetches_total", {"result": "fetched"}) == 1
    async with serve._assertions(settings, store, metrics) as make:
        assert await make().verify(taking, assertion(now + 2 * DAY - 60), now + 2 * DAY - 60)
    async with serve._assertions(settings, store, metrics) as make:
        late = make()
        with pytest.raises(AssertionRefused, match="older than 2 days"):
            await late.verify(taking, assertion(now + 2 * DAY + 60), now + 2 * DAY + 60)


async def test_what_was_opened_for_keys_is_closed_at_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    async def close_keys(_: object) -> None:
        closed.append("keys")

    async def close_fetcher(_: object) -> None:
        closed.append("fetcher")

    monkeypatch.setattr(IssuerKeyCache, "aclose", close_keys)
    monkeypatch.setattr(KeyFetcher, "aclose", close_fetcher)
    async with serve._assertions(load(), store, Metrics()) as make:
        make()
        assert closed == []
    assert closed == ["keys", "fetcher"]


async def test_the_public_port_gets_the_verifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got: list[MakeVerifier] = []

    class Enough(Exception):
        pass

    def public_app(*_: Any, assertions: MakeVerifier) -> ASGIApp:
        got.append(assertions)
        raise Enough

    monkeypatch.setattr(serve, "public_app", public_app)
    with pytest.raises(Enough):
        await serve.serve(load(database_url=f"sqlite:///{tmp_path / 'scim.db'}", port=0))
    assert [type(make()) for make in got] == [FederatedAssertions]
