"""``/healthz``, ``/readyz`` and ``/metrics`` for kubelet and Prometheus."""

import dataclasses
from collections.abc import Callable

from aiohttp import web

from scim_api.contract import listening
from scim_operator.metrics import Metrics


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One answer of a probe: what is wrong, or nothing."""

    name: str
    problem: Callable[[], str | None]
    """None when all is well, else one short sentence."""


class HealthServer:
    """A small HTTP server on its own port.

    Args:
        alive: what must hold or the process should be restarted.
        ready: what must hold before this replica counts as working.
        metrics: what ``/metrics`` renders.
        refresh: called before rendering, to set gauges that are counted on demand.
    """

    def __init__(
        self,
        *,
        alive: tuple[Check, ...],
        ready: tuple[Check, ...],
        metrics: Metrics,
        refresh: Callable[[], None],
    ) -> None:
        self._alive, self._ready = alive, ready
        self._metrics, self._refresh = metrics, refresh
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen at an address of ``listening.bound``; returns the port, also when 0 asked for a free one.

        Raises:
            OSError: when the port cannot be had.
        """
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._render)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.SockSite(self._runner, listening.bound(host, port)).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _answer(self._alive)

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _answer(self._ready)

    async def _render(self, _request: web.Request) -> web.Response:
        self._refresh()
        return web.Response(
            body=self._metrics.render(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )


def _answer(checks: tuple[Check, ...]) -> web.Response:
    problems = {check.name: problem for check in checks if (problem := check.problem()) is not None}
    text = "\n".join(f"{name}: {problem}" for name, problem in problems.items()) or "ok"
    return web.Response(text=text + "\n", status=503 if problems else 200)
