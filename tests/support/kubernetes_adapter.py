"""The Kubernetes adapter on a real API server, with leadership that a test can take away."""

import json
from typing import Any

import pytest
from kubernetes.aio import client

from localcluster import ControlPlane
from scim_operator.adapters.events import EventRecorder
from scim_operator.adapters.kubernetes import KubernetesCluster
from scim_operator.api.scimtoken import TOKENS_ANNOTATION, ScimToken
from scim_operator.planning.ports import (
    NotLeading,
    SecretDraft,
)
from support.installed import applied, manifest

UNTOLD = {"observedGeneration": -1}
"""What the CRD itself says of an object about which nobody has told anything yet."""
STATUS = {
    "endpoint": "https://scim.example.com/scim/v2",
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Published",
            "message": "m",
            "lastTransitionTime": "2026-11-01T00:00:00Z",
        }
    ],
    "users": 3,
}


class Leadership:
    """Whether this process leads, for ``guard``."""

    def __init__(self) -> None:
        self.leading = True
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if not self.leading:
            raise NotLeading("lost")


@pytest.fixture
def leadership() -> Leadership:
    return Leadership()


@pytest.fixture
def cluster(operator_client: client.ApiClient, leadership: Leadership) -> KubernetesCluster:
    return KubernetesCluster(operator_client, leadership, EventRecorder(operator_client))


@pytest.fixture
def owner(installed: ControlPlane, quiet_namespace: str) -> ScimToken:
    """A ScimToken with labels of a GitOps tool."""
    labels = {"argocd.argoproj.io/instance": "prod", "app.kubernetes.io/instance": "prod"}
    return ScimToken.from_object(applied(installed, manifest("entra", quiet_namespace, labels=labels)))


def draft(owner: ScimToken, **changes: Any) -> SecretDraft:
    values: dict[str, Any] = {
        "name": "entra-scim-token",
        "data": {"endpoint": "https://scim.example.com/scim/v2", "token": "one", "token-id": "1"},
        "labels": owner.secret_labels(),
        "annotations": {TOKENS_ANNOTATION: "[]"},
    }
    return SecretDraft(**(values | changes))


def secret_object(
    installed: ControlPlane, owner: ScimToken, name: str = "entra-scim-token"
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        installed.kubectl("get", "secret", name, "-n", owner.metadata.namespace, "-o", "json").stdout
    )
    return found


def scimtoken_object(installed: ControlPlane, owner: ScimToken) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        installed.kubectl("get", "sct", "entra", "-n", owner.metadata.namespace, "-o", "json").stdout
    )
    return found
