"""Webhooks as the store holds them: where a tenant's changes are sent, how far that has come, and who does it now.

A delivery is a row from when its change is read from the log to when its receiver has taken it. The transaction that
reads a page of the log also moves the webhook's position, so none is lost and none is read twice.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from scim_api.contract.webhooks import Content, PutWebhook, Webhook, WebhookPage

QUEUE_LIMIT: Final = 1_000
"""Deliveries of one webhook that are queued at a time; what comes after them stays in the log."""
PING: Final = "ping"
"""The type of a delivery that somebody asked for and that no change made."""
MAX_FAILURE: Final = 200
"""Characters of a failure that are kept."""


@dataclasses.dataclass(frozen=True, slots=True)
class SealedSecret:
    """A signing secret as the database has it: only who has the dispatcher's private key can read it."""

    sealed: str = dataclasses.field(repr=False)
    until: datetime | None = None
    """When it ends; None for the current one."""
    id: str = ""
    """``signing_secret.secret_id``; empty for one that a release before ids has written."""
    issued_at: datetime | None = None
    """When it was made; None likewise, and of one that is being made: the database's clock then says."""


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What a webhook's owner wants."""

    tenant: str
    """Its name, in the webhook's namespace; it can't be changed later."""
    url: str
    types: frozenset[str] = frozenset()
    """Of changes, ``ChangeType``; none: all."""
    content: Content = "Thin"
    timeout_seconds: int = 15
    """For one attempt."""
    suspended: bool = False
    """Whether nothing is sent; the position stays."""


@dataclasses.dataclass(frozen=True, slots=True)
class LeasedWebhook:
    """What sending needs to know of a webhook."""

    pk: int
    namespace: str
    name: str
    tenant: int
    """Surrogate key."""
    settings: WebhookSettings
    secrets: tuple[SealedSecret, ...]
    """Those that are valid now, the current one first."""
    pause_level: int
    """How often in a row the receiver as a whole did not answer; 0: it is sent whatever is due."""
    revision: int = 0
    """A number that changes with each change of the administration."""

    @property
    def full_name(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """Something that is to be sent to one webhook."""

    change: int
    """The change's ``pk``; below 0 for a ping."""
    message_id: str
    type: str
    at: str
    """Of the change, as ``timestamps`` writes it."""
    resource: str
    """Id of the resource, or of what takes its place in a ping."""
    data: str = dataclasses.field(repr=False)
    """JSON text."""
    attempts: int = 0
    """Those that failed."""


@dataclasses.dataclass(frozen=True, slots=True)
class FailedAttempt:
    """A delivery that is to be tried again."""

    change: int
    retry_seconds: float
    """From now."""


@dataclasses.dataclass(frozen=True, slots=True)
class AttemptResults:
    """What came of attempts since the last turn."""

    delivered: Sequence[int] = ()
    """By ``Delivery.change``."""
    failed: Sequence[FailedAttempt] = ()
    failure: str | None = None
    """Why the last of them failed; at most ``MAX_FAILURE`` characters."""
    pause_level: int = 0
    pause_seconds: float | None = None
    """From now; None: no pause."""
    is_stopped: bool = False
    """Whether the receiver wants no more."""
    revision: int | None = None
    """The least ``LeasedWebhook.revision`` that one of them was made at; None: the present one. Of before the present one
    only what was delivered counts: it may have been another receiver that failed.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done for a webhook now."""

    webhook: LeasedWebhook
    due: Sequence[Delivery]
    wait_seconds: float | None
    """Until something else is due; None: until something changes."""
    has_more: bool
    """Whether the log has more at once."""
    queued: int
    behind_seconds: float
    """Age of the oldest delivery that is queued; 0 without any."""


class WebhookStore(Protocol):
    """Webhooks in a database. All methods raise ``Unavailable`` when it does not answer in time."""

    # -- administration ---------------------------------------------------------------------------
    async def create(
        self,
        namespace: str,
        name: str,
        settings: WebhookSettings,
        secret: SealedSecret,
        *,
        namespace_uid: str | None = None,
    ) -> None:
        """Add a webhook, which is sent what is committed from now on.

        Args:
            namespace: of webhook and tenant.
            name: of the webhook.
            settings: what its owner wants.
            secret: what to sign with.
            namespace_uid: of the namespace in Kubernetes; None where there is none.

        Raises:
            WebhookExists: there is one of this name.
            UnknownTenant: the namespace has no such tenant.
            TenantPurging: it is being deleted.
            NamespaceMismatch: the tenant belongs to a namespace of this name that is gone.
        """

    async def suspend(self, namespace: str, name: str) -> bool:
        """Send it nothing until ``resume``; False when there is none."""

    async def replace_secret(
        self, namespace: str, name: str, secret: SealedSecret, overlap: timedelta
    ) -> bool:
        """Sign with another secret, and with the one before for the overlap; False when there is none."""

    async def resume(self, namespace: str, name: str) -> bool:
        """End ``suspended``, a stop by 410 and a pause, and have what failed tried at once; False when there is none."""

    async def ping(self, namespace: str, name: str) -> str | None:
        """Queue a ping; its id, or None when there is no such webhook."""

    async def redeliver(self, namespace: str, name: str, since: datetime) -> bool:
        """Send again what the log has from a moment on; False when there is no such webhook."""

    async def delete(self, namespace: str, name: str) -> bool:
        """Forget it with all that is queued; False when there is none."""

    async def get(self, namespace: str, name: str, keep: timedelta) -> Webhook:
        """What is held of it and how it does; ``exists=False`` and ``UNKNOWN_REVISION`` without one. ``keep`` is how long
        the log of changes goes back.
        """

    async def page(self, *, after: str | None, limit: int, keep: timedelta) -> WebhookPage:
        """All of them, in pages, in a bounded number of queries per page."""

    # -- the operator -----------------------------------------------------------------------------
    async def put(
        self, namespace: str, name: str, desired: PutWebhook, *, if_match: str, keep: timedelta
    ) -> Webhook:
        """Make the state so, in one transaction, and issue a new revision if anything changed. A new one is sent what is
        committed from now on. Idempotent: the same state again changes nothing and keeps the revision.

        Args:
            namespace: of webhook and tenant.
            name: of the webhook.
            desired: the whole desired state.
            if_match: the revision that it was decided on.
            keep: how long the log of changes goes back.

        Raises:
            RevisionMismatch, UnknownTenant, TenantPurging, TenantImmutable, NamespaceMismatch, SigningSecretNotFound:
            nothing was written.
        """

    async def delete_at(self, namespace: str, name: str, *, if_match: str) -> Webhook:
        """Forget it, if it is at this revision, with all that is queued. Raises ``RevisionMismatch``."""

    # -- delivery ---------------------------------------------------------------------------------
    async def lease(self, holder: str, seconds: float, most: int) -> Mapping[int, tuple[int, int]]:
        """Take webhooks that nobody holds, at most ``most`` more, and hold those of ``holder`` for longer.

        Returns:
            By surrogate key, all that the holder has for the next ``seconds``: tenant, and a number that changes with
            each change of the administration.
        """

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
        """Write what came of attempts, read the next changes from the log, and say what is due: in one transaction.

        Args:
            webhook: surrogate key.
            holder: who has its lease.
            results: of attempts since the last turn; None without any.
            in_flight: deliveries that the holder has already, by ``Delivery.change``: under way, about to be, or done.
            most: deliveries wanted besides.
            keep: how long the log of changes goes back; older deliveries are dropped.

        Returns:
            None when the holder has no lease any more, or the webhook is not to be sent anything.
        """

    async def release(self, holder: str) -> None:
        """Give all leases of a holder back."""
