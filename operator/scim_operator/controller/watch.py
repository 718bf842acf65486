"""One watch with kopf, in a thread and an event loop of its own.

kopf takes SIGTERM where it runs otherwise, at its end cancels every task of its loop that began after it, and a list
of ten thousand objects would hold up the others. Only an event handler is registered, so kopf writes nothing to any
object. A watch that ends is restarted; the heartbeat of the thread feeds the liveness probe.
"""

import asyncio
import contextlib
import dataclasses
import os
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import kopf
import structlog
from kubernetes import client as kube_client
from kubernetes import config as kube_config

from scim_api.contract.backoff import Backoff
from scim_api.contract.tls import without_strict_profile
from scim_operator.adapters.watch_access import SCIM_WEBHOOKS, SECRET_SELECTOR, SECRETS, Obstacle, WatchTarget
from scim_operator.api.custom_object import GROUP, VERSION
from scim_operator.controller.watch_events import (
    WatchEvent,
    cached_scimtoken,
    cached_scimwebhook,
    cached_secret,
)

log = structlog.get_logger(__name__)

FindObstacle = Callable[[WatchTarget], Coroutine[Any, Any, Obstacle | None]]
LIST_CHUNK: Final = 500
_ERROR_BACKOFFS: Final = (0.2, 0.5, 1.0, 2.0)
_RESTART_BACKOFF: Final = Backoff(first=0.5, longest=10.0)
_OBSTACLE_BACKOFF: Final = Backoff(first=0.5, longest=5.0)
_HEALTHY_AFTER_SECONDS: Final = 60.0
_LOGIN_POLL_SECONDS: Final = 0.05
_LOGIN_RETRY_SECONDS: Final = 2.0
_LOADING: Final = threading.Lock()
"""Loading a kubeconfig writes what it embeds to temporary files and remembers them to delete them at the end of the
process. It is not made for two threads: of two files for the same content the first would be forgotten."""


class Watch:
    """Follows one target for as long as the process runs.

    Args:
        target: which resource, and where.
        put: called in the watch's thread with each event.
        find_obstacle: awaited in the maker's loop before each start; what is in the way, or None.
        restarted: called in the maker's loop when the watch ended and is restarted.
    """

    def __init__(
        self,
        target: WatchTarget,
        *,
        put: Callable[[WatchEvent], None],
        find_obstacle: FindObstacle,
        restarted: Callable[[], None],
    ) -> None:
        self.target = target
        self.obstacle: Obstacle | None = None
        """Why it is not open; None while it is, or is about to be for the first time."""
        self._put, self._find_obstacle, self._restarted = put, find_obstacle, restarted
        self._home = asyncio.get_running_loop()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self._heartbeat = time.monotonic()
        self._is_open = False
        self._where = dataclasses.asdict(target)

    @property
    def is_open(self) -> bool:
        """Whether kopf is up and its stream is open or being reopened."""
        return self._is_open and self._thread.is_alive()

    def silent_seconds(self) -> float:
        """How long the thread's event loop has given no sign of life."""
        return time.monotonic() - self._heartbeat

    def start(self) -> None:
        """Begin to watch; returns at once."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Ask the thread to end; returns at once."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop closed in this very moment
                self._loop.call_soon_threadsafe(self._stop.set)

    def join(self, seconds: float) -> bool:
        """Wait for the thread's end, blocking; False when it did not come in time."""
        if self._thread.is_alive():
            self._thread.join(seconds)
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
                self._is_open = False
                if self._stop.is_set():
                    return
                self.obstacle = Obstacle(reason, in_namespace_only=self.target.namespace is not None)
                failures = 0 if time.monotonic() - started > _HEALTHY_AFTER_SECONDS else failures + 1
                pause = _RESTART_BACKOFF.seconds(failures + 1)
                log.warning("the watch ended and is restarted", **self._where, reason=reason, seconds=pause)
                self._home.call_soon_threadsafe(self._restarted)
                await self._pause(pause)
        finally:
            beat.cancel()

    async def _watch_once(self) -> str:
        """Run kopf until it is stopped or fails; returns why it ended."""
        ready, logged_in = asyncio.Event(), threading.Event()
        noting = asyncio.create_task(self._mark_open(ready, logged_in))
        namespace = self.target.namespace
        try:
            if not await self._until_watchable():
                return "stopped"
            await kopf.operator(
                registry=_registry(self.target, self._put, logged_in),
                settings=_kopf_settings(),
                clusterwide=namespace is None,
                namespaces=() if namespace is None else (namespace,),
                standalone=True,
                # For its peering, which is off. A NewType of str that kopf keeps to itself; by default it asks for the
                # user's name, which not every uid has.
                identity="scim-operator",  # type: ignore[arg-type]
                stop_flag=self._stop,
                ready_flag=ready,
            )
        except Exception as error:  # noqa: BLE001 (kopf ends with whatever a stream ended with; we start anew)
            return f"{type(error).__name__}: {error}"
        finally:
            noting.cancel()
        return "kopf returned"

    async def _until_watchable(self) -> bool:
        """Wait until nothing is in the way any more; False when told to stop."""
        failures = 0
        while True:
            obstacle = await self._ask_for_obstacle()
            if self._stop.is_set() or obstacle is None:
                return not self._stop.is_set()
            if obstacle != self.obstacle:
                log.warning("cannot watch yet", **self._where, reason=obstacle.reason)
            self.obstacle = obstacle
            failures += 1
            await self._pause(_OBSTACLE_BACKOFF.seconds(failures))

    async def _ask_for_obstacle(self) -> Obstacle | None:
        """What is in the way, asked in the maker's loop; None also when told to stop meanwhile."""
        asked: asyncio.Future[Obstacle | None] = asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self._find_obstacle(self.target), self._home)
        )
        stopped = asyncio.ensure_future(self._stop.wait())
        either: tuple[asyncio.Future[Any], ...] = (asked, stopped)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return asked.result() if asked.done() else None
        finally:
            asked.cancel()
            stopped.cancel()

    async def _mark_open(self, ready: asyncio.Event, logged_in: threading.Event) -> None:
        await ready.wait()
        while not logged_in.is_set():
            await asyncio.sleep(_LOGIN_POLL_SECONDS)
        if self.obstacle is not None:
            log.info("watching", **self._where)
        self._is_open, self.obstacle = True, None
        log.debug("the watch is open", **self._where)

    async def _beat(self) -> None:
        while True:
            self._heartbeat = time.monotonic()
            await asyncio.sleep(1)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()


def login() -> kopf.ConnectionInfo:
    """The pod's ServiceAccount, else KUBECONFIG; kopf asks again on a 401, when the token has rotated.

    Raises:
        kopf.TemporaryError: when there is neither; the message says so.
    """
    configuration = kube_client.Configuration(
        proxy="", no_proxy=""
    )  # left out, it would read the environment
    try:
        with _LOADING:
            _load(configuration)
    except (kube_config.ConfigException, OSError) as error:
        raise kopf.TemporaryError(
            f"no credentials for Kubernetes: {error}", delay=_LOGIN_RETRY_SECONDS
        ) from error
    header = configuration.get_api_key_with_prefix("BearerToken") or configuration.get_api_key_with_prefix(
        "authorization"
    )
    scheme, _, token = (header or "").rpartition(" ")
    return _ConnectionInfo(
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


class _ConnectionInfo(kopf.ConnectionInfo):
    """With contexts that verify as those of our own client do."""

    def as_ssl_context(self) -> ssl.SSLContext:
        return without_strict_profile(super().as_ssl_context())


def _load(configuration: kube_client.Configuration) -> None:
    try:
        kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except kube_config.ConfigException:
        kube_config.load_kube_config(os.environ.get("KUBECONFIG") or None, client_configuration=configuration)  # type: ignore[no-untyped-call]


def _registry(
    target: WatchTarget, put: Callable[[WatchEvent], None], logged_in: threading.Event
) -> kopf.OperatorRegistry:
    """A registry of our own, with an event handler only: any other kind makes kopf write to the objects."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def log_in(**_: Any) -> kopf.ConnectionInfo:
        connection = login()
        logged_in.set()
        return connection

    async def scim_token(event: kopf.RawEvent, **_: Any) -> None:
        put(WatchEvent(cached_scimtoken(event["object"]), **_event_type(event)))

    async def scim_webhook(event: kopf.RawEvent, **_: Any) -> None:
        put(WatchEvent(cached_scimwebhook(event["object"]), **_event_type(event)))

    async def secret(event: kopf.RawEvent, **_: Any) -> None:
        put(WatchEvent(cached_secret(event["object"]), **_event_type(event)))

    if target.resource == SECRETS:
        kopf.on.event("", "v1", SECRETS, registry=registry)(secret)
    else:
        handler = scim_webhook if target.resource == SCIM_WEBHOOKS else scim_token
        kopf.on.event(GROUP, VERSION, target.resource, registry=registry)(handler)
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
