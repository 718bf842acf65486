"""The console: its pages behind its guard."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import Response

from scim_console.access import Access
from scim_console.guard import Guard
from scim_console.live import Streams, Watch
from scim_console.memory import Memory
from scim_console.model import Source
from scim_console.pages import health, live, log, people, token, tokens
from scim_console.rendering import HERE, Console, Trouble, environment

ROUTERS: Final = (live.router, tokens.router, token.router, people.router, log.router, health.router)


@dataclasses.dataclass(frozen=True, slots=True)
class Application:
    """What a server runs."""

    asgi: Guard
    warm: Callable[[], None]
    """Asks for what the first page shows; it may take its time."""
    close: Callable[[], None]
    """Ends all that pages follow; from any thread. A server that ends calls it first."""


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(source: Source, access: Access, now: Callable[[], datetime] = _now) -> Application:
    """The console.

    Args:
        source: what it shows.
        access: who may look.
        now: the clock.
    """
    memory, watch, streams = Memory(source), Watch(source), Streams()
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.console = Console(source, memory, watch, streams, access.csrf, now, environment())
    app.mount("/static", StaticFiles(directory=HERE / "static"), "static")
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(HTTPException, _not_found)

    def close() -> None:
        watch.close()
        streams.close()

    return Application(Guard(app, access), memory.warm, close)


def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (it is registered for those)
    console: Console = request.app.state.console
    trouble = Trouble("There is no such page", "Start from one of the pages above.")
    return console.page("trouble.html", error.status_code, section="", trouble=trouble)
