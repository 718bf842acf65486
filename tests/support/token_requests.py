"""Clients of the token endpoint: how one is registered, and what it sends."""

import asyncio
import base64
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx

from api.conftest import BASE, Scim
from scim_api.contract.admin import (
    AccessMode,
    Credential,
    OAuthClient,
    PutConnection,
    TenantSettings,
    TokenRefusal,
    WorkloadIdentityTrust,
)
from scim_api.contract.oauth import ASSERTION_TYPE, TOKEN_PATH
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.http.authentication import FRESH_SECONDS
from scim_api.store.protocol import Store

URL: Final = f"https://scim.test{TOKEN_PATH}"
ASK: Final = f'{BASE}/Users?filter=userName eq "nobody"'
FORM: Final = "application/x-www-form-urlencoded"
TRUST: Final = WorkloadIdentityTrust(
    tenant_id="0f0e0d0c-0b0a-0908-0706-050403020100",
    subjects=("subject",),
    audiences=("audience",),
    issuers=("https://login.example/t/v2.0",),
    keys_url="https://login.example/t/keys",
)
"""Whose assertions are taken; nothing is at its addresses."""


@dataclasses.dataclass(frozen=True)
class SecretClient:
    """A connection with a client secret."""

    client_id: str
    secret: str
    credential: str
    """Id of the secret."""
    name: str = "entra"

    def form(self, **changes: str | None) -> dict[str, str]:
        """A request with the credentials in the form; None leaves a parameter out."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.secret,
            **changes,
        }
        return {name: value for name, value in form.items() if value is not None}

    def header(self) -> dict[str, str]:
        """The credentials as HTTP Basic."""
        return basic(self.client_id, self.secret)


GRANT: Final = {"grant_type": "client_credentials"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    """HTTP Basic, form-encoded as RFC 6749 section 2.3.1 has it."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def secret_credential(
    secret: str, present: Any, *, lifetime: timedelta = timedelta(days=90), retires: timedelta | None = None
) -> Credential:
    """A client secret, as of the database's time in ``present`` (a ``Connection``)."""
    return Credential(
        id=new_token_id(),
        kind="ClientSecret",
        digest=digest(secret).hex(),
        issued_at=present.now,
        expires_at=present.now + lifetime,
        retires_at=None if retires is None else present.now + retires,
    )


async def put_secrets(
    store: Store,
    *credentials: Credential,
    client_id: str,
    name: str = "entra",
    tenant: str = "contoso",
    seconds: int = 3600,
    access: AccessMode = "ReadWrite",
) -> None:
    """Make these the credentials of a connection."""
    wanted = PutConnection(
        tenant=tenant,
        settings=None if access == "ReadOnly" else TenantSettings(),
        access=access,
        credentials=credentials,
        oauth_client=OAuthClient(client_id=client_id, access_token_seconds=seconds),
    )
    await store.put_connection("demo", name, wanted, if_match=None)


async def register(
    store: Store,
    *,
    name: str = "entra",
    tenant: str = "contoso",
    client_id: str | None = None,
    seconds: int = 3600,
    lifetime: timedelta = timedelta(days=90),
    access: AccessMode = "ReadWrite",
) -> SecretClient:
    """A client with one secret."""
    secret = new_token("ClientSecret")
    credential = secret_credential(secret, await store.connection("demo", name), lifetime=lifetime)
    client_id = client_id or f"client-{name}"
    await put_secrets(
        store, credential, client_id=client_id, name=name, tenant=tenant, seconds=seconds, access=access
    )
    return SecretClient(client_id, secret, credential.id, name)


async def ask(
    client: httpx.AsyncClient, form: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """A token request."""
    return await client.post(URL, content=urlencode(form), headers={"content-type": FORM, **(headers or {})})


def bearer(answer: httpx.Response) -> dict[str, str]:
    """The headers to use what was issued."""
    assert answer.status_code == 200, answer.text
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def assertion_form(client: SecretClient, assertion: str = "good") -> dict[str, str]:
    """A request with an assertion."""
    return client.form(client_secret=None, client_assertion=assertion, client_assertion_type=ASSERTION_TYPE)


async def opens(scim: Scim, headers: Mapping[str, str]) -> int:
    """The status of a search with these headers."""
    return (await scim.client.get(ASK, headers=headers)).status_code


async def until(what: Callable[[], Awaitable[object]], wanted: object, seconds: float = 10.0) -> None:
    """Poll until a coroutine function gives what is wanted."""
    deadline = time.monotonic() + seconds
    while (last := await what()) != wanted:
        assert time.monotonic() < deadline, last
        await asyncio.sleep(0.02)


def counted(scim: Scim) -> dict[str, float]:
    """Token requests by result."""
    [metric] = scim.service.metrics.token_requests.collect()
    return {
        sample.labels["result"]: sample.value
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.value
    }


async def last_uses(scim: Scim) -> dict[str, str | None]:
    """The user agent of each credential of ``demo/entra`` that was used."""
    await scim.service.authenticator.write_uses()
    listed = (await scim.service.store.connection("demo", "entra")).credentials
    return {item.id: item.user_agent for item in listed if item.last_used_at}


async def last_refusal(scim: Scim) -> TokenRefusal | None:
    """Of ``demo/entra``, as the operator reads it."""
    await scim.service.token_refusals.write(scim.service.store)
    return (await scim.service.store.connection("demo", "entra")).last_refusal


def a_second_later(scim: Scim) -> None:
    """Let what the authenticator has read count no more, as after so much time."""
    clock = scim.service.authenticator._clock
    scim.service.authenticator._clock = lambda: clock() + FRESH_SECONDS + 0.001
