"""TLS between operator and API: the operator is the authority, its admin key signs, a Secret carries the certificate.

Whoever is trusted to say which tokens are accepted is trusted to say who the API is: there is no second key to keep.
The API mounts the Secret and takes a renewed certificate from its next connection on.
"""

import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.planning.ports import KubernetesRejected
from scim_operator.settings import OperatorSettings

log = structlog.get_logger(__name__)

LIFETIME: Final = dt.timedelta(days=90)
RENEW_BEFORE: Final = dt.timedelta(days=30)
CERTIFICATE: Final = "tls.crt"
KEY: Final = "tls.key"
_AUTHORITY: Final = "scim-operator"
_SKEW: Final = dt.timedelta(hours=1)
"""By which clocks may be behind the operator's."""
_FOR_EVER: Final = (
    dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    dt.datetime(9999, 12, 31, tzinfo=dt.UTC),
)
"""The authority's certificate is made anew wherever it is needed, and kept nowhere: it ends with the key."""
_LABELS: Final = {"app.kubernetes.io/name": "scim-operator", "app.kubernetes.io/component": "api-tls"}
_REQUEST_SECONDS: Final = 10.0


def authority(key: Ed25519PrivateKey) -> x509.Certificate:
    """The authority's own certificate: the same bytes each time."""
    return (
        _builder(_AUTHORITY, key.public_key(), _FOR_EVER, serial=1)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )


def issue(key: Ed25519PrivateKey, host: str, now: dt.datetime) -> dict[str, bytes]:
    """A new certificate for the API and its key, in PEM.

    Args:
        key: the authority's.
        host: the name or address by which the operator reaches the API.
        now: UTC.
    """
    own = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(
            "scim-api", own.public_key(), (now - _SKEW, now + LIFETIME), serial=x509.random_serial_number()
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )
    pem = serialization.Encoding.PEM
    return {
        CERTIFICATE: certificate.public_bytes(pem),
        KEY: own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }


def is_good(data: dict[str, bytes], key: Ed25519PublicKey, host: str, now: dt.datetime) -> bool:
    """Whether a Secret's data will do for a while: a pair, signed by this authority, for this host, not near its end."""
    try:
        certificate = x509.load_pem_x509_certificate(data[CERTIFICATE])
        own = serialization.load_pem_private_key(data[KEY], password=None)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key.verify(certificate.signature, certificate.tbs_certificate_bytes)
    except (KeyError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        own.public_key() == certificate.public_key()
        and list(names) == [_general_name(host)]
        and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
    )


def client_context() -> ssl.SSLContext:
    """For the operator's calls: it trusts nobody, until it knows its own authority's key (``trust``)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def trust(context: ssl.SSLContext, key: Ed25519PrivateKey) -> None:
    """From the next connection on, trust what this authority has signed."""
    pem = authority(key).public_bytes(serialization.Encoding.PEM)
    context.load_verify_locations(cadata=pem.decode("ascii"))


class ApiCertificateStore:
    """Keeps the Secret with the API's certificate as it must be.

    Args:
        api: the API client.
        settings: where the Secret is, and the host by which the operator reaches the API.
        context: of the operator's calls; it is told whom to trust.
        guard: raises ``NotLeading`` unless this process may write.
        clock: UTC.
    """

    def __init__(
        self,
        api: client.ApiClient,
        settings: OperatorSettings,
        *,
        context: ssl.SSLContext,
        guard: Callable[[], None],
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._core = CoreV1(api)
        self._namespace, self._name = settings.namespace, settings.api_tls_secret or ""
        self._host, self._context, self._guard, self._clock = settings.admin_host, context, guard, clock

    async def ensure(self, key: Ed25519PrivateKey) -> None:
        """Trust this key's certificates, and make or renew the API's when there is none that will do.

        Raises:
            KubernetesRejected: when somebody has to act; the message says what to do.
            ApiException: when the Kubernetes API fails; try again.
            NotLeading: when there was something to write and this process may not.
        """
        trust(self._context, key)
        try:
            await self._ensure(key)
        except ApiException as error:
            if error.status in (403, 422):
                raise KubernetesRejected(
                    f"the Kubernetes API refused ({error.status}) Secret {self._namespace}/{self._name} with the SCIM "
                    "API's certificate: the ServiceAccount needs create on secrets there, and get and update on it"
                ) from None
            error.body = None  # it may hold the key
            raise

    async def _ensure(self, key: Ed25519PrivateKey) -> None:
        present = await self._read()
        data = {name: base64.b64decode(value) for name, value in ((present and present.data) or {}).items()}
        if is_good(data, key.public_key(), self._host, self._clock()):
            return
        self._guard()
        fresh = {
            name: base64.b64encode(value).decode()
            for name, value in issue(key, self._host, self._clock()).items()
        }
        if present is None:
            body = client.V1Secret(
                metadata=client.V1ObjectMeta(name=self._name, labels=_LABELS),
                type="kubernetes.io/tls",
                data=fresh,
            )
            await self._core.create_namespaced_secret(
                self._namespace, body, _request_timeout=_REQUEST_SECONDS
            )
        else:
            present.data = dict(fresh)
            await self._core.replace_namespaced_secret(
                self._name, self._namespace, present, _request_timeout=_REQUEST_SECONDS
            )
        log.info(
            "issued a certificate for the SCIM API", secret=f"{self._namespace}/{self._name}", host=self._host
        )

    async def _read(self) -> client.V1Secret | None:
        try:
            return await self._core.read_namespaced_secret(
                self._name, self._namespace, _request_timeout=_REQUEST_SECONDS
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise


def _builder(
    subject: str,
    key: Ed25519PublicKey | ec.EllipticCurvePublicKey,
    valid: tuple[dt.datetime, dt.datetime],
    serial: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(_AUTHORITY))
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
