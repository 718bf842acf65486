"""One request through an endpoint: who is let in, who waits, and what is counted."""

import gzip
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from api.conftest import Scim
from api.test_bad_input import refused
from scim_api.contract.admin import RateLimit
from scim_api.core.json_body import decode_json
from scim_api.http import endpoint
from scim_api.http.endpoint import agent_family
from scim_api.http.rate_limit import BYTES_PER_REQUEST


async def counted(scim: Scim) -> dict[tuple[str, str, str], float]:
    """Requests by method, route and status."""
    text = (await scim.admin.get("/metrics")).text
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "scim_api_requests_total"
    }


async def test_requests_are_counted_by_route_and_not_by_id(scim: Scim) -> None:
    headers = await scim.connect()
    for _ in range(2):
        await scim.client.get("/Users/6f1f6e0c-0000-4000-8000-000000000000", headers=headers)
    await scim.client.request("BREW", "/Users", headers=headers)
    await scim.client.get("/Users")
    found = await counted(scim)
    assert found["GET", "/Users/{id}", "404"] == 2
    assert found["other", "/Users", "405"] == 1, "a method that anybody can make up is no label"
    assert found["GET", "/Users", "401"] == 1


async def test_a_method_that_is_not_possible_names_those_that_are(scim: Scim) -> None:
    headers = await scim.connect()
    response = await scim.client.put("/Users", headers=headers, json={})
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("encoding", ["gzip", "br", "Deflate", "gzip, identity", "zstd, gzip", "x-unknown"])
async def test_an_encoded_body_is_415_and_told_what_is_taken(scim: Scim, encoding: str) -> None:
    headers = {**await scim.connect(), "content-type": "application/scim+json"}
    body = gzip.compress(b'{"userName":"ada","emails":[{"type":"work","value":"a@b.c"}]}')
    some = "6f1f6e0c-0000-4000-8000-000000000000"
    for method, path in (
        ("POST", "/Users"), ("PUT", f"/Users/{some}"), ("PATCH", f"/Groups/{some}"), ("POST", "/Bulk"),
        ("POST", "/.search"), ("DELETE", f"/Users/{some}"), ("GET", "/Users"), ("GET", "/Schemas"),
    ):  # fmt: skip
        response = await scim.client.request(
            method, path, content=body, headers={**headers, "content-encoding": encoding}
        )
        assert f'"{encoding}"' in refused(response, 415), (method, path)
        assert response.headers["accept-encoding"] == "identity"
    assert (await scim.client.get("/Users", headers=headers)).json()["totalResults"] == 0


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
async def test_a_body_that_is_not_encoded_may_say_so(scim: Scim, encoding: str) -> None:
    headers = {**await scim.connect(), "content-encoding": encoding}
    response = await scim.client.post("/Groups", json={"displayName": "Staff"}, headers=headers)
    assert response.status_code == 201


async def test_without_a_token_an_encoded_body_is_401_as_any_other(scim: Scim) -> None:
    response = await scim.client.post("/Users", content=b"x", headers={"content-encoding": "gzip"})
    refused(response, 401)


async def test_a_body_of_very_many_values_is_refused_and_its_length_is_paid_for(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "REFUSAL_DELAY_SECONDS", 0.0)
    headers = await scim.connect(rate_limit=RateLimit(requests_per_second=25, burst=25))
    neighbour = await scim.connect("neighbour", tenant="neighbour")
    body = b'{"userName":[' + b"[]," * 300_000 + b"1]}"
    detail = refused(await scim.client.post("/Users", content=body, headers=headers), 413)
    assert "more than 50000 values" in detail
    wait = await scim.client.get("/Users?count=0", headers=headers)
    refused(wait, 429)
    assert int(wait.headers["retry-after"]) in {1, 2}
    assert (await scim.client.get("/Users?count=0", headers=neighbour)).status_code == 200


async def test_a_tenant_over_its_rate_waits_and_is_told_for_how_long(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "REFUSAL_DELAY_SECONDS", 0.0)
    headers = await scim.connect(rate_limit=RateLimit(requests_per_second=25, burst=25))
    responses = [await scim.client.get("/Users?count=0", headers=headers) for _ in range(40)]
    refused = [response for response in responses if response.status_code == 429]
    assert refused
    assert all(response.headers["retry-after"] == "1" for response in refused)
    assert "more than 25 requests per second" in refused[0].json()["detail"]


async def test_a_fault_of_the_service_is_500_without_its_details_and_stands_in_the_log(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = await scim.connect()

    async def broken(*_: object, **__: object) -> None:
        raise KeyError("confidential")

    monkeypatch.setattr(scim.service.store, "get", broken)
    with structlog.testing.capture_logs() as logs:
        response: httpx.Response = await scim.client.get(
            "/Users/6f1f6e0c-0000-4000-8000-000000000000", headers=headers
        )
    assert response.status_code == 500
    assert "confidential" not in response.text
    assert [entry["event"] for entry in logs] == ["request failed"]


@pytest.mark.parametrize(
    ("header", "family"),
    [
        (b"Azure-AD-SCIM/1.0 (x)", "Azure-AD-SCIM"),
        (b"scim-operator-proof", "scim-operator-proof"),
        (b"a" * 100, "a" * 64),
        (b"(odd)", None),
        (b"", None),
        (None, None),
    ],
)
def test_a_client_is_known_by_the_family_of_its_agent(header: bytes | None, family: str | None) -> None:
    assert agent_family(header) == family


@pytest.mark.parametrize("length", [BYTES_PER_REQUEST // 2, BYTES_PER_REQUEST * 4], ids=["short", "long"])
async def test_a_long_body_is_decoded_aside_and_answered_as_a_short_one(
    scim: Scim,
    entra: dict[str, str],
    person: Callable[..., dict[str, Any]],
    length: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = set[str]()

    def decode(body: bytes) -> dict[str, Any]:
        threads.add(threading.current_thread().name.partition("_")[0])
        return decode_json(body)

    monkeypatch.setattr("scim_api.http.request.decode_json", decode)
    created = await scim.client.post("/Users", json=person("ada", title="x" * length), headers=entra)
    assert (created.status_code, created.json()["title"]) == (201, "x" * length)
    where = f"/Users/{created.json()['id']}"
    replaced = await scim.client.put(where, json=person("ada", title="y" * length), headers=entra)
    assert replaced.json()["title"] == "y" * length
    refused(await scim.client.post("/Users", content=b'{"a":"' + b"x" * length, headers=entra), 400)
    assert (
        await scim.client.request("DELETE", where, content=b"x" * length, headers=entra)
    ).status_code == 204
    assert threads == {"long-body" if length > BYTES_PER_REQUEST else threading.current_thread().name}
