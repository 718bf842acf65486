"""The status of a ScimWebhook, as the operator writes it."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from scim_api.contract.webhooks import REQUEST_LIMIT
from scim_operator.api.status import ApiModel, Condition, Time

DELIVERING: Final = "Delivering"


class SigningSecretStatus(ApiModel):
    """A secret that messages are signed with: which, never what."""

    id: Annotated[str, Field(max_length=64)]
    """Names it; 16 hexadecimal digits of a hash."""
    state: Literal["Active", "Superseded"]
    """Active: in the Secret. Superseded: replaced; messages are signed with it as well until it ends."""
    issued_at: Time | None = None
    """When it was made."""
    expires_at: Time | None = None
    """When messages are signed with it no more."""


class BacklogStatus(ApiModel):
    """What is to be sent."""

    events: Annotated[int, Field(ge=0)] = 0
    """How many changes, up to some 100,000."""
    seconds: Annotated[int, Field(ge=0)] = 0
    """How long the oldest of them has waited."""
    retrying: Annotated[int, Field(ge=0)] = 0
    """How many were tried at least once."""


class ScimWebhookStatus(ApiModel):
    """What the operator and the SCIM API made of it. Holds no secret."""

    tenant: str | None = None
    """Whose changes are sent."""
    secret_name: str | None = None
    """The Secret that holds the signing secret."""
    conditions: tuple[Condition, ...] = ()
    """Ready: the SCIM API has it, and the Secret has what it signs with. Delivering: the receiver takes what is sent.
    Try: kubectl wait --for=condition=Ready scimwebhook/<name>."""
    observed_generation: int | None = None
    """The metadata.generation that this status describes."""
    secrets: tuple[SigningSecretStatus, ...] = ()
    """What messages are signed with, the active one first."""
    next_rotation: Time | None = None
    """When the signing secret will be replaced."""
    last_delivered_at: Time | None = None
    """When the receiver took something last, to the minute."""
    backlog: BacklogStatus | None = None
    """What is to be sent."""
    failing_since: Time | None = None
    """Since when the receiver has not taken everything."""
    failure: Annotated[str, Field(max_length=512)] | None = None
    """Why not: TLS, DNS, connection, timeout, or the HTTP status with the beginning of what the receiver wrote."""
    retry_at: Time | None = None
    """Until when it is not tried."""
    stopped_at: Time | None = None
    """When the receiver answered 410, so that it is sent nothing more."""
    loses_events_at: Time | None = None
    """When the oldest change that waits leaves the log of changes undelivered; told a week before."""
    gap_at: Time | None = None
    """When it was found last that changes had left the log undelivered."""
    gap: Annotated[str, Field(max_length=512)] | None = None
    """What was lost then."""
    answered_test: Annotated[str, Field(max_length=REQUEST_LIMIT)] | None = None
    """The value of the annotation scim-operator.io/test that was carried out."""
    answered_redeliver_from: Annotated[str, Field(max_length=REQUEST_LIMIT)] | None = None
    """The value of the annotation scim-operator.io/redeliver-from that was carried out."""

    def to_object(self) -> dict[str, Any]:
        """As JSON for the API server: camelCase, whole seconds, and nothing that is unknown."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type, if it was ever set."""
        return next((c for c in self.conditions if c.type == kind), None)
