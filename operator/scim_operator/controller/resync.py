"""What the leader does besides reconciling: the admin key, the comparison with the API, the sweep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import aiohttp
import structlog
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_operator.controller.cache import Known
from scim_operator.controller.orphans import Brake, Comparison, Holdings, compare, list_tokens, read_holdings
from scim_operator.controller.workqueue import Scheduler
from scim_operator.metrics import Metrics
from scim_operator.planning.ports import AdminApi, ApiRefused, ApiUnreachable, ClusterRefused, Key
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

KUBERNETES_TROUBLE: Final = (ApiException, aiohttp.ClientError, OSError, TimeoutError)
_AFTER_TROUBLE_SECONDS: Final = 10.0


class Resync:
    """Compares everything once per period, and once with all due to a new leader.

    Args:
        kube: the API client.
        settings: periods, pace and brake.
        known: what this replica knows; brought up to date here.
        scheduler: told what to look at.
        metrics: counters to move.
    """

    def __init__(
        self,
        kube: client.ApiClient,
        settings: OperatorSettings,
        *,
        known: Known,
        scheduler: Scheduler,
        metrics: Metrics,
    ) -> None:
        self._kube, self._settings = kube, settings
        self._known, self._scheduler, self._metrics = known, scheduler, metrics
        self._last_trouble = ""

    async def run(self, api: AdminApi, upkeep: Callable[[], Awaitable[object]]) -> None:
        """Compare until cancelled; the first comparison plans a look at every ScimToken.

        Args:
            api: the admin API.
            upkeep: done before each comparison; may raise what Kubernetes raises, or ``ClusterRefused``.
        """
        planned_all = False
        while True:
            pause = self._settings.resync_seconds
            try:
                await upkeep()
                complete = await self._compare(api, everything=not planned_all)
            except ClusterRefused as error:
                # Also right after the API server's start, before it knows its own roles.
                self._trouble(str(error))
                pause = min(pause, _AFTER_TROUBLE_SECONDS)
            except KUBERNETES_TROUBLE as error:
                self._trouble(f"Kubernetes: {type(error).__name__} {getattr(error, 'status', '')}".strip())
                pause = min(pause, _AFTER_TROUBLE_SECONDS)
            else:
                planned_all = True
                if not complete:
                    pause = min(pause, _AFTER_TROUBLE_SECONDS)
            await asyncio.sleep(pause)

    async def _compare(self, api: AdminApi, *, everything: bool) -> bool:
        started = time.monotonic()
        holdings = await self._holdings(api)
        self._known.listing()
        tokens = await list_tokens(self._kube, self._settings.watch_namespaces)
        changed = self._known.replace_tokens(tokens)
        comparison = compare(
            self._known,
            holdings,
            namespaces=self._settings.watch_namespaces,
            now=datetime.now(UTC),
            per_second=self._settings.catch_up_per_second,
            first=everything,
        )
        self._plan(comparison, frozenset() if everything else changed, everything=everything)
        self._sweep(comparison.orphans, len(holdings.connections) if holdings else 0)
        self._metrics.resynced(complete=holdings is not None)
        noteworthy = everything or comparison.urgent or comparison.orphans
        (log.info if noteworthy else log.debug)(
            "compared with the API",
            known=len(self._known),
            connections=len(holdings.connections) if holdings else None,
            urgent=len(comparison.urgent),
            orphans=len(comparison.orphans),
            seconds=round(time.monotonic() - started, 3),
        )
        return holdings is not None

    async def _holdings(self, api: AdminApi) -> Holdings | None:
        """The API's connections; read before the ScimTokens, or a new one would look like an orphan."""
        try:
            holdings = await read_holdings(api)
        except ApiUnreachable as error:
            self._trouble(str(error))
        except ApiRefused as error:
            self._trouble(f"{error.code}: {error.message}")
        else:
            self._last_trouble = ""
            return holdings
        return None

    def _plan(self, comparison: Comparison, changed: frozenset[Key], *, everything: bool) -> None:
        for key in comparison.urgent | changed:
            self._scheduler.add(key)
        if everything:
            for key, delay in comparison.later.items():
                self._scheduler.add(key, delay)

    def _sweep(self, orphans: frozenset[Key], connections: int) -> None:
        """Have connections without a ScimToken looked at, which revokes them, unless they are too many."""
        brake = Brake(self._settings.sweep_brake_count, self._settings.sweep_brake_percent)
        if brake.stops(len(orphans), connections):
            self._metrics.braked(len(orphans))
            log.error(
                "sweep stopped: too many connections have no ScimToken; none was revoked. If they are really "
                "gone, raise SCIM_OPERATOR_SWEEP_BRAKE_COUNT; if not, restore the ScimTokens",
                orphans=len(orphans),
                connections=connections,
                examples=[str(key) for key in sorted(orphans)[:5]],
            )
            return
        self._metrics.braked(0)
        for key in orphans:
            log.info("a connection has no ScimToken", key=str(key))
            self._scheduler.add(key)

    def _trouble(self, trouble: str) -> None:
        if trouble != self._last_trouble:
            log.warning("the comparison with the API is incomplete", reason=trouble)
        self._last_trouble = trouble
