"""Webhooks in SQLite: its one writer makes leases exclusive."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from scim_api.store.sql import deliveries, webhooks
from scim_api.store.sql.timestamps import text_of_posix
from scim_api.store.sql.transaction_script import TransactionScript
from scim_api.store.webhooks import AttemptResults, SealedSecret, Turn, WebhookSettings, WebhookStatus

T = TypeVar("T")


class WriteScript(Protocol):
    """Runs a script as a transaction."""

    def __call__(self, script: Callable[[], TransactionScript[T]], /) -> Awaitable[T]:
        """Its result."""


class SqliteWebhooks:
    """``WebhookStore`` on an SQLite file.

    Args:
        write: runs a script as a transaction.
    """

    def __init__(self, write: WriteScript) -> None:
        self._write = write

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
        await self._write(
            lambda: webhooks.create("sqlite", namespace, name, settings, secret, namespace_uid, _now())
        )

    async def update(self, namespace: str, name: str, settings: WebhookSettings) -> bool:
        """Change what its owner wants. Raises ``TenantImmutable``."""
        return await self._write(lambda: webhooks.update(namespace, name, settings))

    async def replace_secret(
        self, namespace: str, name: str, secret: SealedSecret, overlap: timedelta
    ) -> bool:
        """Sign with another secret."""
        return await self._write(lambda: webhooks.replace_secret(namespace, name, secret, overlap, _now()))

    async def resume(self, namespace: str, name: str) -> bool:
        """End what keeps it from being sent anything."""
        return await self._write(lambda: webhooks.resume(namespace, name, _now()))

    async def ping(self, namespace: str, name: str) -> str | None:
        """Queue a ping; its id."""
        return await self._write(lambda: webhooks.ping(namespace, name, _now()))

    async def redeliver(self, namespace: str, name: str, since: datetime) -> bool:
        """Send again what the log has from a moment on."""
        return await self._write(lambda: webhooks.redeliver("sqlite", namespace, name, since))

    async def delete(self, namespace: str, name: str) -> bool:
        """Forget it with all that is queued."""
        return await self._write(lambda: webhooks.delete(namespace, name))

    async def status(self, namespace: str, name: str, keep: timedelta) -> WebhookStatus | None:
        """How it does."""
        return await self._write(lambda: webhooks.status(namespace, name, keep, _now()))

    async def statuses(self, keep: timedelta) -> Sequence[WebhookStatus]:
        """How all of them do."""
        return await self._write(lambda: webhooks.statuses(keep, _now()))

    async def lease(self, holder: str, seconds: float, most: int) -> Mapping[int, tuple[int, int]]:
        """Take webhooks that nobody holds, and hold one's own for longer."""
        return await self._write(lambda: deliveries.lease("sqlite", holder, seconds, most, _now()))

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
        return await self._write(
            lambda: deliveries.turn(
                "sqlite", webhook, holder, results, in_flight=in_flight, most=most, keep=keep, now=_now()
            )
        )

    async def release(self, holder: str) -> None:
        """Give all leases of a holder back."""
        await self._write(lambda: deliveries.release(holder))


def _now() -> str:
    """The database's clock, as stored text: SQLite's is this machine's."""
    return text_of_posix(time.time())
