"""ScimWebhooks are reconciled while this process leads, and when the SCIM API has something new of them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from prometheus_client import CollectorRegistry

from scim_operator.api.custom_object import Key
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.webhook_controller import WebhookController
from scim_operator.planning.ports import KubernetesRejected, ScimApiUnreachable
from scim_operator.settings import OperatorSettings
from support.webhook_reconciling import reconciler
from support.webhook_world import KEY, NOW, SEALING, FakeWebhookApi, WebhookWorld, key_name

SETTINGS = OperatorSettings(endpoint_url="https://scim.example/scim/v2", admin_url="http://scim-api:8081")


class Leader:
    """A controller that leads over a world; its sleep ends when the test says so."""

    def __init__(self, world: WebhookWorld, **settings: Any) -> None:
        self.world, self.registry = world, CollectorRegistry()
        self.cached: set[Key] = {KEY} if world.object is not None else set()
        self.slept, self.looks = asyncio.Event(), 0
        self.deletions = Deletions(limit=None)
        self.controller = WebhookController(
            SETTINGS.model_copy(update=settings),
            self.registry,
            self.cached,
            lambda: self.deletions,
            sleep=self._sleep,
        )
        self.listed: set[Key] | None = None
        """What Kubernetes lists; None: what is cached."""
        self.key_errors: list[Exception] = []

    async def _sleep(self, _seconds: float) -> None:
        self.looks += 1
        self.slept.clear()
        await self.slept.wait()

    async def read_key(self) -> X25519PublicKey:
        if self.key_errors:
            raise self.key_errors.pop(0)
        return SEALING[self.world.key]

    async def list_keys(self) -> set[Key]:
        return set(self.cached) if self.listed is None else self.listed

    async def look_again(self) -> None:
        """Let the pause end; returns when the next one has begun and nothing is left to do."""
        looks = self.looks
        self.slept.set()
        await until(lambda: self.looks > looks)

    @contextlib.asynccontextmanager
    async def leading(self) -> AsyncIterator["Leader"]:
        def make(sealing_key: Any, seen: Any) -> Any:
            return reconciler(self.world, sealing_key=sealing_key, seen=seen)

        tasks = [
            asyncio.create_task(self.controller.run()),
            asyncio.create_task(
                self.controller.lead(FakeWebhookApi(self.world), self.read_key, self.list_keys, make)
            ),
        ]
        try:
            yield self
        finally:
            self.controller.pause()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.controller.drain(1.0)

    def sample(self, name: str) -> float | None:
        """A metric of the ScimWebhook."""
        return self.registry.get_sample_value(name, {"namespace": KEY.namespace, "name": KEY.name})


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0)


def applied() -> WebhookWorld:
    world = WebhookWorld()
    world.apply()
    return world


async def test_a_new_leader_reconciles_what_the_watch_has_shown() -> None:
    async with Leader(applied()).leading() as leader:
        await until(lambda: leader.world.shown)
        assert leader.sample("scim_operator_webhook_ready") == 1
        assert leader.sample("scim_operator_webhook_delivering") == 1


async def test_what_is_new_in_the_apis_list_is_reconciled_and_nothing_else() -> None:
    async with Leader(applied()).leading() as leader:
        await until(lambda: leader.sample("scim_operator_webhook_ready"))
        writes = leader.world.status_writes
        await leader.look_again()
        assert leader.world.registered is not None
        leader.world.registered.told.update(failing_since=NOW, failure="HTTP 500: no disk")
        assert leader.world.status_writes == writes
        await leader.look_again()
        await until(lambda: leader.world.webhook.status.failure == "HTTP 500: no disk")
        assert leader.sample("scim_operator_webhook_delivering") == 0


async def test_one_without_a_scimwebhook_is_ended() -> None:
    async with Leader(applied()).leading() as leader:
        await until(lambda: leader.world.registered)
        leader.world.delete()
        leader.cached.clear()
        await leader.look_again()
        await until(lambda: leader.world.registered is None)
        assert leader.sample("scim_operator_webhook_ready") is None


async def test_one_whose_end_the_watch_has_missed_is_ended() -> None:
    async with Leader(applied(), resync_seconds=0.000_001).leading() as leader:
        await until(lambda: leader.world.registered)
        leader.world.delete()
        leader.listed = set()
        await leader.look_again()
        await until(lambda: leader.world.registered is None)
        assert leader.cached == set()


async def test_one_that_the_watch_has_missed_is_found() -> None:
    leader = Leader(WebhookWorld(), resync_seconds=0.000_001)
    async with leader.leading():
        await until(lambda: leader.looks)
        leader.world.apply()
        leader.listed = {KEY}
        await leader.look_again()
        await until(lambda: leader.world.shown)


async def test_one_of_another_namespace_than_those_that_are_watched_is_left_alone() -> None:
    world = applied()
    async with Leader(world).leading() as leader:
        await until(lambda: world.registered)
    world.delete()
    async with Leader(world, watch_namespaces=("elsewhere",)).leading() as leader:
        await until(lambda: leader.looks)
        await leader.look_again()
        assert world.registered is not None


async def test_without_any_the_api_is_not_asked() -> None:
    world = WebhookWorld()
    async with Leader(world).leading() as leader:
        await until(lambda: leader.looks)
        world.refuse = ScimApiUnreachable("must not be asked")
        with structlog.testing.capture_logs() as lines:
            await leader.look_again()
        assert lines == []


async def test_an_api_that_does_not_answer_is_told_once() -> None:
    async with Leader(applied()).leading() as leader:
        await until(lambda: leader.world.registered)
        leader.world.refuse = ScimApiUnreachable("no answer")
        with structlog.testing.capture_logs() as lines:
            for _ in range(3):
                await leader.look_again()
        assert [line["reason"] for line in lines if line["event"] == "webhooks are not followed"] == [
            "no answer"
        ]


async def test_it_waits_for_a_key_to_seal_to() -> None:
    leader = Leader(applied())
    leader.key_errors = [KubernetesRejected("needs create on secrets")]
    async with leader.leading():
        await until(lambda: leader.looks)
        assert leader.world.registered is None
        leader.slept.set()
        await until(lambda: leader.world.registered)


async def test_when_the_dispatchers_key_is_replaced_secrets_are_sealed_to_the_new_one() -> None:
    async with Leader(applied(), resync_seconds=0.000_001).leading() as leader:
        await until(lambda: leader.world.shown)
        leader.world.key = 1
        await leader.look_again()
        registered = leader.world.registered
        assert registered is not None
        await until(lambda: {one.key_id for one in registered.secrets.values()} == {key_name(1)})


async def test_who_does_not_lead_does_nothing() -> None:
    leader = Leader(applied())
    async with leader.leading():
        await until(lambda: leader.world.shown)
    leader.world.annotate("scim-operator.io/rotate", "x")
    shown = leader.world.shown
    running = asyncio.create_task(leader.controller.run())
    leader.controller.add(KEY)
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    assert leader.world.shown == shown
    assert leader.sample("scim_operator_webhook_ready") is None
