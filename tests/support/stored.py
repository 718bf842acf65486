"""Builders of what a store takes: short where the test does not care."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from scim_api.contract.admin import (
    AccessMode,
    Connection,
    Credential,
    OAuthClient,
    PutConnection,
    TenantSettings,
)
from scim_api.core.model import Resource, ResourceWrite
from scim_api.core.values.normal_form import KEY_FORM, KEY_FORM_NAME
from scim_api.store.protocol import Store


def digest_of(credential: str) -> bytes:
    """The digest that ``credential`` (below) gives the credential of this id."""
    return hashlib.sha256(credential.encode()).digest()


def credential(
    identity: str = "c1",
    *,
    digest: bytes | None = None,
    issued: timedelta = timedelta(),
    expires: timedelta = timedelta(days=90),
    retires: timedelta | None = None,
) -> Credential:
    """A credential; times are distances from now."""
    now = datetime.now(UTC)
    return Credential(
        id=identity,
        digest=(digest or digest_of(identity)).hex(),
        issued_at=now + issued,
        expires_at=now + expires,
        retires_at=None if retires is None else now + retires,
    )


def wanted(
    *credentials: Credential,
    tenant: str = "contoso",
    settings: TenantSettings | None = None,
    oauth_client: OAuthClient | None = None,
    access: AccessMode | None = None,
) -> PutConnection:
    """A connection's desired state."""
    return PutConnection(
        tenant=tenant,
        settings=None if access == "ReadOnly" else settings or TenantSettings(),
        credentials=credentials,
        oauth_client=oauth_client,
        access=access,
    )


def prepared(
    name: str, *, email: str | None = None, match: str | None = None, title: str = ""
) -> ResourceWrite:
    """A user whose keys are ``name``, matched by its e-mail unless ``match`` says otherwise."""
    email = email if email is not None else f"{name}@contoso.com"
    document = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "title": title}
    return ResourceWrite(
        doc=json.dumps(document, separators=(",", ":")),
        normal_form=json.dumps({"username": name, "title": title, KEY_FORM_NAME: KEY_FORM}),
        match_key=match or email or None,
        name_key=name,
        external_key=f"ext-{name}",
        email_keys=(email,) if email else (),
        unique_email_keys=(email,) if email else (),
    )


def retitle(change: Callable[[str], str]) -> Callable[[Resource], ResourceWrite]:
    """A transform that changes the title and nothing else."""

    def transform(resource: Resource) -> ResourceWrite:
        document = json.loads(resource.doc)
        return prepared(document["userName"], title=change(document["title"]))

    return transform


async def connect(
    store: Store,
    *credentials: Credential,
    namespace: str = "apps",
    name: str = "entra",
    tenant: str = "contoso",
    settings: TenantSettings | None = None,
    oauth_client: OAuthClient | None = None,
    access: AccessMode | None = None,
) -> Connection:
    """Put a connection without a fence."""
    state = wanted(*credentials, tenant=tenant, settings=settings, oauth_client=oauth_client, access=access)
    return await store.put_connection(namespace, name, state, if_match=None)


async def tenant_of(store: Store, name: str = "contoso") -> int:
    """The surrogate key of a tenant, made with a connection and a credential of the same name."""
    await connect(store, credential(f"token-{name}"), name=name, tenant=name)
    access = await store.access(digest_of(f"token-{name}"))
    assert access is not None
    return access.tenant
