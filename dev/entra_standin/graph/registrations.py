"""App registrations that sign in to Graph: their secrets, certificates, federated credentials, consents."""

import base64
import dataclasses
import hashlib
import secrets
import threading
import uuid
from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from entra_standin.graph.ids import new_guid

EXCHANGE_AUDIENCE: Final = "api://AzureADTokenExchange"
"""Of the worldwide cloud; the other clouds have a suffix each."""
MOST_FEDERATED: Final = 20
"""Federated credentials of an application (Microsoft Learn: workload identity federation)."""


@dataclasses.dataclass(frozen=True, slots=True)
class FederatedCredential:
    """Whose assertions stand for the application; compared with upper and lower case.

    Attributes:
        issuer: of the cluster.
        subject: ``system:serviceaccount:<namespace>:<name>``.
        audience: the only one.
        works_from: POSIX time; Microsoft takes minutes to know a new one.
    """

    issuer: str
    subject: str
    audience: str = EXCHANGE_AUDIENCE
    works_from: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Secret:
    """A client secret; ``expires_at`` is POSIX time, None is never."""

    value: str = dataclasses.field(repr=False)
    expires_at: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """A registered certificate; ``thumbprint`` is its SHA-256 in base64url, as ``x5t#S256`` has it."""

    thumbprint: str
    key: RSAPublicKey = dataclasses.field(repr=False)
    not_after: float


class Caller:
    """An app registration, and its service principal in each tenant that consented.

    Attributes:
        client_id: the application id.
        object_id: of the registration.
        home: the id of the tenant that it is registered in.
        multi_tenant: whether other tenants may consent.
        federated: whose assertions stand for it.
    """

    def __init__(self, client_id: str, home: str, *, multi_tenant: bool = False) -> None:
        self.client_id, self.home, self.multi_tenant = client_id, home, multi_tenant
        self.object_id = new_guid()
        self.federated: list[FederatedCredential] = []
        self._secrets: list[Secret] = []
        self._certificates: dict[str, Certificate] = {}
        self._roles: dict[str, frozenset[str]] = {}
        self._principals: dict[str, str] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Caller({self.client_id!r})"

    # -- what it signs in with ----------------------------------------------------------------------
    def add_secret(self, value: str | None = None, *, expires_at: float | None = None) -> str:
        """A further client secret, made unless given; its value."""
        secret = Secret(value or secrets.token_urlsafe(30), expires_at)
        self._secrets = [*self._secrets, secret]
        return secret.value

    def remove_secrets(self) -> None:
        """None of them works any more."""
        self._secrets = []

    def expire_secrets(self, at: float) -> None:
        """All of them end at this POSIX time."""
        self._secrets = [dataclasses.replace(secret, expires_at=at) for secret in self._secrets]

    def secret(self, value: str) -> Secret | None:
        """The secret of this value."""
        return next((one for one in self._secrets if secrets.compare_digest(one.value, value)), None)

    def add_certificate(self, pem: str | bytes) -> str:
        """Register a certificate with an RSA key; its thumbprint. Raises ``ValueError``, or ``TypeError`` for another key."""
        certificate = x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise TypeError("Entra takes certificates with RSA keys alone")
        digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
        thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        ends = certificate.not_valid_after_utc.timestamp()
        self._certificates = {**self._certificates, thumbprint: Certificate(thumbprint, key, ends)}
        return thumbprint

    def remove_certificate(self, thumbprint: str) -> None:
        """Register it no more."""
        self._certificates = {name: one for name, one in self._certificates.items() if name != thumbprint}

    def certificate(self, thumbprint: str) -> Certificate | None:
        """The registered one."""
        return self._certificates.get(thumbprint)

    def federate(self, *credentials: FederatedCredential) -> None:
        """Add federated credentials. Raises ``ValueError`` beyond 20."""
        if len(self.federated) + len(credentials) > MOST_FEDERATED:
            raise ValueError(f"an application has at most {MOST_FEDERATED} federated credentials")
        self.federated = [*self.federated, *credentials]

    # -- what it may, by tenant ---------------------------------------------------------------------
    def consent(self, tenant_id: str, roles: Iterable[str] = ()) -> None:
        """An administrator of the tenant consents: it has a service principal there, with these app roles."""
        with self._lock:
            self._principals.setdefault(tenant_id, str(uuid.uuid4()))
            self._roles[tenant_id] = frozenset(roles)

    def withdraw(self, tenant_id: str) -> None:
        """The service principal is removed from the tenant."""
        with self._lock:
            self._principals.pop(tenant_id, None)
            self._roles.pop(tenant_id, None)

    def grant(self, *roles: str, tenant_id: str | None = None) -> None:
        """Add app roles, in its home unless named; a token that was issued before lacks them."""
        tenant = tenant_id or self.home
        self.consent(tenant, self.roles(tenant) | set(roles))

    def revoke(self, *roles: str, tenant_id: str | None = None) -> None:
        """Take app roles away; a token that was issued before keeps them."""
        tenant = tenant_id or self.home
        self.consent(tenant, self.roles(tenant) - set(roles))

    def roles(self, tenant_id: str) -> frozenset[str]:
        """Its app roles in the tenant."""
        return self._roles.get(tenant_id, frozenset())

    def service_principal_id(self, tenant_id: str | None = None) -> str | None:
        """Its object id in the tenant, its home unless named; None without consent."""
        return self._principals.get(tenant_id or self.home)
