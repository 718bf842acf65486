"""What the planner sees (``ObservedState``) and what it answers (``Action``)."""

import dataclasses
import enum
from collections.abc import Mapping
from datetime import datetime, timedelta

from scim_api.contract.admin import Connection, PutConnection, WorkloadIdentityTrust
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import CredentialKind
from scim_operator.planning.revocations import DelayedRevocation
from scim_operator.planning.secret_layout import KEYS
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.token_usage import SupersededTokenInUse


class IssueReason(enum.StrEnum):
    """Why a token is issued; the reason of the Event that reports it."""

    FIRST = "Issued"
    MISSING = "SecretRepaired"
    UNKNOWN = "TokenRepaired"
    EXPIRED = "ExpiredTokenReplaced"
    DUE = "Rotated"
    REQUESTED = "RotatedOnRequest"
    REVOKED = "RevokedTokenReplaced"
    AUTH_TYPE_CHANGED = "AuthTypeChanged"
    TRUST_CHANGED = "TrustChanged"


@dataclasses.dataclass(frozen=True, slots=True)
class ObservedSecret:
    """A Secret without its plaintext."""

    owned: bool
    deleting: bool
    token: str | None
    """The digest of the credential that it publishes, 64 hexadecimal digits: SHA-256 of ``token`` or ``client-secret``;
    of a trust, the one of the ledger's newest that is not superseded. None when there is none."""
    next_token: str | None
    """SHA-256 of ``next-token`` or ``next-client-secret``."""
    ledger: TokenLedger
    public: Mapping[str, str]
    """Its data without plaintext as it stands there; see ``secret_layout.PUBLIC``."""
    drifted: bool
    """Whether labels or annotations that we want are missing or other, or stand there and we no longer want them."""
    labelled: bool = False
    """Whether its labels name this ScimToken."""
    controller: str | None = None
    """Kind and name of another object that is its controller owner."""
    former_owner: bool = False
    """Whether an ownerReference names an earlier ScimToken of this name."""
    version: str = ""
    """Its resourceVersion."""
    replaces: str | None = None
    """Which other Secret at which version it replaces, ``<name>@<version>``."""
    kind: CredentialKind = "BearerToken"
    """Of what it publishes."""
    next_kind: CredentialKind = "BearerToken"
    """Of what stands there pending."""

    @property
    def published_id(self) -> str | None:
        """The public name of what it publishes."""
        keys = KEYS.get(self.kind)
        if keys is not None:
            return self.public.get(keys.identity)
        return next((entry.id for entry in self.ledger.tokens if entry.digest == self.token), None)


@dataclasses.dataclass(frozen=True, slots=True)
class ObservedState:
    """What is so: the API's state first, then ScimToken and Secret, which are therefore not older."""

    connection: Connection
    token: ScimToken | None
    secret: ObservedSecret | None
    orphaned_secrets: Mapping[str, ObservedSecret] = dataclasses.field(default_factory=dict)
    """Our Secrets by name, under names that are not wanted, or no longer."""
    settings_refused: bool = False
    """Whether the API has refused the wanted settings: tokens then go on under those it holds."""
    namespace_uid: str | None = None
    """Of the ScimToken's namespace; read only while the connection does not belong to this ScimToken yet."""
    keeps_predecessor: bool = False
    """Whether the tokens of an earlier ScimToken of this name go on: it was deleted with many others, most likely by
    mistake, and this one takes its place."""
    client_id: str = ""
    """The ScimToken's at the token endpoint (``contract.oauth.client_id_of``)."""
    not_supported: "Refuse | None" = None
    """What of the spec the API is too old to take; the credentials that it has go on."""
    entra_uses_active: bool | None = None
    """Whether Entra is known to use the credential that the Secret publishes. None: nobody can tell, and the uses that the
    API has seen decide alone. False: ``untilInUse`` ends nothing, and revocations of what was superseded just now wait.
    """

    @property
    def now(self) -> datetime:
        """The one clock: the database's."""
        return self.connection.now


@dataclasses.dataclass(frozen=True, slots=True)
class Refuse:
    """Somebody has to change something; nothing was touched."""

    reason: str
    message: str
    invalid_revoke: str | None = None
    """What is wrong with the revoke annotation besides."""


@dataclasses.dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Make our finalizer present or absent."""

    present: bool


@dataclasses.dataclass(frozen=True, slots=True)
class AdoptSecret:
    """Make the ScimToken the owner of a Secret that is proven to be its own; nothing else of it changes."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteConnection:
    """Revoke all of its tokens in the API."""


@dataclasses.dataclass(frozen=True, slots=True)
class IssueToken:
    """Write a new token under ``next-token``, or a client secret under ``next-client-secret``, with the ledger that lists
    it; of a trust, the ledger alone.
    """

    reason: IssueReason
    message: str
    lifetime: timedelta
    ledger: TokenLedger
    """To be written with it; the new token's own entry is to be added."""
    kind: CredentialKind = "BearerToken"
    trust: WorkloadIdentityTrust | None = None
    """Instead of a plaintext, of kind WorkloadIdentity."""


@dataclasses.dataclass(frozen=True, slots=True)
class RegisterCredentials:
    """PUT the whole state to the API."""

    desired: PutConnection
    revoked: tuple[str, ...]
    """Ids that it revokes, as the annotation asks."""


@dataclasses.dataclass(frozen=True, slots=True)
class PromoteToken:
    """Prove what is pending, then publish it. A trust is published without proof: only Entra can sign for it."""

    token: LedgerEntry
    ledger: TokenLedger


@dataclasses.dataclass(frozen=True, slots=True)
class RewriteSecret:
    """Write the Secret's public parts and ledger as they must be; the token stays."""

    token: LedgerEntry
    ledger: TokenLedger


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteFormerSecret:
    """Delete the Secret of an earlier ScimToken of this name, as the garbage collector would in a minute or two: its
    tokens are revoked, and the present ScimToken waits for its name.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class MoveSecret:
    """Write what stands in the Secret of another name into the one of the wanted name, a pending token included, with
    the note that it replaces that one.
    """

    name: str
    """Of the Secret to copy from; it is deleted afterwards."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReplaceOrphanedSecret:
    """Note in the wanted Secret that it replaces one of another name; what stands in it stays."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteOrphanedSecret:
    """Delete our Secret under the name that is no longer wanted; the wanted one says that it replaces it."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """Everything is as desired."""

    requeue_at: datetime | None
    """When time alone will change that; None: only an event will."""
    active: LedgerEntry | None = None
    next_rotation: datetime | None = None
    invalid_revoke: str | None = None
    """What is wrong with the revoke annotation; all else is well."""
    in_use: tuple[SupersededTokenInUse, ...] = ()
    """Superseded tokens that end soon and that somebody still uses."""
    delayed_rotation: datetime | None = None
    """When a rotation that was asked for too soon after another is done; None when none waits."""
    delayed_revocations: tuple[DelayedRevocation, ...] = ()
    """What the revoke annotation asks for and what waits until Entra uses the active credential."""


Action = (
    Refuse
    | SetFinalizer
    | AdoptSecret
    | DeleteConnection
    | IssueToken
    | RegisterCredentials
    | PromoteToken
    | RewriteSecret
    | DeleteFormerSecret
    | MoveSecret
    | ReplaceOrphanedSecret
    | DeleteOrphanedSecret
    | Done
)
