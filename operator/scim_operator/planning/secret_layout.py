"""Which keys a Secret's data has, by the kind of the credential that it publishes. Pure."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Final

from scim_api.contract.oauth import token_endpoint
from scim_operator.api.scimtoken import format_time
from scim_operator.api.status import CredentialKind
from scim_operator.planning.token_ledger import LedgerEntry


@dataclasses.dataclass(frozen=True, slots=True)
class SecretKeys:
    """The keys of one kind's plaintext, and of what names it."""

    plaintext: str
    pending: str
    """The same while it is not published yet."""
    identity: str
    """Its public name."""


KEYS: Final[Mapping[CredentialKind, SecretKeys]] = {
    "BearerToken": SecretKeys("token", "next-token", "token-id"),
    "ClientSecret": SecretKeys("client-secret", "next-client-secret", "client-secret-id"),
}
"""Kinds that have a plaintext; a workload identity has none."""
SHARED: Final = ("endpoint", "token-endpoint", "client-id", "expires-at")
PUBLIC: Final = (*SHARED, *(keys.identity for keys in KEYS.values()))
"""The keys that hold no plaintext."""
PENDING: Final = tuple(keys.pending for keys in KEYS.values())
PUBLISHED: Final = (*PUBLIC, *(keys.plaintext for keys in KEYS.values()))
SECRET_DATA: Final = (*PUBLISHED, *PENDING)
"""The keys of a Secret's data that are ours."""


def public_secret_data(credential: LedgerEntry, endpoint: str, client_id: str = "") -> dict[str, str]:
    """The Secret's data besides the plaintext.

    Args:
        credential: that the Secret publishes.
        endpoint: the SCIM base URL.
        client_id: of its ScimToken; not needed for a bearer token.
    """
    data = {"endpoint": endpoint}
    if credential.kind != "BearerToken":
        data |= {"token-endpoint": token_endpoint(endpoint), "client-id": client_id}
    keys = KEYS.get(credential.kind)
    if keys is not None:
        data |= {keys.identity: credential.id, "expires-at": format_time(credential.expires_at)}
    return data


def published_kind(data: Collection[str], wanted: CredentialKind) -> CredentialKind:
    """The kind of what a Secret with these keys publishes; of several, which only an edit brings about, the wanted."""
    present = [kind for kind, keys in KEYS.items() if keys.plaintext in data]
    if not present:
        return "WorkloadIdentity" if "client-id" in data else "BearerToken"
    return wanted if wanted in present else present[-1]


def pending_kind(data: Collection[str], wanted: CredentialKind) -> CredentialKind:
    """The kind of what stands there pending; of several, the wanted one. Never one that has no plaintext."""
    present = [kind for kind, keys in KEYS.items() if keys.pending in data]
    if not present:
        return "BearerToken"
    return wanted if wanted in present else present[-1]


def has_stray_plaintext(data: Collection[str], published: CredentialKind) -> bool:
    """Whether a plaintext of another kind than the published one stands there."""
    return any(kind != published and keys.plaintext in data for kind, keys in KEYS.items())
