"""What a reconcile of a ScimWebhook asks of the outside. Adapters implement it."""

from collections.abc import Mapping
from typing import Literal, Protocol

from scim_api.contract.webhooks import PutWebhook, Webhook, WebhookPage
from scim_operator.api.custom_object import CustomObject, Key
from scim_operator.api.scimwebhook import ScimWebhook
from scim_operator.planning.ports import SecretDraft, SecretSnapshot


class WebhookApi(Protocol):
    """Webhooks at the API's admin port. Raises ``ScimApiUnreachable``, ``ScimApiRejected``; a 412 is ``Conflict``."""

    async def get(self, key: Key) -> Webhook:
        """What the API holds of it now; also for a name it never heard of."""

    async def put(self, key: Key, desired: PutWebhook, *, revision: str) -> Webhook:
        """Set its whole desired state, at this revision only."""

    async def delete(self, key: Key, *, revision: str) -> Webhook:
        """Send it nothing more and forget it, at this revision only."""

    async def page(self, *, after: str | None, limit: int) -> WebhookPage:
        """Everything the API holds, a page at a time."""


class WebhookCluster(Protocol):
    """Kubernetes, for one ScimWebhook at a time; it raises what ``planning.ports.Cluster`` raises, and asks as that does
    whether this process leads before it writes.
    """

    async def webhook(self, key: Key) -> ScimWebhook | None:
        """Read the ScimWebhook live, never from a cache; None when it is gone."""

    async def namespace_uid(self, owner: CustomObject) -> str:
        """``metadata.uid`` of its namespace: one that is made anew has another."""

    async def secret(self, owner: CustomObject, name: str) -> SecretSnapshot | None:
        """Read a Secret live, never from a cache."""

    async def create_secret(self, owner: CustomObject, draft: SecretDraft) -> SecretSnapshot:
        """Create it with an ownerReference."""

    async def replace_secret(
        self, owner: CustomObject, draft: SecretDraft, present: SecretSnapshot
    ) -> SecretSnapshot:
        """Replace its data, and our labels and annotations (others' stay), at the version of ``present`` only."""

    async def adopt_secret(self, owner: CustomObject, secret: SecretSnapshot) -> SecretSnapshot:
        """Make our object its controller owner, at this version only; its content stays as it is."""

    async def delete_secret(self, owner: CustomObject, name: str, *, resource_version: str) -> None:
        """Delete one at this version."""

    async def apply_status(self, owner: CustomObject, status: Mapping[str, object]) -> None:
        """Server-side apply of the whole status."""

    async def event(
        self, owner: CustomObject, kind: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        """Record an Event. Never raises."""
