"""What a reconcile can see and what it can be told to do next: the vocabulary of ``plan``, nothing more."""

import dataclasses
import enum
from collections.abc import Mapping
from datetime import datetime, timedelta

from scim_api.contract.admin import Connection, PutConnection
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.token_ledger import Record, TokenRecord
from scim_operator.planning.token_usage import StillUsed


class Because(enum.StrEnum):
    """Why a token is issued; the reason of the Event that tells it."""

    FIRST = "Issued"
    MISSING = "SecretRepaired"
    UNKNOWN = "TokenRepaired"
    EXPIRED = "ExpiredTokenReplaced"
    DUE = "Rotated"
    REQUESTED = "RotatedOnRequest"
    REVOKED = "RevokedTokenReplaced"


@dataclasses.dataclass(frozen=True, slots=True)
class SecretFacts:
    """A Secret without its plaintext."""

    owned: bool
    deleting: bool
    token: str | None
    """SHA-256 of ``token``, 64 hexadecimal digits; None when there is none."""
    next_token: str | None
    """SHA-256 of ``next-token``."""
    record: Record
    public: Mapping[str, str]
    """``endpoint``, ``token-id`` and ``expires-at`` as they stand there."""
    drifted: bool
    """Whether labels or annotations that we want are missing or other."""


@dataclasses.dataclass(frozen=True, slots=True)
class Observed:
    """What is so: the API's state first, then ScimToken and Secret, which are therefore not older."""

    connection: Connection
    token: ScimToken | None
    secret: SecretFacts | None
    strays: tuple[str, ...] = ()
    """Our Secrets under a name that is no longer wanted."""
    settings_refused: bool = False
    """Whether the API has refused the wanted settings: tokens then go on under those it holds."""

    @property
    def now(self) -> datetime:
        """The one clock: the database's."""
        return self.connection.now


@dataclasses.dataclass(frozen=True, slots=True)
class Refuse:
    """A person has to change something; nothing was touched."""

    reason: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Make our finalizer present or absent."""

    present: bool


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteConnection:
    """Revoke all of its tokens in the API."""


@dataclasses.dataclass(frozen=True, slots=True)
class Issue:
    """Write a new token under ``next-token``, with the record that knows it."""

    because: Because
    message: str
    lifetime: timedelta
    record: Record
    """To be written with it; the new token's own entry is to be added."""


@dataclasses.dataclass(frozen=True, slots=True)
class Register:
    """PUT the whole state to the API."""

    wanted: PutConnection
    revoked: tuple[str, ...]
    """Ids that die with it before their time, by somebody's wish."""


@dataclasses.dataclass(frozen=True, slots=True)
class Promote:
    """Prove ``next-token``, then make it ``token``."""

    token: TokenRecord
    record: Record


@dataclasses.dataclass(frozen=True, slots=True)
class Rewrite:
    """Write the Secret's public parts and record as they must be; the token stays."""

    token: TokenRecord
    record: Record


@dataclasses.dataclass(frozen=True, slots=True)
class DeleteStray:
    """Delete our Secret under the name that is no longer wanted."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """All is as wanted."""

    next_look: datetime | None
    """When time alone will change that; None: only an event will."""
    active: TokenRecord | None = None
    next_rotation: datetime | None = None
    mistake: str | None = None
    """What is wrong with the revoke annotation; all else is well."""
    in_use: tuple[StillUsed, ...] = ()
    """Superseded tokens that end soon and that somebody still uses."""


Step = Refuse | SetFinalizer | DeleteConnection | Issue | Register | Promote | Rewrite | DeleteStray | Done
