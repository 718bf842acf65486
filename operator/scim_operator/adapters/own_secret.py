"""A Secret of the operator's own, in its namespace: read, or made once however many start together."""

from collections.abc import Callable, Mapping
from typing import Final

from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_operator.adapters.core_v1 import CoreV1

_REQUEST_SECONDS: Final = 10.0
Data = Mapping[str, str | bytes]
"""Of a Secret, in base64."""


class OwnSecret:
    """One Secret.

    Args:
        core: the API client.
        namespace: the operator's own.
        name: of the Secret.
        guard: raises ``NotLeading`` unless this process may write.
    """

    def __init__(self, core: CoreV1, namespace: str, name: str, guard: Callable[[], None]) -> None:
        self._core, self._namespace, self._name, self._guard = core, namespace, name, guard

    async def read(self) -> Data | None:
        """Its data in base64; None when there is none. Raises ``ApiException``."""
        try:
            secret = await self._core.read_namespaced_secret(
                self._name, self._namespace, _request_timeout=_REQUEST_SECONDS
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return secret.data or {}

    async def create(self, data: Mapping[str, str], labels: Mapping[str, str]) -> Data | None:
        """Make it; the data of the one that somebody else has made by now, which counts, else None.

        Args:
            data: plain text.
            labels: of the Secret.

        Raises:
            ApiException: the Kubernetes API fails.
            NotLeading: this process may not write.
        """
        self._guard()
        body = client.V1Secret(
            metadata=client.V1ObjectMeta(name=self._name, labels=dict(labels)),
            type="Opaque",
            string_data=dict(data),
        )
        try:
            await self._core.create_namespaced_secret(
                self._namespace, body, _request_timeout=_REQUEST_SECONDS
            )
        except ApiException as error:
            winner = await self.read() if error.status == 409 else None
            if winner is None:
                raise
            return winner
        return None
