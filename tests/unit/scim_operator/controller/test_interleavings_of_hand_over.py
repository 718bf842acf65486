"""What Entra holds is a third place of truth, beside Secret and API: no interleaving has it hold what is refused.

Both halves of the operator run as they are, the hand-over of another process that is late among them, while Entra runs
its cycles and hours go by between any two calls.
"""

import copy
import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus
from scim_api.contract.tokens import digest
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, ScimToken
from scim_operator.controller import state
from scim_operator.controller.entra_reconciler import EntraReconciler
from scim_operator.controller.reconciler import Reconciler
from scim_operator.planning.ports import SecretSnapshot
from support.entra_world import ENTRA, Entra, FakeGraph
from support.explorer import ends, explore
from support.interleavings import (
    Actor,
    AtOnce,
    MakeActors,
    Scenario,
    quiet,
    reconciler,
    run_to_end,
    switch,
)
from support.operator_ports import FakeApi, FakeCluster
from support.operator_world import ENDPOINT, KEY, LEDGER_KEY, World

__all__ = ["quiet"]

PERIOD = timedelta(minutes=5)
SWITCHES = frozenset({"GET", "replace", "PUT", "graph-save", "graph-validate-saved", "entra-status"})
"""Reads follow the call before them in one go, but for the first: what was read is what may be out of date."""
LONG = timedelta(hours=3)
"""Longer than a superseded credential has to be idle, and than an access token lives."""


async def point(label: str) -> None:
    await switch(label if label in SWITCHES else AtOnce(label))


def hand_over_of(world: World, kind: type[EntraReconciler]) -> EntraReconciler:
    def monotonic() -> float:
        return world.now.timestamp()

    return kind(
        api=FakeApi(world, point),
        cluster=FakeCluster(world, point),
        graph=FakeGraph(world.entra, point),
        endpoint=ENDPOINT,
        ledger_key=LEDGER_KEY,
        check_period=PERIOD,
        clock=monotonic,
    )


async def passes(world: World, one: EntraReconciler, number: int) -> None:
    for _ in range(number):
        await switch("begin")
        result = await one.reconcile(KEY)
        if result.requeue_after is not None and result.requeue_after < PERIOD:
            world.now += result.requeue_after


def actors_with(kind: type[EntraReconciler] = EntraReconciler, *, late: bool = False) -> MakeActors:
    """The operator's two halves, and somebody.

    Args:
        kind: how it hands over.
        late: whether another process hands over too, at its own pace, instead of a second reconcile.
    """

    def make(
        world: World, main_kind: type[Reconciler], interfere: Callable[[World], None], _names: str
    ) -> list[Actor]:
        async def rotates(times: int) -> None:
            one = reconciler(world, "A", main_kind, point)
            for _ in range(times):
                await switch("begin")
                await one.reconcile(KEY)

        async def somebody() -> None:
            await switch("interfere")
            interfere(world)

        others = [passes(world, hand_over_of(world, kind), 1)] if late else []
        return [
            rotates(1 if late else 2),
            passes(world, hand_over_of(world, kind), 1 if late else 2),
            somebody(),
            *others,
        ]

    return make


@functools.cache
def handed_over() -> World:
    """A world whose Entra has and uses the published token."""
    world = World()
    world.apply(entra=ENTRA, overlap="untilInUse")
    world.entra = Entra(world)
    run_to_end(reconciler(world, "first", Reconciler, point).reconcile(KEY))
    run_to_end(passes(world, hand_over_of(world, EntraReconciler), 4))
    assert world.entra.holds == "token-first0"
    assert world.condition("HandedOver")["reason"] == "InUse"
    world.now += PERIOD
    return world


@functools.cache
def rotation_asked() -> World:
    world = copy.deepcopy(handed_over())
    world.annotate(ROTATE_ANNOTATION, "please")
    return world


@functools.cache
def leak_answered() -> World:
    """All tokens up to now are to be revoked, that which Entra has among them."""
    world = copy.deepcopy(handed_over())
    world.annotate(REVOKE_ANNOTATION, f"all-before/{world.now.isoformat()}")
    return world


def entra_holds_what_is_refused(world: World) -> str | None:
    held = world.entra.holds
    return None if held is None or world.accepts(held) else f"Entra holds {held}, and it is refused"


def a_cycle(world: World) -> None:
    world.entra.cycle()


def hours(world: World) -> None:
    """They go by without a cycle, as in quarantine."""
    world.now += LONG


ROTATION: Scenario = (rotation_asked, a_cycle)
OVER_HOURS: Scenario = (rotation_asked, hours)
LEAK: Scenario = (leak_answered, a_cycle)


@pytest.mark.parametrize(
    ("scenario", "late"),
    [(ROTATION, False), (OVER_HOURS, False), (LEAK, False), (ROTATION, True), (OVER_HOURS, True)],
    ids=["rotation", "over hours", "leak", "another process is late", "another process is late by hours"],
)
def test_entra_never_holds_what_is_refused(scenario: Scenario, *, late: bool) -> None:
    count, fault = explore(scenario, Reconciler, entra_holds_what_is_refused, actors_with(late=late))
    assert fault is None
    assert count > 1000


@pytest.mark.parametrize("scenario", [ROTATION, OVER_HOURS, LEAK], ids=["rotation", "over hours", "leak"])
def test_in_the_end_entra_holds_what_the_secret_publishes_and_what_was_leaked_is_over(
    scenario: Scenario,
) -> None:
    worlds = ends(scenario, Reconciler, make=actors_with())
    assert len(worlds) > 1
    for world in worlds:
        finish(world)
        assert world.entra.holds == world.secret()["token"] != "token-first0"
        assert world.condition("HandedOver")["reason"] == "InUse"
        if scenario is LEAK:
            assert not world.accepts("token-first0")


def finish(world: World) -> None:
    """Let everything come to rest."""
    main, other = reconciler(world, "Z", Reconciler, point), hand_over_of(world, EntraReconciler)
    for _ in range(3):
        run_to_end(main.reconcile(KEY))
        run_to_end(passes(world, other, 4))
        world.now += PERIOD


class Early(EntraReconciler):
    """Hands over what the Secret is about to publish, before it was proved."""

    def _credentials(
        self, token: ScimToken, connection: Connection | None, secret: SecretSnapshot | None
    ) -> tuple[CredentialStatus | None, tuple[CredentialStatus, ...]]:
        published, others = super()._credentials(token, connection, secret)
        coming = None if secret is None else secret.data.get("next-token")
        if secret is None or coming is None or published is None:
            return published, others
        secret.data["token"] = coming  # type: ignore[index]
        return published.model_copy(update={"id": "coming", "digest": digest(coming).hex()}), others


class TrustingGraph(FakeGraph):
    """Takes whatever it is told for tried."""

    async def validate(self, *_arguments: Any) -> None:
        await self._point("graph-validate")


def test_the_model_finds_it_when_what_was_not_proved_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hand_over_of.__globals__, "FakeGraph", TrustingGraph)
    _, fault = explore(ROTATION, Reconciler, entra_holds_what_is_refused, actors_with(Early))
    assert fault is not None


@pytest.mark.parametrize("scenario", [OVER_HOURS, LEAK], ids=["over hours", "leak"])
def test_the_model_finds_it_when_the_old_one_ends_before_the_new_one_is_in_use(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "entra_uses_published", lambda _token, _secret: None)
    _, fault = explore(scenario, Reconciler, entra_holds_what_is_refused, actors_with())
    assert fault is not None
