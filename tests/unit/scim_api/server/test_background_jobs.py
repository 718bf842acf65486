"""Jobs beside the requests: repeated at their pace, and one report of a database that is gone.

Time is the list of pauses that were asked for; nobody waits for any of them.
"""

import asyncio
import contextlib
import gc
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs

from scim_api.core.filter import parser
from scim_api.http.metrics import Metrics
from scim_api.http.request import ServiceContext
from scim_api.server import background_jobs
from scim_api.server.background_jobs import (
    AUTH_GENERATION_SECONDS,
    KEY_REBUILD_PAUSE,
    KEY_REBUILD_SECONDS,
    LAST_USE_SECONDS,
    PURGE_BATCH,
    PURGE_SECONDS,
    TOKEN_REFUSALS_SECONDS,
    WARM_UP_SECONDS,
)
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import KeyRebuild

GONE = Unavailable("nobody there")


class Enough(Exception):
    """Ends a job after what the test has told it to do."""


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    asked: list[float] = []
    sleep = asyncio.sleep

    async def remember(seconds: float) -> None:
        asked.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", remember)
    return asked


class Told:
    """Does one thing after the other: raises what is an exception, and returns the rest."""

    def __init__(self, *outcomes: object) -> None:
        self._outcomes = iter(outcomes)

    def __call__(self, *_: object) -> object:
        outcome = next(self._outcomes, Enough())
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def job(self, *_: object) -> float | None:
        return cast("float | None", self())


async def forever(*_: object) -> None:
    await asyncio.Event().wait()


async def repeated(*outcomes: object) -> None:
    with contextlib.suppress(Enough):
        await background_jobs._repeat(7.0, "chore", Told(*outcomes).job)


async def test_a_job_goes_on_after_its_usual_pause_or_the_one_it_asks_for(pauses: list[float]) -> None:
    await repeated(None, 0.0, 2.5, None)
    assert pauses == [7.0, 0.0, 2.5, 7.0]


async def test_a_database_that_is_gone_is_reported_once_and_its_return_too(pauses: list[float]) -> None:
    with capture_logs() as logs:
        await repeated(None, GONE, GONE, GONE, None, None, GONE, None)
    assert [(line["log_level"], line["event"], line["job"]) for line in logs] == [
        ("warning", "database unavailable", "chore"),
        ("info", "database available again", "chore"),
    ] * 2
    assert logs[0]["reason"] == "nobody there"
    assert pauses == [7.0] * 8


async def test_a_fault_of_ours_ends_the_job_for_all_to_see(pauses: list[float]) -> None:
    with pytest.raises(ZeroDivisionError):
        await background_jobs._repeat(7.0, "chore", Told(None, ZeroDivisionError()).job)


class Service:
    """The service as its jobs see it; what a test does not tell to do anything waits for ever."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.authenticator = SimpleNamespace(refresh=forever, write_uses=forever)
        self.store = SimpleNamespace(purge=forever, rebuild_keys=forever)
        self.token_refusals = SimpleNamespace(write=forever)

    async def run(self, name: str) -> None:
        """Until this job has done what it was told."""
        tasks = background_jobs.start(cast("ServiceContext", self))
        [task] = [task for task in tasks if task.get_name() == name]
        with pytest.raises(Enough):
            await task
        for other in tasks:
            other.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def database_up(service: Service) -> float | None:
    return service.metrics.registry.get_sample_value("scim_api_database_up")


@pytest.mark.parametrize(("last", "up"), [(None, 1.0), (GONE, 0.0)])
async def test_the_gauge_says_whether_the_last_reading_of_the_database_succeeded(
    pauses: list[float], last: object, up: float
) -> None:
    service = Service()
    seen: list[float | None] = []
    told = Told(None, GONE, None, last)

    async def refresh() -> None:
        seen.append(database_up(service))
        await told.job()

    service.authenticator.refresh = refresh
    await service.run("auth generation")
    assert seen[1:] == [1.0, 0.0, 1.0, up]
    assert pauses == [AUTH_GENERATION_SECONDS] * 4


async def test_last_uses_are_written_at_their_own_pace(pauses: list[float]) -> None:
    service = Service()
    service.authenticator.write_uses = Told(None, None).job
    await service.run("last use")
    assert pauses == [LAST_USE_SECONDS] * 2


async def test_refusals_of_token_requests_are_written_at_their_own_pace(pauses: list[float]) -> None:
    service = Service()
    stores: list[object] = []
    told = Told(None, None)

    async def write(store: object) -> None:
        stores.append(store)
        await told.job()

    service.token_refusals.write = write
    await service.run("token refusals")
    assert pauses == [TOKEN_REFUSALS_SECONDS] * 2
    assert stores == [service.store] * 3


async def test_a_purge_goes_on_at_once_as_long_as_its_batches_are_full(pauses: list[float]) -> None:
    service = Service()
    batches: list[int] = []
    told = Told(PURGE_BATCH, PURGE_BATCH, PURGE_BATCH - 1, 0)

    async def purge(batch: int) -> int:
        batches.append(batch)
        return cast("int", told())

    service.store.purge = purge
    await service.run("purge")
    assert set(batches) == {PURGE_BATCH}
    assert pauses == [0.0, 0.0, PURGE_SECONDS, PURGE_SECONDS]


async def test_keys_are_rebuilt_batch_after_batch_and_then_looked_for_at_a_slow_pace(
    pauses: list[float],
) -> None:
    service = Service()
    service.store.rebuild_keys = Told(KeyRebuild(200), KeyRebuild(7, conflicts=2), KeyRebuild()).job
    with capture_logs() as logs:
        await service.run("key rebuild")
    assert pauses == [KEY_REBUILD_PAUSE, KEY_REBUILD_PAUSE, KEY_REBUILD_SECONDS]
    assert [(log["event"], log["resources"]) for log in logs] == [("keys of other resources", 2)]


async def test_warming_up_waits_for_the_first_answers_and_leaves_the_loop_alone(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[tuple[str, Sequence[float]]] = []

    def warm_up() -> None:
        threads.append((threading.current_thread().name, list(pauses)))

    monkeypatch.setattr(parser, "warm_up", warm_up)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    await background_jobs.warm_up()
    [(thread, before)] = threads
    assert before == [WARM_UP_SECONDS]
    assert thread != threading.main_thread().name


async def test_what_is_imported_by_then_is_no_longer_walked_by_the_garbage_collector(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(parser, "warm_up", lambda: steps.append("imported"))
    monkeypatch.setattr(gc, "freeze", lambda: steps.append("frozen"))
    await background_jobs.warm_up()
    assert steps == ["imported", "frozen"]
