"""What a PUT or DELETE of a connection changes: pure decisions over what the database holds.

The result is a list of statements, which is empty when nothing changes; reading and writing are in
``administration``. One clock counts here: ``now`` is the database's.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from scim_api.contract.admin import UNKNOWN_REVISION, Credential, OAuthClient, PutConnection
from scim_api.store.errors import (
    ClientIdInUse,
    CredentialRevoked,
    DigestInUse,
    MatchingImmutable,
    NamespaceMismatch,
    RevisionMismatch,
    SettingsConflict,
    TenantPurging,
)
from scim_api.store.sql.rows import comparable_settings, parse_settings, settings_hash, settings_text
from scim_api.store.sql.statements import AUDIT
from scim_api.store.sql.timestamps import to_text
from scim_api.store.sql.transaction_script import Statement

ADMIN_ACTOR = "admin"
"""Who acts in the audit log when a connection changes."""
KEPT_TOMBSTONES: Final = 64
"""How many ended credentials of a connection, whose own time is not over, are kept: the newest. None that was issued
before them can be registered any more, whether its row is still there or not."""

CHILDLESS: Final = (
    "NOT EXISTS (SELECT 1 FROM credential x WHERE x.parent = credential.id AND x.revoked_at IS NULL"
    " AND x.expires_at > ?)"
)
"""No access token of it is still accepted: with its row they would go."""


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
    """Another existing connection of the wanted tenant, as ``namespace/name``."""
    holders: tuple[StoredCredential, ...] = ()
    """Those stored, of any connection, that have a wanted id or digest."""
    client_id_holder: str | None = None
    """Another connection that has the wanted client id, as ``namespace/name``."""
    revoked_before: str | None = None
    """The latest low-water mark of this connection and of those that have the wanted tenant."""


def check_revision(state: ConnectionState, if_match: str | None) -> None:
    """The fence. Raises ``RevisionMismatch``."""
    revision = state.connection.revision if state.connection else UNKNOWN_REVISION
    if if_match is not None and if_match != revision:
        raise RevisionMismatch(f"{state.namespace}/{state.name} is at revision {revision}, not {if_match}")


def plan_put(state: ConnectionState, desired: PutConnection, *, now: str, revision: str) -> list[Statement]:
    """The statements that make the state so.

    Args:
        state: what the database holds.
        desired: the whole desired state.
        now: the database's clock, as stored text.
        revision: the revision to issue if anything changes.

    Returns:
        In order of execution; empty when nothing changes.

    Raises:
        SettingsConflict, MatchingImmutable, CredentialRevoked, DigestInUse, TenantPurging, NamespaceMismatch
    """
    tenant = _plan_tenant(state, desired, now)
    credentials = _plan_credentials(state, desired, now)
    stored = state.connection
    current_tenant = stored.tenant if stored and stored.exists else None
    same_tenant = current_tenant is not None and current_tenant.name == desired.tenant
    owner_uid = desired.owner_uid or (stored.owner_uid if stored and stored.exists else None)
    same_owner = stored is not None and stored.owner_uid == owner_uid
    client = _plan_client(state, desired)
    if same_tenant and same_owner and not tenant and not credentials and not client:
        return []
    connection = Statement(
        "INSERT INTO connection (namespace, name, tenant, revision, owner_uid, state)"
        " VALUES (?, ?, (SELECT pk FROM tenant WHERE namespace = ? AND name = ?), ?, ?, 'exists')"
        " ON CONFLICT (namespace, name) DO UPDATE SET tenant = excluded.tenant, revision = excluded.revision,"
        " owner_uid = excluded.owner_uid, state = 'exists'",
        (state.namespace, state.name, state.namespace, desired.tenant, revision, owner_uid),
    )
    purge = [] if same_tenant else _mark_for_purge(state)
    prune = _prune(state, desired, now)
    return [*tenant, connection, *client, *credentials, *prune, *purge, *_record_change(state, now, "put")]


def plan_delete(state: ConnectionState, *, now: str, revision: str) -> list[Statement]:
    """The statements that end a connection; empty when there is none."""
    stored = state.connection
    if stored is None or not stored.exists:
        return []
    return [
        Statement(
            "UPDATE connection SET state = 'deleted', revision = ? WHERE pk = ?", (revision, stored.pk)
        ),
        *(_revoke(credential, now) for credential in stored.credentials if _is_revocable(credential, now)),
        Statement(
            "UPDATE credential SET revoked_at = ? WHERE connection = ? AND kind = 'AccessToken' AND revoked_at IS NULL",
            (now, stored.pk),
        ),
        *_mark_for_purge(state),
        *_record_change(state, now, "delete"),
    ]


def _plan_client(state: ConnectionState, desired: PutConnection) -> list[Statement]:
    """What the token endpoint knows the connection by; runs after the connection's row is there."""
    wanted = desired.oauth_client
    if wanted is None or (state.connection is not None and state.connection.oauth_client == wanted):
        return []
    if state.client_id_holder is not None:
        raise ClientIdInUse(f"client id {wanted.client_id} is that of {state.client_id_holder}")
    return [
        Statement(
            "UPDATE connection SET client_id = ?, access_token_seconds = ? WHERE namespace = ? AND name = ?",
            (wanted.client_id, wanted.access_token_seconds, state.namespace, state.name),
        )
    ]


def _plan_tenant(state: ConnectionState, desired: PutConnection, now: str) -> list[Statement]:
    stored, settings = state.desired_tenant, desired.settings
    if stored is None:
        return [
            Statement(
                "INSERT INTO tenant (namespace, name, settings, settings_hash, namespace_uid) VALUES (?, ?, ?, ?, ?)",
                (
                    state.namespace,
                    desired.tenant,
                    settings_text(settings),
                    settings_hash(settings),
                    desired.namespace_uid,
                ),
            )
        ]
    if stored.state == "purging":
        raise TenantPurging(f"tenant {desired.tenant} is being deleted; wait until its users are gone")
    return [*_plan_namespace(state, stored, desired, now), *_plan_settings(state, stored, desired)]


def _plan_namespace(
    state: ConnectionState, stored: StoredTenant, desired: PutConnection, now: str
) -> list[Statement]:
    """Bind the tenant to the namespace as it is now: by name alone, whoever makes a deleted namespace anew
    would read the users of the old one.
    """
    if desired.namespace_uid is None or desired.namespace_uid == stored.namespace_uid:
        return []
    if stored.namespace_uid is not None and not _goes_on(state, stored, desired, now):
        raise NamespaceMismatch(
            f"tenant {desired.tenant} belongs to a namespace {state.namespace} that was deleted"
        )
    return [Statement("UPDATE tenant SET namespace_uid = ? WHERE pk = ?", (desired.namespace_uid, stored.pk))]


def _goes_on(state: ConnectionState, tenant: StoredTenant, desired: PutConnection, now: str) -> bool:
    """Whether a credential that is accepted for the tenant now, through this connection, stays so."""
    connection = state.connection
    if (
        connection is None
        or not connection.exists
        or connection.tenant is None
        or connection.tenant.pk != tenant.pk
    ):
        return False
    listed = {(credential.id, bytes.fromhex(credential.digest)) for credential in desired.credentials}
    return any(
        (credential.id, credential.digest) in listed
        and credential.revoked_at is None
        and not credential.ended(now)
        for credential in connection.credentials
    )


def _plan_settings(state: ConnectionState, stored: StoredTenant, desired: PutConnection) -> list[Statement]:
    settings = desired.settings
    old, new = comparable_settings(parse_settings(stored.settings)), comparable_settings(settings)
    differing = tuple(name for name in new if new[name] != old[name])
    if not differing:
        return []
    if state.sibling is not None:
        raise SettingsConflict(state.sibling, differing)
    if "matching" in differing:
        raise MatchingImmutable(f"tenant {desired.tenant} exists with matching {old['matching']}")
    return [
        Statement(
            "UPDATE tenant SET settings = ?, settings_hash = ? WHERE pk = ?",
            (settings_text(settings), settings_hash(settings), stored.pk),
        )
    ]


def _plan_credentials(state: ConnectionState, desired: PutConnection, now: str) -> list[Statement]:
    stored = _stored_credentials(state)
    statements: list[Statement] = []
    listed: dict[str, str] = {}
    for credential in desired.credentials:
        if listed.setdefault(credential.digest, credential.id) != credential.id:
            raise DigestInUse(f"credential {credential.id} has the digest of {listed[credential.digest]}")
        present = stored.get(credential.id)
        if present is not None:
            statements += _plan_present(present, credential, now)
        elif _end(credential) > now:
            _check_free(state, credential)
            _check_not_revoked_before(state, credential)
            statements.append(_insert(state, credential))
    if len(set(listed.values())) < len(desired.credentials):
        raise DigestInUse("a credential id is listed twice")
    kept = set(listed.values())
    revoked = [c for c in stored.values() if c.id not in kept and _is_revocable(c, now)]
    return [*(_revoke(credential, now) for credential in revoked), *statements]


def _plan_present(stored: StoredCredential, desired: Credential, now: str) -> list[Statement]:
    if stored.digest != bytes.fromhex(desired.digest):
        raise DigestInUse(f"credential {desired.id} was issued with another digest")
    if stored.kind != desired.kind or stored.trust != _trust_text(desired):
        raise DigestInUse(f"credential {desired.id} was registered with another kind or trust")
    if stored.revoked_at is not None:
        if max(stored.expires_at, to_text(desired.expires_at)) > now:
            raise CredentialRevoked(f"credential {desired.id} was revoked at {stored.revoked_at}")
        return []
    retires_at = to_text(desired.retires_at) if desired.retires_at else None
    if stored.ended(now) or stored.retires_at == retires_at:
        return []  # what has ended stays ended
    return [Statement("UPDATE credential SET retires_at = ? WHERE id = ?", (retires_at, stored.id))]


def _check_free(state: ConnectionState, desired: Credential) -> None:
    for holder in state.holders:
        if holder.id == desired.id or holder.digest == bytes.fromhex(desired.digest):
            raise DigestInUse(f"credential {desired.id}: its id or its digest belongs to another credential")


def _check_not_revoked_before(state: ConnectionState, desired: Credential) -> None:
    """An id that nobody has heard of may be one whose tombstone is gone: its time of issue tells."""
    if state.revoked_before is not None and to_text(desired.issued_at) <= state.revoked_before:
        raise CredentialRevoked(
            f"credential {desired.id} was issued before {state.revoked_before}, and what was issued up to then and is"
            " not in use was ended"
        )


def low_water_mark(credentials: Iterable[StoredCredential], now: str) -> str | None:
    """The time of issue up to which tombstones are not kept; None while there are few."""
    issued = sorted((item.issued_at for item in credentials if item.is_tombstone(now)), reverse=True)
    return issued[KEPT_TOMBSTONES] if len(issued) > KEPT_TOMBSTONES else None


def _prune(state: ConnectionState, desired: PutConnection, now: str) -> list[Statement]:
    """Raise the low-water mark over all tombstones but the newest, and remove those below it.

    The mark and the removal are one transaction: there is no moment at which a removed one could come back.
    """
    if state.connection is None:
        return []
    listed = {credential.id for credential in desired.credentials}
    after = (
        item
        if item.id in listed or not _is_revocable(item, now)
        else dataclasses.replace(item, revoked_at=now)
        for item in _credentials(state)
    )
    mark = low_water_mark(after, now)
    if mark is None:
        return []
    pk = state.connection.pk
    return [
        Statement(
            "UPDATE connection SET revoked_before = ?"
            " WHERE pk = ? AND (revoked_before IS NULL OR revoked_before < ?)",
            (mark, pk, mark),
        ),
        Statement(
            f"DELETE FROM credential WHERE connection = ? AND issued_at <= ? AND revoked_at IS NOT NULL AND {CHILDLESS}",
            (pk, mark, now),
        ),
        Statement(
            "DELETE FROM credential WHERE connection = ? AND issued_at <= ? AND revoked_at IS NULL"
            f" AND retires_at <= ? AND {CHILDLESS}",
            (pk, mark, now, now),
        ),
    ]


def _insert(state: ConnectionState, desired: Credential) -> Statement:
    return Statement(
        "INSERT INTO credential (id, connection, kind, digest, issued_at, expires_at, retires_at, trust)"
        " VALUES (?, (SELECT pk FROM connection WHERE namespace = ? AND name = ?), ?, ?, ?, ?, ?, ?)",
        (
            desired.id,
            state.namespace,
            state.name,
            desired.kind,
            bytes.fromhex(desired.digest),
            to_text(desired.issued_at),
            to_text(desired.expires_at),
            to_text(desired.retires_at) if desired.retires_at else None,
            _trust_text(desired),
        ),
    )


def _trust_text(credential: Credential) -> str | None:
    return None if credential.trust is None else credential.trust.model_dump_json(by_alias=True)


def _is_revocable(credential: StoredCredential, now: str) -> bool:
    return credential.revoked_at is None and credential.expires_at > now


def _revoke(credential: StoredCredential, now: str) -> Statement:
    """Revoke it and the access tokens that were issued for it; one whose time was over has left those to their own."""
    if credential.ended(now):
        return Statement(
            "UPDATE credential SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now, credential.id)
        )
    return Statement(
        "UPDATE credential SET revoked_at = ? WHERE (id = ? OR parent = ?) AND revoked_at IS NULL",
        (now, credential.id, credential.id),
    )


def _mark_for_purge(state: ConnectionState) -> list[Statement]:
    """Mark the tenant that the connection has now for purging, if it was the last and so wishes."""
    tenant = state.connection.tenant if state.connection and state.connection.exists else None
    if tenant is None or not state.is_last_of_tenant:
        return []
    if parse_settings(tenant.settings).deletion_policy != "Delete":
        return []
    return [Statement("UPDATE tenant SET state = 'purging' WHERE pk = ?", (tenant.pk,))]


def _record_change(state: ConnectionState, now: str, action: str) -> Sequence[Statement]:
    """What goes with every change: the auth generation and the audit log."""
    name = f"{state.namespace}/{state.name}"
    return (
        Statement("UPDATE auth_generation SET number = number + 1"),
        Statement(AUDIT, (now, None, "Connection", name, action, ADMIN_ACTOR)),
    )


def _credentials(state: ConnectionState) -> Sequence[StoredCredential]:
    return state.connection.credentials if state.connection else ()


def _stored_credentials(state: ConnectionState) -> dict[str, StoredCredential]:
    """By id; among the wanted ones also those that are revoked for longer than is read with the connection."""
    pk = state.connection.pk if state.connection else None
    wanted = [holder for holder in state.holders if holder.connection == pk]
    return {credential.id: credential for credential in (*wanted, *_credentials(state))}


def _end(credential: Credential) -> str:
    return to_text(min(credential.expires_at, credential.retires_at or credential.expires_at))
