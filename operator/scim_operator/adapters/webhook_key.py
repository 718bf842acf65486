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
from scim_operator.planning.ports import KubernetesRejected

log = structlog.get_logger(__name__)

SECRET_NAME: Final = "scim-operator-webhook-key"  # noqa: S105 (a name)
PRIVATE_KEY: Final = "private-key.pem"
_LABELS: Final = {"app.kubernetes.io/name": "scim-operator", "app.kubernetes.io/component": "webhook-key"}
_REQUEST_SECONDS: Final = 10.0


class WebhookKeyStore:
    """Reads or makes the key.

    Args:
        api: the API client.
        namespace: the operator's own.
        guard: raises ``NotLeading`` unless this process may write.
    """

    def __init__(self, api: client.ApiClient, namespace: str, guard: Callable[[], None]) -> None:
        self._core, self._namespace, self._guard = client.CoreV1Api(api), namespace, guard

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
        try:
            secret = await self._core.read_namespaced_secret(
                SECRET_NAME, self._namespace, _request_timeout=_REQUEST_SECONDS
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        try:
            return read_public_key(base64.b64decode((secret.data or {})[PRIVATE_KEY]))
        except (KeyError, SealError, ValueError):
            raise KubernetesRejected(
                f"Secret {self._namespace}/{SECRET_NAME} holds no usable X25519 key ({PRIVATE_KEY}). Restore it from a "
                "backup, or delete it to have a new one made: signing secrets are then sealed anew"
            ) from None

    async def _make(self) -> X25519PublicKey:
        pem = new_private_key()
        self._guard()
        try:
            await self._core.create_namespaced_secret(
                self._namespace,
                client.V1Secret(
                    metadata=client.V1ObjectMeta(name=SECRET_NAME, labels=_LABELS),
                    type="Opaque",
                    string_data={PRIVATE_KEY: pem.decode()},
                ),
                _request_timeout=_REQUEST_SECONDS,
            )
        except ApiException as error:
            if error.status != 409:
                raise
            winner = await self._read()
            if winner is None:
                raise
            return winner
        log.info("made the key for webhooks", secret=f"{self._namespace}/{SECRET_NAME}")
        return read_public_key(pem)
