"""``scim-api serve``: both ports in one process, its background work, and an orderly end.

Several such processes share the ports under ``scim_api.http.workers``.
"""

import asyncio
import contextlib
import dataclasses
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp

from scim_api.core import filters
from scim_api.http.admin_keys import AdminKeys
from scim_api.http.credentials import Credentials
from scim_api.http.internal import Health, internal_app
from scim_api.http.metrics import Metrics
from scim_api.http.protocol import Service
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.settings import ApiSettings, SettingsError
from scim_api.store import Store, Unavailable, create_store
from scim_api.store.migrations import REQUIRED_VERSION, migrate

log = structlog.get_logger(__name__)
GENERATION_SECONDS = 0.25
FLUSH_SECONDS = 5.0
PURGE_SECONDS = 5.0
PURGE_BATCH = 500
WARM_UP_SECONDS = 0.5
BEAT_SECONDS = 1.0
STARTING_SECONDS = 0.02
"""How often a worker looks whether its ports are open."""


@dataclasses.dataclass(frozen=True, slots=True)
class Listeners:
    """Ports that are taken; nobody listens on them yet."""

    public: socket.socket
    internal: socket.socket | None

    def close(self) -> None:
        """Give them back."""
        for listener in (self.public, self.internal):
            if listener is not None:
                listener.close()


@dataclasses.dataclass(frozen=True, slots=True)
class Worker:
    """What one of several worker processes has from the one that started it."""

    listeners: Listeners
    metrics: Metrics
    beat: Callable[[], None]
    """Tells that it serves, about once a second. Raises ``OSError`` when nobody hears it any more."""


class _Server(uvicorn.Server):
    """A uvicorn server whose signals are ours: two of them end together."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to ``serve``."""
        yield


def _listen(host: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"can't listen on {host}:{port} ({error.strerror}); choose another --{option}"
        ) from error
    listener.set_inheritable(True)
    return listener


def bind(settings: ApiSettings) -> tuple[ApiSettings, Listeners]:
    """Take the ports; the settings then say which public one it is.

    Raises:
        SettingsError: one of them is taken.
    """
    public = _listen(settings.host, settings.port, "port")
    if settings.port == 0:
        settings = settings.model_copy(update={"port": public.getsockname()[1]})
    internal = None
    if settings.internal_port is not None:
        internal = _listen(settings.internal_host, settings.internal_port, "internal-port")
    return settings, Listeners(public, internal)


def _server(app: ASGIApp, settings: ApiSettings) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
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


async def _every(seconds: float, name: str, work: "Work") -> None:
    """Repeat some background work; a database that is gone is reported once, not each time."""
    down = False
    while True:
        try:
            pause = await work()
            if down:
                log.info("database is back", work=name)
            down = False
        except Unavailable as error:
            if not down:
                log.warning("database does not answer", work=name, reason=str(error))
            down, pause = True, None
        await asyncio.sleep(seconds if pause is None else pause)


class Work:
    """Background work: awaiting it does one round and says when to do the next (None: as usual)."""

    async def __call__(self) -> float | None:
        """Do one round."""
        raise NotImplementedError


class _Refresh(Work):
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self) -> None:
        try:
            await self._service.credentials.refresh()
        except Unavailable:
            self._service.metrics.database_up.set(0)
            raise
        self._service.metrics.database_up.set(1)


class _Flush(Work):
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self) -> None:
        await self._service.credentials.flush()


class _Purge(Work):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self) -> float | None:
        return 0.0 if await self._store.purge(PURGE_BATCH) >= PURGE_BATCH else None


@contextlib.asynccontextmanager
async def _opened(settings: ApiSettings, keys: AdminKeys) -> AsyncIterator[Store]:
    """The store, migrated (SQLite) or checked (PostgreSQL), and claimed for this installation."""
    store = create_store(settings.database_url)
    try:
        await store.open()
        if store.dialect == "sqlite":
            await migrate(settings.database_url)
        elif (version := await store.schema_version()) < REQUIRED_VERSION:
            log.warning(
                "schema is too old; not ready until migrated",
                schema=version,
                needed=REQUIRED_VERSION,
                command="scim-api migrate",
            )
        installation = keys.installation
        if installation is not None and await store.schema_version() >= REQUIRED_VERSION:
            owner = await store.claim(installation)
            if owner != installation:
                raise SettingsError(
                    f"database-url: this database belongs to installation {owner}, the mounted keys to "
                    f"{installation}; one database serves one installation"
                )
        yield store
    finally:
        await store.close()


async def serve(settings: ApiSettings, worker: Worker | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first.

    Args:
        settings: of the service.
        worker: given to one of several processes that serve together; it ends when the one that started it
            is gone.

    Raises:
        SettingsError: a port is taken, or the database belongs to another installation.
        Unavailable: the database can't be opened.
    """
    if worker is None:
        settings, listeners = bind(settings)
        metrics, beat = Metrics(), None
    else:
        listeners, metrics, beat = worker.listeners, worker.metrics, worker.beat
    keys = AdminKeys(settings.admin_keys_dir)
    async with _opened(settings, keys) as store:
        service = Service(store, Credentials(store), RateLimiter(), metrics, settings.endpoint)
        with contextlib.suppress(Unavailable):
            if await store.schema_version() >= REQUIRED_VERSION:
                await store.public_url(settings.endpoint)
        health = Health()
        servers = [(_server(public_app(service), settings), listeners.public)]
        if listeners.internal is not None:
            servers.append((_server(internal_app(service, keys, health), settings), listeners.internal))
        await _run(service, servers, health, settings, beat)


async def _beating(servers: list[_Server], beat: Callable[[], None]) -> None:
    """Tell the process that started this one that it serves, as long as that one is there."""
    while not all(server.started for server in servers):
        await asyncio.sleep(STARTING_SECONDS)
    while True:
        try:
            beat()
        except OSError:
            log.warning("the process that started this worker is gone")
            return
        await asyncio.sleep(BEAT_SECONDS)


async def _warm_up() -> None:
    """Import what only unusual filters need, once the first answers are out of the way."""
    await asyncio.sleep(WARM_UP_SECONDS)
    await asyncio.to_thread(filters.warm_up)


async def _run(
    service: Service,
    servers: list[tuple[_Server, socket.socket]],
    health: Health,
    settings: ApiSettings,
    beat: Callable[[], None] | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    background = [
        asyncio.create_task(_every(seconds, name, work), name=name)
        for name, seconds, work in (
            ("auth generation", GENERATION_SECONDS, _Refresh(service)),
            ("last use", FLUSH_SECONDS, _Flush(service)),
            ("purge", PURGE_SECONDS, _Purge(service.store)),
        )
    ]
    if beat is not None:
        background.append(asyncio.create_task(_beating([server for server, _ in servers], beat), name="beat"))
    running = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    log.info(
        "serving",
        endpoint=settings.endpoint,
        listen=f"{settings.host}:{settings.port}",
        internal=None
        if settings.internal_port is None
        else f"{settings.internal_host}:{settings.internal_port}",
        database=service.store.dialect,
    )
    ended = asyncio.create_task(stop.wait())
    warming = asyncio.create_task(_warm_up())
    await asyncio.wait([ended, *running, *background], return_when=asyncio.FIRST_COMPLETED)
    health.stopping = True
    log.info("stopping", reason="signal" if stop.is_set() else "a part ended by itself")
    for server, _ in servers:
        server.should_exit = True
    await asyncio.gather(*running)
    for task in (*background, warming):
        task.cancel()
    await asyncio.gather(*background, warming, return_exceptions=True)
    with contextlib.suppress(Unavailable):
        await service.credentials.flush()
    log.info("stopped")
