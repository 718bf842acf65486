"""The JWT by which an app registration signs in with its certificate.

Microsoft Entra, "Application authentication certificate credentials": PS256, the certificate's thumbprint in
``x5t#S256``, the token endpoint as audience.
"""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Final

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from scim_operator.planning.entra.ports import CertificateIdentity, EntraError, Obstacle

LIFETIME: Final = timedelta(minutes=5)
CLOCK_TOLERANCE: Final = timedelta(minutes=1)
"""How far Microsoft's clock may be behind ours."""
SMALLEST_KEY: Final = 2048
"""Bits of RSA that Entra takes."""


def client_assertion(identity: CertificateIdentity, token_url: str, *, now: datetime, jti: str) -> str:
    """A signed JWT for one sign-in.

    Args:
        identity: certificate and private key, in PEM.
        token_url: the token endpoint, which it is for.
        now: UTC.
        jti: not used before.

    Raises:
        EntraError: IDENTITY_NOT_READABLE, when certificate or key can't be used; the message says what to write.
    """
    certificate, key = _certificate(identity.certificate), _private_key(identity.private_key)
    if certificate.public_key() != key.public_key():
        raise _unusable("tls.key is not the key of the certificate in tls.crt")
    if certificate.not_valid_after_utc <= now:
        raise _unusable(
            f"the certificate in tls.crt ended at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
        )
    return jwt.encode(
        {
            "aud": token_url,
            "iss": identity.client_id,
            "sub": identity.client_id,
            "jti": jti,
            "iat": now,
            "nbf": now - CLOCK_TOLERANCE,
            "exp": now + LIFETIME,
        },
        key,
        algorithm="PS256",
        headers={"x5t#S256": _thumbprint(certificate)},
    )


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        raise _unusable("tls.crt holds no certificate in PEM") from None


def _private_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        raise _unusable("tls.key holds no private key in PEM, or one with a password") from None
    if not isinstance(key, RSAPrivateKey):
        raise _unusable(
            "tls.key is no RSA key, and Entra takes no other (cert-manager: privateKey.algorithm RSA)"
        )
    if key.key_size < SMALLEST_KEY:
        raise _unusable(f"tls.key has {key.key_size} bits, and Entra takes {SMALLEST_KEY} or more")
    return key


def _thumbprint(certificate: x509.Certificate) -> str:
    return base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()


def _unusable(problem: str) -> EntraError:
    return EntraError(
        Obstacle.IDENTITY_NOT_READABLE,
        f"{problem}: correct the Secret that spec.entra.signIn.certificateRef names",
    )
