"""Webhooks in either database: what differs is how a script is run."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from scim_api.contract.webhooks import PutWebhook, Webhook, WebhookPage
from scim_api.store.dialect import Dialect
from scim_api.store.sql import deliveries, webhook_put, webhook_status, webhooks
from scim_api.store.sql.transaction_script import TransactionScript
from scim_api.store.webhooks import AttemptResults, SealedSecret, Turn, WebhookSettings

T = TypeVar("T")


class RunsScript(Protocol):
    """Runs a script, made with the database's time, in one transaction."""

    def __call__(self, script: Callable[[str], TransactionScript[T]], /) -> Awaitable[T]:
        """Its result. Raises ``Unavailable``, and what the script raises."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScriptRunners:
    """How a database runs scripts."""

    dialect: Dialect
    administration: RunsScript
    """One after the other in the whole installation."""
    transaction: RunsScript
    snapshot: RunsScript
    """Reads alone."""


class SqlWebhooks:
    """``WebhookStore`` on either database."""

    def __init__(self, run: ScriptRunners) -> None:
        self._run = run

    async def create(
        self,
        namespace: str,
        name: str,
        settings: WebhookSettings,
        secret: SealedSecret,
        *,
        namespace_uid: str | None = None,
    ) -> None:
        """Add a webhook. Raises ``WebhookExists``, ``UnknownTenant`` and ``NamespaceMismatch``."""
        await self._run.administration(
            lambda now: webhooks.create(
                self._run.dialect, namespace, name, settings, secret, namespace_uid, now
            )
        )

    async def suspend(self, namespace: str, name: str) -> bool:
        """Send it nothing."""
        return await self._run.administration(lambda _now: webhooks.suspend(namespace, name))

    async def replace_secret(
        self, namespace: str, name: str, secret: SealedSecret, overlap: timedelta
    ) -> bool:
        """Sign with another secret."""
        return await self._run.administration(
            lambda now: webhooks.replace_secret(namespace, name, secret, overlap, now)
        )

    async def resume(self, namespace: str, name: str) -> bool:
        """End what keeps it from being sent anything."""
        return await self._run.administration(lambda now: webhooks.resume(namespace, name, now))

    async def ping(self, namespace: str, name: str) -> str | None:
        """Queue a ping; its id."""
        return await self._run.administration(lambda now: webhooks.ping(namespace, name, now))

    async def redeliver(self, namespace: str, name: str, since: datetime) -> bool:
        """Send again what the log has from a moment on."""
        return await self._run.administration(
            lambda now: webhooks.redeliver(self._run.dialect, namespace, name, since, now)
        )

    async def delete(self, namespace: str, name: str) -> bool:
        """Forget it with all that is queued."""
        return await self._run.administration(lambda _now: webhooks.delete(namespace, name))

    async def get(self, namespace: str, name: str, keep: timedelta) -> Webhook:
        """What is held of it and how it does."""
        return await self._run.snapshot(lambda now: webhook_status.read_webhook(namespace, name, keep, now))

    async def page(self, *, after: str | None, limit: int, keep: timedelta) -> WebhookPage:
        """All of them, in pages."""
        return await self._run.snapshot(lambda now: webhook_status.read_page(after, limit, keep, now))

    async def put(
        self, namespace: str, name: str, desired: PutWebhook, *, if_match: str, keep: timedelta
    ) -> Webhook:
        """Make the state so, in one transaction, and issue a new revision if anything changed."""
        return await self._run.administration(
            lambda now: webhook_put.put(
                self._run.dialect, namespace, name, desired, if_match=if_match, keep=keep, now=now
            )
        )

    async def delete_at(self, namespace: str, name: str, *, if_match: str) -> Webhook:
        """Forget it, if it is at this revision."""
        return await self._run.administration(
            lambda now: webhook_put.delete_at(namespace, name, if_match=if_match, now=now)
        )

    async def lease(self, holder: str, seconds: float, most: int) -> Mapping[int, tuple[int, int]]:
        """Take webhooks that nobody holds, and hold one's own for longer."""
        return await self._run.transaction(
            lambda now: deliveries.lease(self._run.dialect, holder, seconds, most, now)
        )

    async def turn(
        self,
        webhook: int,
        holder: str,
        results: AttemptResults | None,
        *,
        in_flight: frozenset[int],
        most: int,
        keep: timedelta,
    ) -> Turn | None:
        """Write what came of attempts, read the next changes, and say what is due."""
        return await self._run.transaction(
            lambda now: deliveries.turn(
                self._run.dialect,
                webhook,
                holder,
                results,
                in_flight=in_flight,
                most=most,
                keep=keep,
                now=now,
            )
        )

    async def release(self, holder: str) -> None:
        """Give all leases of a holder back."""
        await self._run.transaction(lambda _now: deliveries.release(holder))
