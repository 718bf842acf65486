"""Probes and metrics over HTTP, as kubelet and Prometheus ask."""

from collections.abc import AsyncIterator

import httpx
import pytest

from scim_operator.health import Check, HealthServer
from scim_operator.metrics import Metrics


class Probed:
    """A server whose checks the test decides."""

    def __init__(self) -> None:
        self.alive: str | None = None
        self.ready: str | None = None
        self.metrics = Metrics()
        self.refreshed = 0
        self.server = HealthServer(
            alive=(Check("watch", lambda: self.alive),),
            ready=(Check("watch", lambda: None), Check("leader", lambda: self.ready)),
            metrics=self.metrics,
            refresh=self._refresh,
        )

    def _refresh(self) -> None:
        self.refreshed += 1
        self.metrics.leader(leading=True)


@pytest.fixture
async def probed() -> AsyncIterator[tuple[Probed, httpx.AsyncClient]]:
    """The server on a free port, and a client of it."""
    probed = Probed()
    port = await probed.server.start("127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield probed, client
    await probed.server.stop()


async def test_when_all_is_well_both_probes_answer_200(probed: tuple[Probed, httpx.AsyncClient]) -> None:
    for path in ("/healthz", "/readyz"):
        response = await probed[1].get(path)
        assert (response.status_code, response.text) == (200, "ok\n")


async def test_a_check_that_fails_is_named_with_its_reason(probed: tuple[Probed, httpx.AsyncClient]) -> None:
    probed[0].ready = "leading, but without a key"
    response = await probed[1].get("/readyz")
    assert (response.status_code, response.text) == (503, "leader: leading, but without a key\n")


async def test_not_ready_is_no_reason_to_restart(probed: tuple[Probed, httpx.AsyncClient]) -> None:
    probed[0].ready = "not watching yet"
    assert (await probed[1].get("/healthz")).status_code == 200
    probed[0].ready, probed[0].alive = None, "no sign of life for 61 s"
    assert (await probed[1].get("/healthz")).status_code == 503
    assert (await probed[1].get("/readyz")).status_code == 200


async def test_gauges_are_refreshed_for_every_scrape(probed: tuple[Probed, httpx.AsyncClient]) -> None:
    for number in (1, 2):
        response = await probed[1].get("/metrics")
        assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "scim_operator_leader 1.0" in response.text
        assert probed[0].refreshed == number


async def test_a_port_that_is_taken_is_an_error_at_the_start(
    probed: tuple[Probed, httpx.AsyncClient],
) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        await Probed().server.start("127.0.0.1", probed[1].base_url.port or 0)
