"""The leader's resync: the admin key, the comparison with the SCIM API's connections, orphaned connections."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import aiohttp
import structlog
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_api.contract.backoff import Backoff
from scim_operator.adapters.object_list import list_objects
from scim_operator.api.scimtoken import ScimToken
from scim_operator.controller.cache import InformerCache
from scim_operator.controller.controller import Controller
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.orphans import (
    Comparison,
    RegisteredConnections,
    compare,
    read_connections,
)
from scim_operator.controller.watch_events import cached_scimtoken
from scim_operator.metrics import Metrics
from scim_operator.planning.ports import (
    AdminApi,
    Key,
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
)
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

KUBERNETES_ERRORS: Final = (ApiException, aiohttp.ClientError, OSError, TimeoutError)
_RETRY_BACKOFF: Final = Backoff(first=1.0, longest=20.0)


class Resync:
    """Compares everything once per period, and once with all due to a new leader.

    Args:
        kube: the API client.
        settings: periods and pace.
        cache: the informer cache; brought up to date here.
        controller: takes what is to be reconciled.
        deletions: counts what has no ScimToken, and says what is held.
        metrics: counters to move.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        kube: client.ApiClient,
        settings: OperatorSettings,
        *,
        cache: InformerCache,
        controller: Controller,
        deletions: Deletions,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube, self._settings = kube, settings
        self._cache, self._controller, self._metrics = cache, controller, metrics
        self._deletions = deletions
        self._sleep, self._last_problem = sleep, ""

    async def run(self, api: AdminApi, upkeep: Callable[[], Awaitable[object]]) -> None:
        """Compare until cancelled; the first comparison has every ScimToken reconciled.

        Args:
            api: the admin API.
            upkeep: done before each comparison; may raise what Kubernetes raises, or ``KubernetesRejected``.
        """
        planned_all, failures = False, 0
        while True:
            complete = False
            try:
                await upkeep()
                complete = await self._compare(api, everything=not planned_all)
                planned_all = True
            except KubernetesRejected as error:
                # Also right after the API server's start, before it has loaded its own roles.
                self._report(str(error))
            except KUBERNETES_ERRORS as error:
                self._report(f"Kubernetes: {type(error).__name__} {getattr(error, 'status', '')}".strip())
            failures = 0 if complete else failures + 1
            period = self._settings.resync_seconds
            await self._sleep(min(period, _RETRY_BACKOFF.seconds(failures)) if failures else period)

    async def _compare(self, api: AdminApi, *, everything: bool) -> bool:
        started = time.monotonic()
        registered = await self._registered_connections(api)
        self._cache.begin_list()
        unlisted: set[str] = set()
        tokens = [
            cached_scimtoken(body)
            async for body in list_objects(
                self._kube, ScimToken, self._settings.watch_namespaces, unlisted.add
            )
        ]
        changed = self._cache.replace(tokens, unlisted)
        comparison = compare(
            self._cache,
            registered,
            namespaces=self._settings.watch_namespaces,
            unlisted=unlisted,
            now=datetime.now(UTC),
            per_second=self._settings.startup_reconciles_per_second,
            first=everything,
        )
        self._enqueue(comparison, frozenset() if everything else changed, everything=everything)
        if registered is not None:
            self._deletions.count_connections(len(registered.connections))
        self._enqueue_orphans(comparison.orphans)
        self._metrics.resynced(complete=registered is not None)
        noteworthy = everything or comparison.urgent or comparison.orphans
        (log.info if noteworthy else log.debug)(
            "resync done",
            scimtokens=len(self._cache),
            connections=len(registered.connections) if registered else None,
            urgent=len(comparison.urgent),
            orphans=len(comparison.orphans),
            unlisted_namespaces=sorted(unlisted),
            seconds=round(time.monotonic() - started, 3),
        )
        return registered is not None

    async def _registered_connections(self, api: AdminApi) -> RegisteredConnections | None:
        """The API's connections; read before the ScimTokens, or a new one would look like an orphan."""
        try:
            registered = await read_connections(api)
        except ScimApiUnreachable as error:
            self._report(str(error))
        except ScimApiRejected as error:
            self._report(f"{error.code}: {error.message}")
        else:
            self._last_problem = ""
            return registered
        return None

    def _enqueue(self, comparison: Comparison, changed: frozenset[Key], *, everything: bool) -> None:
        for key in comparison.urgent | changed:
            self._controller.add(key)
        if everything:
            for key, delay in comparison.later.items():
                self._controller.add(key, delay)

    def _enqueue_orphans(self, orphans: frozenset[Key]) -> None:
        """Reconcile connections without a ScimToken, which revokes them unless they are many."""
        self._deletions.report()
        for key in orphans - self._deletions.held:
            log.info("orphaned connection", key=str(key))
            self._controller.add(key)

    def _report(self, problem: str) -> None:
        if problem != self._last_problem:
            log.warning("resync incomplete", reason=problem)
        self._last_problem = problem
