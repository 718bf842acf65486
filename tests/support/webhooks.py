"""Webhooks in a store, short where the test does not care."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from scim_api.contract.webhooks import PutWebhook, Webhook
from scim_api.core.model import Resource
from scim_api.store.change_log import Actor
from scim_api.store.protocol import Store
from scim_api.store.webhooks import AttemptResults, Delivery, SealedSecret, Turn, WebhookSettings
from support.stored import prepared

KEEP = timedelta(days=90)
NAMESPACE, NAME = "apps", "app"
SECRET = SealedSecret("v1.kid.first", id="1" * 16)
WRITER = Actor("writer")
ISSUED = datetime(2026, 11, 1, tzinfo=UTC)


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


def secret(secret_id: str = "a" * 16, sealed: str | None = "v1.kid.sealed", **more: Any) -> dict[str, Any]:
    """A signing secret in a PUT."""
    return {"id": secret_id, "sealed": sealed, "issuedAt": ISSUED, **more}


def wanted(*secrets: dict[str, Any], **changes: Any) -> PutWebhook:
    """What the operator wants of a webhook of tenant contoso."""
    return PutWebhook.model_validate(
        {
            "tenant": "contoso",
            "url": "https://app.example/hook",
            "secrets": secrets or [secret()],
            "ownerUid": "owner",
            "namespaceUid": "namespace",
            **changes,
        }
    )


async def put(store: Store, desired: PutWebhook, at: str | None = None, name: str = NAME) -> Webhook:
    """The answer to a PUT, at the present revision unless another is given."""
    if at is None:
        at = (await store.webhooks.get(NAMESPACE, name, KEEP)).revision
    return await store.webhooks.put(NAMESPACE, name, desired, if_match=at, keep=KEEP)


async def leased(store: Store, **changes: Any) -> int:
    """The key of a new webhook that is dispatched."""
    await put(store, wanted(**changes))
    [webhook] = await Dispatched(store).lease()
    return webhook


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
