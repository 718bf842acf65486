"""The assertion of a certificate is as Entra takes it, and what can't be used is told with what to write."""

import base64
import hashlib
from datetime import timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from scim_operator.planning.entra.client_assertion import LIFETIME, client_assertion
from scim_operator.planning.entra.ports import CertificateIdentity, EntraError, Obstacle
from support.microsoft import (
    CLIENT,
    NOW,
    certificate_identity,
    certificate_pem,
    elliptic_identity,
    key_pem,
    rsa_key,
)

URL = "https://login.microsoftonline.com/t/oauth2/v2.0/token"


def assertion(identity: CertificateIdentity) -> str:
    return client_assertion(identity, URL, now=NOW, jti="one")


def refused(identity: CertificateIdentity) -> str:
    with pytest.raises(EntraError) as told:
        assertion(identity)
    assert told.value.obstacle is Obstacle.IDENTITY_NOT_READABLE
    assert "spec.entra.signIn.certificateRef" in told.value.message
    assert "PRIVATE" not in told.value.message
    assert told.value.__cause__ is None
    return told.value.message


def test_it_is_signed_with_ps256_for_the_token_endpoint_and_short_lived() -> None:
    identity = certificate_identity()
    token = assertion(identity)
    public = rsa_key().public_key()
    options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims = jwt.decode(token, public, algorithms=["PS256"], audience=URL, options=options)  # type: ignore[arg-type]
    at = int(NOW.timestamp())
    assert claims == {
        "aud": URL,
        "iss": CLIENT,
        "sub": CLIENT,
        "jti": "one",
        "iat": at,
        "nbf": at - 60,
        "exp": at + int(LIFETIME.total_seconds()),
    }


def test_its_header_names_the_certificate_by_its_thumbprint() -> None:
    identity = certificate_identity()
    der = x509.load_pem_x509_certificate(identity.certificate.encode()).public_bytes(
        serialization.Encoding.DER
    )
    thumbprint = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
    assert jwt.get_unverified_header(assertion(identity))["x5t#S256"] == thumbprint


def test_of_a_chain_the_first_certificate_counts() -> None:
    chain = certificate_pem() + certificate_pem(bits=3072)
    identity = CertificateIdentity(CLIENT, chain, key_pem(rsa_key()))
    header = jwt.get_unverified_header(assertion(identity))
    assert header == jwt.get_unverified_header(assertion(certificate_identity()))


@pytest.mark.parametrize(
    "pem", ["", "x", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "é\ud800"]
)
def test_a_broken_certificate_is_told(pem: str) -> None:
    assert "tls.crt holds no certificate" in refused(CertificateIdentity(CLIENT, pem, key_pem(rsa_key())))


@pytest.mark.parametrize(
    "pem", ["", "x", "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", "é\ud800"]
)
def test_a_broken_key_is_told(pem: str) -> None:
    assert "tls.key holds no private key" in refused(CertificateIdentity(CLIENT, certificate_pem(), pem))


def test_a_key_with_a_password_is_told() -> None:
    pem = rsa_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    assert "or one with a password" in refused(CertificateIdentity(CLIENT, certificate_pem(), pem.decode()))


def test_a_key_that_is_not_the_certificates_is_told() -> None:
    other = CertificateIdentity(CLIENT, certificate_pem(), key_pem(rsa_key(3072)))
    assert "not the key of the certificate" in refused(other)


def test_a_kind_of_key_that_entra_does_not_take_is_told() -> None:
    assert "privateKey.algorithm RSA" in refused(elliptic_identity())


def test_a_short_key_is_told() -> None:
    assert "has 1024 bits" in refused(certificate_identity(bits=1024))


def test_a_certificate_that_has_ended_is_told_with_its_end() -> None:
    end = NOW - timedelta(days=1)
    assert f"ended at {end:%Y-%m-%dT%H:%M:%SZ}" in refused(certificate_identity(days=-1))
