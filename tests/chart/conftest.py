"""The real helm and its companions, and a Kubernetes that knows all kinds the chart renders."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster import ControlPlane, Tools
from localcluster.build import module_directory
from localcluster.projects import build_chart_tools
from support.chart import NAMESPACE, Helm

OTHER_KINDS = (
    ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd"),
    ("sigs.k8s.io/gateway-api", "v1.6.1", "config/crd/standard"),
)
"""Where the kinds come from that Kubernetes itself does not have: module, version, directory."""
NEEDED = ("servicemonitors", "prometheusrules", "httproutes")
NAMESPACES = (NAMESPACE, "team-a", "team-b", "sales", "identity", "identity-test")
"""Those of the values files: the release's, and others that they name."""


@pytest.fixture(scope="session")
def chart_tools(say: Callable[[str], None]) -> Tools:
    """helm, helm3, kubeconform, promtool and registry; built when they are not in the cache."""
    return build_chart_tools(say)


@pytest.fixture(scope="session")
def helm(chart_tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(chart_tools.path("helm"), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def helm_3(chart_tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The Helm of before, which is supported too."""
    return Helm(chart_tools.path("helm3"), tmp_path_factory.mktemp("helm3"))


@pytest.fixture(scope="module")
def plane(tools: Tools) -> Iterator[ControlPlane]:
    """A control plane of its own: the chart brings its kind and its permissions itself.

    Its namespaces demand Pod Security "restricted".
    """
    with _prepared(tools) as plane:
        yield plane


@pytest.fixture(scope="module")
def oldest_plane(oldest_tools: Tools) -> Iterator[ControlPlane]:
    """The same of the oldest Kubernetes that is supported."""
    with _prepared(oldest_tools) as plane:
        yield plane


@contextlib.contextmanager
def _prepared(tools: Tools) -> Iterator[ControlPlane]:
    with ControlPlane.start(tools) as plane:
        for namespace in NAMESPACES:
            plane.kubectl("create", "namespace", namespace)
            plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        for kind in other_kinds():
            plane.kubectl("apply", "--server-side", "-f", str(kind))
            plane.wait_established(kind.stem.split("_")[1] + "." + kind.stem.split("_")[0])
        yield plane


def other_kinds() -> list[Path]:
    """The definitions of the kinds that others bring, ``<group>_<plural>.yaml``."""
    found = [
        path
        for module, version, directory in OTHER_KINDS
        for path in sorted((module_directory(module, version) / directory).glob("*.yaml"))
        if path.stem.endswith(NEEDED)
    ]
    assert len(found) == len(NEEDED)
    return found
