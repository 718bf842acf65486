"""Certificates and kubeconfigs of a control plane."""

import base64
import ipaddress
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from localcluster import pki
from support.handshake import plain_authority, shake_hands, strict


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki") / "pki"
    pki.create(directory)
    return directory


def certificate(directory: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / f"{name}.crt").read_bytes())


def test_keys_are_for_the_owner_only(made: Path) -> None:
    assert made.stat().st_mode & 0o077 == 0
    keys = list(made.glob("*.key"))
    assert len(keys) == 8
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


@pytest.mark.parametrize(
    ("name", "authority"),
    [
        ("apiserver", "ca"),
        ("admin", "ca"),
        ("controller-manager", "ca"),
        ("etcd", "etcd-ca"),
        ("apiserver-etcd-client", "etcd-ca"),
    ],
)
def test_a_certificate_is_signed_by_its_authority_and_holds_its_own_key(
    made: Path, name: str, authority: str
) -> None:
    issued = certificate(made, name)
    issued.verify_directly_issued_by(certificate(made, authority))
    key = serialization.load_pem_private_key((made / f"{name}.key").read_bytes(), None)
    assert key.public_key() == issued.public_key()
    assert not issued.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_etcd_does_not_trust_who_may_use_the_api(made: Path) -> None:
    with pytest.raises(ValueError, match="Issuer"):
        certificate(made, "admin").verify_directly_issued_by(certificate(made, "etcd-ca"))


def test_servers_are_valid_for_loopback(made: Path) -> None:
    for name in ("etcd", "apiserver"):
        names = certificate(made, name).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert ipaddress.ip_address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
        assert "localhost" in names.get_values_for_type(x509.DNSName)


def test_a_clients_certificate_is_no_servers(made: Path) -> None:
    usage = certificate(made, "admin").extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


@pytest.mark.parametrize(
    ("name", "user", "groups"),
    [
        ("admin", "kubernetes-admin", ["system:masters"]),
        ("controller-manager", "system:kube-controller-manager", []),
    ],
)
def test_kubernetes_reads_user_and_groups_from_the_subject(
    made: Path, name: str, user: str, groups: list[str]
) -> None:
    subject = certificate(made, name).subject
    assert [part.value for part in subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [user]
    assert [part.value for part in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)] == groups


def test_service_account_tokens_are_verified_with_the_key_that_signs_them(made: Path) -> None:
    private = serialization.load_pem_private_key((made / "sa.key").read_bytes(), None)
    assert private.public_key() == serialization.load_pem_public_key((made / "sa.pub").read_bytes())


def test_a_kubeconfig_needs_no_other_file(made: Path) -> None:
    user = pki.certificate_user(made, "admin")
    document = json.loads(
        pki.kubeconfig("https://127.0.0.1:6443", (made / "ca.crt").read_bytes(), user, "admin")
    )
    context = next(item for item in document["contexts"] if item["name"] == document["current-context"])
    cluster = next(
        item["cluster"] for item in document["clusters"] if item["name"] == context["context"]["cluster"]
    )
    named = next(item["user"] for item in document["users"] if item["name"] == context["context"]["user"])
    assert cluster["server"] == "https://127.0.0.1:6443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == (made / "ca.crt").read_bytes()
    assert base64.b64decode(named["client-certificate-data"]) == (made / "admin.crt").read_bytes()
    assert base64.b64decode(named["client-key-data"]) == (made / "admin.key").read_bytes()


def test_a_private_file_is_private_from_its_first_byte(tmp_path: Path) -> None:
    path = pki.write_private(tmp_path / "x.kubeconfig", b"secret")
    assert path.read_bytes() == b"secret"
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_authority_with_key_identifiers_is_what_the_strict_profile_wants(tmp_path: Path) -> None:
    authority = plain_authority(tmp_path, key_identifiers=True)
    shake_hands(strict(ssl.create_default_context(cafile=authority)), tmp_path)
