"""Bodies of ``/admin/v1/webhooks`` on the internal port: what operator and API say of webhooks to each other.

As with connections the operator sends the whole desired state with the revision it was decided on. Signing secrets
come sealed to the dispatcher (``scim_api.contract.sealing``): neither the API nor its database can read them.
"""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from scim_api.contract.admin import ContractModel, TenantName, Uid
from scim_api.contract.change_types import ChangeType

TIMEOUT_BOUNDS: Final = (1, 60)
"""The least and the most that one attempt may take, in seconds."""
REQUEST_LIMIT: Final = 256
"""Characters of a request's name."""

Content = Literal["Thin", "Full"]
"""Whether a message has the change alone, or the resource too."""
SecretId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""``signing_secret.secret_id``."""
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""``sealing.key_id``."""
WebhookUrl = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=2048)]
RequestName = Annotated[str, StringConstraints(min_length=1, max_length=REQUEST_LIMIT)]


class SigningSecret(ContractModel):
    """One secret that messages are signed with."""

    id: SecretId
    sealed: Annotated[str, StringConstraints(max_length=1024)] | None = Field(default=None, repr=False)
    """For the dispatcher; None in an answer, and in a PUT for one that the API has: it stays as it is."""
    issued_at: datetime
    until: datetime | None = None
    """When it ends; None: not yet known."""


class SigningSecretStatus(ContractModel):
    """One secret as the API has it, without itself."""

    id: str
    """Empty for one that was made by a release before ids."""
    key_id: str
    """Which key of the dispatcher it is sealed to."""
    issued_at: datetime | None = None
    until: datetime | None = None


class Redelivery(ContractModel):
    """Send again what changed since a moment, as far as the log goes back."""

    request: RequestName
    """Done once for each value."""
    since: datetime


class PutWebhook(ContractModel):
    """The whole desired state of one ScimWebhook. A secret that is not listed signs no more."""

    tenant: TenantName
    """Of the webhook's namespace; it can't be changed."""
    url: WebhookUrl
    """Another one begins anew: it ends a pause and a stop, and what is queued goes there."""
    types: tuple[ChangeType, ...] = ()
    """None: all."""
    content: Content = "Thin"
    timeout_seconds: Annotated[int, Field(ge=TIMEOUT_BOUNDS[0], le=TIMEOUT_BOUNDS[1])] = 15
    suspended: bool = False
    """Whether nothing is sent. Taken back, it ends a pause and a stop."""
    secrets: Annotated[tuple[SigningSecret, ...], Field(min_length=1, max_length=8)]
    """The current one first, which has no end: without a secret that is valid messages would go out unsigned."""
    ping: RequestName | None = None
    """Send a message of type ping, once for each value, and whatever waits at once; None: nothing is asked for."""
    redelivery: Redelivery | None = None
    """Ends a stop, too."""
    owner_uid: Uid
    """The ScimWebhook that it belongs to from now on."""
    namespace_uid: Uid
    """As ``PutConnection.namespace_uid``: a tenant of a namespace that is gone is refused."""

    @model_validator(mode="after")
    def _current_secret_has_no_end(self) -> Self:
        if self.secrets[0].until is not None:
            raise ValueError("the first secret is the current one and has no end")
        return self


class Backlog(ContractModel):
    """What is to be sent."""

    events: int = 0
    """Changes, up to some 100,000; those of other types may be among them."""
    seconds: float = 0.0
    """Age of the oldest; 0 without any."""
    retrying: int = 0
    """Deliveries that failed at least once and are queued."""


class Webhook(ContractModel):
    """The API's answer: what it holds now, and how that does. Also for unknown names."""

    namespace: str
    name: str
    exists: bool
    revision: str
    """Opaque; of what an owner decides, and not of deliveries. A PUT or DELETE carries it in If-Match; anything but the
    present one answers 412."""
    now: datetime
    """The database's clock: the only one that counts."""
    tenant: str | None = None
    url: str | None = None
    types: tuple[str, ...] = ()
    content: Content | None = None
    timeout_seconds: int | None = None
    suspended: bool = False
    secrets: tuple[SigningSecretStatus, ...] = ()
    """Those that are valid now, the current one first."""
    ping: str | None = None
    """The last value that was carried out."""
    redelivery: str | None = None
    """Likewise, of ``Redelivery.request``."""
    owner_uid: str | None = None
    """The ScimWebhook that it belongs to; None: made by hand."""
    is_dispatched: bool = False
    """Whether a process has it to deliver now."""
    last_delivered_at: datetime | None = None
    last_attempt_at: datetime | None = None
    failing_since: datetime | None = None
    """When the oldest failure happened that no delivery has made up for."""
    failure: str | None = None
    """The last one, while ``failing_since`` is set; with what the receiver wrote, at most 200 characters."""
    retry_at: datetime | None = None
    """Until when the receiver gets nothing."""
    stopped_at: datetime | None = None
    """When the receiver answered 410."""
    gap_at: datetime | None = None
    """When changes were last found gone from the log before they were delivered."""
    gap: str | None = None
    backlog: Backlog = Backlog()
    loses_events_at: datetime | None = None
    """When the oldest of the backlog leaves the log; told a week before."""


class WebhookPage(ContractModel):
    """``GET /admin/v1/webhooks?after=…&limit=…``: all that exist, ordered by namespace and name."""

    now: datetime
    items: tuple[Webhook, ...]
    next: str | None = None
    """Give it as ``after`` to read on; absent on the last page."""
