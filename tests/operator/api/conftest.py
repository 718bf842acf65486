"""What the CRD is tried on."""

import secrets

import pytest

from localcluster import ControlPlane
from localcluster.build import module_directory
from support.installed import IDENTITY_NAMESPACE, ensure_namespace

CERT_MANAGER = ("github.com/cert-manager/cert-manager", "v1.19.1", "deploy/crds")
"""Where the kinds of cert-manager come from, which an example uses: module, version, directory."""


@pytest.fixture(params=["installed", "installed_on_oldest"], ids=["newest", "oldest"])
def server(request: pytest.FixtureRequest) -> ControlPlane:
    """A control plane with the CRD: the pinned Kubernetes, and the oldest one that is supported."""
    plane: ControlPlane = request.getfixturevalue(request.param)
    return plane


@pytest.fixture
def place(server: ControlPlane) -> str:
    """A fresh namespace on it."""
    name = f"test-{secrets.token_hex(4)}"
    server.kubectl("create", "namespace", name)
    return name


@pytest.fixture
def examples_server(server: ControlPlane) -> ControlPlane:
    """With what the examples say has to be there: their namespace, and the kinds of cert-manager."""
    module, version, directory = CERT_MANAGER
    ensure_namespace(server, IDENTITY_NAMESPACE)
    for plural in ("issuers", "certificates"):
        crd = module_directory(module, version) / directory / f"cert-manager.io_{plural}.yaml"
        server.kubectl("apply", "--server-side", "-f", str(crd))
        server.wait_established(f"{plural}.cert-manager.io")
    return server
