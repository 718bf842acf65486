"""The key pair that signs admin calls: made on first start and kept in a Secret.

Made here and not by Helm, whose ``genPrivateKey`` gives a new one on every rendering. The public half goes
into a ConfigMap that the API mounts; that the API's pods wait for it is intended.
"""

import base64
import dataclasses
import secrets
from collections.abc import Callable
from typing import Final

import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_api.contract.signing import key_id, public_pem
from scim_operator.adapters.api_certificate import ApiCertificateStore
from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.adapters.own_secret import Data, OwnSecret
from scim_operator.planning.ports import KubernetesRejected

log = structlog.get_logger(__name__)

SECRET_NAME: Final = "scim-operator-admin-key"  # noqa: S105 (a name)
CONFIG_MAP_NAME: Final = "scim-operator-admin-keys"
PRIVATE_KEY: Final = "private-key.pem"
INSTALLATION_ID: Final = "installation-id"
_LABELS: Final = {"app.kubernetes.io/name": "scim-operator", "app.kubernetes.io/component": "admin-key"}
_REQUEST_SECONDS: Final = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class AdminKey:
    """What signs calls to the admin API. ``repr`` never shows the key."""

    installation_id: str
    private: Ed25519PrivateKey = dataclasses.field(repr=False)

    @property
    def ledger_key(self) -> bytes:
        """The key that signs token ledgers, derived (HKDF, RFC 5869): 32 bytes. A new admin key is a new one; ledgers
        are then signed anew from what the API holds.
        """
        secret = self.private.private_bytes_raw()
        return HKDF(SHA256(), length=32, salt=None, info=b"scim-operator token ledger").derive(secret)

    @property
    def published(self) -> dict[str, str]:
        """The ConfigMap's data: public, for the API to mount."""
        pem = public_pem(self.private)
        return {INSTALLATION_ID: self.installation_id, f"{key_id(self.private.public_key())}.pem": pem}


class AdminKeyStore:
    """Reads or makes the key, and keeps its public half published.

    Args:
        api: the API client.
        namespace: the operator's own.
        guard: raises ``NotLeading`` unless this process may write.
        certificate: what the key signs for the API; None where there is no TLS with it.
    """

    def __init__(
        self,
        api: client.ApiClient,
        namespace: str,
        guard: Callable[[], None],
        certificate: ApiCertificateStore | None = None,
    ) -> None:
        self._certificate = certificate
        self._core = CoreV1(api)
        self._namespace, self._guard = namespace, guard
        self._secret = OwnSecret(self._core, namespace, SECRET_NAME, guard)

    async def ensure(self) -> AdminKey:
        """The installation's key, made when there is none, and its ConfigMap and certificate as they must be.

        Raises:
            KubernetesRejected: when somebody has to act; the message says what to do.
            ApiException: when the Kubernetes API fails; try again.
            NotLeading: when there was something to write and this process may not.
        """
        try:
            key = await self._read() or await self._make()
            await self._publish(key)
        except ApiException as error:
            if error.status in (403, 422):
                raise KubernetesRejected(
                    f"the Kubernetes API refused ({error.status}) the admin key in namespace {self._namespace}: the "
                    f"ServiceAccount needs create on secrets and configmaps there, get on Secret {SECRET_NAME}, "
                    f"and get and update on ConfigMap {CONFIG_MAP_NAME}"
                ) from error
            raise
        if self._certificate is not None:
            await self._certificate.ensure(key.private)
        return key

    async def _read(self) -> AdminKey | None:
        found = await self._secret.read()
        return None if found is None else self._parsed(found)

    def _parsed(self, found: Data) -> AdminKey:
        try:
            data = {name: base64.b64decode(value) for name, value in found.items()}
            private = serialization.load_pem_private_key(data[PRIVATE_KEY], password=None)
            installation_id = data[INSTALLATION_ID].decode()
        except (KeyError, ValueError, TypeError) as error:
            raise _broken(self._namespace) from error
        if not isinstance(private, Ed25519PrivateKey) or not installation_id:
            raise _broken(self._namespace)
        return AdminKey(installation_id, private)

    async def _make(self) -> AdminKey:
        key = AdminKey(f"installation-{secrets.token_hex(8)}", Ed25519PrivateKey.generate())
        pem = key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        data = {PRIVATE_KEY: pem.decode(), INSTALLATION_ID: key.installation_id}
        winner = await self._secret.create(data, _LABELS)
        if winner is not None:
            return self._parsed(winner)
        log.info("made the key for the admin API", secret=f"{self._namespace}/{SECRET_NAME}")
        return key

    async def _publish(self, key: AdminKey) -> None:
        """Create the ConfigMap, or restore it when it was edited."""
        try:
            present = await self._core.read_namespaced_config_map(
                CONFIG_MAP_NAME, self._namespace, _request_timeout=_REQUEST_SECONDS
            )
        except ApiException as error:
            if error.status != 404:
                raise
            self._guard()
            config_map = client.V1ConfigMap(
                metadata=client.V1ObjectMeta(name=CONFIG_MAP_NAME, labels=_LABELS), data=key.published
            )
            await self._core.create_namespaced_config_map(
                self._namespace, config_map, _request_timeout=_REQUEST_SECONDS
            )
            log.info("published the public key", config_map=f"{self._namespace}/{CONFIG_MAP_NAME}")
            return
        if present.data == key.published and not present.binary_data:
            return
        self._guard()
        present.data, present.binary_data = key.published, None
        await self._core.replace_namespaced_config_map(
            CONFIG_MAP_NAME, self._namespace, present, _request_timeout=_REQUEST_SECONDS
        )
        log.warning("the public key's ConfigMap differed; set right", config_map=CONFIG_MAP_NAME)


def _broken(namespace: str) -> KubernetesRejected:
    return KubernetesRejected(
        f"Secret {namespace}/{SECRET_NAME} holds no usable Ed25519 key ({PRIVATE_KEY}, {INSTALLATION_ID}). Restore it "
        f"from a backup; or delete it to have a new one made, with which a database of the old installation must be "
        "replaced too"
    )
