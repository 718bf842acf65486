"""Comparing the cache with the SCIM API's connections: what to reconcile now, what later, and what is orphaned.

The decisions are pure functions. They only choose which ScimTokens are reconciled; the reconcile reads each
one live before it does anything, so a connection is revoked only when its ScimToken is really gone.
"""

import dataclasses
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from scim_api.contract.admin import Connection
from scim_operator.controller.watch_events import CachedScimToken
from scim_operator.planning.ports import AdminApi, Key
from scim_operator.planning.sign_in_refusals import is_other_than_shown

PAGE: Final = 500


@dataclasses.dataclass(frozen=True, slots=True)
class RegisteredConnections:
    """All connections of the API, by key, and its clock when the last page was read."""

    now: datetime
    connections: Mapping[Key, Connection]


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Which keys to reconcile, and when."""

    urgent: frozenset[Key]
    """Something differs: reconcile them now."""
    later: Mapping[Key, float]
    """Nothing differs: reconcile them within so many seconds."""
    orphans: frozenset[Key]
    """The API accepts tokens for them and there is no ScimToken."""


def compare(
    tokens: Iterable[CachedScimToken],
    registered: RegisteredConnections | None,
    *,
    namespaces: Collection[str],
    now: datetime,
    per_second: float,
    first: bool = True,
    unlisted: Collection[str] = (),
    rand: Callable[[], float] = random.random,
) -> Comparison:
    """Compare ScimTokens with the SCIM API's connections.

    Args:
        tokens: every ScimToken, listed after ``registered`` was read.
        registered: the connections; None when the API could not be read: then only the status decides.
        namespaces: those we watch; empty means all. Connections elsewhere are another operator's.
        now: the operator's clock, for rotations that are near.
        per_second: the pace at which those without a difference are reconciled.
        first: a new leader's: then what annotations ask for may have been asked while nobody watched.
        unlisted: namespaces whose ScimTokens could not be listed: nothing there is an orphan.
        rand: uniform in [0, 1).
    """
    tokens = list(tokens)
    spread = len(tokens) / per_second
    urgent, later = set[Key](), dict[Key, float]()
    for token in tokens:
        if (first and token.has_request) or _differs(token, registered):
            urgent.add(token.key)
            continue
        due = spread * rand()
        if token.next_rotation is not None:
            due = min(
                due, max(0.0, (token.next_rotation - (registered.now if registered else now)).total_seconds())
            )
        later[token.key] = due
    registered_keys = frozenset(registered.connections) if registered else frozenset[Key]()
    ours = frozenset(
        key
        for key in registered_keys
        if (not namespaces or key.namespace in namespaces) and key.namespace not in unlisted
    )
    return Comparison(frozenset(urgent), later, ours - {token.key for token in tokens})


def _differs(token: CachedScimToken, registered: RegisteredConnections | None) -> bool:
    if not token.is_ready:
        return True
    if registered is None:
        return False
    connection = registered.connections.get(token.key)
    if connection is None or not connection.exists:
        return True
    if token.active_token not in {credential.id for credential in connection.credentials}:
        return True
    return is_other_than_shown(connection, token.refused_at, token.refused, refused=token.sign_in_refused)


async def read_connections(api: AdminApi) -> RegisteredConnections:
    """All connections, page by page.

    Raises:
        ScimApiUnreachable, ScimApiRejected: as the admin API's client does.
    """
    connections: dict[Key, Connection] = {}
    after: str | None = None
    while True:
        page = await api.page(after=after, limit=PAGE)
        connections.update((Key(item.namespace, item.name), item) for item in page.items)
        after = page.next
        if after is None:
            return RegisteredConnections(page.now, connections)
