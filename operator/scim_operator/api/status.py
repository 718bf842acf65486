"""The status of a ScimToken, as the operator writes it; the base of all models of its objects."""

import enum
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel


def format_time(moment: datetime) -> str:
    """RFC 3339, UTC, whole seconds, as Kubernetes writes its own times."""
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


CredentialKind = Literal["BearerToken", "ClientSecret", "WorkloadIdentity"]
"""What a client signs in with, as the SCIM API calls it (``Credential.kind``)."""
Time = Annotated[datetime, PlainSerializer(format_time, return_type=str, when_used="json")]


class ApiModel(BaseModel):
    """camelCase outside; what this version does not know is ignored; docstrings are what ``kubectl explain`` prints."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )


class Condition(ApiModel):
    """One thing that is so or is not so, and why; as in every Kubernetes API."""

    type: Annotated[str, Field(max_length=316)]
    """What is judged, such as Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: Annotated[str, Field(max_length=1024)]
    """Why, in one word for programs."""
    message: Annotated[str, Field(max_length=32768)]
    """Why, in a sentence for people, with what to do when something is to be done."""
    last_transition_time: Time
    """When status changed last."""
    observed_generation: int | None = None
    """The metadata.generation that this was judged for."""


class TokenState(enum.StrEnum):
    """Where a token is in its life."""

    ACTIVE = "Active"
    SUPERSEDED = "Superseded"
    REVOKED = "Revoked"


class TokenStatus(ApiModel):
    """One token in its time: which, never what."""

    id: Annotated[str, Field(max_length=64)]
    """Names the token; the same as token-id or client-secret-id in the Secret. It can be given to the annotation
    scim-operator.io/revoke."""
    kind: CredentialKind = "BearerToken"
    """What it is: BearerToken, the secret token that Entra sends with every request; ClientSecret, for which it
    fetches access tokens; WorkloadIdentity, a trust in an identity that signs, without any secret."""
    state: TokenState
    """Active: in the Secret. Superseded: replaced, but still accepted until expiresAt. Revoked: not accepted
    any more, although its time is not over."""
    issued_at: Time
    """When it was made."""
    expires_at: Time
    """From when on it is not accepted."""
    last_used_at: Time | None = None
    """When a request came with it last, to the day."""


class RefusedSignIn(ApiModel):
    """A sign-in that the token endpoint refused. Nothing of it is secret."""

    at: Time
    """When. It moves once an hour while nothing else of it changes."""
    check: Annotated[str, Field(max_length=32)]
    """What did not hold: secret, or what of the assertion, such as aud, sub, iss, tid, signature or exp."""
    expected: Annotated[str, Field(max_length=1024)] | None = None
    """What would have been taken."""
    received: Annotated[str, Field(max_length=512)] | None = None
    """What came instead."""


class ScimTokenStatus(ApiModel):
    """What the operator made of it. Holds no secret."""

    endpoint: str | None = None
    """What to paste as Tenant URL in Entra."""
    tenant: str | None = None
    """The tenant in effect, also where spec leaves it out."""
    secret_name: str | None = None
    """The Secret that holds the token."""
    conditions: tuple[Condition, ...] = ()
    """Ready, one for each stage that can fail (Registered, Published), and what warns before anything fails:
    SupersededTokenInUse, EndpointReachable and, with OAuth, SignInRefused. Try: kubectl wait --for=condition=Ready sct/<name>."""
    observed_generation: int | None = None
    """The metadata.generation that this status describes."""
    next_rotation: Time | None = None
    """When the active token or client secret will be replaced; a workload identity has none."""
    expires_at: Time | None = None
    """When the active token or client secret expires; a workload identity does not."""
    last_used_at: Time | None = None
    """When a request came last with any of the tokens, to the day. Older than a few hours: Entra is not
    provisioning."""
    users: Annotated[int, Field(ge=0)] | None = None
    """How many users the tenant has."""
    tokens: tuple[TokenStatus, ...] = ()
    """The tokens, client secrets and trusts whose time is not over, the active one first."""
    last_refused_sign_in: RefusedSignIn | None = None
    """What the token endpoint refused last since it issued an access token."""

    def to_object(self) -> dict[str, Any]:
        """As JSON for the API server: camelCase, whole seconds, and nothing that is unknown."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type, if it was ever set."""
        return next((c for c in self.conditions if c.type == kind), None)
