"""A control plane with the CRD and the operator's permissions, but without an operator that acts."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client, config

from localcluster import ControlPlane, Tools
from support.cluster import new_namespace

ROOT = Path(__file__).resolve().parents[2]
OPERATOR_NAMESPACE = "scim-system"
OPERATOR = "scim-operator"
IDENTITY_NAMESPACE = "identity"
IDENTITY = "entra-hand-over"
"""Where the examples with ``spec.entra`` are, and their ServiceAccount there."""


@pytest.fixture(scope="session")
def installed(tools: Tools) -> Iterator[ControlPlane]:
    """A control plane with ``crds/`` and ``dev/manifests/rbac.yaml`` applied, and no operator on it.

    Its own, because the operator of the ``stack`` fixture looks after every ScimToken of the shared one, and
    would write the very Secrets and statuses that these tests look at.
    """
    with _with_crd(tools) as plane:
        yield plane


@pytest.fixture(scope="session")
def installed_on_oldest(oldest_tools: Tools) -> Iterator[ControlPlane]:
    """The same on the oldest Kubernetes that is supported."""
    with _with_crd(oldest_tools) as plane:
        yield plane


@contextlib.contextmanager
def _with_crd(tools: Tools) -> Iterator[ControlPlane]:
    with ControlPlane.start(tools) as plane:
        plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.kubectl("apply", "-f", str(ROOT / "dev/manifests/rbac.yaml"))
        plane.wait_established("scimtokens.scim-operator.io")
        plane.wait_established("scimwebhooks.scim-operator.io")
        yield plane


@pytest.fixture
def quiet_namespace(installed: ControlPlane) -> str:
    """A fresh namespace on it; it goes with the control plane."""
    return new_namespace(installed)


def ensure_namespace(control_plane: ControlPlane, name: str) -> None:
    """Have a namespace of this name, which may be there already."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(namespace))


@pytest.fixture
def identity_namespace(installed: ControlPlane) -> Iterator[str]:
    """The namespace of ``examples/handover.yaml``, with what that makes in it; it goes with the test."""
    ensure_namespace(installed, IDENTITY_NAMESPACE)
    installed.kubectl("apply", "-f", str(ROOT / "examples/handover.yaml"))
    yield IDENTITY_NAMESPACE
    made = "scimtokens,roles,rolebindings,serviceaccounts,secrets"
    installed.kubectl("delete", made, "--all", "-n", IDENTITY_NAMESPACE)


@pytest.fixture(scope="session")
def operator_kubeconfig(installed: ControlPlane) -> Path:
    """Credentials of the operator's ServiceAccount: exactly its permissions."""
    return Path(installed.service_account_kubeconfig(OPERATOR_NAMESPACE, OPERATOR))


async def client_of(kubeconfig: Path) -> client.ApiClient:
    """A client with these credentials, to be used in ``async with``."""
    loaded: client.ApiClient = await config.new_client_from_config(  # type: ignore[no-untyped-call]
        str(kubeconfig), persist_config=False
    )
    return loaded


@pytest.fixture
async def operator_client(operator_kubeconfig: Path) -> AsyncIterator[client.ApiClient]:
    """Kubernetes as the operator sees it."""
    async with await client_of(operator_kubeconfig) as api_client:
        yield api_client


def manifest(
    name: str, namespace: str, spec: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    """A ScimToken as it would be applied."""
    return {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimToken",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec or {},
    }


def webhook_manifest(name: str, namespace: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """A ScimWebhook as it would be applied: ``spec`` wins over the tenant and the URL that it has otherwise."""
    needed = {"tenant": "contoso", "url": "https://app.example.com/scim-events"}
    return {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimWebhook",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**needed, **(spec or {})},
    }


def applied(control_plane: ControlPlane, body: dict[str, Any]) -> dict[str, Any]:
    """``kubectl apply`` it; the object as the API server has it then."""
    stored: dict[str, Any] = json.loads(
        control_plane.kubectl("apply", "-o", "json", "-f", "-", input=json.dumps(body)).stdout
    )
    return stored


def refusal(control_plane: ControlPlane, body: dict[str, Any]) -> str:
    """What ``kubectl apply`` says when it is refused; fails the test when it is not."""
    done = control_plane.kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(body), check=False)
    assert done.returncode != 0, f"accepted: {body}"
    return str(done.stderr)
