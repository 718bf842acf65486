"""The internal port: probes and metrics, whatever the database does."""

import pytest

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
