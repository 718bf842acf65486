"""An issuer of client assertions as Entra is one, with keys of its own, and a trust in it."""

import base64
import dataclasses
import functools
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicNumbers,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_api.contract.oauth import CLOUDS, Cloud
from scim_api.store.protocol import ClientCredential, TokenClient

NOW: Final = 1_780_000_000
"""The database's clock in tests that need none that runs."""
ENTRA_TENANT: Final = "0f0e0d0c-0b0a-0908-0706-050403020100"
SUBJECT: Final = "7b1e8f6e-3a50-4f0d-9b4e-5a1f3c9d2e10"
APPLICATION: Final = "c2d7a1b4-6e1f-4c55-8a4b-0d9f2b7e6a31"
LOGIN: Final = CLOUDS[Cloud.PUBLIC]
KEYS_URL: Final = LOGIN.keys_url(ENTRA_TENANT)
AUDIENCES: Final = (f"api://{APPLICATION}/.default", f"api://{APPLICATION}", APPLICATION)
TRUST: Final = WorkloadIdentityTrust(
    tenant_id=ENTRA_TENANT,
    subjects=(SUBJECT,),
    audiences=AUDIENCES,
    issuers=LOGIN.issuers(ENTRA_TENANT),
    keys_url=KEYS_URL,
)


def encoded(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@functools.cache
def private_key(name: str = "1", bits: int = 2048) -> RSAPrivateKey:
    """An RSA key, the same for the same name throughout a run."""
    return generate_private_key(65537, bits)


def jwk(name: str, key: RSAPublicNumbers | None = None, **changes: Any) -> dict[str, Any]:
    """A key as Entra publishes it; ``...`` leaves a member out."""
    numbers = key or private_key().public_key().public_numbers()
    published = {
        "kty": "RSA",
        "use": "sig",
        "kid": name,
        "x5t": name,
        "n": encoded(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
        "e": encoded(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)),
        "x5c": ["MIIC"],
        "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
        **changes,
    }
    return {name: value for name, value in published.items() if value is not ...}


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of an assertion as it has been observed; ``...`` leaves one out."""
    whole = {
        "aud": APPLICATION,
        "iss": f"https://login.microsoftonline.com/{ENTRA_TENANT}/v2.0",
        "iat": NOW - 300,
        "nbf": NOW - 300,
        "exp": NOW + 3600,
        "aio": "k2RgYFi",
        "azp": APPLICATION,
        "azpacr": "2",
        "idp": f"https://sts.windows.net/{ENTRA_TENANT}/",
        "oid": SUBJECT,
        "rh": "1.AX0A",
        "sub": SUBJECT,
        "tid": ENTRA_TENANT,
        "uti": "x7Qh2f",
        "ver": "2.0",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


@dataclasses.dataclass(frozen=True)
class Issuer:
    """Signs assertions, and has keys to publish."""

    kids: tuple[str, ...] = ("key-1",)
    """Names of its keys; the first one signs."""

    def key(self, kid: str) -> RSAPrivateKey:
        """One of its keys."""
        return private_key(kid)

    def key_set(self) -> bytes:
        """What it publishes."""
        keys = [jwk(kid, self.key(kid).public_key().public_numbers()) for kid in self.kids]
        return json.dumps({"keys": keys}).encode()

    def sign(self, header: bytes, payload: bytes, kid: str | None = None) -> str:
        """A JWT of any header and payload."""
        content = f"{encoded(header)}.{encoded(payload)}"
        signature = self.key(kid or self.kids[0]).sign(content.encode(), PKCS1v15(), SHA256())
        return f"{content}.{encoded(signature)}"

    def assertion(self, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """An assertion.

        Args:
            header: what is to be otherwise in the header; ``...`` leaves a member out.
            changes: what is to be otherwise in the claims, likewise.
        """
        whole = {"alg": "RS256", "typ": "JWT", "kid": self.kids[0], **(header or {})}
        sent = {name: value for name, value in whole.items() if value is not ...}
        return self.sign(json.dumps(sent).encode(), json.dumps(claims(**changes)).encode())


def client_with(*trusts: WorkloadIdentityTrust, **changes: Any) -> TokenClient:
    """A client with these trusts, the newest first; ``changes`` are the credentials'."""
    credentials = tuple(
        ClientCredential(
            **{
                "id": f"trust-{number}",
                "kind": "WorkloadIdentity",
                "digest": bytes(32),
                "ends_at": float(NOW + 3600),
                "is_revoked": False,
                "trust": trust,
                **changes,
            }
        )
        for number, trust in enumerate(trusts, 1)
    )
    return TokenClient("a-client", 1, "apps/entra", 3600, credentials)
