"""Comparing all we know with all the API holds: what to look at now, what later, and what has no owner.

The decisions are pure functions. They only choose which ScimTokens are looked at; the reconcile reads each
one live before it does anything, so a connection is revoked only when its ScimToken is really gone.
"""

import dataclasses
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from kubernetes.aio import client

from scim_api.contract.admin import Connection
from scim_operator.api.scimtoken import GROUP, PLURAL, VERSION
from scim_operator.controller.cache import CachedScimToken, cached_scimtoken
from scim_operator.planning.ports import AdminApi, Key

PAGE: Final = 500
_REQUEST_SECONDS: Final = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class RegisteredConnections:
    """All connections of the API, by key, and its clock when the last page was read."""

    now: datetime
    connections: Mapping[Key, Connection]


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """Which keys to look at, and when."""

    urgent: frozenset[Key]
    """Something differs: look at them now."""
    later: Mapping[Key, float]
    """All seems well: look at them within so many seconds."""
    orphans: frozenset[Key]
    """The API accepts tokens for them and there is no ScimToken."""


@dataclasses.dataclass(frozen=True, slots=True)
class OrphanLimit:
    """How much a sweep may revoke at once: to stop, an amount must exceed both."""

    count: int
    percent: float

    def is_exceeded(self, orphans: int, connections: int) -> bool:
        """Whether revoking so many of so many looks like a mistake (a wrong cluster, an old backup)."""
        return orphans > self.count and 100 * orphans > self.percent * connections


def compare(
    tokens: Iterable[CachedScimToken],
    holdings: RegisteredConnections | None,
    *,
    namespaces: Collection[str],
    now: datetime,
    per_second: float,
    first: bool = True,
    rand: Callable[[], float] = random.random,
) -> Comparison:
    """Set what we know beside what the API holds.

    Args:
        tokens: every ScimToken, listed after ``holdings`` were read.
        holdings: None when the API could not be read: then only the status decides.
        namespaces: those we watch; empty means all. Connections elsewhere are another operator's.
        now: the operator's clock, for rotations that are near.
        per_second: the pace at which those that seem well are looked at again.
        first: a new leader's: then what annotations ask for may have been asked while nobody watched.
        rand: uniform in [0, 1).
    """
    tokens = list(tokens)
    spread = len(tokens) / per_second
    urgent, later = set[Key](), dict[Key, float]()
    for token in tokens:
        if (first and token.has_request) or _differs(token, holdings):
            urgent.add(token.key)
            continue
        due = spread * rand()
        if token.next_rotation is not None:
            due = min(
                due, max(0.0, (token.next_rotation - (holdings.now if holdings else now)).total_seconds())
            )
        later[token.key] = due
    held = frozenset(holdings.connections) if holdings else frozenset[Key]()
    ours = frozenset(key for key in held if not namespaces or key.namespace in namespaces)
    return Comparison(frozenset(urgent), later, ours - {token.key for token in tokens})


def _differs(token: CachedScimToken, holdings: RegisteredConnections | None) -> bool:
    if not token.is_ready:
        return True
    if holdings is None:
        return False
    connection = holdings.connections.get(token.key)
    if connection is None or not connection.exists:
        return True
    return token.active_token not in {credential.id for credential in connection.credentials}


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


async def list_scimtokens(api: client.ApiClient, namespaces: Collection[str]) -> list[CachedScimToken]:
    """Every ScimToken we watch, page by page, reduced on arrival.

    Raises:
        ApiException: as the Kubernetes client does; 404 when the CRD is gone.
    """
    custom = client.CustomObjectsApi(api)
    found: list[CachedScimToken] = []
    for namespace in namespaces or (None,):
        resume: str | None = None
        while True:
            options: dict[str, Any] = {"limit": PAGE, "_request_timeout": _REQUEST_SECONDS}
            if resume:
                options["_continue"] = resume
            page: Any = await (
                custom.list_cluster_custom_object(GROUP, VERSION, PLURAL, **options)
                if namespace is None
                else custom.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, **options)
            )
            found.extend(cached_scimtoken(item) for item in page["items"])
            resume = page["metadata"].get("continue")
            if not resume:
                break
    return found
