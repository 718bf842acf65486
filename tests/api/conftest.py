"""The whole service in one process, over HTTP semantics, on each database."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scim_api.contract.admin import AccessMode, Credential, PutConnection, TenantSettings
from scim_api.contract.signing import key_id, public_pem, sign, sign_proof
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.http.admin.trusted_keys import INSTALLATION_FILE, TrustedKeys
from scim_api.http.authentication import Authenticator
from scim_api.http.internal import internal_app
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import Store

BASE = "https://scim.test/scim/v2"
INSTALLATION = "5f0c7d1e-installation"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with the schema."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    await migrate(database_url)
    store = create_store(database_url)
    await store.open()
    yield store
    await store.close()


@dataclasses.dataclass
class Scim:
    """A running service and what a test does with it."""

    service: ServiceContext
    client: httpx.AsyncClient
    admin: httpx.AsyncClient
    keys_dir: Path
    operator_key: Ed25519PrivateKey

    async def connect(
        self,
        name: str = "entra",
        *,
        tenant: str = "contoso",
        lifetime: timedelta = timedelta(days=90),
        access: AccessMode = "ReadWrite",
        **settings: Any,
    ) -> dict[str, str]:
        """A connection with a token; the headers to use it. One that is ReadOnly has no settings."""
        store = self.service.store
        token = new_token()
        present = await store.connection("demo", name)
        credential = Credential(
            id=new_token_id(),
            digest=digest(token).hex(),
            issued_at=present.now,
            expires_at=present.now + lifetime,
        )
        wanted = PutConnection(
            tenant=tenant,
            settings=None if access == "ReadOnly" else TenantSettings.model_validate(settings),
            credentials=(credential,),
            access=access,
        )
        await store.put_connection("demo", name, wanted, if_match=present.revision)
        return {"authorization": f"Bearer {token}"}

    def proof(self, request: httpx.Request, credential: str) -> str:
        """What the operator signs its own sign-ins with."""
        return sign_proof(
            self.operator_key,
            audience=INSTALLATION,
            method=request.method,
            target=request.url.raw_path.decode(),
            credential=digest(credential),
            now=datetime.now(UTC),
        )

    async def admin_call(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        revision: str | None = None,
        key: Ed25519PrivateKey | None = None,
        audience: str = INSTALLATION,
        signed_path: str | None = None,
        now: datetime | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A signed request to the admin API."""
        signature = sign(
            key or self.operator_key,
            audience=audience,
            method=method,
            target=signed_path or path,
            body=body,
            if_match=revision,
            now=now or datetime.now(UTC),
        )
        sent = {"authorization": f"Bearer {signature}", **(headers or {})}
        if revision is not None:
            sent["if-match"] = f'"{revision}"'
        return await self.admin.request(method, path, content=body, headers=sent)


@pytest.fixture
async def scim(store: Store, tmp_path: Path) -> AsyncIterator[Scim]:
    keys_dir = tmp_path / "keys"
    keys_dir.mkdir()
    key = Ed25519PrivateKey.generate()
    (keys_dir / f"{key_id(key.public_key())}.pem").write_text(public_pem(key))
    (keys_dir / INSTALLATION_FILE).write_text(INSTALLATION)
    keys = TrustedKeys(keys_dir)
    authenticator = Authenticator(store, operator_keys=keys)
    service = ServiceContext(store, authenticator, RateLimiter(), Metrics(), BASE)
    public = httpx.ASGITransport(public_app(service), raise_app_exceptions=True)
    internal = httpx.ASGITransport(internal_app(service, keys), raise_app_exceptions=True)
    async with (
        httpx.AsyncClient(transport=public, base_url=BASE) as client,
        httpx.AsyncClient(transport=internal, base_url="http://internal.test") as admin,
    ):
        yield Scim(service, client, admin, keys_dir, key)


@pytest.fixture
async def entra(scim: Scim) -> dict[str, str]:
    """Headers of a connection with the defaults: matching workEmail."""
    return await scim.connect()


@pytest.fixture
def person() -> Callable[..., dict[str, Any]]:
    """A POST body as Entra sends it, noise included."""

    def make(name: str = "ada", /, **changes: Any) -> dict[str, Any]:
        body: dict[str, Any] = {
            "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
            ],
            "externalId": f"ext-{name}",
            "userName": f"{name}@contoso.com",
            "active": True,
            "displayName": name.title(),
            "emails": [{"primary": True, "type": "work", "value": f"{name}@contoso.com"}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": name.title(), "familyName": "Test", "givenName": name.title()},
            "roles": [],
            "title": "Engineer",
            "addresses": [{"type": "work", "country": "DE"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D"},
        }
        return {key: value for key, value in {**body, **changes}.items() if value is not ...}

    return make
