"""The internal port: probes and metrics, whatever the database does."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from api.conftest import Scim
from scim_api.http import internal
from scim_api.store.errors import ReadOnly, Unavailable
from scim_api.store.migrate import REQUIRED_VERSION


async def test_a_service_with_its_database_is_alive_and_ready(scim: Scim) -> None:
    for path in ("/healthz", "/readyz"):
        response = await scim.admin.get(path)
        assert (response.status_code, response.text) == (200, "ok\n")


async def test_without_its_database_it_is_alive_but_not_ready(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone() -> int:
        raise Unavailable("gone")

    monkeypatch.setattr(scim.service.store, "schema_version", gone)
    ready = await scim.admin.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "the database does not answer\n")
    assert (await scim.admin.get("/healthz")).status_code == 200
    assert "scim_api_database_up 0.0" in (await scim.admin.get("/metrics")).text


async def test_while_its_database_takes_no_writes_it_is_not_ready_and_says_why(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse() -> None:
        raise ReadOnly("the database takes no writes: it is a standby")

    monkeypatch.setattr(scim.service.store, "check_writable", refuse)
    ready = await scim.admin.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "the database takes no writes: it is a standby\n")
    assert (await scim.admin.get("/healthz")).status_code == 200


async def test_an_older_schema_says_what_to_run(scim: Scim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(internal, "REQUIRED_VERSION", REQUIRED_VERSION + 1)
    ready = await scim.admin.get("/readyz")
    assert ready.status_code == 503
    assert f"this release needs {REQUIRED_VERSION + 1}: run scim-api migrate" in ready.text


async def test_a_service_that_ends_is_not_ready_and_its_database_is_not_to_blame(scim: Scim) -> None:
    await scim.admin.get("/readyz")
    scim.service.stopping = True
    ready = await scim.admin.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "stopping\n")
    assert "scim_api_database_up 1.0" in (await scim.admin.get("/metrics")).text


async def test_the_public_port_has_none_of_it(scim: Scim) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/admin/v1/connections"):
        response = await scim.client.get(f"https://scim.test{path}")
        assert response.status_code == 404
        assert "urn:ietf:params:scim:api:messages:2.0:Error" in response.text


ELSEWHERE = {"host": "evil.example"}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/admin/v1/connections/",
        "/admin/v1/connections/team/entra/",
        "/admin/v1/connections//team/entra",
        "/admin/v1/connections/team",
        "/admin/v1/",
        "/admin",
    ],
)
async def test_a_path_of_the_admin_api_that_nobody_serves_is_no_redirect(
    scim: Scim, method: str, path: str
) -> None:
    response = await scim.admin.request(method, path, headers=ELSEWHERE)
    assert (response.status_code, response.json()["code"]) == (404, "NotFound")
    assert "location" not in response.headers


async def test_a_method_that_the_admin_api_has_not_is_refused_in_its_own_words(scim: Scim) -> None:
    response = await scim.admin.post("/admin/v1/connections/team/entra", headers=ELSEWHERE)
    assert (response.status_code, response.json()["code"]) == (405, "NotFound")
    assert "allow" in response.headers


PATHS = [
    "", "/", "/healthz/", "/readyz/", "/metrics/", "//metrics", "/docs/", "/scim", "/scim/v2", "/scim/v2/", "/scim/v2/Users/",
    "/scim/v2/Users//", "//scim/v2/Users", "/SCIM/V2/users", "/scim/v2/Users/x/", "/scim/v2/Bulk/", "/scim/v2/Schemas/",
    "/admin/v1/connections/",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_no_answer_of_any_port_leads_to_the_host_that_a_client_names(
    scim: Scim, path: str, method: str
) -> None:
    headers = await scim.connect() | ELSEWHERE
    metrics = httpx.ASGITransport(internal.metrics_app(scim.service.metrics.registry))
    async with httpx.AsyncClient(transport=metrics, base_url="http://metrics.test") as third:
        answers = [
            await client.request(
                method, f"{client.base_url.scheme}://{client.base_url.host}{path}", headers=headers
            )
            for client in (scim.client, scim.admin, third)
        ]
    for answer in answers:
        assert not 300 <= answer.status_code < 400
        assert "evil.example" not in str(answer.headers) + answer.text


# -- a dispatcher's ------------------------------------------------------------------------------------
Reasons = dict[str, str | None]


@pytest.fixture
async def dispatcher(scim: Scim) -> AsyncIterator[tuple[httpx.AsyncClient, Reasons]]:
    """A client of a dispatcher's port, and what keeps it from being alive and ready."""
    reasons: Reasons = {"alive": None, "ready": None}
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry)
    app = internal.dispatcher_app(
        registry, scim.service.store, lambda: reasons["alive"], lambda: reasons["ready"]
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dispatcher") as client:
        yield client, reasons


async def test_a_dispatcher_with_its_database_is_alive_and_ready(
    dispatcher: tuple[httpx.AsyncClient, Reasons],
) -> None:
    client, _ = dispatcher
    for path in ("/healthz", "/readyz"):
        response = await client.get(path)
        assert (response.status_code, response.text) == (200, "ok\n")
    assert "things_total 0.0" in (await client.get("/metrics")).text
    assert (await client.get("/admin/v1/connections")).status_code == 404


async def test_a_dispatcher_says_why_it_is_not_ready_or_has_to_be_restarted(
    dispatcher: tuple[httpx.AsyncClient, Reasons],
) -> None:
    client, reasons = dispatcher
    reasons["ready"] = "the leases are old"
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "the leases are old\n")
    assert (await client.get("/healthz")).status_code == 200
    reasons["alive"] = "it is stuck"
    alive = await client.get("/healthz")
    assert (alive.status_code, alive.text) == (503, "it is stuck\n")


async def test_a_dispatcher_whose_database_hangs_is_alive_and_not_ready(
    scim: Scim, dispatcher: tuple[httpx.AsyncClient, Reasons], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(internal, "READY_SECONDS", 0.05)
    monkeypatch.setattr(scim.service.store, "check_writable", hang)
    client, _ = dispatcher
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.text) == (503, "the database does not answer\n")
    assert (await client.get("/healthz")).status_code == 200
