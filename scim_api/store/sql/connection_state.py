"""What the database holds of a connection, as far as a decision about it depends on that: records of rows."""

import dataclasses
from typing import Literal

from scim_api.contract.admin import AccessMode, OAuthClient


@dataclasses.dataclass(frozen=True, slots=True)
class StoredTenant:
    """A row of ``tenant`` with its number of users."""

    pk: int
    name: str
    settings: str
    settings_hash: str
    state: Literal["active", "purging"]
    namespace_uid: str | None = None
    users: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class StoredCredential:
    """A row of ``credential``; times as text."""

    id: str
    connection: int
    kind: Literal["BearerToken", "ClientSecret", "WorkloadIdentity"]
    digest: bytes
    issued_at: str
    expires_at: str
    retires_at: str | None
    revoked_at: str | None
    last_used_at: str | None
    user_agent: str | None
    trust: str | None = None
    """Of kind WorkloadIdentity, as JSON."""
    inspected_at: str | None = None

    def ended(self, now: str) -> bool:
        """Whether its time is over, by expiry or retirement."""
        return min(self.expires_at, self.retires_at or self.expires_at) <= now

    def is_tombstone(self, now: str) -> bool:
        """Whether it is not accepted, although its own time is not over."""
        return self.expires_at > now and (self.revoked_at is not None or self.ended(now))


@dataclasses.dataclass(frozen=True, slots=True)
class StoredConnection:
    """A row of ``connection`` with what belongs to it."""

    pk: int
    namespace: str
    name: str
    revision: str
    state: Literal["exists", "deleted"]
    access: AccessMode
    owner_uid: str | None
    revoked_before: str | None
    """The low-water mark: what was issued up to then, and is not stored, was ended before."""
    oauth_client: OAuthClient | None
    last_refusal: str | None
    """As JSON."""
    tenant: StoredTenant | None
    credentials: tuple[StoredCredential, ...] = ()
    """By time of issue, without access tokens: all that were not revoked, and of the revoked ones, in their own time, the newest
    ``KEPT_TOMBSTONES`` + 1."""

    @property
    def exists(self) -> bool:
        """False for one that was deleted."""
        return self.state == "exists"


@dataclasses.dataclass(frozen=True, slots=True)
class ConnectionState:
    """All that the decision about one connection depends on."""

    namespace: str
    name: str
    connection: StoredConnection | None
    """None: never seen."""
    is_last_of_tenant: bool
    """Whether no other connection that exists has the tenant that this connection has now."""
    desired_tenant: StoredTenant | None = None
    sibling: str | None = None
    """Another existing connection of the wanted tenant that is ReadWrite, as ``namespace/name``."""
    holders: tuple[StoredCredential, ...] = ()
    """Those stored, of any connection, that have a wanted id or digest."""
    client_id_holder: str | None = None
    """Another connection that has the wanted client id, as ``namespace/name``."""
    revoked_before: str | None = None
    """The latest low-water mark of this connection and of those that have the wanted tenant."""
