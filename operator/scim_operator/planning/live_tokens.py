"""Tokens that are not over: what the SCIM API and the Secret's ledger know of them, put together. Pure."""

import dataclasses
from collections.abc import Iterable
from datetime import timedelta

from scim_api.contract.admin import Connection, WorkloadIdentityTrust
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.trusts import superseded_period


def live_tokens(
    connection: Connection, ledger: TokenLedger, token: ScimToken | None
) -> dict[str, LedgerEntry]:
    """By id, from API and ledger together. The API wins where both have a token, because the ledger can be
    edited by hand; the ledger then only adds when the token was superseded.

    Args:
        connection: the API's answer.
        ledger: what the Secret's annotation holds.
        token: the ScimToken, by whose ``overlap`` a registered end tells when a token was superseded; None: it tells
            nothing.
    """
    now = connection.now
    merged = {entry.id: entry for entry in _registered_tokens(connection, token)}
    digests = {entry.digest for entry in merged.values()}
    for entry in ledger.tokens:
        registered = merged.get(entry.id)
        if registered is not None:
            since = entry.superseded_at or registered.superseded_at
            same = (
                registered.digest == entry.digest
            )  # then an API that knows no kinds must not change its kind
            kind, trust = (entry.kind, entry.trust) if same else (registered.kind, registered.trust)
            merged[entry.id] = dataclasses.replace(registered, superseded_at=since, kind=kind, trust=trust)
        elif entry.digest not in digests:
            merged[entry.id] = entry
            digests.add(entry.digest)
    retired = {item.id for item in connection.credentials if item.retires_at and item.retires_at <= now}
    ended = retired | set(connection.revoked) | _ended_before(connection, merged.values())
    return {entry.id: entry for entry in merged.values() if entry.expires_at > now and entry.id not in ended}


def _ended_before(connection: Connection, entries: Iterable[LedgerEntry]) -> set[str]:
    """Those that the API does not have and that are older than what it still has tombstones of."""
    mark = connection.revoked_before
    if mark is None:
        return set()
    registered = {item.id for item in connection.credentials}
    return {entry.id for entry in entries if entry.id not in registered and entry.issued_at <= mark}


def _registered_tokens(connection: Connection, token: ScimToken | None) -> Iterable[LedgerEntry]:
    """The API's tokens; a retirement that is registered already keeps its time."""
    for item in connection.credentials:
        overlap = None if token is None else _registered_period(token, item.trust)
        since = item.retires_at - overlap if item.retires_at is not None and overlap is not None else None
        yield LedgerEntry(item.id, item.digest, item.issued_at, item.expires_at, since, item.kind, item.trust)


def _registered_period(token: ScimToken, trust: WorkloadIdentityTrust | None) -> timedelta | None:
    """How long before its registered end a credential was superseded. What ``untilInUse`` has ended was over then; for a
    trust that may be its longest time as well, which is registered ahead.
    """
    return superseded_period(token, trust, followed=trust is None)
