"""What the service asks of a database, and nothing of how it is done.

Two drivers keep this contract (``sqlite`` with apsw, ``postgres`` with asyncpg) and pass one contract test class. Every
statement about resources carries the tenant. Times inside are text, ``2026-11-23T14:00:00.123456Z``, whose order is time's.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol

from scim_api.contract.admin import (
    Connection,
    ConnectionPage,
    PutConnection,
    TenantSettings,
    TokenRefusal,
    WorkloadIdentityTrust,
)
from scim_api.core.model import GroupReference, Lookup, Member, Resource, ResourceWrite
from scim_api.core.predicate import AttributePath, Predicate
from scim_api.core.types import ResourceKind
from scim_api.store.change_log import Actor, ChangeLog
from scim_api.store.dialect import Dialect
from scim_api.store.duplicate import Duplicate
from scim_api.store.immediate_reads import ImmediateReads
from scim_api.store.serialized import SerializedMembers, SerializedPage
from scim_api.store.webhooks import WebhookStore


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """What one accepted credential opens: everything a request needs to know, read once and cached."""

    credential: str
    """The token id; of an access token that of the credential which it was issued for."""
    digest: bytes
    """Its SHA-256 (32 bytes), for the constant-time comparison."""
    ends_at: float
    """The earlier of expiry and retirement, as a POSIX time in seconds of the database's clock."""
    tenant: int
    """Surrogate key of the tenant: the only tenant this request can touch."""
    settings: TenantSettings
    settings_hash: str
    """Key of everything compiled from the settings (attribute tables, discovery)."""
    actor: Actor
    """Who acts, for the log of changes."""
    is_read_only: bool = False
    """Whether it may read the tenant's resources, and nothing else."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClientCredential:
    """What the token endpoint may take from a client: a secret by its digest, or the assertions that a trust names."""

    id: str
    kind: Literal["ClientSecret", "WorkloadIdentity"]
    digest: bytes
    """SHA-256 (32 bytes) of a secret."""
    ends_at: float
    """The earlier of expiry and retirement, as a POSIX time in seconds of the database's clock."""
    is_revoked: bool
    """Whether it was revoked before it ended."""
    trust: WorkloadIdentityTrust | None


@dataclasses.dataclass(frozen=True, slots=True)
class TokenClient:
    """A client of the token endpoint: a connection that exists, with its secrets and trusts of any age."""

    client_id: str
    connection: int
    """Surrogate key."""
    name: str
    """``namespace/name``, for logs."""
    access_token_seconds: int
    """How long the access tokens that it gets are valid."""
    credentials: tuple[ClientCredential, ...]
    """The newest first."""


@dataclasses.dataclass(frozen=True, slots=True)
class IssuerKeys:
    """What an issuer of assertions published: a JWK Set (RFC 7517) as JSON text, and when it was fetched."""

    url: str
    keys: str = dataclasses.field(repr=False)
    fetched_at: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class AuthGeneration:
    """One reading of the auth generation, which changes with every write of credentials or settings."""

    number: int
    now: float
    """The database's clock at the reading, a POSIX time in seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list: ``total`` counts all that match."""

    total: int
    resources: Sequence[Resource]


KEY_BATCH: Final = 200
"""Resources whose keys are rebuilt in one transaction: some milliseconds in which they cannot be changed."""


@dataclasses.dataclass(frozen=True, slots=True)
class KeyRebuild:
    """What one batch of rebuilding keys did."""

    looked_at: int = 0
    """Resources; 0 when nothing is left to do."""
    conflicts: int = 0
    """Those of them that keep an earlier key, because another resource of their tenant has the one they should
    have."""


Transform = Callable[[Resource], ResourceWrite | None]
"""A pure, synchronous change of one resource; None means that nothing changes. What it raises reaches the caller and
nothing is written. It may be called again when another write came between."""


@dataclasses.dataclass(frozen=True, slots=True)
class CredentialUse:
    """A credential was used, or inspected; written in batches, never per request."""

    credential: str
    at: datetime
    user_agent: str | None = None
    is_inspection: bool = False
    """Whether a person looked with it, which leaves last use and client as they are."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sort:
    """``sortBy`` and ``sortOrder`` of a query (RFC 7644 section 3.4.2.3)."""

    attribute: AttributePath
    descending: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ListQuery:
    """Which slice of a list is wanted."""

    filter: Predicate | None = None
    """None: all of them."""
    sort: Sort | None = None
    """None: in the order of creation."""
    after: int = 0
    """Only resources whose ``pk`` is larger; the total counts the others, too. Not with ``sort``."""
    offset: int = 0
    limit: int = 100


class Store(Protocol):
    """A database. All methods raise ``Unavailable`` when it does not answer in time."""

    @property
    def dialect(self) -> Dialect:
        """Which SQL it speaks."""

    @property
    def url(self) -> str:
        """The database URL it was made from; it may hold a password, so it is not for logs."""

    @property
    def immediate(self) -> ImmediateReads | None:
        """Reads that take microseconds and so need not be awaited; None where each is a round trip."""

    @property
    def change_log(self) -> ChangeLog:
        """What changed."""

    @property
    def webhooks(self) -> WebhookStore:
        """Who is sent what changed."""

    async def open(self) -> None:
        """Connect; does not migrate. Raises ``Unavailable``."""

    async def close(self) -> None:
        """Finish what was begun and disconnect; harmless twice."""

    async def schema_version(self) -> int:
        """The number of the last migration applied; 0 for an empty database."""

    async def check_writable(self) -> None:
        """See that the database takes writes. Raises ``ReadOnly`` with the reason."""

    async def claim(self, installation: str) -> str:
        """Write the installation id if the database has none; the id it has now.

        One database serves one installation: the caller stops when the answer differs.
        """

    async def installation(self) -> str | None:
        """The installation that the database was claimed for; None for one that no operator uses."""

    async def public_url(self, url: str | None = None) -> str | None:
        """Remember (when given) and return the SCIM base URL, for ``scim-api connection create``."""

    # -- credentials ------------------------------------------------------------------------------
    async def generation(self) -> AuthGeneration:
        """Read the auth generation and the database's clock, together."""

    def generation_now(self) -> AuthGeneration | None:
        """The generation without awaiting, where that is cheap and exact (SQLite: ``PRAGMA data_version``
        notices every other connection's commit, the CLI's too); None where it is not (PostgreSQL).
        """

    async def access(self, digest: bytes) -> Access | None:
        """The credential with this digest, if it is not revoked; the caller checks ``ends_at``."""

    async def record_use(self, uses: Sequence[CredentialUse]) -> None:
        """Write last uses and inspections; never moves one back. Does not change the auth generation."""

    # -- the token endpoint -----------------------------------------------------------------------
    async def token_client(self, client_id: str) -> TokenClient | None:
        """The client with this id; None for one that is not known, or whose connection was deleted."""

    async def issue_access_token(
        self, client: TokenClient, parent: str, *, token_id: str, digest: bytes, now: datetime
    ) -> datetime | None:
        """Register an access token, durably, in one round trip; its expiry.

        Args:
            client: as it was read; its connection has to exist still, and its tenant to be active.
            parent: id of the credential that it is issued for, which has to be accepted still.
            token_id: the new one's id.
            digest: the new one's SHA-256.
            now: of the database's clock.

        Returns:
            None when the parent is accepted no more, or the client is gone: nothing was written.
        """

    async def record_token_refusals(self, refusals: Mapping[str, TokenRefusal | None]) -> None:
        """Write, by client id, why each was refused last; None forgets it. Unknown ids are ignored."""

    async def issuer_keys(self, url: str) -> IssuerKeys | None:
        """What was kept of the keys published at an address."""

    async def keep_issuer_keys(self, keys: IssuerKeys) -> None:
        """Keep what an issuer published, in the place of what was kept before; never older keys over newer ones."""

    # -- resources --------------------------------------------------------------------------------
    async def get(self, tenant: int, kind: ResourceKind, resource_id: str) -> Resource | None:
        """One resource of this tenant."""

    async def lookup(
        self, tenant: int, kind: ResourceKind, by: Lookup, key: str, rest: Predicate | None = None
    ) -> Sequence[Resource]:
        """Those whose indexed key equals ``key`` (already normalized) and that meet ``rest``, ordered by creation."""

    async def search(self, tenant: int, kind: ResourceKind | None, query: ListQuery) -> Page:
        """A slice of all resources of a kind, or of both kinds with None. Without a filter the total of
        one kind comes from counters, not from counting.

        Raises:
            TooSlow: what no index answers took longer than the driver's deadline.
        """

    async def rendered_users(
        self, tenant: int, base_url: str, *, offset: int, limit: int
    ) -> SerializedPage | None:
        """A slice of all users in the order of creation, each as ``serialization.serialize_resource`` has it but for
        ``manager.$ref``, which ``serialization.splice_manager`` adds.

        The database puts each text together: a page of a hundred costs half of what rows do that become
        records, strings and bytes one after the other.

        Args:
            tenant: surrogate key.
            base_url: of the SCIM service, without a slash at the end.
            offset: how many are left out.
            limit: how many there are at most.

        Returns:
            None for an empty page, of which nothing is known, not even the total.
        """

    async def members(self, tenant: int, container: int, *, after: int, limit: int) -> Sequence[Member]:
        """Direct members of the group with the key ``container``, ordered by ``pk``, from ``after`` on."""

    async def rendered_members(
        self, tenant: int, container: int, base_url: str, *, after: int, limit: int
    ) -> SerializedMembers | None:
        """The same members, each as its JSON text; None where there are none."""

    async def groups_of(self, tenant: int, members: Sequence[int]) -> Mapping[int, Sequence[GroupReference]]:
        """The groups that each of these resources (by ``pk``) directly belongs to, by creation; none: not in the answer."""

    async def create(
        self, tenant: int, kind: ResourceKind, write: ResourceWrite, *, actor: Actor
    ) -> Resource:
        """Insert, with its row in the log of changes; returns after the durable commit.

        Args:
            tenant: surrogate key.
            kind: resource type.
            write: what to store.
            actor: for the log.

        Raises:
            Conflict: a unique key is taken; nothing was written.
            UnknownMembers: of a group; nothing was written.
        """

    async def modify(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        transform: Transform,
        *,
        actor: Actor,
        expected_version: int | None = None,
    ) -> Resource | None:
        """Read, transform and write one resource atomically; None when there is none.

        No concurrent change is lost: the transform sees the state it replaces. The version stays when
        neither body nor members change. Raises ``Conflict``, ``UnknownMembers``, ``NoMembersSelected``,
        ``VersionMismatch``, and what the transform raises.
        """

    async def delete(
        self,
        tenant: int,
        kind: ResourceKind,
        resource_id: str,
        *,
        actor: Actor,
        expected_version: int | None = None,
    ) -> bool:
        """Delete one resource and its memberships; False when there is none. Groups that lose a member get a
        new version. Raises ``VersionMismatch``.
        """

    async def rebuild_keys(self, batch: int = KEY_BATCH) -> KeyRebuild:
        """Give at most ``batch`` resources that have keys of an earlier release those of this one, in one
        transaction. Bodies and versions stay. Several processes may do it at once, and any may be killed.
        """

    async def duplicates(self) -> Sequence[Duplicate]:
        """What is to be unique and is not, of all tenants; reads all work e-mails."""

    # -- administration ---------------------------------------------------------------------------
    async def connection(self, namespace: str, name: str) -> Connection:
        """What is held for one; ``exists=False`` and the last revision when it is gone, ``NEVER_SEEN`` when it never was."""

    async def connections(self, *, after: str | None, limit: int) -> ConnectionPage:
        """All that exist, in pages, in a bounded number of queries per page."""

    async def put_connection(
        self, namespace: str, name: str, desired: PutConnection, *, if_match: str | None
    ) -> Connection:
        """Make the state so, in one transaction, and issue a new revision if anything changed.

        ``if_match=None`` skips the fence (the CLI, which reads and writes in one go). Credentials that
        are not listed are revoked and tombstoned until their own expiry. Idempotent: the same state
        again changes nothing and keeps the revision.

        Raises:
            RevisionMismatch, AccessImmutable, SettingsConflict, MatchingImmutable, CredentialRevoked, DigestInUse,
            TenantPurging, NamespaceMismatch, ClientIdInUse: nothing was written.
        """

    async def delete_connection(self, namespace: str, name: str, *, if_match: str | None) -> Connection:
        """Revoke all its credentials and forget it. When it was its tenant's last and the tenant's
        deletionPolicy is Delete, the tenant is marked for purging. Raises ``RevisionMismatch``.
        """

    async def tenant_key(self, namespace: str, name: str) -> int | None:
        """Surrogate key of a tenant; None: there is none of this name."""

    async def release_namespace(self, namespace: str) -> Sequence[str]:
        """Forget which namespace (by uid) the tenants of a namespace (by name) belong to, so that the next to
        register one has it; the names of those that belonged to one.
        """

    async def purge(self, batch: int = 500) -> int:
        """Delete up to ``batch`` resources of tenants marked for purging; how many were deleted. A tenant
        that is empty is removed, so that a re-created one starts anew. Also drops tombstones whose time is
        over.
        """
