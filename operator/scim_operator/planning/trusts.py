"""Trusts of a workload identity: which one takes all that another took, and what becomes of one that is replaced. Pure."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_operator.api.auth import LONGEST_ACCESS_TOKEN
from scim_operator.api.durations import Until
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.token_ledger import LedgerEntry


def covers(trust: WorkloadIdentityTrust, other: WorkloadIdentityTrust) -> bool:
    """Whether ``trust`` takes every assertion that ``other`` takes."""
    return (
        (trust.tenant_id, trust.keys_url) == (other.tenant_id, other.keys_url)
        and set(other.subjects) <= set(trust.subjects)
        and set(other.audiences) <= set(trust.audiences)
        and set(other.issuers) <= set(trust.issuers)
    )


def credential_digest(trust: WorkloadIdentityTrust, client_id: str, credential_id: str) -> str:
    """The digest of a trust's credential. It holds the id as well: the same trust that comes again after it was
    revoked is another credential, and no digest may come back any more than an id.
    """
    return trust.fingerprint(f"{client_id}/{credential_id}")


def wanted_entry(trust: WorkloadIdentityTrust | None, live: Iterable[LedgerEntry]) -> LedgerEntry | None:
    """Of live credentials the newest one for the wanted trust."""
    found = [entry for entry in live if trust is not None and entry.trust == trust]
    return max(found, key=lambda entry: (entry.issued_at, entry.id), default=None)


def narrowed(trust: WorkloadIdentityTrust | None, live: Mapping[str, LedgerEntry]) -> frozenset[str]:
    """Ids of the trusts that take what the wanted one does not: they end, and with them their access tokens."""
    if trust is None:
        return frozenset()
    return frozenset(
        name for name, entry in live.items() if entry.trust is not None and not covers(trust, entry.trust)
    )


def superseded_period(
    token: ScimToken, trust: WorkloadIdentityTrust | None, *, followed: bool
) -> timedelta | None:
    """How long a superseded credential stays accepted; None: to its own end.

    A trust has no end of its own that says anything. One that the wanted trust covers stays for as long as the access
    tokens may live that were issued for it, whoever uses what; after a change of type it stays for ``overlap``, and
    for ``lifetime`` at most where that names no time.

    Args:
        token: the ScimToken.
        trust: of the credential; None when it is of another kind.
        followed: whether clients have gone over to the active credential (``until_in_use.is_followed``): with
            ``untilInUse`` it then stays no longer.
    """
    wanted = token.understood_spec.auth.trust
    if trust is not None and wanted is not None and covers(wanted, trust):
        return LONGEST_ACCESS_TOKEN
    overlap = token.overlap
    if isinstance(overlap, timedelta):
        return overlap
    if overlap is Until.IN_USE and followed:
        return timedelta()
    return None if trust is None else token.lifetime
