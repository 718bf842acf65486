"""A world with an application in Entra, and the operator's two halves over it."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.controller.entra_reconciler import EntraReconciler
from scim_operator.controller.reconciler import Reconciler
from scim_operator.controller.workqueue import Result
from support.entra_world import ENTRA, Entra, FakeGraph
from support.interleavings import reconciler
from support.operator_ports import FakeApi, FakeCluster, straight_on
from support.operator_world import ENDPOINT, KEY, LEDGER_KEY, World

PERIOD = timedelta(minutes=5)


@dataclasses.dataclass
class Setting:
    """A world with an application in Entra, and the operator's two halves."""

    world: World
    entra: Entra
    main: Reconciler
    hand_over: EntraReconciler
    used: list[Any]

    async def rotate(self, value: str) -> None:
        """Ask for a rotation by annotation, and have it done."""
        self.world.annotate(ROTATE_ANNOTATION, value)
        await self.main.reconcile(KEY)

    async def hand_over_now(self) -> Result:
        """Passes until there is none due within seconds; time goes on as each asks."""
        for _ in range(20):
            result = await self.hand_over.reconcile(KEY)
            pause = result.requeue_after
            if result.requeue or pause is None or pause > timedelta(seconds=20):
                return result
            self.world.now += pause
        raise AssertionError("it does not come to rest")

    async def look_again(self, later: timedelta = PERIOD) -> Result:
        """The same after a while."""
        self.world.now += later
        return await self.hand_over_now()

    @property
    def status(self) -> dict[str, Any]:
        """``status.entra``."""
        assert self.world.object is not None
        status: dict[str, Any] = self.world.object["status"].get("entra", {})
        return status

    @property
    def kinds(self) -> set[str]:
        """Types of its conditions."""
        assert self.world.object is not None
        return {item["type"] for item in self.world.object["status"]["conditions"]}

    @property
    def held(self) -> str | None:
        """What Entra has saved."""
        return self.entra.holds

    def told(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        condition = self.world.condition(kind)
        return condition["status"], condition["reason"]


async def settled(*, trace: Callable[[str], None] = lambda _step: None, **entra: Any) -> Setting:
    """A ScimToken with one published token, of which Entra knows nothing yet.

    Args:
        trace: see ``EntraReconciler``.
        entra: more of ``spec.entra``.
    """
    world = World()
    world.apply(entra=ENTRA | entra, overlap="24h")
    main, outside, used = reconciler(world, "A", point=straight_on), Entra(world), list[Any]()

    def monotonic() -> float:
        return world.now.timestamp()

    hand_over = EntraReconciler(
        api=FakeApi(world),
        cluster=FakeCluster(world),
        graph=FakeGraph(outside),
        endpoint=ENDPOINT,
        ledger_key=LEDGER_KEY,
        check_period=PERIOD,
        in_use=used.append,
        trace=trace,
        clock=monotonic,
    )
    await main.reconcile(KEY)
    return Setting(world, outside, main, hand_over, used)
