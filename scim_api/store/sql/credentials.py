"""Which credentials a PUT adds, retires and revokes, and which tombstones stay: pure decisions, as statements."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

from scim_api.contract.admin import Credential, PutConnection
from scim_api.store.errors import CredentialRevoked, DigestInUse
from scim_api.store.sql.connection_state import ConnectionState, StoredCredential
from scim_api.store.sql.timestamps import to_text
from scim_api.store.sql.transaction_script import Statement

KEPT_TOMBSTONES: Final = 64
"""How many ended credentials of a connection, whose own time is not over, are kept: the newest. None that was issued
before them can be registered any more, whether its row is still there or not."""

CHILDLESS: Final = (
    "NOT EXISTS (SELECT 1 FROM credential x WHERE x.parent = credential.id AND x.revoked_at IS NULL"
    " AND x.expires_at > ?)"
)
"""No access token of it is still accepted: with its row they would go."""


def plan_credentials(state: ConnectionState, desired: PutConnection, now: str) -> list[Statement]:
    """The statements after which exactly the wanted ones are accepted; arguments as ``connections.plan_put`` has them.

    Raises:
        CredentialRevoked, DigestInUse
    """
    stored = _stored_credentials(state)
    statements: list[Statement] = []
    listed: dict[str, str] = {}
    for credential in desired.credentials:
        if listed.setdefault(credential.digest, credential.id) != credential.id:
            raise DigestInUse(f"credential {credential.id} has the digest of {listed[credential.digest]}")
        present = stored.get(credential.id)
        if present is not None:
            statements += _plan_present(present, credential, now)
        elif to_text(credential.ends_at) > now:
            _check_free(state, credential)
            _check_not_revoked_before(state, credential)
            statements.append(_insert(state, credential))
    if len(set(listed.values())) < len(desired.credentials):
        raise DigestInUse("a credential id is listed twice")
    kept = set(listed.values())
    revoked = [c for c in stored.values() if c.id not in kept and is_revocable(c, now)]
    return [*(revoke(credential, now) for credential in revoked), *statements]


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


def prune(state: ConnectionState, desired: PutConnection, now: str) -> list[Statement]:
    """Raise the low-water mark over all tombstones but the newest, and remove those below it.

    The mark and the removal are one transaction: there is no moment at which a removed one could come back.
    """
    if state.connection is None:
        return []
    listed = {credential.id for credential in desired.credentials}
    after = (
        item
        if item.id in listed or not is_revocable(item, now)
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


def is_revocable(credential: StoredCredential, now: str) -> bool:
    """Whether it is not revoked, and its own time is not over."""
    return credential.revoked_at is None and credential.expires_at > now


def revoke(credential: StoredCredential, now: str) -> Statement:
    """Revoke it and the access tokens that were issued for it; one whose time was over has left those to their own."""
    if credential.ended(now):
        return Statement(
            "UPDATE credential SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (now, credential.id)
        )
    return Statement(
        "UPDATE credential SET revoked_at = ? WHERE (id = ? OR parent = ?) AND revoked_at IS NULL",
        (now, credential.id, credential.id),
    )


def _credentials(state: ConnectionState) -> Sequence[StoredCredential]:
    return state.connection.credentials if state.connection else ()


def _stored_credentials(state: ConnectionState) -> dict[str, StoredCredential]:
    """By id; among the wanted ones also those that are revoked for longer than is read with the connection."""
    pk = state.connection.pk if state.connection else None
    wanted = [holder for holder in state.holders if holder.connection == pk]
    return {credential.id: credential for credential in (*wanted, *_credentials(state))}
