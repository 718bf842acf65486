"""Asks whether what is to be watched can be listed, before a watch is opened on it.

kopf never looks again for a CRD that was missing at its start, and ends when a stream is refused.
"""

import dataclasses
from typing import Final, Literal

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client import ApiException

from scim_operator.adapters.core_v1 import CoreV1
from scim_operator.api.custom_object import GROUP, MANAGED_BY, MANAGED_BY_LABEL, VERSION

Resource = Literal["scimtokens", "scimwebhooks", "secrets"]
RESOURCES: Final[tuple[Resource, ...]] = ("scimtokens", "scimwebhooks", "secrets")
SCIM_WEBHOOKS: Final = "scimwebhooks"
SECRETS: Final = "secrets"
SECRET_SELECTOR: Final = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
"""Which Secrets are watched; the API server selects, others' Secrets never come here."""
_CALL_SECONDS: Final = 5.0
_ERRORS: Final = (ApiException, aiohttp.ClientError, OSError, TimeoutError)


@dataclasses.dataclass(frozen=True, slots=True)
class WatchTarget:
    """What one watch follows."""

    resource: Resource
    namespace: str | None
    """None: all namespaces."""

    @property
    def is_required(self) -> bool:
        """Whether the operator is not ready without it. During an upgrade the CRD of ScimWebhook, or the right to
        list them, may come later than the operator, which works for ScimTokens meanwhile.
        """
        return self.resource != SCIM_WEBHOOKS


@dataclasses.dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a watch can't be opened."""

    reason: str
    in_namespace_only: bool
    """Whether other namespaces can be watched all the same."""


class WatchAccess:
    """Lists one object of a target.

    Args:
        api_client: with the permissions that the watch will have.
    """

    def __init__(self, api_client: client.ApiClient) -> None:
        self._core, self._custom = CoreV1(api_client), client.CustomObjectsApi(api_client)

    async def obstacle(self, target: WatchTarget) -> Obstacle | None:
        """What is in the way of a watch; None when nothing is. Never raises what Kubernetes raises."""
        try:
            if target.resource == SECRETS:
                await self._core.list_namespaced_secret(
                    target.namespace, label_selector=SECRET_SELECTOR, limit=1, _request_timeout=_CALL_SECONDS
                )
            else:
                await self._list_custom(target.resource, target.namespace)
        except _ERRORS as error:
            return _obstacle(target, error)
        return None

    async def _list_custom(self, plural: str, namespace: str | None) -> None:
        if namespace is None:
            await self._custom.list_cluster_custom_object(
                GROUP, VERSION, plural, limit=1, _request_timeout=_CALL_SECONDS
            )
        else:
            await self._custom.list_namespaced_custom_object(
                GROUP, VERSION, namespace, plural, limit=1, _request_timeout=_CALL_SECONDS
            )


def _obstacle(target: WatchTarget, error: BaseException) -> Obstacle:
    if not isinstance(error, ApiException):
        return Obstacle(f"the Kubernetes API did not answer: {type(error).__name__}", in_namespace_only=False)
    if error.status == 404 and target.resource != SECRETS:
        return Obstacle(
            f"the CRD {target.resource}.{GROUP} is not installed: kubectl apply -f crds/"
            f"{target.resource.removesuffix('s')}.yaml",
            in_namespace_only=False,
        )
    if error.status not in (403, 404):
        return Obstacle(f"the Kubernetes API answered {error.status}", in_namespace_only=False)
    resource = SECRETS if target.resource == SECRETS else f"{target.resource}.{GROUP}"
    if target.namespace is None:
        return Obstacle(
            f"not permitted to list {resource}: this ServiceAccount needs get, list and watch on them",
            in_namespace_only=False,
        )
    return Obstacle(
        f"not permitted to list {resource} in namespace {target.namespace}: does it exist, and is there a RoleBinding "
        "in it for this ServiceAccount?",
        in_namespace_only=True,
    )
