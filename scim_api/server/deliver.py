"""``scim-api deliver``: webhooks are delivered by a process of its own, and any number of them share the work."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Final

import structlog

from scim_api.contract import listening
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.server.deliveries import new_dispatcher
from scim_api.server.serve import METRICS_CONNECTIONS, new_server, opened_store
from scim_api.server.settings import ApiSettings, SettingsError
from scim_api.store.errors import Unavailable
from scim_api.store.migrate import REQUIRED_VERSION
from scim_api.store.protocol import Store

log = structlog.get_logger(__name__)

SCHEMA_SECONDS: Final = 1.0
"""Between two looks at whether the database is migrated."""


async def deliver(settings: ApiSettings) -> None:
    """Deliver webhooks until SIGTERM or SIGINT; what is under way may end first.

    Args:
        settings: of ``scim-api``; with ``metrics_port`` there is ``/metrics`` at the internal address.

    Raises:
        SettingsError: there is no key, a port is in use, or the database belongs to another installation.
        Unavailable: the database can't be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with opened_store(settings, TrustedKeys(settings.admin_keys_dir)) as store:
        metrics = DeliveryMetrics()
        await _until_migrated(store, stop)
        base_url = settings.public_url or await store.public_url() or settings.endpoint
        dispatcher = new_dispatcher(settings, store, base_url, metrics)
        async with _metrics_served(settings, metrics):
            log.info("delivering webhooks", database=store.dialect)
            await dispatcher.run(stop, settings.shutdown_seconds)
        log.info("stopped")


async def _until_migrated(store: Store, stop: asyncio.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(Unavailable):
            if await store.schema_version() >= REQUIRED_VERSION:
                return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SCHEMA_SECONDS)


@contextlib.asynccontextmanager
async def _metrics_served(settings: ApiSettings, metrics: DeliveryMetrics) -> AsyncIterator[None]:
    """``/metrics`` while the block runs, if there is a port for it."""
    if settings.metrics_port is None:
        yield
        return
    from scim_api.http.internal import metrics_app

    try:
        listener = listening.bound(settings.internal_host, settings.metrics_port)
    except OSError as error:
        raise SettingsError(
            f"can't listen on {listening.shown(settings.internal_host, settings.metrics_port)} ({error.strerror}); "
            "choose another --metrics-port"
        ) from error
    server = new_server(metrics_app(metrics.registry), settings, METRICS_CONNECTIONS)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
