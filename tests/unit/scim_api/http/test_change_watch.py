"""Waking those who wait: one look for all, none while nobody waits, and nothing missed between."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from scim_api.http.change_watch import ChangeWatch, most_waiting
from scim_api.store.change_log import ChangePage, FeedPosition, HistoryPage, HistoryQuery, LogMark
from scim_api.store.errors import Unavailable


class Log:
    """Says of which tenants something was committed since the look before."""

    def __init__(self) -> None:
        self.commits: list[int] = []
        self.looks = 0
        self.fault: Exception | None = None

    async def changed_tenants(self, since: LogMark | None) -> tuple[LogMark, frozenset[int]]:
        self.looks += 1
        await asyncio.sleep(0)
        if self.fault is not None:
            raise self.fault
        start = len(self.commits) if since is None else since.pk
        return LogMark(len(self.commits)), frozenset(self.commits[start:])

    async def page(
        self, tenant: int, after: FeedPosition | None, *, limit: int, types: frozenset[str] = frozenset()
    ) -> ChangePage:
        raise NotImplementedError

    async def head(self, tenant: int) -> FeedPosition:
        raise NotImplementedError

    async def history(
        self, tenant: int, query: HistoryQuery, *, before: int | None = None, limit: int
    ) -> HistoryPage:
        raise NotImplementedError

    async def forget(self, keep: timedelta, batch: int = 500) -> int:
        raise NotImplementedError


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def watch(log: Log) -> ChangeWatch:
    return ChangeWatch(log, limit=2, seconds=0.001)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


async def woken(event: asyncio.Event | None) -> bool:
    assert event is not None
    try:
        async with asyncio.timeout(0.05):
            return await event.wait()
    except TimeoutError:
        return False


async def test_a_commit_wakes_those_who_wait_for_its_tenant_alone(log: Log, watch: ChangeWatch) -> None:
    async with watch.changes_of(1) as one, watch.changes_of(2) as two:
        log.commits.append(1)
        assert (await woken(one), await woken(two)) == (True, False)


async def test_a_commit_of_before_wakes_nobody(log: Log, watch: ChangeWatch) -> None:
    log.commits.append(1)
    async with watch.changes_of(1) as one:
        assert not await woken(one)


async def test_nobody_looks_while_nobody_waits(log: Log, watch: ChangeWatch) -> None:
    async with watch.changes_of(1):
        await until(lambda: log.looks > 2)
    await asyncio.sleep(0.01)
    looks = log.looks
    await asyncio.sleep(0.03)
    assert log.looks == looks
    log.commits.append(1)
    async with watch.changes_of(1) as again:
        assert not await woken(again)
        log.commits.append(1)
        assert await woken(again)


async def test_those_beyond_the_limit_do_not_wait(watch: ChangeWatch) -> None:
    async with watch.changes_of(1), watch.changes_of(2):
        async with watch.changes_of(3) as third:
            assert third is None
        assert watch.waiting == 2
    async with watch.changes_of(3) as third:
        assert third is not None


async def test_all_are_woken_when_the_process_is_to_end(watch: ChangeWatch) -> None:
    async with watch.changes_of(1) as one:
        watch.stop()
        assert await woken(one)
        async with watch.changes_of(2) as late:
            assert late is None


async def test_an_outage_while_somebody_waits_loses_nothing(log: Log, watch: ChangeWatch) -> None:
    async with watch.changes_of(1) as one:
        log.fault = Unavailable("down")
        looks = log.looks
        await until(lambda: log.looks > looks + 2)
        log.commits.append(1)
        log.fault = None
        assert await woken(one)


async def test_after_an_outage_everybody_looks_since_ids_may_have_been_given_again(
    log: Log, watch: ChangeWatch
) -> None:
    """What was committed then looks older than the mark of before."""
    log.commits = [2, 2, 2]
    async with watch.changes_of(1) as one:
        log.fault = Unavailable("down")
        looks = log.looks
        await until(lambda: log.looks > looks + 2)
        log.commits = [1]
        log.fault = None
        assert await woken(one)


async def test_an_outage_at_the_beginning_is_told_and_the_next_one_begins_anew(
    log: Log, watch: ChangeWatch
) -> None:
    log.fault = Unavailable("down")

    async def wait() -> None:
        async with watch.changes_of(1):
            raise AssertionError("it did not begin")

    for result in await asyncio.gather(wait(), wait(), return_exceptions=True):
        assert isinstance(result, Unavailable)
    assert watch.waiting == 0
    log.fault = None
    async with watch.changes_of(1) as one:
        log.commits.append(1)
        assert await woken(one)


async def test_an_error_that_nobody_expects_is_told_to_who_waits_and_the_next_one_begins_anew(
    log: Log, watch: ChangeWatch
) -> None:
    log.fault = RuntimeError("at the beginning")
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="at the beginning"):
            async with watch.changes_of(1):
                raise AssertionError("it did not begin")
    log.fault = None
    async with watch.changes_of(1) as one:
        log.fault = RuntimeError("later")
        assert await woken(one)
    log.fault = None
    async with watch.changes_of(1) as one:
        log.commits.append(1)
        assert await woken(one)


def test_waiting_requests_leave_connections_to_others() -> None:
    assert [most_waiting(connections) for connections in (10, 200, 1_000)] == [5, 100, 900]
