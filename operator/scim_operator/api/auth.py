"""``spec.auth``: how Entra signs in, as the cluster holds it, and what the SCIM API is told of it.

Part of the models that the CRD is generated from: the docstring under a field is what ``kubectl explain`` prints.
"""

from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from scim_api.contract.admin import ACCESS_TOKEN_BOUNDS, KeysUrl, TenantGuid, WorkloadIdentityTrust
from scim_api.contract.oauth import CLOUDS, Cloud
from scim_operator.api.durations import PATTERN, format_duration, parse_duration
from scim_operator.api.status import ApiModel, CredentialKind

AuthType = Literal["BearerToken", "OAuthClientCredentials", "WorkloadIdentity"]
SHORTEST_ACCESS_TOKEN: Final = timedelta(seconds=ACCESS_TOKEN_BOUNDS[0])
LONGEST_ACCESS_TOKEN: Final = timedelta(seconds=ACCESS_TOKEN_BOUNDS[1])
DEFAULT_ACCESS_TOKEN_LIFETIME: Final = "1h"  # noqa: S105 (a duration)
CLAIM_PATTERN: Final = r"^[!-)+-~]+$"
"""Printable ASCII without space and ``*``."""
MAX_CLAIM_VALUES: Final = 16

ClaimText = Annotated[str, StringConstraints(pattern=CLAIM_PATTERN, max_length=256)]


def _is_access_token_lifetime(text: str) -> str:
    if not SHORTEST_ACCESS_TOKEN <= parse_duration(text) <= LONGEST_ACCESS_TOKEN:
        shortest, longest = format_duration(SHORTEST_ACCESS_TOKEN), format_duration(LONGEST_ACCESS_TOKEN)
        raise ValueError(f"should be from {shortest} to {longest}")
    return text


AccessTokenLifetime = Annotated[
    str, StringConstraints(pattern=PATTERN, max_length=10), AfterValidator(_is_access_token_lifetime)
]


class OAuthClientCredentialsSpec(ApiModel):
    """What Entra gets for the client secret."""

    access_token_lifetime: AccessTokenLifetime = DEFAULT_ACCESS_TOKEN_LIFETIME
    """How long each access token is valid that Entra fetches: a number and s, m, h or d, from 1h to 6h.
    Default: 1h. A change counts from the next access token on."""


class WorkloadIdentitySpec(ApiModel):
    """Whose assertions are taken: the identity that Entra's page Provisioning shows. Every value is compared
    exactly. A change that still takes all that was taken before interrupts nothing; one that takes less ends the
    access tokens of the former at once.
    """

    tenant_id: Annotated[TenantGuid, Field(alias="tenantID")]
    """The Entra tenant's id, a GUID in lower case: claim tid."""
    cloud: Cloud = Cloud.PUBLIC
    """Which of Microsoft's clouds signs: Public (default), USGovernment or China. issuers and keysURL follow
    from it."""
    subjects: Annotated[tuple[ClaimText, ...], Field(min_length=1, max_length=MAX_CLAIM_VALUES)]
    """Object ids of the workload identities that may sign in: claim sub. Entra shows one as Subject."""
    audiences: Annotated[tuple[ClaimText, ...], Field(min_length=1, max_length=MAX_CLAIM_VALUES)]
    """What an assertion may be meant for: claim aud. Entra shows api://<app id>/.default, and tokens are seen
    with api://<app id> and with the bare app id too: list all three."""
    issuers: Annotated[tuple[ClaimText, ...], Field(max_length=MAX_CLAIM_VALUES)] = ()
    """Who may have signed: claim iss. Default: the forms that the cloud's login hosts use for the tenant."""
    keys_url: Annotated[KeysUrl | None, Field(alias="keysURL")] = None
    """Where the issuer publishes its keys (JWKS). Default: the cloud's address for the tenant. Only hosts that
    whoever runs the SCIM API allows are asked."""
    access_token_lifetime: AccessTokenLifetime = DEFAULT_ACCESS_TOKEN_LIFETIME
    """How long each access token is valid that Entra fetches: a number and s, m, h or d, from 1h to 6h.
    Default: 1h. A change counts from the next access token on."""

    def trust(self) -> WorkloadIdentityTrust:
        """The same as the SCIM API takes it, defaults filled in; the order of values has no meaning."""
        login = CLOUDS[self.cloud]
        return WorkloadIdentityTrust(
            tenant_id=self.tenant_id,
            subjects=_ordered(self.subjects),
            audiences=_ordered(self.audiences),
            issuers=_ordered(self.issuers or login.issuers(self.tenant_id)),
            keys_url=self.keys_url or login.keys_url(self.tenant_id),
        )


def _ordered(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


class AuthSpec(ApiModel):
    """How Entra signs in. A change of type interrupts nothing: what was accepted before stays accepted to its own
    end, or as long as overlap says.
    """

    type: AuthType = "BearerToken"
    """BearerToken (default): a long-lived secret token, for existing and non-gallery applications.
    OAuthClientCredentials: a client id and a client secret, for which Entra fetches short-lived access tokens.
    WorkloadIdentity: no secret at all; Entra signs with an identity of your tenant."""
    oauth_client_credentials: OAuthClientCredentialsSpec | None = None
    """Only with type OAuthClientCredentials; may be left out."""
    workload_identity: WorkloadIdentitySpec | None = None
    """Only with type WorkloadIdentity, which needs it."""

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> Self:
        if self.type == "WorkloadIdentity" and self.workload_identity is None:
            raise ValueError("type WorkloadIdentity needs workloadIdentity")
        return self

    @property
    def kind(self) -> CredentialKind:
        """What Entra signs in with."""
        return "ClientSecret" if self.type == "OAuthClientCredentials" else self.type

    @property
    def access_token_seconds(self) -> int:
        """How long an access token is valid, in seconds."""
        chosen = self.workload_identity if self.type == "WorkloadIdentity" else self.oauth_client_credentials
        text = DEFAULT_ACCESS_TOKEN_LIFETIME if chosen is None else chosen.access_token_lifetime
        return int(parse_duration(text).total_seconds())

    @property
    def trust(self) -> WorkloadIdentityTrust | None:
        """Whose assertions are taken; None of other types."""
        chosen = self.workload_identity if self.type == "WorkloadIdentity" else None
        return None if chosen is None else chosen.trust()
