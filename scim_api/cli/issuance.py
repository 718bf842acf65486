"""Connections without Kubernetes: what ``scim-api connection`` does on the database itself."""

import dataclasses
from datetime import datetime, timedelta

from pydantic import ValidationError

from scim_api.contract.admin import Connection, Credential, PutConnection, TenantSettings
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.store.protocol import Store


class ConnectionMistake(Exception):
    """The command can't be done; the message says what to do instead."""


@dataclasses.dataclass(frozen=True, slots=True)
class Issued:
    """A token as its owner sees it, once."""

    endpoint: str
    token: str = dataclasses.field(repr=False)
    token_id: str
    expires_at: datetime


def _credential(token: str, now: datetime, lifetime: timedelta) -> Credential:
    return Credential(id=new_token_id(), digest=digest(token).hex(), issued_at=now, expires_at=now + lifetime)


async def create(
    store: Store,
    namespace: str,
    name: str,
    *,
    tenant: str,
    settings: TenantSettings,
    lifetime: timedelta,
    endpoint: str,
) -> Issued:
    """Create a connection with its first token. Raises ``ConnectionMistake`` when it exists or the tenant has no name."""
    present = await store.connection(namespace, name)
    if present.exists:
        raise ConnectionMistake(
            f"{namespace}/{name} exists; `scim-api connection rotate {namespace}/{name}` gives it another token"
        )
    token = new_token()
    credential = _credential(token, present.now, lifetime)
    try:
        desired = PutConnection(tenant=tenant, settings=settings, credentials=(credential,))
    except ValidationError:
        raise ConnectionMistake(
            f"--tenant {tenant!r}: write a name of lower-case letters, digits, - and ., such as contoso"
        ) from None
    await store.put_connection(namespace, name, desired, if_match=present.revision)
    return Issued(endpoint, token, credential.id, credential.expires_at)


async def rotate(
    store: Store, namespace: str, name: str, *, lifetime: timedelta, revoke_others: bool, endpoint: str
) -> Issued:
    """Add a token; the others stay valid to their own end, or end now with ``revoke_others``.

    Raises ``ConnectionMistake`` when there is no such connection, or when it has too many tokens.
    """
    present = await existing(store, namespace, name)
    assert present.tenant is not None  # noqa: S101 (exists, so it has both)
    assert present.settings is not None  # noqa: S101
    token = new_token()
    credential = _credential(token, present.now, lifetime)
    kept = (
        ()
        if revoke_others
        else tuple(Credential.model_validate(item.model_dump()) for item in present.credentials)
    )
    try:
        desired = PutConnection(
            tenant=present.tenant, settings=present.settings, credentials=(*kept, credential)
        )
    except ValidationError:
        raise ConnectionMistake(
            f"{namespace}/{name} has {len(kept)} live tokens, the most there can be; end them with --revoke-others"
        ) from None
    await store.put_connection(namespace, name, desired, if_match=present.revision)
    return Issued(endpoint, token, credential.id, credential.expires_at)


async def existing(store: Store, namespace: str, name: str) -> Connection:
    """The connection. Raises ``ConnectionMistake`` when there is none."""
    present = await store.connection(namespace, name)
    if not present.exists:
        raise ConnectionMistake(
            f"there is no connection {namespace}/{name}; `scim-api connection list` shows all"
        )
    return present


async def all_connections(store: Store) -> list[Connection]:
    """All connections, by namespace and name."""
    items: list[Connection] = []
    after: str | None = None
    while True:
        page = await store.connections(after=after, limit=500)
        items += page.items
        if page.next is None:
            return items
        after = page.next
