"""Connections without Kubernetes: what ``scim-api connection`` does on the database itself."""

import dataclasses
import uuid
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import ValidationError

from scim_api.cli.mistake import ConnectionMistake
from scim_api.cli.sign_in import AuthType, BearerToken, ClientCredentials, SignIn, WorkloadIdentity
from scim_api.contract.admin import (
    AccessMode,
    Connection,
    Credential,
    OAuthClient,
    PutConnection,
    TenantSettings,
)
from scim_api.contract.durations import LONGEST
from scim_api.contract.oauth import client_id_of
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.store.errors import SettingsConflict
from scim_api.store.protocol import Store

_AUTH_TYPES: Final = {
    "BearerToken": AuthType.BEARER_TOKEN,
    "ClientSecret": AuthType.OAUTH_CLIENT_CREDENTIALS,
    "WorkloadIdentity": AuthType.WORKLOAD_IDENTITY,
}
"""Kind of a credential -> how who has it signs in."""
_OPTIONS: Final = {
    "matching": "--matching",
    "groups": "--groups",
    "customFields": "--custom-field",
    "rateLimit": "--requests-per-second and --burst",
}
"""Field of a tenant's settings -> what it is called at the command line."""


@dataclasses.dataclass(frozen=True, slots=True)
class Issued:
    """A new credential as its owner sees it, once."""

    endpoint: str
    auth: AuthType
    credential_id: str
    expires_at: datetime
    plaintext: str | None = dataclasses.field(repr=False)
    """The bearer token or the client secret; None with a workload identity."""
    client_id: str | None
    """None with a bearer token."""
    access: AccessMode


async def create(
    store: Store,
    namespace: str,
    name: str,
    *,
    tenant: str,
    settings: TenantSettings | None,
    sign_in: SignIn,
    endpoint: str,
) -> Issued:
    """Create a connection with its first credential; without settings it is ReadOnly.

    Raises ``ConnectionMistake`` when it exists, when the tenant has no name, or has other settings by another connection.
    """
    present = await store.connection(namespace, name)
    if present.exists:
        raise ConnectionMistake(
            f"{namespace}/{name} exists; `scim-api connection rotate {namespace}/{name}` gives it another secret, and"
            " one of another name may have the same --tenant"
        )
    client: OAuthClient | None = None
    plaintext: str | None = None
    match sign_in:
        case BearerToken():
            credential, plaintext = _secret("BearerToken", present.now, sign_in.lifetime)
        case ClientCredentials():
            client = await _new_client(store, namespace, name, sign_in)
            credential, plaintext = _secret("ClientSecret", present.now, sign_in.lifetime)
        case WorkloadIdentity():
            client = await _new_client(store, namespace, name, sign_in)
            credential = _trusting(client.client_id, sign_in, present.now)
    try:
        desired = PutConnection(
            tenant=tenant,
            settings=settings,
            credentials=(credential,),
            oauth_client=client,
            access="ReadOnly" if settings is None else "ReadWrite",
        )
    except ValidationError:
        raise ConnectionMistake(
            f"--tenant {tenant!r}: write a name of lower-case letters, digits, - and ., such as contoso"
        ) from None
    try:
        created = await store.put_connection(namespace, name, desired, if_match=present.revision)
    except SettingsConflict as conflict:
        options = ", ".join(_OPTIONS.get(field, field) for field in conflict.fields)
        raise ConnectionMistake(
            f"{conflict.other} has the same tenant with other settings: repeat its {options}, or write another --tenant"
        ) from None
    return _issued(endpoint, credential, plaintext, client, created)


async def rotate(
    store: Store, namespace: str, name: str, *, lifetime: timedelta, revoke_others: bool, endpoint: str
) -> Issued:
    """Add a token or, to a client, a secret; the others stay valid to their own end, or end now with ``revoke_others``.

    Raises ``ConnectionMistake`` when there is no such connection, when it has no secret, or too many.
    """
    present = await existing(store, namespace, name)
    assert present.tenant is not None  # noqa: S101 (exists, so it has both)
    assert present.settings is not None  # noqa: S101
    auth = auth_of(present)
    if auth is AuthType.WORKLOAD_IDENTITY:
        raise ConnectionMistake(
            f"{namespace}/{name} has no secret that could be rotated: Entra signs with keys of its own, which change by"
            " themselves; for another trust create a second connection with the same --tenant, change Entra to it,"
            " then delete this one"
        )
    client = None if auth is AuthType.BEARER_TOKEN else present.oauth_client
    credential, plaintext = _secret(
        "BearerToken" if client is None else "ClientSecret", present.now, lifetime
    )
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
            f"{namespace}/{name} has {len(kept)} live tokens or secrets, the most there can be; end them with"
            " --revoke-others"
        ) from None
    held = await store.put_connection(namespace, name, desired, if_match=present.revision)
    return _issued(endpoint, credential, plaintext, client, held)


def auth_of(present: Connection) -> AuthType:
    """How a connection signs in: as its newest credential says or, where all have ended, whether it is a client."""
    if present.credentials:
        return _AUTH_TYPES[present.credentials[-1].kind]
    return AuthType.BEARER_TOKEN if present.oauth_client is None else AuthType.OAUTH_CLIENT_CREDENTIALS


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


async def _new_client(
    store: Store, namespace: str, name: str, sign_in: ClientCredentials | WorkloadIdentity
) -> OAuthClient:
    """In a database of an operator the client id is the one that a ScimToken of this name has."""
    installation = await store.installation()
    client_id = str(uuid.uuid4()) if installation is None else client_id_of(installation, namespace, name)
    return OAuthClient(client_id=client_id, access_token_seconds=sign_in.access_token_seconds)


def _secret(
    kind: Literal["BearerToken", "ClientSecret"], now: datetime, lifetime: timedelta
) -> tuple[Credential, str]:
    """A new credential and its plaintext."""
    plaintext = new_token(kind)
    credential = Credential(
        id=new_token_id(),
        kind=kind,
        digest=digest(plaintext).hex(),
        issued_at=now,
        expires_at=now + lifetime,
    )
    return credential, plaintext


def _trusting(client_id: str, sign_in: WorkloadIdentity, now: datetime) -> Credential:
    return Credential(
        id=new_token_id(),
        kind="WorkloadIdentity",
        digest=sign_in.trust.fingerprint(client_id),
        issued_at=now,
        expires_at=now + LONGEST,
        trust=sign_in.trust,
    )


def _issued(
    endpoint: str,
    credential: Credential,
    plaintext: str | None,
    client: OAuthClient | None,
    connection: Connection,
) -> Issued:
    return Issued(
        endpoint=endpoint,
        auth=_AUTH_TYPES[credential.kind],
        credential_id=credential.id,
        expires_at=credential.expires_at,
        plaintext=plaintext,
        client_id=None if client is None else client.client_id,
        access=connection.access or "ReadWrite",
    )
