"""What a serving process does beside its requests: jobs that are repeated, each in a task of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from scim_api.core.filter import parser
from scim_api.http.request import ServiceContext
from scim_api.store.errors import Unavailable

log = structlog.get_logger(__name__)

AUTH_GENERATION_SECONDS: Final = 0.25
"""How often the auth generation is read where the store can't tell it without asking (PostgreSQL)."""
LAST_USE_SECONDS: Final = 5.0
PURGE_SECONDS: Final = 5.0
PURGE_BATCH: Final = 500
WARM_UP_SECONDS: Final = 0.5

Job = Callable[[], Awaitable[float | None]]
"""One round of a job; returns seconds until the next one, None for the usual pause."""


def start(service: ServiceContext) -> list["asyncio.Task[None]"]:
    """Start all jobs; the caller cancels the tasks. None of them ends by itself but by a fault."""

    async def refresh_auth_generation() -> None:
        try:
            await service.credentials.refresh()
        except Unavailable:
            service.metrics.database_up.set(0)
            raise
        service.metrics.database_up.set(1)

    async def write_last_uses() -> None:
        await service.credentials.write_uses()

    async def purge() -> float | None:
        return 0.0 if await service.store.purge(PURGE_BATCH) >= PURGE_BATCH else None

    jobs: tuple[tuple[str, float, Job], ...] = (
        ("auth generation", AUTH_GENERATION_SECONDS, refresh_auth_generation),
        ("last use", LAST_USE_SECONDS, write_last_uses),
        ("purge", PURGE_SECONDS, purge),
    )
    return [asyncio.create_task(_repeat(seconds, name, job), name=name) for name, seconds, job in jobs]


async def warm_up() -> None:
    """Import what only unusual filters need, once the first answers are out of the way."""
    await asyncio.sleep(WARM_UP_SECONDS)
    await asyncio.to_thread(parser.warm_up)


async def _repeat(seconds: float, name: str, job: Job) -> None:
    """Repeat a job; a database that is gone is reported once, not each time."""
    down = False
    while True:
        try:
            pause = await job()
            if down:
                log.info("database is back", job=name)
            down = False
        except Unavailable as error:
            if not down:
                log.warning("database does not answer", job=name, reason=str(error))
            down, pause = True, None
        await asyncio.sleep(seconds if pause is None else pause)
