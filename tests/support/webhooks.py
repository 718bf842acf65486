"""Webhooks in a store, short where the test does not care."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from scim_api.contract.webhooks import Webhook
from scim_api.core.model import Resource
from scim_api.store.change_log import Actor
from scim_api.store.protocol import Store
from scim_api.store.webhooks import AttemptResults, Delivery, SealedSecret, Turn, WebhookSettings
from support.stored import prepared

KEEP = timedelta(days=90)
NAMESPACE, NAME = "apps", "app"
SECRET = SealedSecret("v1.kid.first", id="1" * 16)
WRITER = Actor("writer")


async def add_webhook(store: Store, name: str = NAME, **settings: Any) -> int:
    """A webhook of tenant contoso; its surrogate key."""
    wanted = WebhookSettings(**{"tenant": "contoso", "url": "https://app.example/hook", **settings})
    before = set(await store.webhooks.lease("nobody", 0.0, 0))
    await store.webhooks.create(NAMESPACE, name, wanted, SECRET)
    held = await store.webhooks.lease("finder", 60, 100)
    await store.webhooks.release("finder")
    return max(set(held) - before, default=0)


async def add_user(store: Store, tenant: int, name: str) -> Resource:
    return await store.create(tenant, "User", prepared(name), actor=WRITER)


async def webhook_of(store: Store, name: str = NAME, keep: timedelta = KEEP) -> Webhook:
    """One that exists, and how it does."""
    found = await store.webhooks.get(NAMESPACE, name, keep)
    assert found.exists
    return found


@dataclasses.dataclass
class Dispatched:
    """A holder of leases, as a dispatcher is one."""

    store: Store
    holder: str = "one"
    seconds: float = 60.0

    async def lease(self, most: int = 16) -> set[int]:
        return set(await self.store.webhooks.lease(self.holder, self.seconds, most))

    async def turn(
        self,
        webhook: int,
        results: AttemptResults | None = None,
        *,
        in_flight: Sequence[int] = (),
        most: int = 16,
        keep: timedelta = KEEP,
    ) -> Turn | None:
        return await self.store.webhooks.turn(
            webhook, self.holder, results, in_flight=frozenset(in_flight), most=most, keep=keep
        )

    async def due(self, webhook: int, results: AttemptResults | None = None, **more: Any) -> list[Delivery]:
        turn = await self.turn(webhook, results, **more)
        assert turn is not None
        return list(turn.due)

    async def all_due(self, webhook: int) -> list[Delivery]:
        """All that is there, each delivered at once, in the order of delivery."""
        found: list[Delivery] = []
        due = await self.due(webhook)
        while due:
            found += due
            due = await self.due(webhook, AttemptResults(delivered=[one.change for one in due]))
            await asyncio.sleep(0)
        return found
