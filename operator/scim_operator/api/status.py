"""The status of a ScimToken, as the operator writes it; the base of all models of its objects."""

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, ValidationError
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


ModelT = TypeVar("ModelT", bound=ApiModel)


def readable_part(model: type[ModelT], value: object, read: Callable[[object], object]) -> ModelT:
    """What of a status this version can read; the rest is made anew from the truth.

    Args:
        model: of the status.
        value: as the API server sent it.
        read: pydantic's reader of the field.
    """
    try:
        return cast("ModelT", read(value))
    except ValidationError as error:
        if not isinstance(value, Mapping):
            return model()
        unreadable = {item["loc"][0] for item in error.errors(include_input=False)}
        return model.model_validate({k: v for k, v in value.items() if k not in unreadable})


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

    @classmethod
    def judged(
        cls,
        before: Self | None,
        now: datetime,
        generation: int,
        kind: str,
        status: Literal["True", "False", "Unknown"],
        reason: str,
        message: str,
    ) -> Self:
        """A condition as it is judged now; ``lastTransitionTime`` moves only when ``status`` flips.

        Args:
            before: the one of the same type that the status has.
            now: UTC.
            generation: for which it is judged.
            kind: its type.
            status: whether it is so.
            reason: in one word.
            message: in a sentence.
        """
        since = before.last_transition_time if before is not None and before.status == status else now
        return cls(
            type=kind,
            status=status,
            reason=reason,
            message=message,
            last_transition_time=since,
            observed_generation=generation,
        )


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
    last_inspected_at: Time | None = None
    """When a person looked with it last, by kubectl scim or its console, to the day. That is no use: nothing is decided
    by it."""


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


REQUEST_LIMIT: Final = 256
"""Characters of an annotation's value that are remembered as carried out."""


class HandOverStatus(ApiModel):
    """The credential that Entra was given last, and whether it uses it."""

    credential_id: Annotated[str, Field(max_length=64, alias="credentialID")]
    """Which: an id under tokens."""
    service_principal_id: Annotated[str, Field(max_length=64, alias="servicePrincipalID")]
    """The enterprise application that has it."""
    endpoint: Annotated[str, Field(max_length=2048)]
    """The Tenant URL that was saved with it."""
    at: Time
    """When Entra had saved it."""
    in_use_at: Time | None = None
    """When Entra came with it for the first time after that. Until then the one before stays accepted."""


class CycleStatus(ApiModel):
    """The last provisioning cycle of the job."""

    state: Annotated[str, Field(max_length=64)]
    """Succeeded, Failed or EntryLevelErrors, in Entra's words."""
    ended_at: Time | None = None
    """When it ended."""
    exported: int | None = None
    """How many objects Entra sent."""
    error: Annotated[str, Field(max_length=512)] | None = None
    """What went wrong, in Entra's words."""


class QuarantineStatus(ApiModel):
    """Why Entra runs the job once a day or less."""

    reason: Annotated[str, Field(max_length=128)]
    """In Entra's words, such as EncounteredQuarantineException."""
    since: Time | None = None
    """When it began."""
    next_attempt_at: Time | None = None
    """When Entra tries again by itself."""
    disabled_at: Time | None = None
    """When Entra disables the job, if nothing changes: four weeks after it began."""
    error: Annotated[str, Field(max_length=512)] | None = None
    """What went wrong, in Entra's words."""


class EntraStatus(ApiModel):
    """What Microsoft Entra has and does, as Microsoft Graph tells it. Written apart from the rest of the status."""

    job_id: Annotated[Annotated[str, Field(max_length=128)] | None, Field(alias="jobID")] = None
    """The provisioning job."""
    job_state: Annotated[str, Field(max_length=64)] | None = None
    """Active, Paused, Disabled, Quarantine or NotRun, mostly in Entra's words."""
    handed_over: HandOverStatus | None = None
    """What Entra was given."""
    last_cycle: CycleStatus | None = None
    """The last cycle."""
    last_success_at: Time | None = None
    """When a cycle last succeeded."""
    quarantine: QuarantineStatus | None = None
    """Only while the job is in quarantine."""
    recoveries: Annotated[int, Field(ge=0)] | None = None
    """How often the operator has started the job out of a quarantine since a cycle last succeeded."""
    recovered_at: Time | None = None
    """When it did so last."""
    answered_full_cycle: Annotated[str, Field(max_length=REQUEST_LIMIT)] | None = None
    """The value of the annotation scim-operator.io/full-cycle that was carried out."""
    answered_provision_on_demand: Annotated[str, Field(max_length=REQUEST_LIMIT)] | None = None
    """The value of the annotation scim-operator.io/provision-on-demand that was carried out."""


HANDED_OVER: Final = "HandedOver"
PROVISIONING: Final = "Provisioning"
ENTRA_CONDITIONS: Final = (HANDED_OVER, PROVISIONING)
"""Types of the conditions about ``status.entra``; they are written with it."""


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
    SupersededTokenInUse, EndpointReachable and, with OAuth, SignInRefused; with spec.entra HandedOver and Provisioning. Try: kubectl wait --for=condition=Ready sct/<name>."""
    observed_generation: int | None = None
    """The metadata.generation that this status describes."""
    next_rotation: Time | None = None
    """When the active token or client secret will be replaced; a workload identity has none."""
    expires_at: Time | None = None
    """When the active token or client secret expires; a workload identity does not."""
    last_used_at: Time | None = None
    """When a request came last with any of the tokens, to the day. Where they are Entra's, and it is older than a few
    hours, Entra is not provisioning."""
    users: Annotated[int, Field(ge=0)] | None = None
    """How many users the tenant has."""
    tokens: tuple[TokenStatus, ...] = ()
    """The tokens, client secrets and trusts whose time is not over, the active one first."""
    last_refused_sign_in: RefusedSignIn | None = None
    """What the token endpoint refused last since it issued an access token."""
    entra: EntraStatus | None = None
    """What Microsoft Entra has and does; only with spec.entra."""

    def to_object(self) -> dict[str, Any]:
        """As JSON for the API server: camelCase, whole seconds, and nothing that is unknown."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def condition(self, kind: str) -> Condition | None:
        """The condition of this type, if it was ever set."""
        return next((c for c in self.conditions if c.type == kind), None)

    def without_entra(self) -> Self:
        """What is written apart from ``entra`` and its conditions, by another field manager."""
        conditions = tuple(item for item in self.conditions if item.type not in ENTRA_CONDITIONS)
        return self.model_copy(update={"entra": None, "conditions": conditions})

    def only_entra(self) -> dict[str, Any]:
        """The rest, as JSON for the API server."""
        conditions = tuple(item for item in self.conditions if item.type in ENTRA_CONDITIONS)
        part = {"entra", *(["conditions"] if conditions else [])}
        return self.model_copy(update={"conditions": conditions}).model_dump(
            mode="json", by_alias=True, exclude_none=True, include=part
        )
