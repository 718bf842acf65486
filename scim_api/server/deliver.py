"""``scim-api deliver``: webhooks are delivered by a process of its own, and any number of them share the work."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Final

import structlog
from starlette.types import ASGIApp

from scim_api.contract import listening
from scim_api.delivery.dispatcher import Dispatcher
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.server.deliveries import new_dispatcher
from scim_api.server.serve import claim, new_server, opened_store
from scim_api.server.settings import ApiSettings, SettingsError
from scim_api.store.errors import Unavailable
from scim_api.store.migrate import REQUIRED_VERSION
from scim_api.store.protocol import Store

log = structlog.get_logger(__name__)

SCHEMA_SECONDS: Final = 1.0
"""Between two looks at whether the database is migrated."""
CONNECTIONS: Final = 20
"""At the internal port at a time: the kubelet's probes and Prometheus share them."""


async def deliver(settings: ApiSettings) -> None:
    """Deliver webhooks until SIGTERM or SIGINT; what is under way may end first.

    Args:
        settings: of ``scim-api``; with ``internal_port`` there are ``/healthz``, ``/readyz`` and ``/metrics``.

    Raises:
        SettingsError: there is no key, a port is in use, or the database belongs to another installation.
        Unavailable: the database can't be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    keys = TrustedKeys(settings.admin_keys_dir)
    async with opened_store(settings, keys) as store:
        metrics, health = DeliveryMetrics(), _Health()
        async with _served(settings, store, metrics, health):
            await _until_migrated(store, stop)
            if not stop.is_set():
                await claim(store, keys)
                base_url = settings.public_url or await store.public_url() or settings.endpoint
                health.dispatcher = new_dispatcher(settings, store, base_url, metrics)
                log.info("delivering webhooks", database=store.dialect)
                await health.dispatcher.run(stop, settings.shutdown_seconds)
        log.info("stopped")


async def _until_migrated(store: Store, stop: asyncio.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(Unavailable):
            if await store.schema_version() >= REQUIRED_VERSION:
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SCHEMA_SECONDS)


class _Health:
    """What the probes ask, before there is a dispatcher too."""

    def __init__(self) -> None:
        self.dispatcher: Dispatcher | None = None

    def not_alive(self) -> str | None:
        return None if self.dispatcher is None else self.dispatcher.not_alive()

    def not_ready(self) -> str | None:
        return "starting" if self.dispatcher is None else self.dispatcher.not_ready()


@contextlib.asynccontextmanager
async def _served(
    settings: ApiSettings, store: Store, metrics: DeliveryMetrics, health: _Health
) -> AsyncIterator[None]:
    """The internal port while the block runs, if there is one."""
    if settings.internal_port is None:
        yield
        return
    from scim_api.http.internal import dispatcher_app

    try:
        listener = listening.bound(settings.internal_host, settings.internal_port)
    except OSError as error:
        raise SettingsError(
            f"can't listen on {listening.shown(settings.internal_host, settings.internal_port)} ({error.strerror}); "
            "choose another --internal-port"
        ) from error
    app: ASGIApp = dispatcher_app(metrics.registry, store, health.not_alive, health.not_ready)
    server = new_server(app, settings, CONNECTIONS)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
