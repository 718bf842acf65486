"""The internal applications: admin API, health, readiness, metrics; and parts of these alone. Never behind the ingress."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from scim_api.http.admin import endpoints
from scim_api.http.admin.context import AdminContext
from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.http.request import ServiceContext
from scim_api.store.errors import ReadOnly, Unavailable
from scim_api.store.migrate import REQUIRED_VERSION
from scim_api.store.protocol import Store

READY_SECONDS = 3.0
"""How long the readiness probe waits for the database."""


def internal_app(service: ServiceContext, keys: TrustedKeys | None) -> FastAPI:
    """The application for the internal port.

    Args:
        service: what its endpoints share with the public port's.
        keys: those that sign admin requests; None: the admin API is at the operator's port.
    """
    app = _bare_app("scim-api internal")

    @app.get("/healthz")
    async def healthz() -> Response:
        """Alive: the event loop runs. An unavailable database is no reason to restart."""
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz")
    async def readyz() -> Response:
        """Ready: the database is available, takes writes, and its schema is new enough."""
        reason = await _not_ready(service)
        service.metrics.database_up.set(0 if reason and not service.stopping else 1)
        return _probed(reason)

    _serve_metrics(app, service.metrics.registry)
    if keys is not None:
        _serve_admin(app, service, keys)
    return app


def admin_app(service: ServiceContext, keys: TrustedKeys) -> FastAPI:
    """The admin API and nothing else, for the operator's port.

    Args:
        service: what its endpoints share with the public port's.
        keys: those that sign admin requests.
    """
    app = FastAPI(title="scim-api admin", openapi_url=None, docs_url=None, redoc_url=None)
    _serve_admin(app, service, keys)
    return app


def _serve_admin(app: FastAPI, service: ServiceContext, keys: TrustedKeys) -> None:
    context = AdminContext(
        service.store, service.authenticator, keys, service.metrics, service.bodies, service.keep_changes
    )
    endpoints.register(app, context)


def metrics_app(registry: CollectorRegistry) -> FastAPI:
    """``/metrics`` and nothing else, for a port of its own."""
    app = _bare_app("scim-api metrics")
    _serve_metrics(app, registry)
    return app


def dispatcher_app(
    registry: CollectorRegistry,
    store: Store,
    not_alive: Callable[[], str | None],
    not_ready: Callable[[], str | None],
) -> FastAPI:
    """``/healthz``, ``/readyz`` and ``/metrics`` of a dispatcher, which has no admin API.

    Args:
        registry: of its metrics.
        store: the database.
        not_alive: why only a restart would help; None without a reason.
        not_ready: why it delivers nothing now, although the database answers; None without a reason.
    """
    app = _bare_app("scim-api deliver")

    @app.get("/healthz")
    async def healthz() -> Response:
        """Alive: event loop and dispatcher run. An unavailable database is no reason to restart."""
        return _probed(not_alive())

    @app.get("/readyz")
    async def readyz() -> Response:
        """Ready: the database is available, takes writes, its schema is new enough, and leases are renewed."""
        return _probed(await _database_not_ready(store) or not_ready())

    _serve_metrics(app, registry)
    return app


def _probed(reason: str | None) -> Response:
    return Response(f"{reason or 'ok'}\n", 503 if reason else 200, media_type="text/plain")


def _bare_app(title: str) -> FastAPI:
    """Without pages about itself, and without redirects: they would lead to whatever Host a client names."""
    return FastAPI(title=title, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)


def _serve_metrics(app: FastAPI, registry: CollectorRegistry) -> None:
    @app.get("/metrics")
    async def show() -> Response:
        """Prometheus text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _not_ready(service: ServiceContext) -> str | None:
    return "stopping" if service.stopping else await _database_not_ready(service.store)


async def _database_not_ready(store: Store) -> str | None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await store.check_writable()
            version = await store.schema_version()
    except ReadOnly as error:
        return str(error)
    except (Unavailable, TimeoutError):
        return "the database does not answer"
    if version < REQUIRED_VERSION:
        return (
            f"the database has schema {version}, this release needs {REQUIRED_VERSION}: run scim-api migrate"
        )
    return None
