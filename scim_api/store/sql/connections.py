"""What a PUT or DELETE of a connection changes: pure decisions over what the database holds.

The result is a list of statements, which is empty when nothing changes; reading and writing are in
``administration``, what becomes of credentials in ``credentials``. One clock counts here: ``now`` is the database's.
"""

from collections.abc import Sequence
from typing import Final

from scim_api.contract.admin import UNKNOWN_REVISION, AccessMode, PutConnection, TenantSettings
from scim_api.store.change_log import Actor
from scim_api.store.errors import (
    AccessImmutable,
    ClientIdInUse,
    MatchingImmutable,
    NamespaceMismatch,
    RevisionMismatch,
    SettingsConflict,
    TenantPurging,
)
from scim_api.store.sql.change_log import ADMINISTRATION, record
from scim_api.store.sql.connection_state import ConnectionState, StoredTenant
from scim_api.store.sql.credentials import is_revocable, plan_credentials, prune, revoke
from scim_api.store.sql.rows import (
    UNSET_SETTINGS,
    comparable_settings,
    parse_settings,
    settings_hash,
    settings_text,
)
from scim_api.store.sql.transaction_script import Statement

ADMIN_ACTOR: Final = Actor("admin")
"""Who acts in the log of changes when a connection changes."""


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
        AccessImmutable, SettingsConflict, MatchingImmutable, CredentialRevoked, DigestInUse, TenantPurging, NamespaceMismatch
    """
    access = _plan_access(state, desired)
    tenant = _plan_tenant(state, desired, None if access == "ReadOnly" else desired.settings, now)
    credentials = plan_credentials(state, desired, now)
    stored = state.connection
    current_tenant = stored.tenant if stored and stored.exists else None
    same_tenant = current_tenant is not None and current_tenant.name == desired.tenant
    owner_uid = desired.owner_uid or (stored.owner_uid if stored and stored.exists else None)
    same_owner = stored is not None and stored.owner_uid == owner_uid
    same_access = stored is not None and stored.access == access
    client = _plan_client(state, desired)
    if same_tenant and same_owner and same_access and not tenant and not credentials and not client:
        return []
    connection = Statement(
        "INSERT INTO connection (namespace, name, tenant, revision, owner_uid, access, state)"
        " VALUES (?, ?, (SELECT pk FROM tenant WHERE namespace = ? AND name = ?), ?, ?, ?, 'exists')"
        " ON CONFLICT (namespace, name) DO UPDATE SET tenant = excluded.tenant, revision = excluded.revision,"
        " owner_uid = excluded.owner_uid, access = excluded.access, state = 'exists'",
        (state.namespace, state.name, state.namespace, desired.tenant, revision, owner_uid, access),
    )
    purge = [] if same_tenant else _mark_for_purge(state)
    pruned = prune(state, desired, now)
    return [*tenant, connection, *client, *credentials, *pruned, *purge, *_record_change(state, now, "put")]


def plan_delete(state: ConnectionState, *, now: str, revision: str) -> list[Statement]:
    """The statements that end a connection; empty when there is none."""
    stored = state.connection
    if stored is None or not stored.exists:
        return []
    return [
        Statement(
            "UPDATE connection SET state = 'deleted', revision = ? WHERE pk = ?", (revision, stored.pk)
        ),
        *(revoke(credential, now) for credential in stored.credentials if is_revocable(credential, now)),
        Statement(
            "UPDATE credential SET revoked_at = ? WHERE connection = ? AND kind = 'AccessToken' AND revoked_at IS NULL",
            (now, stored.pk),
        ),
        *_mark_for_purge(state),
        *_record_change(state, now, "delete"),
    ]


def _plan_access(state: ConnectionState, desired: PutConnection) -> AccessMode:
    """What its credentials may do from now on.

    ReadWrite becomes ReadOnly: an operator that does not know the field has registered as ReadWrite what was to be
    ReadOnly, and must not leave it so. The other way round, whoever was given a token to read with could write.
    """
    stored = state.connection
    if stored is None or not stored.exists:
        return desired.access or "ReadWrite"
    if (stored.access, desired.access) == ("ReadOnly", "ReadWrite"):
        raise AccessImmutable(f"{state.namespace}/{state.name} is ReadOnly")
    return desired.access or stored.access


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


def _plan_tenant(
    state: ConnectionState, desired: PutConnection, settings: TenantSettings | None, now: str
) -> list[Statement]:
    """The wanted tenant, with settings unless they are None: then it has those that it has, or the defaults."""
    stored = state.desired_tenant
    if stored is None:
        return [
            Statement(
                "INSERT INTO tenant (namespace, name, settings, settings_hash, namespace_uid) VALUES (?, ?, ?, ?, ?)",
                (
                    state.namespace,
                    desired.tenant,
                    UNSET_SETTINGS if settings is None else settings_text(settings),
                    settings_hash(settings or TenantSettings()),
                    desired.namespace_uid,
                ),
            )
        ]
    if stored.state == "purging":
        raise TenantPurging(f"tenant {desired.tenant} is being deleted; wait until its users are gone")
    namespace = _plan_namespace(state, stored, desired, now)
    return namespace if settings is None else [*namespace, *_plan_settings(state, stored, settings)]


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


def _plan_settings(state: ConnectionState, stored: StoredTenant, settings: TenantSettings) -> list[Statement]:
    old, new = comparable_settings(parse_settings(stored.settings)), comparable_settings(settings)
    differing = tuple(name for name in new if new[name] != old[name])
    is_unset = stored.settings == UNSET_SETTINGS
    if not differing and not is_unset:
        return []
    if differing and state.sibling is not None:
        raise SettingsConflict(state.sibling, differing)
    if "matching" in differing and not (is_unset and stored.users == 0):
        raise MatchingImmutable(f"tenant {stored.name} exists with matching {old['matching']}")
    return [
        Statement(
            "UPDATE tenant SET settings = ?, settings_hash = ? WHERE pk = ?",
            (settings_text(settings), settings_hash(settings), stored.pk),
        )
    ]


def _mark_for_purge(state: ConnectionState) -> list[Statement]:
    """Mark the tenant that the connection has now for purging, if it was the last and so wishes."""
    tenant = state.connection.tenant if state.connection and state.connection.exists else None
    if tenant is None or not state.is_last_of_tenant:
        return []
    if parse_settings(tenant.settings).deletion_policy != "Delete":
        return []
    return [Statement("UPDATE tenant SET state = 'purging' WHERE pk = ?", (tenant.pk,))]


def _record_change(state: ConnectionState, now: str, action: str) -> Sequence[Statement]:
    """What goes with every change: the auth generation and the log of changes."""
    name = f"{state.namespace}/{state.name}"
    return (
        Statement("UPDATE auth_generation SET number = number + 1"),
        record(ADMINISTRATION, now, f"connection.{action}", name, ADMIN_ACTOR),
    )
