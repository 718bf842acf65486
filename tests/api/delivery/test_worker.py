"""What a worker sends when, against a store of either kind and a receiver that a test plays."""

import asyncio
import collections
import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from scim_api.core.types import ResourceKind
from scim_api.delivery.metrics import DeliveryMetrics
from scim_api.delivery.outcome import Outcome, Result
from scim_api.delivery.worker import FRESH_SECONDS, WebhookWorker
from scim_api.store.protocol import Store
from scim_api.store.webhooks import Delivery, LeasedWebhook, Turn, WebhookStore
from support.stored import retitle, tenant_of
from support.webhooks import KEEP, NAME, NAMESPACE, WRITER, add_user, add_webhook, webhook_of

DELIVERED, REJECTED = Outcome(Result.DELIVERED), Outcome(Result.REJECTED, "HTTP 500")
UNREACHABLE = Outcome(Result.UNREACHABLE, "connection: refused")
USER: ResourceKind = "User"


class Played:
    """A receiver: what it answers, and what it was sent."""

    def __init__(self) -> None:
        self.sent: list[Delivery] = []
        self.going: collections.Counter[str] = collections.Counter()
        self.most = self.of_one = 0
        self.answer: Callable[[Delivery], Outcome] = lambda _: DELIVERED
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False
        self.slow: set[str] = set()

    async def send(self, webhook: LeasedWebhook, delivery: Delivery) -> Outcome:
        self.going[delivery.resource] += 1
        self.of_one = max(self.of_one, self.going[delivery.resource])
        self.sent.append(delivery)
        self.most = max(self.most, self.going.total())
        try:
            if not self.slow or delivery.resource in self.slow:
                await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.going[delivery.resource] -= 1
        return self.answer(delivery)

    async def aclose(self) -> None:
        self.closed = True


class HeldTurns:
    """The store of webhooks, whose turns a test may hold up."""

    def __init__(self, store: WebhookStore) -> None:
        self._store, self.gate, self.waiting = store, asyncio.Event(), False
        self.answers, self.due, self.under_way = asyncio.Event(), 0, False
        self.gate.set()
        self.answers.set()

    async def turn(self, *what: Any, **how: Any) -> Turn | None:
        self.waiting = not self.gate.is_set()
        self.under_way = True
        await self.gate.wait()
        self.waiting = False
        turn = await self._store.turn(*what, **how)
        self.under_way = False
        self.due = 0 if turn is None else len(turn.due)
        await self.answers.wait()
        return turn


class Running:
    """A worker at work."""

    def __init__(self, store: Store, webhook: int, tenant: int) -> None:
        self.turns, self.now = HeldTurns(store.webhooks), 0.0
        self.store, self.webhook, self.tenant, self.played = store, webhook, tenant, Played()
        self.delays: list[int] = []
        self.metrics = DeliveryMetrics()
        self.worker = WebhookWorker(
            webhook,
            "one",
            cast("WebhookStore", self.turns),
            self.played,
            self.metrics,
            keep=KEEP,
            chance=lambda: 0.0,
            delay=self.delay,
            clock=lambda: self.now,
        )
        self.task = asyncio.create_task(self.worker.run())
        self.seconds = 0.02

    def delay(self, failures: int, chance: float) -> float:
        self.delays.append(failures)
        return self.seconds

    async def users(self, *names: str) -> list[str]:
        made = [(await add_user(self.store, self.tenant, name)).id for name in names]
        self.worker.wake()
        return made

    async def until(self, check: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not check():
                await asyncio.sleep(0.005)

    async def queued(self) -> int:
        found = await webhook_of(self.store)
        return found.backlog.events

    async def until_empty(self) -> None:
        async with asyncio.timeout(10):
            while await self.queued():
                await asyncio.sleep(0.005)


@pytest.fixture
async def running(store: Store) -> AsyncIterator[Running]:
    tenant = await tenant_of(store)
    webhook = await add_webhook(store)
    await store.webhooks.lease("one", 60, 1)
    one = Running(store, webhook, tenant)
    yield one
    one.task.cancel()
    await asyncio.gather(one.task, return_exceptions=True)
    assert one.played.closed


async def test_many_are_under_way_at_a_time_and_never_two_of_one_resource(running: Running) -> None:
    running.played.gate.clear()
    users = await running.users(*(f"u{number}" for number in range(20)))
    for user in users[:3]:
        await running.store.modify(running.tenant, USER, user, retitle(lambda _: "Dr."), actor=WRITER)
    await running.until(lambda: len(running.played.sent) == 16)
    running.played.gate.set()
    await running.until_empty()
    assert (running.played.most, running.played.of_one) == (16, 1)
    assert len({delivery.message_id for delivery in running.played.sent}) == len(running.played.sent) == 23
    for user in users[:3]:
        mine = [delivery.type for delivery in running.played.sent if delivery.resource == user]
        assert mine == ["user.created", "user.updated"]


async def test_what_is_under_way_is_not_sent_again_while_others_go(running: Running) -> None:
    running.played.gate.clear()
    slow = (await add_user(running.store, running.tenant, "slow")).id
    running.played.slow = {slow}
    await running.users("ada", "bob", "eve")
    async with asyncio.timeout(10):
        while await running.queued() > 1:
            await asyncio.sleep(0.005)
    await running.users("joe")
    async with asyncio.timeout(10):
        while await running.queued() > 1:
            await asyncio.sleep(0.005)
    assert [delivery.resource for delivery in running.played.sent].count(slow) == 1
    running.played.gate.set()
    await running.until_empty()


def title(number: int) -> Callable[[str | None], str]:
    return lambda _: str(number)


async def changed_often(running: Running) -> list[int]:
    """A user is changed four times while nothing is sent; then the first message is under way and the database hangs.
    The changes.
    """
    running.played.gate.clear()
    other = (await add_user(running.store, running.tenant, "other")).id
    user = (await add_user(running.store, running.tenant, "ada")).id
    for number in range(4):
        await running.store.modify(running.tenant, USER, user, retitle(title(number)), actor=WRITER)
    running.worker.wake()
    await running.until(lambda: len(running.played.sent) == 2)
    running.turns.gate.clear()
    running.played.slow = {other}
    running.worker.wake()
    await running.until(lambda: running.turns.waiting)
    return [one.change for one in running.played.sent if one.resource == user]


async def test_what_was_read_is_sent_in_order_while_the_database_hangs(running: Running) -> None:
    first = await changed_often(running)
    running.played.gate.set()
    await running.until(lambda: len(running.played.sent) == 6)
    running.turns.gate.set()
    await running.until_empty()
    sent = [one.change for one in running.played.sent if one.change >= first[0]]
    assert sent == sorted(sent)
    assert running.played.of_one == 1


async def test_what_was_read_too_long_ago_is_read_again_before_it_is_sent(running: Running) -> None:
    await changed_often(running)
    running.now += FRESH_SECONDS + 0.1
    running.played.gate.set()
    for _ in range(50):
        await asyncio.sleep(0.001)
    assert len(running.played.sent) == 2
    running.turns.gate.set()
    await running.until_empty()
    assert len({one.change for one in running.played.sent}) == len(running.played.sent) == 6


async def test_what_is_due_after_what_was_forgotten_meanwhile_is_not_sent_before_it(running: Running) -> None:
    first = await changed_often(running)
    user = running.played.sent[1].resource
    running.turns.gate.set()
    await running.until(lambda: not running.turns.under_way)  # it would read what is written next, or not
    running.turns.answers.clear()
    await running.store.modify(running.tenant, USER, user, retitle(title(9)), actor=WRITER)
    running.worker.wake()
    await running.until(lambda: running.turns.due == 1)
    running.played.answer = lambda it: UNREACHABLE if it.resource != user else DELIVERED
    running.played.gate.set()  # the other is not reached, and what is ready is forgotten
    await running.until(lambda: not running.played.going.total())
    running.played.answer = lambda _: DELIVERED
    running.turns.answers.set()
    await running.until_empty()
    sent = [one.change for one in running.played.sent if one.resource == user]
    assert sent[0] == first[0]
    assert sent == sorted(sent)


async def test_whatever_fails_nothing_of_a_resource_is_sent_before_what_comes_earlier_was_taken(
    running: Running,
) -> None:
    running.seconds = 0.01
    chance = random.Random(7)
    running.played.answer = lambda _: REJECTED if chance.random() < 0.3 else DELIVERED
    taken: dict[str, int] = {}
    faults: list[Delivery] = []
    answer = running.played.answer

    def judged(delivery: Delivery) -> Outcome:
        outcome = answer(delivery)
        if delivery.change <= taken.get(delivery.resource, 0):
            faults.append(delivery)
        if outcome is DELIVERED:
            taken[delivery.resource] = delivery.change
        return outcome

    running.played.answer = judged
    users = [(await add_user(running.store, running.tenant, name)).id for name in ("ada", "bob", "eve")]
    for number in range(45):
        user = users[number % 3]
        await running.store.modify(running.tenant, USER, user, retitle(title(number)), actor=WRITER)
        running.worker.wake()
    await running.until_empty()
    assert faults == []
    assert set(taken) == set(users)
    delivered = [one for one in running.played.sent if taken[one.resource] >= one.change]
    assert len({one.change for one in delivered}) == 48
    assert running.played.of_one == 1


async def test_a_poison_message_is_tried_again_and_delays_its_own_resource_alone(running: Running) -> None:
    running.seconds = 0.3
    running.played.gate.clear()
    [poison] = await running.users("poison")
    running.played.answer = lambda it: (
        REJECTED if (it.resource, it.type) == (poison, "user.created") and it.attempts < 2 else DELIVERED
    )
    running.played.gate.set()
    await running.users("ada", "bob")
    await running.store.modify(running.tenant, USER, poison, retitle(lambda _: "Dr."), actor=WRITER)
    await running.until(lambda: len(running.played.sent) == 3)
    await running.until_empty()
    types = [(one.type, one.attempts) for one in running.played.sent if one.resource == poison]
    assert types == [("user.created", 0), ("user.created", 1), ("user.created", 2), ("user.updated", 0)]
    ids = {
        one.message_id for one in running.played.sent if one.type == "user.created" and one.resource == poison
    }
    assert len(ids) == 1, "the id stays over attempts"
    assert running.delays[:2] == [1, 2]
    status = await webhook_of(running.store)
    assert (status.failing_since, status.backlog.retrying) == (None, 0)


async def test_a_receiver_that_is_not_reached_is_probed_with_one_at_a_time(running: Running) -> None:
    running.played.answer = lambda _: UNREACHABLE
    running.played.gate.clear()
    await running.users(*(f"u{number}" for number in range(30)))
    await running.until(lambda: len(running.played.sent) == 16)
    running.played.gate.set()
    await running.until(lambda: len(running.played.sent) >= 20)
    running.played.most = 0
    await running.until(lambda: len(running.played.sent) >= 24)
    assert running.played.most == 1
    status = await webhook_of(running.store)
    assert status.failing_since is not None
    assert status.failure == "connection: refused"
    running.played.answer = lambda _: DELIVERED
    await running.until_empty()
    assert len({one.message_id for one in running.played.sent}) == 30


async def test_a_receiver_that_wants_no_more_gets_none_until_it_is_resumed(running: Running) -> None:
    running.played.answer = lambda _: Outcome(Result.GONE, "HTTP 410")
    await running.users("ada")
    async with asyncio.timeout(10):
        await running.task
    status = await webhook_of(running.store)
    assert status.stopped_at is not None
    assert (status.failure, status.backlog.events) == ("HTTP 410", 1)
    assert await running.store.webhooks.lease("one", 60, 1) == {}


async def test_the_rest_that_a_receiver_asks_for_is_longer_than_the_schedule(running: Running) -> None:
    running.played.answer = lambda _: Outcome(Result.SLOW_DOWN, "HTTP 429", 3600)
    await running.users("ada", "bob")
    await running.until(lambda: running.played.sent)
    await asyncio.sleep(0.1)
    status = await webhook_of(running.store)
    assert status.retry_at is not None
    assert status.last_attempt_at is not None
    assert timedelta(minutes=59) < status.retry_at - status.last_attempt_at <= timedelta(hours=1)
    assert len(running.played.sent) <= 2


async def test_what_is_under_way_at_the_end_is_written_and_nothing_more_is_sent(running: Running) -> None:
    running.played.gate.clear()
    await running.users("ada")
    await running.until(lambda: running.played.sent)
    running.worker.stop()
    await running.users("bob")
    running.played.gate.set()
    async with asyncio.timeout(10):
        await running.task
    assert len(running.played.sent) == 1
    assert await running.queued() == 1


async def test_a_worker_whose_lease_is_anothers_ends(running: Running) -> None:
    await running.store.webhooks.release("one")
    running.worker.wake()
    async with asyncio.timeout(10):
        await running.task
    assert (
        running.metrics.registry.get_sample_value("scim_api_webhook_queued", {"webhook": "apps/app"}) is None
    )


async def test_attempts_and_the_backlog_are_measured(running: Running) -> None:
    running.played.answer = lambda it: REJECTED if it.attempts == 0 else DELIVERED
    await running.users("ada")
    await running.until_empty()
    value = running.metrics.registry.get_sample_value
    assert value("scim_api_webhook_deliveries_total", {"result": "rejected"}) == 1
    assert value("scim_api_webhook_deliveries_total", {"result": "delivered"}) == 1
    await running.until(lambda: value("scim_api_webhook_queued", {"webhook": "apps/app"}) == 0)


async def test_a_410_of_before_the_webhook_was_changed_does_not_stop_it(running: Running) -> None:
    running.played.gate.clear()
    running.played.answer = lambda _: Outcome(Result.GONE, "HTTP 410")
    await running.users("ada")
    await running.until(lambda: running.played.sent)
    await running.store.webhooks.ping(NAMESPACE, NAME)

    def answer(delivery: Delivery) -> Outcome:
        running.played.answer = lambda _: DELIVERED
        return Outcome(Result.GONE, "HTTP 410")

    running.played.answer = answer
    running.played.gate.set()
    await running.until_empty()
    assert (await webhook_of(running.store)).stopped_at is None
