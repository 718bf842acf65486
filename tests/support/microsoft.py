"""An application in Entra, identities that may look after it, and answers in the form of login and Graph."""

import functools
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from scim_operator.api.entra import GraphCloud
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.diagnosis import Answer
from scim_operator.planning.entra.ports import (
    Application,
    BearerCredentials,
    CertificateIdentity,
    ClientSecretIdentity,
    Job,
    OAuthCredentials,
    ServiceAccountIdentity,
)
from scim_operator.planning.entra.sign_in_errors import Caller

NOW: Final = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
TENANT: Final = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
PRINCIPAL: Final = "7a1f6c52-6d0e-4a53-8a5e-5b0f2f0e9d0a"
CLIENT: Final = "0c9e37a2-5b0f-4b8e-9d0a-2d1f6a0c9e37"
REQUEST_ID: Final = "5b1e8f6e-3a50-4f0d-9b4e-5a1f3c9d2e10"
JOB_ID: Final = "scim.0d1f2a3b4c5d.5e6f7a8b-9c0d"
APPLICATION: Final = Application(GraphCloud.PUBLIC, TENANT, PRINCIPAL)
ACCOUNT: Final = ServiceAccountIdentity(CLIENT, "team", "entra-hand-over")
SECRET: Final = ClientSecretIdentity(CLIENT, "q8Q~very-secret.value_of_an_app")
ENDPOINT: Final = "https://scim.example.com/scim/v2"
BEARER: Final = BearerCredentials(ENDPOINT, f"sct_{'b' * 49}")
OAUTH: Final = OAuthCredentials(
    ENDPOINT, "https://scim.example.com/oauth2/token", "client-1", f"scs_{'c' * 49}"
)
JOB: Final = Job(JOB_ID, "scim", "Active", "Active")

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def application(cloud: GraphCloud) -> Application:
    """The same in another cloud."""
    return Application(cloud, TENANT, PRINCIPAL)


def caller(identity: Any = ACCOUNT, of: Application = APPLICATION) -> Caller:
    """Who asks, at Microsoft's own hosts."""
    return Caller(of, identity, Clouds().endpoints(of.cloud))


def answer(status: int, content: object = None, **headers: str) -> Answer:
    """An answer with JSON, or with bytes as they are."""
    body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def graph_error(code: str, message: object = "") -> dict[str, Any]:
    """The body of Graph's errors; a message that is no string becomes a document within it."""
    text = message if isinstance(message, str) else json.dumps(message)
    inner = {"date": "2026-11-29T12:00:00", "request-id": REQUEST_ID, "client-request-id": REQUEST_ID}
    return {"error": {"code": code, "message": text, "innerError": inner}}


def sign_in_error(code: int, words: str = "Something.", error: str = "invalid_client") -> dict[str, Any]:
    """The body of the login's errors."""
    return {
        "error": error,
        "error_description": f"AADSTS{code}: {words} Trace ID: {REQUEST_ID}\r\nTimestamp: 2026-11-29 12:00:00Z",
        "error_codes": [code],
        "trace_id": REQUEST_ID,
    }


@functools.cache
def _rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One for each size, the same throughout a run."""
    return _rsa_key(bits)


def certificate_pem(days: int = 30, bits: int = 2048) -> str:
    """A certificate of ``rsa_key`` that ends so many days after NOW."""
    return _certificate_of(rsa_key(bits), NOW + timedelta(days=days))


def _certificate_of(key: Key, end: datetime) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "graph")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - timedelta(days=90)).not_valid_after(end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key: Key) -> str:
    """PKCS #8, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def certificate_identity(days: int = 30, bits: int = 2048) -> CertificateIdentity:
    """With a key of its own size."""
    return CertificateIdentity(CLIENT, certificate_pem(days, bits), key_pem(rsa_key(bits)))


def elliptic_identity() -> CertificateIdentity:
    """With a key of a kind that Entra does not take."""
    key = ec.generate_private_key(ec.SECP256R1())
    return CertificateIdentity(CLIENT, _certificate_of(key, NOW + timedelta(days=1)), key_pem(key))


class Microsoft:
    """Answers in the place of login and Graph, and remembers what it was asked.

    Attributes:
        requests: in their order.
        graph: answers a request to Graph.
        login: answers a request to the login.
    """

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.graph: Callable[[httpx.Request], httpx.Response] = lambda _request: httpx.Response(204)
        self.login: Callable[[httpx.Request], httpx.Response] = self.issue
        self.issued = 0

    def issue(self, _request: httpx.Request) -> httpx.Response:
        """An access token, another each time."""
        self.issued += 1
        return httpx.Response(
            200, json={"token_type": "Bearer", "expires_in": 3600, "access_token": f"access-{self.issued}"}
        )

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return (self.login if request.url.host.startswith("login.") else self.graph)(request)

    def client(self) -> httpx.AsyncClient:
        """A client whose requests all come here."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self))

    @property
    def asked(self) -> list[str]:
        """Methods and paths at Graph, from the application on."""
        return [
            f"{request.method} {request.url.path.partition('/synchronization/')[2]}"
            for request in self.requests
            if not request.url.host.startswith("login.")
        ]
