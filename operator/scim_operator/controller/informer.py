"""Watching with kopf, and nothing else with it: events in, ``Seen`` messages out.

kopf runs in a thread and an event loop of its own, on every replica: it takes SIGTERM and cancels tasks
where it runs otherwise, and a list of ten thousand objects would hold up the others. Only event handlers
are registered, so kopf writes nothing to any object. A watch that ends is restarted; the heartbeat of
the thread feeds the liveness probe.
"""

import asyncio
import collections
import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import kopf
import structlog
from kubernetes import client as kube_client
from kubernetes import config as kube_config

from scim_api.contract.backoff import Backoff
from scim_operator.api.scimtoken import GROUP, MANAGED_BY, MANAGED_BY_LABEL, PLURAL, VERSION
from scim_operator.controller.cache import WatchEvent, cached_scimtoken, cached_secret
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

SECRET_SELECTOR: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Which Secrets are watched; the API server selects, others' Secrets never come here."""
LIST_CHUNK: Final = 500
_ERROR_BACKOFFS: Final = (0.2, 0.5, 1.0, 2.0)
_RESTART_BACKOFF: Final = Backoff(first=0.5, longest=10.0)
_HEALTHY_AFTER_SECONDS: Final = 60.0
_LOGIN_POLL_SECONDS: Final = 0.05
_LOGIN_RETRY_SECONDS: Final = 2.0


class Informer:
    """Watches ScimTokens and our Secrets, and hands what it sees to the event loop that made it.

    Args:
        settings: which namespaces.
        deliver: called in the maker's loop with what was seen since the last call, in order.
        served: awaited in the maker's loop before each start; returns when the CRD is served.
        restarted: called in the maker's loop when a watch ended and is restarted.
    """

    def __init__(
        self,
        settings: OperatorSettings,
        *,
        deliver: Callable[[Sequence[WatchEvent]], None],
        wait_until_served: Callable[[], Awaitable[None]],
        restarted: Callable[[], None],
    ) -> None:
        self._settings, self._wait_until_served_outside, self._restarted = (
            settings,
            wait_until_served,
            restarted,
        )
        self._home = asyncio.get_running_loop()
        self._inbox = _EventQueue(self._home, deliver)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._heartbeat = time.monotonic()
        self._watching = False

    @property
    def watching(self) -> bool:
        """Whether kopf is up and its streams are open or being reopened."""
        return self._watching and self._thread.is_alive()

    def silent_seconds(self) -> float:
        """How long the thread's event loop has given no sign of life."""
        return time.monotonic() - self._heartbeat

    def start(self) -> None:
        """Begin to watch; returns at once."""
        self._thread.start()

    async def stop(self, seconds: float) -> bool:
        """Ask the thread to end and wait for it; False when it did not end in time (it is a daemon)."""
        self._inbox.close()
        if not self._thread.is_alive():
            return True
        with contextlib.suppress(RuntimeError):  # its loop closed in this very moment
            self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join, seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._watch_until_stopped())

    async def _watch_until_stopped(self) -> None:
        beat = asyncio.create_task(self._beat())
        failures = 0
        try:
            while not self._stop.is_set():
                started = time.monotonic()
                reason = await self._watch_once()
                self._watching = False
                if self._stop.is_set():
                    return
                failures = 0 if time.monotonic() - started > _HEALTHY_AFTER_SECONDS else failures + 1
                pause = _RESTART_BACKOFF.seconds(failures + 1)
                log.warning("the watch ended and is restarted", reason=reason, seconds=pause)
                self._home.call_soon_threadsafe(self._restarted)
                await self._pause(pause)
        finally:
            beat.cancel()

    async def _watch_once(self) -> str:
        """Run kopf until it is stopped or fails; returns why it ended."""
        ready, logged_in = asyncio.Event(), threading.Event()
        noting = asyncio.create_task(self._mark_watching(ready, logged_in))
        try:
            if not await self._wait_until_served():
                return "stopped"
            await kopf.operator(
                registry=_registry(self._inbox.put, logged_in),
                settings=_kopf_settings(),
                clusterwide=not self._settings.watch_namespaces,
                namespaces=self._settings.watch_namespaces,
                standalone=True,
                stop_flag=self._stop,
                ready_flag=ready,
            )
        except Exception as error:  # noqa: BLE001 (kopf ends with whatever a stream ended with; we start anew)
            return f"{type(error).__name__}: {error}"
        finally:
            noting.cancel()
        return "kopf returned"

    async def _wait_until_served(self) -> bool:
        """Wait: kopf never looks again for a CRD that was missing at its start, so do not start it before."""
        served: asyncio.Future[object] = asyncio.ensure_future(
            asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(_as_coroutine(self._wait_until_served_outside), self._home)
            )
        )
        stopped: asyncio.Future[object] = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([served, stopped], return_when=asyncio.FIRST_COMPLETED)
            if served.done():
                served.result()
            return served.done()
        finally:
            served.cancel()
            stopped.cancel()

    async def _mark_watching(self, ready: asyncio.Event, logged_in: threading.Event) -> None:
        await ready.wait()
        while not logged_in.is_set():
            await asyncio.sleep(_LOGIN_POLL_SECONDS)
        self._watching = True
        log.debug("kopf is up")

    async def _beat(self) -> None:
        while True:
            self._heartbeat = time.monotonic()
            await asyncio.sleep(1)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


async def _as_coroutine(function: Callable[[], Awaitable[None]]) -> None:
    await function()


class _EventQueue:
    """Carries messages from kopf's thread into the main loop, many per wake-up."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Sequence[WatchEvent]], None]
    ) -> None:
        self._loop, self._deliver = loop, deliver
        self._waiting: collections.deque[WatchEvent] = collections.deque()
        self._called = False
        self._open = True
        self._lock = threading.Lock()

    def put(self, event: WatchEvent) -> None:
        """From kopf's thread."""
        with self._lock:
            self._waiting.append(event)
            if self._called or not self._open:
                return
            self._called = True
        self._loop.call_soon_threadsafe(self._flush)

    def close(self) -> None:
        """Deliver nothing more; the main loop is about to end."""
        with self._lock:
            self._open = False

    def _flush(self) -> None:
        with self._lock:
            batch = tuple(self._waiting)
            self._waiting.clear()
            self._called = False
            if not self._open:
                return
        self._deliver(batch)


def login() -> kopf.ConnectionInfo:
    """The pod's ServiceAccount, else KUBECONFIG; kopf asks again on a 401, when the token has rotated.

    Raises:
        kopf.TemporaryError: when there is neither; the message says so.
    """
    configuration = kube_client.Configuration(
        proxy="", no_proxy=""
    )  # left out, it would read the environment
    try:
        try:
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except kube_config.ConfigException:
            kube_config.load_kube_config(
                os.environ.get("KUBECONFIG") or None, client_configuration=configuration
            )  # type: ignore[no-untyped-call]
    except (kube_config.ConfigException, OSError) as error:
        raise kopf.TemporaryError(
            f"no credentials for Kubernetes: {error}", delay=_LOGIN_RETRY_SECONDS
        ) from error
    header = configuration.get_api_key_with_prefix("BearerToken") or configuration.get_api_key_with_prefix(
        "authorization"
    )
    scheme, _, token = (header or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme=scheme.capitalize() or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy or None,
        trust_env=False,
    )


def _registry(put: Callable[[WatchEvent], None], logged_in: threading.Event) -> kopf.OperatorRegistry:
    """A registry of our own, with event handlers only: any other kind makes kopf write to the objects."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def log_in(**_: Any) -> kopf.ConnectionInfo:
        connection = login()
        logged_in.set()
        return connection

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def scim_token(event: kopf.RawEvent, **_: Any) -> None:
        put(WatchEvent(cached_scimtoken(event["object"]), **_event_type(event)))

    @kopf.on.event("", "v1", "secrets", registry=registry)
    async def secret(event: kopf.RawEvent, **_: Any) -> None:
        put(WatchEvent(cached_secret(event["object"]), **_event_type(event)))

    return registry


def _event_type(event: kopf.RawEvent) -> dict[str, bool]:
    return {"listed": event["type"] is None, "deleted": event["type"] == "DELETED"}


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.watching.chunk_size = LIST_CHUNK
    settings.watching.label_selectors["", "v1", "secrets"] = SECRET_SELECTOR
    settings.networking.error_backoffs = _ERROR_BACKOFFS
    settings.networking.connect_timeout = 5.0
    settings.queueing.exit_timeout = 0.1
    # kopf would otherwise end its thread with SIGKILL, which ends the process, when it fails to stop.
    settings.process.ultimate_exiting_timeout = None
    return settings
