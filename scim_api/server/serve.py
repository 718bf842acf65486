"""``scim-api serve``: both ports in one process, its background jobs, and a graceful shutdown.

One process uses one core. To use more, run several replicas on one PostgreSQL database.
"""

import asyncio
import contextlib
import dataclasses
import functools
import gc
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from scim_api.contract import listening
from scim_api.contract.oauth import TOKEN_PATH
from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.oauth.assertion import AssertionVerifier
from scim_api.http.oauth.key_address import KeyHosts
from scim_api.http.paths import SCIM_PATH
from scim_api.http.public import DirectRouter, MakeVerifier, public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.server import background_jobs
from scim_api.server.direct_protocol import DirectHttpProtocol
from scim_api.server.http_protocol import BoundedHttpProtocol, ConnectionLimits
from scim_api.server.settings import ApiSettings, SettingsError
from scim_api.store.errors import Unavailable
from scim_api.store.factory import create_store, surprises
from scim_api.store.migrate import REQUIRED_VERSION, migrate
from scim_api.store.protocol import Store

if TYPE_CHECKING:
    from scim_api.delivery.dispatcher import Dispatcher
    from scim_api.server.tls import ServerCertificate

log = structlog.get_logger(__name__)
INTERNAL_CONNECTIONS: Final = 100
"""At the internal port at a time: the operator's, the kubelet's probes and Prometheus share them."""
METRICS_CONNECTIONS: Final = 20
"""At the port of the metrics alone."""
SWITCH_SECONDS: Final = 0.001
"""How long a thread that decodes a long body keeps the interpreter while the event loop wants it."""
OPERATOR_CONNECTIONS: Final = 50
"""At the operator's port, and so many more that shake hands there."""
RESERVED_DESCRIPTORS: Final = 200
"""For the operator's and the metrics' own ports, the database, the listeners, logs and whatever else is open."""


@dataclasses.dataclass(frozen=True, slots=True)
class Listeners:
    """Bound sockets of the ports; none of them is listening yet."""

    public: socket.socket
    internal: socket.socket | None
    metrics: socket.socket | None
    operator: socket.socket | None

    def close(self) -> None:
        """Close them."""
        for listener in (self.public, self.internal, self.metrics, self.operator):
            if listener is not None:
                listener.close()


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to ``serve``, which ends two of them together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to ``serve``."""
        yield


def _listen(host: str, port: int, option: str) -> socket.socket:
    try:
        return listening.bound(host, port)
    except OSError as error:
        raise SettingsError(
            f"can't listen on {listening.shown(host, port)} ({error.strerror}); choose another --{option}"
        ) from error


def bind(settings: ApiSettings) -> tuple[ApiSettings, Listeners]:
    """Bind the ports; the returned settings have the public one that was bound.

    Raises:
        SettingsError: one of them is in use.
    """
    public = _listen(settings.host, settings.port, "port")
    if settings.port == 0:
        settings = settings.model_copy(update={"port": public.getsockname()[1]})
    internal = None
    if settings.internal_port is not None:
        internal = _listen(settings.internal_host, settings.internal_port, "internal-port")
    metrics = None
    if settings.metrics_port is not None:
        metrics = _listen(settings.internal_host, settings.metrics_port, "metrics-port")
    operator = None
    if settings.operator_port is not None:
        operator = _listen(settings.internal_host, settings.operator_port, "operator-port")
    return settings, Listeners(public, internal, metrics, operator)


def connections_within(descriptors: int, wanted: int) -> int:
    """How many of the wanted public connections the process has file descriptors for.

    Args:
        descriptors: how many files the process may have open, sockets among them.
        wanted: connections at the public port.
    """
    return max(1, min(wanted, descriptors - INTERNAL_CONNECTIONS - RESERVED_DESCRIPTORS))


def _granted(settings: ApiSettings) -> int:
    """Public connections, after the process has been allowed the open files that they need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + INTERNAL_CONNECTIONS + RESERVED_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    granted = connections_within(needed if soft == resource.RLIM_INFINITY else soft, settings.max_connections)
    if granted < settings.max_connections:
        log.warning(
            "fewer connections than configured",
            max_connections=settings.max_connections,
            granted=granted,
            open_files=soft,
            remedy="raise the limit of open files (ulimit -n), or lower SCIM_API_MAX_CONNECTIONS",
        )
    return granted


def new_server(
    app: ASGIApp, settings: ApiSettings, connections: int, certificate: "ServerCertificate | None" = None
) -> _Server:
    """A server of one port, which leaves signals to its caller.

    Args:
        app: what answers.
        settings: for the times.
        connections: at a time.
        certificate: for TLS.
    """
    limits = ConnectionLimits(
        connections, settings.head_seconds, settings.body_seconds, send_seconds=settings.body_seconds
    )
    protocol: Callable[..., asyncio.BaseProtocol]
    if isinstance(app, DirectRouter):
        protocol = functools.partial(DirectHttpProtocol, limits=limits, targets=app.targets)
    else:
        protocol = functools.partial(BoundedHttpProtocol, limits=limits)
    if certificate is not None:
        from scim_api.server.tls import BoundedTls

        protocol = functools.partial(
            BoundedTls,
            certificate=certificate,
            protocol=protocol,
            handshakes=connections,
            seconds=settings.head_seconds,
        )
    return _Server(
        uvicorn.Config(
            app,
            http=protocol,  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            lifespan="off",
            proxy_headers=False,
            ws="none",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
        )
    )


def _operator_app(admin: ASGIApp, scim: ASGIApp) -> ASGIApp:
    """For the operator's port: ``/scim/v2`` and the token endpoint too, which it asks with each new credential before it
    publishes it.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        is_public = path == TOKEN_PATH or path.startswith(f"{SCIM_PATH}/")
        await (scim if is_public else admin)(scope, receive, send)

    return app


@contextlib.asynccontextmanager
async def opened_store(settings: ApiSettings, keys: TrustedKeys) -> AsyncIterator[Store]:
    """The store, migrated (SQLite) or checked (PostgreSQL), and claimed for this installation."""
    store = create_store(settings.database_url)
    for event, detail in surprises(settings.database_url):
        log.warning(event, detail=detail)
    try:
        await store.open()
        if store.dialect == "sqlite":
            await migrate(settings.database_url)
        elif (version := await store.schema_version()) < REQUIRED_VERSION:
            log.warning(
                "database schema too old",
                schema=version,
                needed=REQUIRED_VERSION,
                command="scim-api migrate",
            )
        if await store.schema_version() >= REQUIRED_VERSION:
            await claim(store, keys)
        yield store
    finally:
        await store.close()


async def claim(store: Store, keys: TrustedKeys) -> None:
    """See that a migrated database is this installation's, where there is one. Raises ``SettingsError``."""
    installation = keys.installation
    if installation is not None and (owner := await store.claim(installation)) != installation:
        raise SettingsError(
            f"database-url: this database belongs to installation {owner}, the mounted keys to "
            f"{installation}; one database serves one installation"
        )


@contextlib.asynccontextmanager
async def _assertions(settings: ApiSettings, store: Store, metrics: Metrics) -> AsyncIterator[MakeVerifier]:
    """Makes what verifies clients' assertions, for the token endpoint. Nothing is fetched before a client with a
    trust signs in.
    """
    async with contextlib.AsyncExitStack() as opened:

        def make() -> AssertionVerifier:
            from scim_api.http.oauth.federated_assertions import FederatedAssertions
            from scim_api.http.oauth.issuer_keys import DAY, IssuerKeyCache
            from scim_api.http.oauth.key_fetch import KeyFetcher

            fetcher = KeyFetcher(KeyHosts.read(settings.keys_hosts))
            opened.push_async_callback(fetcher.aclose)
            keys = IssuerKeyCache(store, fetcher, metrics, max_age=settings.keys_max_age_days * DAY)
            opened.push_async_callback(keys.aclose)
            return FederatedAssertions(keys)

        yield make


def _certificate(settings: ApiSettings) -> "ServerCertificate | None":
    """Of the operator's port. Raises ``SettingsError``."""
    if settings.operator_tls_dir is None:
        return None
    from scim_api.server.tls import ServerCertificate

    return ServerCertificate(settings.operator_tls_dir)


async def serve(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        settings: of ``scim-api``; the times in seconds.

    Raises:
        SettingsError: a port is in use, or the database belongs to another installation.
        Unavailable: the database can't be opened.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    certificate = _certificate(settings)
    settings, listeners = bind(settings)
    keys = TrustedKeys(settings.admin_keys_dir)
    metrics = Metrics()
    async with opened_store(settings, keys) as store, _assertions(settings, store, metrics) as assertions:
        authenticator = Authenticator(store, operator_keys=keys)
        connections = _granted(settings)
        service = ServiceContext(
            store,
            authenticator,
            RateLimiter(),
            metrics,
            settings.endpoint,
            group_body=settings.group_body_mib * 2**20,
            keep_changes=timedelta(days=settings.change_retention_days),
            connections=connections,
        )
        with contextlib.suppress(Unavailable):
            if await store.schema_version() >= REQUIRED_VERSION:
                await store.public_url(settings.endpoint)
        scim = public_app(service, assertions=assertions)
        servers = [(new_server(scim, settings, connections), listeners.public)]
        if listeners.internal is not None:
            from scim_api.http.internal import internal_app  # FastAPI, which the public port does without

            mounted = keys if certificate is None else None
            internal = new_server(internal_app(service, mounted), settings, INTERNAL_CONNECTIONS)
            servers.append((internal, listeners.internal))
        if listeners.metrics is not None:
            from scim_api.http.internal import metrics_app

            scraped = new_server(metrics_app(metrics.registry), settings, METRICS_CONNECTIONS)
            servers.append((scraped, listeners.metrics))
        if listeners.operator is not None:
            from scim_api.http.internal import admin_app

            app = _operator_app(admin_app(service, keys), scim)
            operator = new_server(app, settings, OPERATOR_CONNECTIONS, certificate)
            servers.append((operator, listeners.operator))
        dispatcher = None
        if settings.deliver:
            from scim_api.delivery.metrics import DeliveryMetrics
            from scim_api.server.deliveries import new_dispatcher

            dispatcher = new_dispatcher(settings, store, settings.endpoint, DeliveryMetrics(metrics.registry))
        await _run(service, servers, settings, dispatcher)


async def _run(
    service: ServiceContext,
    servers: list[tuple[_Server, socket.socket]],
    settings: ApiSettings,
    dispatcher: "Dispatcher | None",
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    background = background_jobs.start(service)
    end_of_deliveries, delivering = asyncio.Event(), []
    if dispatcher is not None:
        run = dispatcher.run(end_of_deliveries, settings.shutdown_seconds)
        delivering = [asyncio.create_task(run, name="webhooks")]
    running = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    gc.freeze()  # modules and their like stay for good: no collection searches them, and keeps requests waiting
    gc.enable()
    log.info(
        "started",
        endpoint=settings.endpoint,
        listen=listening.shown(settings.host, settings.port),
        internal=None
        if settings.internal_port is None
        else listening.shown(settings.internal_host, settings.internal_port),
        database=service.store.dialect,
    )
    ended = asyncio.create_task(stop.wait())
    warming = asyncio.create_task(background_jobs.warm_up())
    await asyncio.wait([ended, *running, *background, *delivering], return_when=asyncio.FIRST_COMPLETED)
    service.stopping = True
    service.change_watch.stop()
    log.info("stopping", reason="signal" if stop.is_set() else "a server or background job ended")
    for server, _ in servers:
        server.should_exit = True
    end_of_deliveries.set()
    await asyncio.gather(*running)
    await asyncio.gather(*delivering, return_exceptions=True)
    for task in (*background, warming):
        task.cancel()
    await asyncio.gather(*background, warming, return_exceptions=True)
    with contextlib.suppress(Unavailable):
        await service.authenticator.write_uses()
        await service.token_refusals.write(service.store)
    log.info("stopped")
