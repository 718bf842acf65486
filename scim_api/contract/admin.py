"""Bodies of ``/admin/v1`` on the internal port, as operator and API exchange them.

Both sides import ``scim_api.contract`` and nothing else of each other. Versions may differ during an upgrade, so
fields that a side does not know are ignored, and new ones have defaults. Times are UTC; JSON is camelCase.
"""

import enum
import hashlib
from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

UNKNOWN_REVISION = "0"
"""The revision of a connection that the API has never heard of."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
TenantName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Uid = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""``metadata.uid`` of a Kubernetes object: another object of the same name has another."""
Sha256Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TokenId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_.-]{1,64}$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
TenantGuid = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
"""A GUID in lower case."""
ClaimValue = Annotated[str, StringConstraints(min_length=1, max_length=256)]
KeysUrl = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=512)]
ACCESS_TOKEN_BOUNDS: Final = (3600, 21_600)
"""The least and the most that Microsoft takes as an access token's lifetime, in seconds."""


class ContractModel(BaseModel):
    """camelCase in JSON; what a side does not know is ignored. What validates it is built by its first use."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, defer_build=True
    )


class Matching(enum.StrEnum):
    """The attribute that identifies a user of a tenant; immutable."""

    WORK_EMAIL = "workEmail"
    USER_NAME = "userName"
    EXTERNAL_ID = "externalId"


class CustomField(ContractModel):
    """An attribute of the tenant's custom extension schema."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=64)]
    type: Literal["Any", "String", "Boolean", "Integer", "Decimal", "DateTime"] = "Any"
    multi_valued: bool = False


RATE_BOUNDS: Final = (25, 100_000)
"""The least and the most that a rate limit may be."""
_Rate = Annotated[int, Field(ge=RATE_BOUNDS[0], le=RATE_BOUNDS[1])]


class RateLimit(ContractModel):
    """A token bucket for each tenant and API process."""

    requests_per_second: _Rate = 50
    burst: _Rate = 100


class TenantSettings(ContractModel):
    """What belongs to the tenant: two connections of one tenant must agree on it."""

    matching: Matching = Matching.WORK_EMAIL
    groups: Literal["Enabled", "Disabled"] = "Enabled"
    custom_fields: Annotated[tuple[CustomField, ...], Field(max_length=100)] = ()
    rate_limit: RateLimit = RateLimit()
    deletion_policy: Literal["Retain", "Delete"] = "Retain"


AccessMode = Literal["ReadWrite", "ReadOnly"]
"""What a connection's credentials may do with the tenant's users and groups."""


class WorkloadIdentityTrust(ContractModel):
    """Whose assertions (RFC 7523) are taken from a client: an identity that Entra signs for. All are compared exactly."""

    tenant_id: TenantGuid
    """The Entra tenant: claim ``tid``."""
    subjects: Annotated[tuple[ClaimValue, ...], Field(min_length=1, max_length=16)]
    """Claim ``sub``: object ids."""
    audiences: Annotated[tuple[ClaimValue, ...], Field(min_length=1, max_length=16)]
    """Claim ``aud``."""
    issuers: Annotated[tuple[ClaimValue, ...], Field(min_length=1, max_length=16)]
    """Claim ``iss``."""
    keys_url: KeysUrl
    """Where the issuer publishes its keys: a JWK Set (RFC 7517)."""

    def fingerprint(self, client_id: str) -> str:
        """SHA-256 in hexadecimal digits, of this trust for this client: the digest of its credential."""
        content = self.model_dump_json(by_alias=True)
        return hashlib.sha256(f"{client_id}\n{content}".encode()).hexdigest()


class OAuthClient(ContractModel):
    """What the token endpoint knows a connection by, and what it issues to it."""

    client_id: ClientId
    """Public; one connection's alone."""
    access_token_seconds: Annotated[int, Field(ge=ACCESS_TOKEN_BOUNDS[0], le=ACCESS_TOKEN_BOUNDS[1])] = 3600
    """How long an access token is valid, in seconds."""


class TokenRefusal(ContractModel):
    """Why the token endpoint refused a client that it knows: nothing of it is secret."""

    at: datetime
    check: Annotated[str, StringConstraints(max_length=32)]
    """What did not hold: ``secret``, ``signature``, ``kid``, ``keys``, ``iss``, ``aud``, ``sub``, ``tid``, ``exp``, ..."""
    expected: Annotated[str, StringConstraints(max_length=1024)] = ""
    received: Annotated[str, StringConstraints(max_length=512)] = ""


class Credential(ContractModel):
    """One accepted credential: a bearer token or client secret by its digest, never itself; or a trust."""

    id: TokenId
    kind: Literal["BearerToken", "ClientSecret", "WorkloadIdentity"] = "BearerToken"
    digest: Sha256Hex
    """Of a trust: its ``fingerprint``."""
    issued_at: datetime
    expires_at: datetime
    """The token's own end; never changed after it was issued."""
    retires_at: datetime | None = None
    """An earlier end, set when the token was superseded and ``overlap`` is shorter than its rest."""
    trust: WorkloadIdentityTrust | None = None
    """Of kind WorkloadIdentity, which can't be without; never changed after it was registered: another trust is another
    credential."""

    @property
    def ends_at(self) -> datetime:
        """From when on it is not accepted: its retirement, else its expiry, whichever comes first."""
        return min(self.expires_at, self.retires_at or self.expires_at)

    @model_validator(mode="after")
    def _trust_goes_with_its_kind(self) -> Self:
        if (self.trust is not None) != (self.kind == "WorkloadIdentity"):
            raise ValueError("a credential of kind WorkloadIdentity has a trust, and no other has")
        return self


class CredentialStatus(Credential):
    """A credential as the API knows it."""

    last_used_at: datetime | None = None
    user_agent: str | None = None
    """Family of the client that used it last, such as ``Azure-AD-SCIM``; at most 64 characters."""
    last_inspected_at: datetime | None = None
    """When a person looked with it last (``kubectl scim``, the console), which is no use. None: never, or an API that
    does not know of it answered."""


class PutConnection(ContractModel):
    """The whole desired state of one ScimToken. A live credential that is not listed is revoked."""

    tenant: TenantName
    """The tenant's name within the connection's namespace."""
    settings: TenantSettings | None = TenantSettings()
    """Null with ``access: ReadOnly``, and never else: such a connection follows the tenant's. A release that does not know
    ``access`` refuses null, where it would else accept credentials that may write.
    """
    credentials: Annotated[tuple[Credential, ...], Field(max_length=16)] = ()
    access: AccessMode | None = None
    """What the credentials may do; None leaves it as it is, and of a new connection makes it ReadWrite. ReadOnly never
    becomes ReadWrite (``AccessImmutable``).
    """
    owner_uid: Uid | None = None
    """The ScimToken that the connection belongs to from now on; None leaves it as it is."""
    namespace_uid: Uid | None = None
    """The namespace that the tenant belongs to; None leaves it as it is. A tenant that belongs to another, which
    is gone and had the same name, is refused (``NamespaceMismatch``), unless a credential that is accepted for it
    now goes on: whoever holds that has access already.
    """
    oauth_client: OAuthClient | None = None
    """What the token endpoint knows it by; None leaves it as it is."""

    @model_validator(mode="after")
    def _read_only_has_no_settings(self) -> Self:
        if (self.settings is None) != (self.access == "ReadOnly"):
            raise ValueError("settings are null with access ReadOnly, and with no other")
        return self


class Connection(ContractModel):
    """The API's answer: what it holds now. Sent for every GET, PUT and DELETE, also for unknown names."""

    namespace: str
    name: str
    exists: bool
    revision: str
    """Opaque. A PUT or DELETE carries it in If-Match; anything but the present one answers 412."""
    now: datetime
    """The database's clock: the only one that counts."""
    tenant: str | None = None
    access: AccessMode | None = None
    """What its credentials may do; None while it does not exist, or from an API that does not know of it."""
    settings: TenantSettings | None = None
    """The tenant's."""
    settings_hash: str | None = None
    credentials: tuple[CredentialStatus, ...] = ()
    """Those that are accepted now or will end in the future."""
    revoked: tuple[TokenId, ...] = ()
    """Tombstones: ids that were revoked and whose own time is not over, the newest 64; they can't be registered
    again."""
    revoked_before: datetime | None = None
    """Nor can any credential that was issued up to then and is not listed above: it was revoked or retired, and is
    no longer remembered by its id. None while there is none."""
    resources: int = 0
    """How many users the tenant has."""
    owner_uid: str | None = None
    """The ScimToken that it belongs to; empty: to none so far; None: an API that does not know of it answered."""
    namespace_uid: str | None = None
    """The namespace that its tenant belongs to; empty: to none so far; None: an API that does not know of it."""
    oauth_client: OAuthClient | None = None
    """What the token endpoint knows it by; None: it was never a client."""
    last_refusal: TokenRefusal | None = None
    """Why the token endpoint refused it last; None: it never did since it issued a token."""
    purging: bool = False
    """True while the tenant's resources are being deleted (deletionPolicy: Delete)."""


class ConnectionPage(ContractModel):
    """``GET /admin/v1/connections?after=…&limit=…``: all that exist, ordered by namespace and name."""

    now: datetime
    items: tuple[Connection, ...]
    next: str | None = None
    """Give it as ``after`` to read on; absent on the last page."""


AdminErrorCode = Literal[
    "Unauthorized",
    "Invalid",
    "RevisionMismatch",
    "SettingsConflict",
    "MatchingImmutable",
    "AccessImmutable",
    "CredentialRevoked",
    "DigestInUse",
    "TenantPurging",
    "NamespaceMismatch",
    "ClientIdInUse",
    "TenantNotFound",
    "TenantImmutable",
    "SigningSecretNotFound",
    "Unavailable",
    "NotFound",
]


class AdminError(ContractModel):
    """Body of every 4xx and 5xx of the admin API."""

    code: AdminErrorCode
    message: str
    """One sentence for a person: what is wrong and what to do."""
    fields: tuple[str, ...] = ()
    """With SettingsConflict: the fields that differ, such as ``matching``. With SigningSecretNotFound: the ids of those that
    have to come sealed."""
