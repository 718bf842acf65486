"""Two reconcilers of one ScimWebhook, every interleaving, and the death of either at any line: what the Secret shows is
always among what messages are signed with.
"""

import copy
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from scim_api.contract.signing_secret import new_secret
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimwebhook import TEST_ANNOTATION
from scim_operator.controller.webhook_reconciler import WebhookReconciler
from support.explorer import Explorer
from support.interleavings import AtOnce, Attempts, Counted, quiet, run_to_end, switch
from support.webhook_reconciling import reconciler, secrets_named
from support.webhook_world import KEY, NAME, WebhookWorld

__all__ = ["quiet"]

MATTERS = frozenset({"GET", "secret", "create", "replace", "adopt", "delete", "PUT", "DELETE"})


async def point(label: str) -> None:
    await switch(label if label in MATTERS else AtOnce(label))


def actors(
    world: WebhookWorld, kind: type[Any], interfere: Callable[[WebhookWorld], None], names: str
) -> list[Coroutine[Any, Any, Any]]:
    async def work(name: str) -> None:
        numbers = Counted()
        attempts = Attempts(numbers)
        one = reconciler(world, name, point, pause=attempts.forget, make_secret=secrets_named(name, numbers))
        one.__class__ = kind
        attempts.remember_nothing(one)
        await switch("begin")
        await one.reconcile(KEY)

    async def somebody() -> None:
        await switch("interfere")
        interfere(world)

    return [*(work(name) for name in names), somebody()]


@functools.cache
def at_rest() -> WebhookWorld:
    world = WebhookWorld()
    world.apply()
    run_to_end(reconciler(world, "first").reconcile(KEY))
    return world


@functools.cache
def rotation_asked() -> WebhookWorld:
    world = copy.deepcopy(at_rest())
    world.annotate(ROTATE_ANNOTATION, "please")
    return world


@functools.cache
def nothing_yet() -> WebhookWorld:
    world = WebhookWorld()
    world.apply()
    return world


def nobody(_world: WebhookWorld) -> None:
    """Nobody does anything."""


def rotate(world: WebhookWorld) -> None:
    if world.object is not None:
        world.annotate(ROTATE_ANNOTATION, "again")


def lose_the_secret(world: WebhookWorld) -> None:
    world.secrets.pop(NAME, None)


def replace_the_key(world: WebhookWorld) -> None:
    world.key = 1


def make_it_anew(world: WebhookWorld) -> None:
    world.delete()
    world.apply(url="https://other.example/")


def delete(world: WebhookWorld) -> None:
    world.delete()


def ask_for_a_ping(world: WebhookWorld) -> None:
    world.annotate(TEST_ANNOTATION, "x")


def put_ones_own(world: WebhookWorld) -> None:
    if NAME in world.secrets:
        world.secrets[NAME].data["signing-secret"] = OWN
        world.version += 1
        world.secrets[NAME].version = world.version


OWN = new_secret()
TOGETHER = [
    (nothing_yet, nobody),
    (nothing_yet, lose_the_secret),
    (rotation_asked, nobody),
    (rotation_asked, delete),
    (rotation_asked, replace_the_key),
]
ALONE = [
    (nothing_yet, lose_the_secret),
    (rotation_asked, rotate),
    (rotation_asked, replace_the_key),
    (rotation_asked, lose_the_secret),
    (rotation_asked, make_it_anew),
    (rotation_asked, delete),
    (at_rest, put_ones_own),
    (at_rest, ask_for_a_ping),
]


def states(scenario: Any, names: str = "AB", kind: type[Any] = WebhookReconciler) -> Any:
    return Explorer(scenario, kind, names, make=actors, fingerprint=WebhookWorld.fingerprint).states()


def violated(world: WebhookWorld) -> str | None:
    """What a receiver would notice."""
    shown = world.shown
    if shown is not None and shown != OWN and world.registered is not None and not world.signs_with(shown):
        return f"the Secret shows what messages are not signed with: {shown}"
    if len(world.pings) > 1:
        return "two pings for one request"
    return None


def settled(world: WebhookWorld) -> str | None:
    """What is wrong after one more reconcile of a process that knows nothing."""
    world = copy.deepcopy(world)
    run_to_end(reconciler(world, "last").reconcile(KEY))
    if world.object is None:
        return "the API still has it" if world.registered is not None else None
    if world.shown is None or world.secrets[NAME].data.keys() != {"signing-secret"}:
        return f"the Secret is not finished: {list(world.secrets)}"
    if not world.signs_with(world.shown) or world.opened(world.shown) != world.shown:
        return "messages are not signed with what the Secret shows"
    assert world.registered is not None
    return None if world.registered.put.url == world.webhook.spec.url else "another URL"  # type: ignore[union-attr]


def check(found: Any) -> None:
    """Each state is right, and a process that begins there ends well: who was there may have died at any line."""
    worlds: dict[int, str | None] = {}
    count = 0
    for state in found:
        count += 1
        if id(state.world) not in worlds:
            worlds[id(state.world)] = violated(state.world) or settled(state.world)
        fault = worlds[id(state.world)]
        assert fault is None, f"{fault} after {state.schedule()}"
    assert count >= 10


def named(scenario: Any) -> str:
    return f"{scenario[0].__name__}-{scenario[1].__name__}"


@pytest.mark.parametrize("scenario", TOGETHER, ids=named)
def test_of_two_whoever_overtakes_the_other_the_secret_shows_what_messages_are_signed_with(
    scenario: Any,
) -> None:
    check(states(scenario))


@pytest.mark.parametrize("scenario", ALONE, ids=named)
def test_whatever_somebody_does_meanwhile_the_secret_shows_what_messages_are_signed_with(
    scenario: Any,
) -> None:
    check(states(scenario, "A"))


class ShowsFirst(WebhookReconciler):
    """Shows a new secret before it is registered: the order that fails."""

    async def _make(self, here: Any, step: Any) -> Any:
        await super()._make(here, step)
        here.secret = await self._cluster.secret(here.webhook, here.webhook.secret_name)
        return await self._write(here)


class ForgetsTheFormer(WebhookReconciler):
    """Registers what the Secret has and nothing else."""

    async def _put(self, here: Any, step: Any, key: Any) -> Any:
        step = type(step)(tuple(one for one in step.secrets if one.until is None)[:1])
        return await super()._put(here, step, key)


@pytest.mark.parametrize("kind", [ShowsFirst, ForgetsTheFormer])
def test_the_wrong_order_is_found_out(kind: type[Any]) -> None:
    faults = (violated(state.world) for state in states((rotation_asked, nobody), "A", kind))
    assert any("not signed with" in (fault or "") for fault in faults)
