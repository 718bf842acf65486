"""The dispatcher's key pair: made on the leader's first start and kept in a Secret that the dispatcher alone mounts.

Signing secrets are sealed to its public half, so that neither the SCIM API nor the database can read them.
"""

import base64
from collections.abc import Callable
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_api.contract.sealing import SealError, new_private_key, read_public_key
from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.adapters.own_secret import Data, OwnSecret
from scim_operator.planning.ports import KubernetesRejected

log = structlog.get_logger(__name__)

SECRET_NAME: Final = "scim-operator-webhook-key"  # noqa: S105 (a name)
PRIVATE_KEY: Final = "private-key.pem"
_LABELS: Final = {"app.kubernetes.io/name": "scim-operator", "app.kubernetes.io/component": "webhook-key"}


class WebhookKeyStore:
    """Reads or makes the key.

    Args:
        api: the API client.
        namespace: the operator's own.
        guard: raises ``NotLeading`` unless this process may write.
    """

    def __init__(self, api: client.ApiClient, namespace: str, guard: Callable[[], None]) -> None:
        self._namespace = namespace
        self._secret = OwnSecret(CoreV1(api), namespace, SECRET_NAME, guard)

    async def ensure(self) -> X25519PublicKey:
        """The key to seal to, made when there is none. Whoever replaces the Secret's content by another key, or by one
        that comes first of several, has all signing secrets sealed anew.

        Raises:
            KubernetesRejected: when somebody has to act; the message says what to do.
            ApiException: when the Kubernetes API fails; try again.
            NotLeading: when there was something to write and this process may not.
        """
        try:
            return await self._read() or await self._make()
        except ApiException as error:
            if error.status in (403, 422):
                raise KubernetesRejected(
                    f"the Kubernetes API refused ({error.status}) the webhook key in namespace {self._namespace}: the "
                    f"ServiceAccount needs create on secrets there, and get on Secret {SECRET_NAME}"
                ) from error
            raise

    async def _read(self) -> X25519PublicKey | None:
        data = await self._secret.read()
        return None if data is None else self._parsed(data)

    async def _make(self) -> X25519PublicKey:
        pem = new_private_key()
        winner = await self._secret.create({PRIVATE_KEY: pem.decode()}, _LABELS)
        if winner is not None:
            return self._parsed(winner)
        log.info("made the key for webhooks", secret=f"{self._namespace}/{SECRET_NAME}")
        return read_public_key(pem)

    def _parsed(self, data: Data) -> X25519PublicKey:
        try:
            return read_public_key(base64.b64decode(data[PRIVATE_KEY]))
        except (KeyError, SealError, ValueError):
            raise KubernetesRejected(
                f"Secret {self._namespace}/{SECRET_NAME} holds no usable X25519 key ({PRIVATE_KEY}). Restore it from a "
                "backup, or delete it to have a new one made: signing secrets are then sealed anew"
            ) from None
