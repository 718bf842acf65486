"""Certificates and kubeconfigs of one control plane (ECDSA P-256), as kubeadm lays them out."""

import base64
import contextlib
import dataclasses
import ipaddress
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID: Final = timedelta(days=365)
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that nobody else may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
    return path


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str, organisation: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


@dataclasses.dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority kept as ``<name>.crt`` and ``<name>.key``."""

    directory: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def certificate_pem(self) -> bytes:
        """Its certificate, as in a file."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def create(cls, directory: Path, name: str, *, key_identifiers: bool = False) -> "Authority":
        """Make it and write both files.

        Args:
            directory: of both.
            name: of the files, and of the authority.
            key_identifiers: whether its certificates name its key, as RFC 5280 wants it and not every cluster has it.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject, now = _name(name, None), datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + VALID)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(certificates=True), critical=True)
        )
        if key_identifiers:
            identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        certificate = builder.sign(key, hashes.SHA256())
        write_private(directory / f"{name}.key", _pem(key))
        (directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return cls(directory, name, key, certificate)

    def issue(
        self,
        name: str,
        common_name: str,
        *usages: x509.ObjectIdentifier,
        organisation: str | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        """Write ``<name>.crt`` and ``<name>.key``; ``names`` are DNS names or IP addresses."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name, organisation))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + VALID)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(item) for item in names]), critical=False
            )
        with contextlib.suppress(x509.ExtensionNotFound):
            own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value), critical=False
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        write_private(self.directory / f"{name}.key", _pem(key))
        (self.directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def create(directory: Path) -> None:
    """Write every certificate and key a control plane on loopback needs."""
    directory.mkdir(mode=0o700)
    loopback = ("localhost", "127.0.0.1")
    cluster = Authority.create(directory, "ca")
    etcd = Authority.create(directory, "etcd-ca")
    etcd.issue("etcd", "etcd", SERVER, CLIENT, names=loopback)
    etcd.issue("apiserver-etcd-client", "kube-apiserver", CLIENT)
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "10.0.0.1")
    cluster.issue("apiserver", "kube-apiserver", SERVER, names=(*service, *loopback))
    cluster.issue("admin", "kubernetes-admin", CLIENT, organisation="system:masters")
    cluster.issue("controller-manager", "system:kube-controller-manager", CLIENT)
    service_account_key(directory)


def service_account_key(directory: Path) -> None:
    """Write the pair that signs and checks the tokens of ServiceAccounts."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(directory / "sa.key", _pem(key))
    (directory / "sa.pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def kubeconfig(url: str, authority: bytes, user: dict[str, str], name: str) -> bytes:
    """A kubeconfig with everything inside it (JSON is YAML)."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [
                {
                    "name": "local",
                    "cluster": {
                        "server": url,
                        "certificate-authority-data": base64.b64encode(authority).decode(),
                    },
                }
            ],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": "local", "user": name}}],
        },
        indent=1,
    ).encode()


def certificate_user(directory: Path, name: str) -> dict[str, str]:
    """The user part of a kubeconfig for ``<name>.crt``."""
    return {
        "client-certificate-data": base64.b64encode((directory / f"{name}.crt").read_bytes()).decode(),
        "client-key-data": base64.b64encode((directory / f"{name}.key").read_bytes()).decode(),
    }
