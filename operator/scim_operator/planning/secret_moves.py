"""Moving the token when ``spec.secret.name`` changes: which of several Secrets counts, and what is done. Pure.

The copy comes first and the deletion after it, so that an operator killed in between has lost nothing. Whoever finds
two Secrets, after a crash or because the name was changed back meanwhile, goes on from the token that was issued last.

Two reconcilers with another wanted name each, one of them late, must not delete both Secrets. So one may be deleted
only at the version that the other says it replaces: that other one was written after it. Were both deleted, each would
have been written after the other.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from scim_api.contract.admin import Connection
from scim_operator.planning.actions import (
    DeleteOrphanedSecret,
    MoveSecret,
    ObservedSecret,
    ReplaceOrphanedSecret,
)

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def plan_move(
    secret: ObservedSecret | None, others: Mapping[str, ObservedSecret], connection: Connection
) -> MoveSecret | ReplaceOrphanedSecret | DeleteOrphanedSecret | None:
    """What is to be done about the Secrets under other names; None when there are none to care for.

    Args:
        secret: the one under the wanted name, which is ours; None when there is none.
        others: ours under other names. Those without our ownerReference are copied from, never deleted.
        connection: as the API has it.
    """
    owned = owned_secrets(others)
    source = newest_secret(others if secret is None else owned, connection)
    if source is None:
        return None
    if secret is None or _issued_at(owned[source], connection) > _issued_at(secret, connection):
        return MoveSecret(source)
    replaced = [name for name, item in owned.items() if secret.replaces == replacement(name, item.version)]
    return DeleteOrphanedSecret(replaced[0]) if replaced else ReplaceOrphanedSecret(min(owned))


def replacement(name: str, version: str) -> str:
    """How a Secret says which other one it replaces, at which resourceVersion."""
    return f"{name}@{version}"


def owned_secrets(others: Mapping[str, ObservedSecret]) -> dict[str, ObservedSecret]:
    """Those that our ScimToken owns."""
    return {name: item for name, item in others.items() if item.owned}


def newest_secret(secrets: Mapping[str, ObservedSecret], connection: Connection) -> str | None:
    """The name of the Secret whose token was issued last; None when there is no Secret."""
    return max(secrets, key=lambda name: (_issued_at(secrets[name], connection), name), default=None)


def _issued_at(secret: ObservedSecret, connection: Connection) -> datetime:
    """When its token was issued, by API or ledger; long ago when neither has it."""
    issued = {entry.digest: entry.issued_at for entry in secret.ledger.tokens}
    issued |= {item.digest: item.issued_at for item in connection.credentials}
    return issued.get(secret.token or "", _NEVER)
