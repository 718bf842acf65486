"""What the CRD is tried on."""

import secrets

import pytest

from localcluster import ControlPlane


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
