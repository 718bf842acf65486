"""Certificates for signing in."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding


class Certified:
    """A key and its certificate."""

    def __init__(self, now: float, days: int = 1) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.certificate = certificate(self.key, now, days)
        digest = hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).digest()
        self.thumbprint = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def certificate(key: Any, now: float, days: int = 1) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "operator")])
    begin = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .sign(key, SHA256())
    )
