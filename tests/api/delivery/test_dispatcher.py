"""Who delivers which webhook: two dispatchers share them, and one that is gone is followed by another."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest

from scim_api.delivery.dispatcher import LEASE_SECONDS, LOOK_SECONDS, STALLED_SECONDS, Dispatcher
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.outcome import Outcome, Result
from scim_api.store.change_log import LogMark
from scim_api.store.errors import Unavailable
from scim_api.store.factory import create_store
from scim_api.store.protocol import Store
from scim_api.store.webhooks import Delivery, LeasedWebhook
from support.clock import Clock
from support.stored import tenant_of
from support.webhooks import KEEP, NAMESPACE, add_user, add_webhook


class Log:
    """What all receivers got."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.hanging: set[str] = set()

    async def send(self, webhook: LeasedWebhook, delivery: Delivery) -> Outcome:
        self.sent.append((webhook.name, delivery.message_id))
        if webhook.name in self.hanging:
            await asyncio.Event().wait()
        return Outcome(Result.DELIVERED)

    async def aclose(self) -> None:
        """Nothing is open."""

    def got(self, name: str) -> int:
        return len({message for webhook, message in self.sent if webhook == name})


@contextlib.asynccontextmanager
async def dispatching(
    store: Store, log: Log, lease_seconds: float = 15.0
) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    dispatcher = Dispatcher(
        store, lambda: log, DeliveryMetrics(), keep=KEEP, lease_seconds=lease_seconds, claim_seconds=0.05
    )
    task = asyncio.create_task(dispatcher.run(stop, shutdown_seconds=0.2))
    yield task
    stop.set()
    async with asyncio.timeout(10):
        await asyncio.gather(task, return_exceptions=True)


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not check():
            await asyncio.sleep(0.01)


@pytest.fixture
async def tenant(store: Store) -> int:
    return await tenant_of(store)


async def test_what_is_committed_is_delivered_within_a_look_at_the_log(store: Store, tenant: int) -> None:
    await add_webhook(store)
    log = Log()
    async with dispatching(store, log):
        await add_user(store, tenant, "first")
        await until(lambda: log.got("app") == 1)
        await asyncio.sleep(0.1)
        began = asyncio.get_running_loop().time()
        await add_user(store, tenant, "second")
        await until(lambda: log.got("app") == 2)
        assert asyncio.get_running_loop().time() - began < 1


async def test_a_receiver_that_hangs_delays_no_other(store: Store, tenant: int) -> None:
    await add_webhook(store, "slow")
    await add_webhook(store, "fast")
    log = Log()
    log.hanging.add("slow")
    async with dispatching(store, log):
        for number in range(20):
            await add_user(store, tenant, f"u{number}")
        await until(lambda: log.got("fast") == 20)
        assert log.got("slow") <= 16


async def test_a_webhook_that_is_added_later_is_found(store: Store, tenant: int) -> None:
    log = Log()
    async with dispatching(store, log):
        await add_user(store, tenant, "early")
        await add_webhook(store, "late")
        await add_user(store, tenant, "ada")
        await until(lambda: log.got("late") == 1)
        await store.webhooks.ping(NAMESPACE, "late")
        await until(lambda: log.got("late") == 2)


async def test_two_dispatchers_deliver_each_change_once(store: Store, tenant: int) -> None:
    for number in range(4):
        await add_webhook(store, f"app-{number}")
    other = create_store(store.url)
    await other.open()
    try:
        log = Log()
        async with dispatching(store, log), dispatching(other, log):
            for number in range(10):
                await add_user(store, tenant, f"u{number}")
            await until(lambda: len(log.sent) >= 40)
        assert set(Counter(log.sent).values()) == {1}
        assert len(log.sent) == 40
    finally:
        await other.close()


async def test_the_webhooks_of_one_that_is_gone_go_on_elsewhere_when_its_lease_is_over(
    store: Store, tenant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_webhook(store)
    other = create_store(store.url)
    await other.open()
    log, second = Log(), Log()
    log.hanging.add("app")
    try:
        async with dispatching(store, log, lease_seconds=0.5) as killed:
            await add_user(store, tenant, "ada")
            await until(lambda: log.got("app") == 1)

            async def unreleased(_holder: str) -> None:
                """A killed process gives nothing back."""

            monkeypatch.setattr(store.webhooks, "release", unreleased)
            killed.cancel()
            await asyncio.gather(killed, return_exceptions=True)
            async with dispatching(other, second):
                await until(lambda: second.got("app") == 1)
        assert second.sent == log.sent, "the same id again"
    finally:
        await other.close()


async def test_leases_are_given_back_at_an_orderly_end(store: Store, tenant: int) -> None:
    webhook = await add_webhook(store)
    log = Log()
    async with dispatching(store, log):
        await add_user(store, tenant, "ada")
        await until(lambda: log.got("app") == 1)
    assert set(await store.webhooks.lease("next", 60, 1)) == {webhook}


async def test_what_was_committed_around_an_outage_is_found_though_the_log_calls_it_old(
    store: Store, tenant: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL gives transaction ids again after a crash: a mark of before says that nothing is new."""
    await add_webhook(store)
    log, looks = Log(), store.change_log.changed_tenants
    fault: list[Exception] = []

    async def nothing_is_new(since: LogMark | None) -> tuple[LogMark, frozenset[int]]:
        if fault:
            raise fault.pop()
        mark, _ = await looks(since)
        return mark, frozenset()

    async with dispatching(store, log):
        await add_user(store, tenant, "first")
        await until(lambda: log.got("app") == 1)
        monkeypatch.setattr(store.change_log, "changed_tenants", nothing_is_new)
        await asyncio.sleep(2 * LOOK_SECONDS)
        await add_user(store, tenant, "second")
        fault.append(Unavailable("down"))
        await until(lambda: log.got("app") == 2)


@contextlib.asynccontextmanager
async def probed(store: Store, clock: Clock) -> AsyncIterator[Dispatcher]:
    stop = asyncio.Event()
    dispatcher = Dispatcher(store, Log, DeliveryMetrics(), keep=KEEP, claim_seconds=0.01, clock=clock)
    assert dispatcher.not_ready() == "the leases of webhooks were not renewed within 15 s"
    task = asyncio.create_task(dispatcher.run(stop))
    await until(lambda: dispatcher.not_ready() is None)
    yield dispatcher
    stop.set()
    await task
    assert dispatcher.not_ready() == "stopping"


async def test_it_is_ready_once_it_has_its_leases_and_until_they_are_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    async with probed(store, clock) as dispatcher:
        lease = store.webhooks.lease
        asked = asyncio.Event()

        async def refuse(*_: object) -> dict[int, tuple[int, int]]:
            asked.set()
            raise Unavailable("gone")

        monkeypatch.setattr(store.webhooks, "lease", refuse)
        await asked.wait()
        clock.now += LEASE_SECONDS + 1
        assert dispatcher.not_ready() == "the leases of webhooks were not renewed within 15 s"
        clock.now += STALLED_SECONDS
        asked.clear()
        await asked.wait()  # it goes on asking
        assert dispatcher.not_alive() is None
        monkeypatch.setattr(store.webhooks, "lease", lease)
        await until(lambda: dispatcher.not_ready() is None)


async def test_it_is_not_alive_when_it_is_stuck(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    async with probed(store, clock) as dispatcher:
        lease = store.webhooks.lease
        stuck, end = asyncio.Event(), asyncio.Event()

        async def hang(*_: object) -> dict[int, tuple[int, int]]:
            stuck.set()
            await end.wait()
            return {}

        monkeypatch.setattr(store.webhooks, "lease", hang)
        await stuck.wait()
        clock.now += STALLED_SECONDS
        assert dispatcher.not_alive() is None
        clock.now += 1
        assert dispatcher.not_alive() == "the leases were not looked at for 121 s"
        monkeypatch.setattr(store.webhooks, "lease", lease)
        end.set()
        await until(lambda: dispatcher.not_alive() is None)
