"""Runs the reconciles of ScimWebhooks beside those of ScimTokens, and follows how their deliveries do.

The SCIM API can't call: what changes there is found in its list, which is read while there are ScimWebhooks.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from prometheus_client import CollectorRegistry

from scim_api.contract.backoff import Backoff
from scim_api.contract.sealing import key_id
from scim_api.contract.webhooks import Webhook
from scim_operator.api.custom_object import Key
from scim_operator.api.webhook_status import ScimWebhookStatus
from scim_operator.controller.controller import Controller
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.resync import KUBERNETES_ERRORS
from scim_operator.controller.webhook_reconciler import WebhookReconciler
from scim_operator.controller.workqueue import Result
from scim_operator.planning.ports import KubernetesRejected, NotLeading, ScimApiRejected, ScimApiUnreachable
from scim_operator.planning.webhooks import webhook_status
from scim_operator.planning.webhooks.ports import WebhookApi
from scim_operator.settings import OperatorSettings
from scim_operator.webhook_metrics import WebhookMetrics

log = structlog.get_logger(__name__)
PAGE: Final = 100
WORKERS: Final = 4
_KEY_BACKOFF: Final = Backoff(first=1.0, longest=20.0)

ListKeys = Callable[[], Awaitable[Collection[Key]]]
"""The ScimWebhooks that there are; those of namespaces that can't be listed as they are known. Raises what Kubernetes
raises."""
MakeReconciler = Callable[
    [Callable[[], X25519PublicKey], Callable[[Key, Webhook | None, ScimWebhookStatus | None], None]],
    WebhookReconciler,
]


class KnownWebhooks(Collection[Key], Protocol):
    """The ScimWebhooks that the watch has shown."""

    def discard(self, key: Key) -> None:
        """It is gone, although the watch did not say so."""


class WebhookController:
    """Reconciles ScimWebhooks while this process leads.

    Args:
        settings: periods and namespaces.
        registry: where the metrics are shown.
        cached: see there.
        deletions: told how many webhooks there are.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        registry: CollectorRegistry,
        cached: KnownWebhooks,
        deletions: Callable[[], Deletions],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings, self._cached, self._sleep, self._deletions = settings, cached, sleep, deletions
        self._metrics = WebhookMetrics(registry)
        self._reconciler: WebhookReconciler | None = None
        self._digests: dict[Key, object] = {}
        """Of what the API had of each when its status was made."""
        self._key: X25519PublicKey | None = None
        self._has_any = True
        """Whether the API has one."""
        self._problem = ""
        self._controller = Controller(
            self._reconcile,
            workers=WORKERS,
            max_interval=lambda key: settings.full_reconcile_seconds if key in cached else None,
            metrics=self._metrics,
        )

    def add(self, key: Key) -> None:
        """Reconcile ``key`` soon."""
        self._controller.add(key)

    def pause(self) -> None:
        """Start nothing more: another process leads."""
        self._controller.pause()
        self._reconciler = self._key = None
        self._digests.clear()
        self._metrics.clear()

    async def run(self) -> None:
        """Dispatch until cancelled."""
        await self._controller.run()

    async def drain(self, seconds: float) -> None:
        """Let what runs come to its end for so long, then cancel it: a cancelled step is repeated later."""
        await self._controller.drain(seconds)

    async def lead(
        self,
        api: WebhookApi,
        read_key: Callable[[], Awaitable[X25519PublicKey]],
        list_keys: ListKeys,
        make: MakeReconciler,
    ) -> None:
        """Reconcile all and follow them until cancelled.

        Args:
            api: webhooks at the admin port.
            read_key: the dispatcher's public key, made when there is none.
            list_keys: see there.
            make: the reconciler, from what gives the present key and what takes what was seen.
        """
        self._key = await self._until_there_is_a_key(read_key)
        self._reconciler = make(self._sealing_key, self._saw)
        self._controller.resume()
        spread = len(self._cached) / self._settings.startup_reconciles_per_second
        for key in self._cached:
            self._controller.add(key, spread * random.random())  # noqa: S311 (spreads load)
        read_at, self._has_any = time.monotonic(), True
        while True:
            if self._has_any or self._cached:
                await self._look(api)
            await self._sleep(self._settings.webhook_check_seconds)
            if time.monotonic() - read_at > self._settings.resync_seconds:
                read_at = time.monotonic()
                await self._renew_key(read_key)
                await self._resync(list_keys)

    async def _until_there_is_a_key(
        self, read_key: Callable[[], Awaitable[X25519PublicKey]]
    ) -> X25519PublicKey:
        failures = 0
        while True:
            try:
                return await read_key()
            except KubernetesRejected as error:
                self._report(str(error))
            except KUBERNETES_ERRORS as error:
                self._report(f"Kubernetes: {type(error).__name__} {getattr(error, 'status', '')}".strip())
            failures += 1
            await self._sleep(_KEY_BACKOFF.seconds(failures))

    async def _renew_key(self, read_key: Callable[[], Awaitable[X25519PublicKey]]) -> None:
        """Somebody may have replaced it: signing secrets are sealed to the present one then."""
        try:
            key = await read_key()
        except KubernetesRejected as error:
            self._report(str(error))
            return
        except KUBERNETES_ERRORS:
            return
        if key_id(key) != key_id(self._sealing_key()):
            log.warning("the dispatcher's key is another; signing secrets are sealed anew", key=key_id(key))
            self._key = key
            for one in self._cached:
                self._controller.add(one)

    async def _resync(self, list_keys: ListKeys) -> None:
        """Reconcile those that the watch has missed, or whose end it has missed."""
        try:
            listed = frozenset(await list_keys())
        except KUBERNETES_ERRORS as error:
            self._report(f"Kubernetes: {type(error).__name__} {getattr(error, 'status', '')}".strip())
            return
        for key in listed.symmetric_difference(self._cached):
            self._controller.add(key)

    async def _look(self, api: WebhookApi) -> None:
        """Reconcile those of which the API's list has something new."""
        after, found = None, 0
        try:
            while True:
                page = await api.page(after=after, limit=PAGE)
                for webhook in page.items:
                    found += webhook.owner_uid is not None
                    self._compare(webhook)
                after = page.next
                if after is None:
                    break
        except ScimApiUnreachable as error:
            self._report(str(error))
        except ScimApiRejected as error:
            self._report(f"{error.code}: {error.message}")
        else:
            self._problem, self._has_any = "", found > 0
            self._deletions().count_connections(found)

    def _compare(self, webhook: Webhook) -> None:
        key = Key(webhook.namespace, webhook.name)
        namespaces = self._settings.watch_namespaces
        if namespaces and key.namespace not in namespaces:
            return
        if key in self._cached:
            if self._digests.get(key) != webhook_status.digest(webhook):
                self._controller.add(key)
        elif webhook.owner_uid is not None:
            self._controller.add(key)  # an orphan, unless the watch is late

    def _saw(self, key: Key, api: Webhook | None, status: ScimWebhookStatus | None) -> None:
        self._metrics.show(key, status)
        if api is None:
            self._digests.pop(key, None)
            self._cached.discard(key)
        else:
            self._digests[key] = webhook_status.digest(api)
            self._has_any |= api.exists

    def _sealing_key(self) -> X25519PublicKey:
        if self._key is None:
            raise NotLeading("this process does not lead")
        return self._key

    async def _reconcile(self, key: Key) -> Result:
        if self._reconciler is None:
            raise NotLeading("this process does not lead")
        return await self._reconciler.reconcile(key)

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("webhooks are not followed", reason=problem)
        self._problem = problem
