"""SQL behind the token endpoint, for both databases: clients, access tokens, kept keys of issuers."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.admin import TokenRefusal, WorkloadIdentityTrust
from scim_api.store.protocol import ClientCredential, IssuerKeys, TokenClient
from scim_api.store.sql.timestamps import from_text, to_posix, to_text
from scim_api.store.sql.transaction_script import Row, Statement

CLIENT: Final = """
SELECT c.pk, c.namespace, c.name, c.access_token_seconds,
    k.id, k.kind, k.digest, k.expires_at, k.retires_at, k.revoked_at, k.trust
FROM connection c LEFT JOIN credential k ON k.connection = c.pk AND k.kind IN ('ClientSecret', 'WorkloadIdentity')
WHERE c.client_id = ? AND c.state = 'exists'
ORDER BY k.issued_at DESC, k.id DESC
"""

# The parent and the tenant are looked at again: what was read before may have been revoked since.
_ISSUE: Final = """
INSERT INTO credential (id, connection, kind, parent, digest, issued_at, expires_at)
SELECT cast(? AS text), k.connection, 'AccessToken', k.id, ?, cast(? AS text), cast(? AS text)
FROM credential k JOIN connection c ON c.pk = k.connection JOIN tenant t ON t.pk = c.tenant
WHERE k.id = ? AND k.connection = ? AND k.kind IN ('ClientSecret', 'WorkloadIdentity') AND k.revoked_at IS NULL
    AND k.expires_at > ? AND (k.retires_at IS NULL OR k.retires_at > ?)
    AND c.state = 'exists' AND t.state = 'active'
RETURNING expires_at
"""

REFUSAL: Final = "UPDATE connection SET last_refusal = ? WHERE client_id = ?"

ISSUER_KEYS: Final = "SELECT url, keys, fetched_at FROM issuer_keys WHERE url = ?"
_KEEP_KEYS: Final = """
INSERT INTO issuer_keys (url, keys, fetched_at) VALUES (?, ?, ?)
ON CONFLICT (url) DO UPDATE SET keys = excluded.keys, fetched_at = excluded.fetched_at
WHERE issuer_keys.fetched_at < excluded.fetched_at
"""


def to_client(client_id: str, rows: Sequence[Row]) -> TokenClient | None:
    """The record of the rows of ``CLIENT``."""
    if not rows:
        return None
    pk, namespace, name, seconds = rows[0][:4]
    return TokenClient(
        client_id=client_id,
        connection=pk,
        name=f"{namespace}/{name}",
        access_token_seconds=seconds,
        credentials=tuple(_credential(row[4:]) for row in rows if row[4] is not None),
    )


def _credential(row: Row) -> ClientCredential:
    identity, kind, digest, expires_at, retires_at, revoked_at, trust = row
    end = min(expires_at, retires_at or expires_at)
    return ClientCredential(
        id=identity,
        kind=kind,
        digest=bytes(digest),
        ends_at=to_posix(end),
        is_revoked=revoked_at is not None and revoked_at < end,
        trust=None if trust is None else WorkloadIdentityTrust.model_validate_json(trust),
    )


def issue(client: TokenClient, parent: str, *, token_id: str, digest: bytes, now: datetime) -> Statement:
    """Registers an access token; a row with its expiry unless its parent is accepted no more."""
    issued_at = to_text(now)
    expires_at = to_text(now + timedelta(seconds=client.access_token_seconds))
    return Statement(
        _ISSUE,
        (token_id, digest, issued_at, expires_at, parent, client.connection, issued_at, issued_at),
    )


def refusals(by_client: Mapping[str, TokenRefusal | None]) -> list[tuple[str | None, str]]:
    """Parameters of ``REFUSAL``, in one order everywhere, so that two replicas cannot wait for each other."""
    return [
        (None if refusal is None else refusal.model_dump_json(by_alias=True), client_id)
        for client_id, refusal in sorted(by_client.items())
    ]


def keep_keys(keys: IssuerKeys) -> Statement:
    """Keeps an issuer's keys unless newer ones are kept."""
    return Statement(_KEEP_KEYS, (keys.url, keys.keys, to_text(keys.fetched_at)))


def to_issuer_keys(rows: Sequence[Row]) -> IssuerKeys | None:
    """The record of the rows of ``ISSUER_KEYS``."""
    return IssuerKeys(rows[0][0], rows[0][1], from_text(rows[0][2])) if rows else None
