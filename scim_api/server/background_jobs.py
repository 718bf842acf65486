"""Periodic jobs of a serving process, each in a task of its own."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from scim_api.core.filter import parser
from scim_api.http.request import ServiceContext
from scim_api.store.errors import Unavailable

log = structlog.get_logger(__name__)

AUTH_GENERATION_SECONDS: Final = 0.25
"""How often the auth generation is read where the store has to query it (PostgreSQL)."""
LAST_USE_SECONDS: Final = 5.0
TOKEN_REFUSALS_SECONDS: Final = 5.0
PURGE_SECONDS: Final = 5.0
PURGE_BATCH: Final = 500
CHANGE_RETENTION_SECONDS: Final = 60.0
CHANGE_BATCH: Final = 1_000
CHANGE_PAUSE: Final = 0.02
"""Between two batches of changes whose time is over, for the requests."""
KEY_REBUILD_SECONDS: Final = 5.0
"""How long keys that a process of an earlier release wrote wait to be rebuilt, at most."""
KEY_REBUILD_PAUSE: Final = 0.02
"""Between two batches, for the requests."""
WARM_UP_SECONDS: Final = 0.5

Job = Callable[[], Awaitable[float | None]]
"""One round of a job; returns seconds until the next one, None for the usual pause."""


def start(service: ServiceContext) -> list["asyncio.Task[None]"]:
    """Start all jobs; the caller cancels the tasks. A task ends only by an unexpected exception.

    Args:
        service: what the jobs work on.
    """

    async def refresh_auth_generation() -> None:
        try:
            await service.authenticator.refresh()
        except Unavailable:
            service.metrics.database_up.set(0)
            raise
        service.metrics.database_up.set(1)

    async def write_last_uses() -> None:
        await service.authenticator.write_uses()

    async def write_token_refusals() -> None:
        await service.token_refusals.write(service.store)

    async def purge() -> float | None:
        return 0.0 if await service.store.purge(PURGE_BATCH) >= PURGE_BATCH else None

    async def forget_changes() -> float | None:
        gone = await service.store.change_log.forget(service.keep_changes, CHANGE_BATCH)
        return CHANGE_PAUSE if gone >= CHANGE_BATCH else None

    async def rebuild_keys() -> float | None:
        done = await service.store.rebuild_keys()
        if done.conflicts:
            log.warning(
                "keys of other resources", resources=done.conflicts, command="scim-api connection duplicates"
            )
        return KEY_REBUILD_PAUSE if done.looked_at else None

    jobs: tuple[tuple[str, float, Job], ...] = (
        ("auth generation", AUTH_GENERATION_SECONDS, refresh_auth_generation),
        ("last use", LAST_USE_SECONDS, write_last_uses),
        ("token refusals", TOKEN_REFUSALS_SECONDS, write_token_refusals),
        ("purge", PURGE_SECONDS, purge),
        ("change retention", CHANGE_RETENTION_SECONDS, forget_changes),
        ("key rebuild", KEY_REBUILD_SECONDS, rebuild_keys),
    )
    return [asyncio.create_task(_repeat(seconds, name, job), name=name) for name, seconds, job in jobs]


async def warm_up() -> None:
    """Import what only unusual filters need, after the first requests; from then on all of it is there to stay.

    The garbage collector looks at it no more: a full collection would stop the event loop for some 50 ms, to walk a
    hundred thousand objects of modules and classes, every time that requests have left enough of their own.
    """
    await asyncio.sleep(WARM_UP_SECONDS)
    await asyncio.to_thread(parser.warm_up)
    gc.freeze()


async def _repeat(seconds: float, name: str, job: Job) -> None:
    """Repeat a job; an unavailable database is logged once, not each time."""
    down = False
    while True:
        try:
            pause = await job()
            if down:
                log.info("database available again", job=name)
            down = False
        except Unavailable as error:
            if not down:
                log.warning("database unavailable", job=name, reason=str(error))
            down, pause = True, None
        await asyncio.sleep(seconds if pause is None else pause)
