"""One replica of the operator: its parts are put together here, started, and stopped in order.

On every replica: health port, watch, election. On the leader besides: admin key, comparison with the API,
reconciles, hand-overs to Entra. SIGTERM: the Lease is given up first, then what runs comes to its end, then the process.
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Final

import httpx
import structlog
from kubernetes.aio import client

from scim_api.contract import listening
from scim_api.contract.backoff import Backoff
from scim_operator.adapters.admin_api import HttpAdminApi, HttpCredentialVerifier
from scim_operator.adapters.admin_key import AdminKey, AdminKeyStore
from scim_operator.adapters.admin_webhooks import HttpWebhookApi
from scim_operator.adapters.api_certificate import ApiCertificateStore
from scim_operator.adapters.endpoint_probe import EndpointProbe
from scim_operator.adapters.entra_login import EntraLogin
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.adapters.events import EventRecorder
from scim_operator.adapters.graph import GraphClient
from scim_operator.adapters.kubernetes import KubernetesCluster
from scim_operator.adapters.leader_election import LeaderElector
from scim_operator.adapters.object_list import list_keys
from scim_operator.adapters.service_account_tokens import ServiceAccountTokens
from scim_operator.adapters.watch_access import WatchAccess
from scim_operator.adapters.webhook_key import WebhookKeyStore
from scim_operator.api.scimwebhook import ScimWebhook
from scim_operator.controller.cache import InformerCache, WatchEvent
from scim_operator.controller.controller import Controller
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.entra_controller import EntraController
from scim_operator.controller.entra_reconciler import EntraReconciler
from scim_operator.controller.informer import Informer
from scim_operator.controller.reconciler import Reconciler
from scim_operator.controller.resync import KUBERNETES_ERRORS, Resync
from scim_operator.controller.webhook_cache import WebhookCache
from scim_operator.controller.webhook_controller import WebhookController
from scim_operator.controller.webhook_reconciler import WebhookReconciler
from scim_operator.controller.workqueue import Result
from scim_operator.health import Check, HealthServer
from scim_operator.metrics import Metrics
from scim_operator.planning.deletion_limit import CONFIRM_DELETION_ANNOTATION, DeletionLimit
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.ports import Key, KubernetesRejected, NotLeading
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

_SILENT_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_ADMIN_KEY_BACKOFF: Final = Backoff(first=1.0, longest=10.0)


class StartError(Exception):
    """The operator cannot start; the message says why and what to do."""


class Operator:
    """One replica.

    Args:
        settings: checked settings.
        kube: the API client for all but the Lease.
        lease_api: the API client for the Lease, so that a busy pool never delays a renewal.
        inside: for the SCIM API's Services.
        tls: of ``inside``, where the operator is the authority.
        outside: for the endpoint as Entra reaches it, which may lead through a proxy.
        trace: called with the name of each step of each reconcile.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        kube: client.ApiClient,
        lease_api: client.ApiClient,
        inside: httpx.AsyncClient,
        outside: httpx.AsyncClient,
        tls: ssl.SSLContext | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self._settings, self._kube, self._trace = settings, kube, trace
        self._inside, self._outside = inside, outside
        self._metrics, self._cache, self._webhook_cache = Metrics(), InformerCache(), WebhookCache()
        self._deletions, self._webhook_deletions = self._new_deletions()
        self._is_leader = asyncio.Event()
        self._leading: asyncio.Task[None] | None = None
        self._reconciler: Reconciler | None = None
        self._probe: EndpointProbe | None = None
        self._controller = Controller(
            self._reconcile, workers=settings.workers, max_interval=self._max_interval, metrics=self._metrics
        )
        self._entra = EntraController(settings, self._metrics.registry)
        self._webhooks = WebhookController(
            settings, self._metrics.registry, self._webhook_cache, lambda: self._webhook_deletions
        )
        self._elector = LeaderElector(
            lease_api,
            settings,
            on_gained=self._on_started_leading,
            on_lost=self._on_stopped_leading,
            on_annotations=self._on_lease_annotations,
        )
        self._informer = Informer(
            settings,
            deliver=self._on_watch_events,
            find_obstacle=WatchAccess(kube).obstacle,
            restarted=self._metrics.watch_restarted,
        )
        guard = self._elector.check_leading
        certificate = None if tls is None else ApiCertificateStore(kube, settings, context=tls, guard=guard)
        self._key_store = AdminKeyStore(kube, settings.namespace, guard, certificate)
        self._health = HealthServer(
            alive=(Check("watch", self._watch_alive),),
            ready=(Check("watch", self._watch_open), Check("leader", self._leader_works)),
            metrics=self._metrics,
            refresh=self._refresh_gauges,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; then give up the Lease, let running reconciles end, and return."""
        try:
            port = await self._health.start(self._settings.health_host, self._settings.health_port)
        except OSError as error:
            raise StartError(
                f"cannot listen on {listening.shown(self._settings.health_host, self._settings.health_port)} "
                f"({error.strerror}); set SCIM_OPERATOR_HEALTH_PORT"
            ) from error
        log.info(
            "started", version=version("scim-operator"), health_port=port, identity=self._settings.identity
        )
        self._informer.start()
        try:
            async with asyncio.TaskGroup() as parts:
                background = [
                    parts.create_task(self._controller.run(), name="controller"),
                    parts.create_task(self._entra.run(), name="entra controller"),
                    parts.create_task(self._webhooks.run(), name="webhook controller"),
                    parts.create_task(self._lead_whenever_elected(), name="leader"),
                ]
                await parts.create_task(self._elector.run(stop), name="elector")
                log.info("stopping")
                drains = (
                    part.drain(self._settings.shutdown_seconds)
                    for part in (self._controller, self._entra, self._webhooks)
                )
                await asyncio.gather(*drains)
                for task in background:
                    task.cancel()
        finally:
            if not await self._informer.stop(_STOP_SECONDS):
                log.warning("kopf's thread did not end in time")
            await self._health.stop()

    # -- election

    def _on_started_leading(self) -> None:
        self._metrics.leader(leading=True)
        self._deletions, self._webhook_deletions = self._new_deletions()
        self._deletions.count_scimtokens(len(self._cache))
        self._webhook_deletions.count_scimtokens(len(self._webhook_cache))
        self._is_leader.set()

    def _on_stopped_leading(self) -> None:
        self._metrics.leader(leading=False)
        self._deletions, self._webhook_deletions = self._new_deletions()
        self._is_leader.clear()
        for part in (self._controller, self._entra, self._webhooks):
            part.pause()
        if self._leading is not None:
            self._leading.cancel()

    async def _lead_whenever_elected(self) -> None:
        while True:
            await self._is_leader.wait()
            leading = self._leading = asyncio.create_task(self._lead(), name="leading")
            try:
                await asyncio.wait({leading})
            finally:
                leading.cancel()
                self._leading = self._reconciler = self._probe = None
            if not leading.cancelled():
                leading.result()

    async def _lead(self) -> None:
        """What a leader does, until cancelled or no longer leading."""
        try:
            key = await self._admin_key()
            api = HttpAdminApi(self._settings.admin_url, key.private, key.installation_id, self._inside)
            recorder = EventRecorder(
                self._kube, guard=self._elector.check_leading, dropped=self._metrics.event_dropped
            )
            check = self._probe = EndpointProbe(
                self._settings.endpoint_url,
                self._outside,
                interval=self._settings.endpoint_check_seconds if self._settings.endpoint_check else None,
                changed=self._on_endpoint_changed,
            )
            cluster = KubernetesCluster(
                self._kube, self._elector.check_leading, recorder, self._record_own_write
            )
            self._reconciler = Reconciler(
                api=api,
                cluster=cluster,
                verifier=HttpCredentialVerifier(
                    self._settings.verification_url,
                    self._inside if self._settings.scim_url else self._outside,
                    api.sign_proof,
                ),
                endpoint=self._settings.endpoint_url,
                ledger_key=key.ledger_key,
                installation_id=key.installation_id,
                trace=self._trace or _no_trace,
                endpoint_verdict=lambda: check.verdict,
                deletions=self._deletions,
                secret_names=self._cache.secret_names,
                request_interval=timedelta(seconds=self._settings.requested_rotation_seconds),
                denied_metadata=self._settings.denied_secret_metadata,
            )
            self._controller.resume()
            self._entra.resume(self._entra_reconciler(api, cluster, key))
            resync = Resync(
                self._kube,
                self._settings,
                cache=self._cache,
                controller=self._controller,
                deletions=self._deletions,
                metrics=self._metrics,
            )
            async with asyncio.TaskGroup() as parts:
                parts.create_task(recorder.run(), name="events")
                parts.create_task(check.run(), name="endpoint check")
                parts.create_task(resync.run(api, self._key_store.ensure), name="resync")
                parts.create_task(self._lead_webhooks(key, cluster), name="webhooks")
        except* NotLeading:
            log.info("the Lease was lost on the way; standing by")

    def _entra_reconciler(
        self, api: HttpAdminApi, cluster: KubernetesCluster, key: AdminKey
    ) -> EntraReconciler:
        return EntraReconciler(
            api=api,
            cluster=cluster,
            graph=self._graph(),
            endpoint=self._settings.endpoint_url,
            ledger_key=key.ledger_key,
            check_period=timedelta(seconds=self._settings.entra_check_seconds),
            owner=self._cache.application_owner,
            in_use=self._controller.add,
            seen=self._entra.show,
            trace=self._trace or _no_trace,
            spread=random.random,
        )

    async def _lead_webhooks(self, key: AdminKey, cluster: KubernetesCluster) -> None:
        settings = self._settings
        api = HttpWebhookApi(settings.admin_url, key.private, key.installation_id, self._inside)
        key_store = WebhookKeyStore(self._kube, settings.namespace, self._elector.check_leading)
        await self._webhooks.lead(
            api,
            key_store.ensure,
            lambda: list_keys(self._kube, ScimWebhook, settings.watch_namespaces, self._webhook_cache),
            lambda sealing_key, seen: WebhookReconciler(
                api=api,
                cluster=cluster,
                sealing_key=sealing_key,
                deletions=self._webhook_deletions,
                denied_metadata=settings.denied_secret_metadata,
                seen=seen,
                trace=self._trace or _no_trace,
            ),
        )

    def _graph(self) -> GraphClient:
        settings = self._settings
        clouds = Clouds(settings.entra_login_url, settings.entra_graph_url)
        pace = EntraPace(settings.entra_requests_per_second)
        requested = self._entra.metrics.requested
        tokens = ServiceAccountTokens(self._kube)
        login = EntraLogin(self._outside, tokens.token, clouds, pace, requested=requested)
        return GraphClient(
            self._outside, login, clouds, pace, guard=self._elector.check_leading, requested=requested
        )

    async def _admin_key(self) -> AdminKey:
        """The key, waited for until Kubernetes lets us have it."""
        reported, failures = "", 0
        while True:
            try:
                return await self._key_store.ensure()
            except KubernetesRejected as error:
                problem = str(error)
            except KUBERNETES_ERRORS as error:
                problem = f"{type(error).__name__} {getattr(error, 'status', '')}".strip()
            if problem != reported:
                log.error("no key for the admin API", reason=problem)
                reported = problem
            failures += 1
            await asyncio.sleep(_ADMIN_KEY_BACKOFF.seconds(failures))

    # -- what comes in, what is due

    def _new_deletions(self) -> tuple[Deletions, Deletions]:
        """Of ScimTokens and of ScimWebhooks."""
        settings = self._settings
        limit = DeletionLimit(settings.deletion_limit_count, settings.deletion_limit_percent)
        hold = timedelta(seconds=settings.deletion_hold_seconds)
        lease = (settings.namespace, settings.lease_name)
        return (
            Deletions(limit, hold, lease=lease),
            Deletions(limit, hold, lease=lease, kind=ScimWebhook.kind),
        )

    def _record_own_write(self, uid: str, resource_version: str) -> None:
        """A Secret is a ScimToken's or a ScimWebhook's; a version that is not seen is forgotten."""
        self._cache.record_own_write(uid, resource_version)
        self._webhook_cache.record_own_write(uid, resource_version)

    def _on_lease_annotations(self, annotations: Mapping[str, str]) -> None:
        confirmation = annotations.get(CONFIRM_DELETION_ANNOTATION, "")
        for key in self._deletions.confirm(confirmation):
            self._controller.add(key)
        for key in self._webhook_deletions.confirm(confirmation):
            self._webhooks.add(key)

    def _on_watch_events(self, batch: Sequence[WatchEvent]) -> None:
        self._deletions.count_scimtokens(len(self._cache))
        self._webhook_deletions.count_scimtokens(len(self._webhook_cache))
        for event in batch:
            self._enqueue(self._cache.apply(event), self._controller.add)
            self._enqueue(self._webhook_cache.apply(event), self._webhooks.add)

    def _on_endpoint_changed(self) -> None:
        """Reconcile those whose status says otherwise, at the pace of a new leader."""
        verdict = self._probe.verdict if self._probe is not None else None
        if verdict is None:
            return
        differing = self._cache.with_other_endpoint_summary(verdict.summary)
        spread = len(differing) / self._settings.startup_reconciles_per_second
        for key in differing:
            self._controller.add(key, spread * random.random())  # noqa: S311 (jitter)

    async def _reconcile(self, key: Key) -> Result:
        if self._reconciler is None:
            raise NotLeading("this process does not lead")
        self._cache.begin_reconcile(key)
        try:
            result = await self._reconciler.reconcile(key)
        finally:
            self._enqueue(self._cache.end_reconcile(key), self._controller.add)
        self._entra.add(key, has_entra=self._cache.has_entra(key))
        return result

    def _enqueue(self, keys: Iterable[Key], add: Callable[[Key], None]) -> None:
        """What the watch has shown is the leader's to reconcile."""
        if self._is_leader.is_set():
            for key in keys:
                add(key)

    def _max_interval(self, key: Key) -> float | None:
        return self._settings.full_reconcile_seconds if key in self._cache else None

    # -- probes

    def _watch_alive(self) -> str | None:
        silent = self._informer.silent_seconds()
        return f"no sign of life for {silent:.0f} s" if silent > _SILENT_SECONDS else None

    def _watch_open(self) -> str | None:
        return self._informer.problem

    def _leader_works(self) -> str | None:
        return (
            "leading, but without a key for the admin API yet"
            if self._is_leader.is_set() and not self._reconciler
            else None
        )

    def _refresh_gauges(self) -> None:
        settled = sum(token.is_ready for token in self._cache)
        self._metrics.scimtokens(ready=settled, not_ready=len(self._cache) - settled)
        self._metrics.in_use(token.key for token in self._cache if token.in_use)
        self._metrics.token_expiries(self._cache.token_expiries())
        self._metrics.rotation_overdue(self._cache.rotation_overdue(datetime.now(UTC)))
        self._metrics.revocations_held(len(self._deletions.held) + len(self._webhook_deletions.held))
        self._metrics.unwatched(self._informer.unwatched_namespaces())
        self._metrics.endpoint(self._probe.verdict if self._probe is not None else None)


def _no_trace(_step: str) -> None:
    """Steps are traced in tests alone."""
