"""How many requests go to Microsoft's login and Graph, and when none may go."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import timedelta
from typing import Final, TypeVar

from scim_api.contract.clock import boot_time
from scim_api.contract.token_bucket import TokenBucket
from scim_operator.planning.entra.ports import Application, EntraError, Obstacle

DEFAULT_PAUSE: Final = timedelta(seconds=10)
"""After a 429 that does not say when to come again: Graph counts what came in ten seconds."""
ON_DEMAND_BURST: Final = 5
ON_DEMAND_RATE: Final = 0.5
"""Per second: 5 requests in 10 seconds (Microsoft Graph, synchronizationJob: provisionOnDemand)."""
REMEMBERED: Final = 4096
"""Tenants, and applications, that are remembered; the oldest go first."""

V = TypeVar("V")


class EntraPace:
    """One for all requests of the process.

    Args:
        rate: requests per second, for all applications together; as many may come at once.
        clock: seconds, monotonic.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = boot_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate, self._burst = rate, max(1.0, rate)
        self._clock, self._sleep = clock, sleep
        self._all = TokenBucket(self._burst, clock())
        self._turn = asyncio.Lock()
        self._paused_until: OrderedDict[Hashable, float] = OrderedDict()
        self._on_demand: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    async def admit(self, application: Application) -> None:
        """Wait until a request may go, first come, first served.

        Raises:
            EntraError: UNREACHABLE, while the tenant's requests have to pause: that may be long, so nobody waits here.
        """
        self._check_pause(application)
        async with self._turn:
            while wait := self._all.take(1, burst=self._burst, rate=self._rate, now=self._clock()):
                await self._sleep(wait)
        self._check_pause(application)

    def admit_on_demand(self, application: Application) -> None:
        """Count one provisionOnDemand.

        Raises:
            EntraError: UNREACHABLE, when the application had as many as Graph allows.
        """
        now, key = self._clock(), (_tenant(application), application.service_principal_id)
        bucket = self._on_demand.get(key) or TokenBucket(ON_DEMAND_BURST, now)
        _remember(self._on_demand, key, bucket)
        if wait := bucket.take(1, burst=ON_DEMAND_BURST, rate=ON_DEMAND_RATE, now=now):
            raise EntraError(
                Obstacle.UNREACHABLE,
                "Graph provisions on demand 5 times in 10 seconds; the operator tries again",
                retry_after=timedelta(seconds=wait),
            )

    def pause(self, application: Application, retry_after: timedelta | None) -> None:
        """No request for this tenant for so long, after a 429; never shorter than it was before."""
        until = self._clock() + (retry_after or DEFAULT_PAUSE).total_seconds()
        key = _tenant(application)
        _remember(self._paused_until, key, max(until, self._paused_until.get(key, until)))

    def _check_pause(self, application: Application) -> None:
        key = _tenant(application)
        rest = self._paused_until.get(key, float("-inf")) - self._clock()
        if rest > 0:
            raise EntraError(
                Obstacle.UNREACHABLE,
                f"Microsoft takes no requests for tenant {application.tenant_id} for a while (429); the operator tries "
                "again",
                retry_after=timedelta(seconds=rest),
            )
        self._paused_until.pop(key, None)


def _tenant(application: Application) -> Hashable:
    return application.cloud, application.tenant_id


def _remember(kept: "OrderedDict[Hashable, V]", key: Hashable, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
