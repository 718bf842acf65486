"""What else is built from Go modules: the tools for the chart and the workflows, and all that makes a machine a node."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from localcluster.build import (
    KUBERNETES,
    KUBERNETES_VERSION,
    MODULE,
    SOURCES,
    Project,
    build_project,
    build_tools,
    module_directory,
    required_version,
)
from localcluster.cache import Say, Tools, gather

CONTAINERD: Final = "github.com/containerd/containerd/v2"
CNI: Final = "github.com/containernetworking/plugins"
TRAEFIK: Final = "github.com/traefik/traefik/v3"
LEGO: Final = "github.com/go-acme/lego/v5"
GATEWAY_API: Final = "gateway-api"
"""The folder with the definitions of the Gateway API, of the version that Traefik was made for."""


def _without_dns_providers(work: Path) -> None:
    """Cut the 180 DNS providers of Traefik's ACME library: one needs a module that no proxy serves."""
    target = work / "lego"
    shutil.copytree(module_directory(LEGO, required_version((work / "go.mod").read_text(), LEGO)), target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    providers = target / "providers" / "dns"
    (providers / "dns_providers_test.go").unlink()
    shutil.copy(work / "no_dns_providers.go.txt", providers / "zz_gen_dns_providers.go")


def _project(name: str, title: str, module: str, packages: Mapping[str, str]) -> Project:
    return Project(SOURCES / name, title, module, packages)


HELM: Final = dataclasses.replace(
    _project("helm", "Helm", "helm.sh/helm/v4", {"helm": "helm.sh/helm/v4/cmd/helm"}),
    version_variable="helm.sh/helm/v4/internal/version.version",
)
HELM_3: Final = dataclasses.replace(
    _project("helm-3", "Helm 3", "helm.sh/helm/v3", {"helm3": "helm.sh/helm/v3/cmd/helm"}),
    version_variable="helm.sh/helm/v3/internal/version.version",
)
"""The Helm of before, which the chart supports too."""
KUBECONFORM: Final = dataclasses.replace(
    _project(
        "kubeconform",
        "kubeconform",
        "github.com/yannh/kubeconform",
        {"kubeconform": "github.com/yannh/kubeconform/cmd/kubeconform"},
    ),
    version_variable="main.version",
)
PROMTOOL: Final = dataclasses.replace(
    _project(
        "promtool",
        "promtool",
        "github.com/prometheus/prometheus",
        {"promtool": "github.com/prometheus/prometheus/cmd/promtool"},
    ),
    version_variable="github.com/prometheus/common/version.Version",
    # It has to find no targets: 250 packages of cloud providers less.
    tags="remove_all_sd",
)
ACTIONLINT: Final = _project(
    "actionlint",
    "actionlint",
    "github.com/rhysd/actionlint",
    {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"},
)
"""What `make lint` checks the workflows with; it finds out its version by itself."""
SYFT: Final = dataclasses.replace(
    _project("syft", "Syft", "github.com/anchore/syft", {"syft": "github.com/anchore/syft/cmd/syft"}),
    version_variable="main.version",
)
"""What finds the parts of an image for `make release`."""
KUBECTL: Final = Project(
    MODULE, "kubectl", KUBERNETES, {"kubectl": f"{KUBERNETES}/cmd/kubectl"}, KUBERNETES_VERSION
)
"""kubectl alone, of the newest Kubernetes."""
OLDEST: Final = dataclasses.replace(
    _project(
        "kubernetes-oldest",
        "the oldest Kubernetes that is supported",
        KUBERNETES,
        {name: f"{KUBERNETES}/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager")},
    ),
    version_variable=KUBERNETES_VERSION,
)
"""The oldest minor that chart and docs promise. No controller manager may be newer than its API server."""
REGISTRY: Final = _project(
    "registry",
    "an OCI registry",
    "github.com/google/go-containerregistry",
    {"registry": "github.com/google/go-containerregistry/cmd/registry"},
)
"""Small, in memory: seven packages beside Go's own. It has no version to tell."""
CHART: Final = (HELM, HELM_3, KUBECONFORM, PROMTOOL, REGISTRY)
"""What a chart is checked with, and pushed to."""

NODE: Final[Mapping[str, Project]] = {
    "runc": dataclasses.replace(
        _project(
            "runc", "runc", "github.com/opencontainers/runc", {"runc": "github.com/opencontainers/runc"}
        ),
        tags="seccomp,netgo,osusergo",
        c_library=True,
    ),
    "containerd": dataclasses.replace(
        _project(
            "containerd",
            "containerd",
            CONTAINERD,
            {name: f"{CONTAINERD}/cmd/{name}" for name in ("containerd", "ctr", "containerd-shim-runc-v2")},
        ),
        version_variable=f"{CONTAINERD}/version.Version",
    ),
    "cni": _project(
        "cni",
        "CNI plugins",
        CNI,
        {
            "cni/bridge": f"{CNI}/plugins/main/bridge",
            "cni/host-local": f"{CNI}/plugins/ipam/host-local",
            "cni/portmap": f"{CNI}/plugins/meta/portmap",
        },
    ),
    "node": dataclasses.replace(
        _project(
            "node",
            "Kubernetes for nodes",
            KUBERNETES,
            {
                **{name: f"{KUBERNETES}/cmd/{name}" for name in ("kubelet", "kube-proxy", "kube-scheduler")},
                "pause": "scim-operator.io/dev/tools/node/pause",
            },
        ),
        version_variable=KUBERNETES_VERSION,
    ),
    "traefik": dataclasses.replace(
        _project("traefik", "Traefik", TRAEFIK, {"traefik": f"{TRAEFIK}/cmd/traefik"}),
        version_variable=f"{TRAEFIK}/pkg/version.Version",
        folders={GATEWAY_API: ("sigs.k8s.io/gateway-api", "config/crd/standard")},
        prepare=_without_dns_providers,
    ),
    "coredns": _project(
        "coredns", "CoreDNS", "github.com/coredns/coredns", {"coredns": "github.com/coredns/coredns"}
    ),
    "local-path-provisioner": _project(
        "local-path-provisioner",
        "local-path-provisioner",
        "github.com/rancher/local-path-provisioner",
        {"local-path-provisioner": "github.com/rancher/local-path-provisioner"},
    ),
}
"""What a node needs beside the control plane and both Helms."""


@dataclasses.dataclass(frozen=True, slots=True)
class NodeTools:
    """Where each of the node's programs is."""

    directory: Path
    """For a PATH: kubectl, helm, helm3, containerd, ctr and the others."""
    projects: Mapping[str, Path]
    """Name in ``NODE`` -> the directory with what was built of it."""

    def path(self, name: str) -> str:
        """Full path of one binary."""
        return str(self.directory / name)


def build_chart_tools(say: Say = print) -> Tools:
    """helm, helm3, kubeconform, promtool and registry in one directory, built when they are not in the cache.

    Raises:
        ClusterError: as for ``build_tools``.
    """
    return Tools(gather([build_project(project, say) for project in CHART]))


def build_oldest_tools(say: Say = print) -> Tools:
    """A control plane of the oldest Kubernetes that is supported; etcd and kubectl are those of the newest.

    Raises:
        ClusterError: as for ``build_tools``.
    """
    return Tools(gather([build_project(OLDEST, say), build_tools(say).directory]))


def build_node_tools(say: Say = print) -> NodeTools:
    """Everything a node runs, built when it is not in the cache.

    Raises:
        ClusterError: as for ``build_tools``.
    """
    control_plane = build_tools(say).directory
    helms = [build_project(HELM, say), build_project(HELM_3, say)]
    made = {name: build_project(project, say) for name, project in NODE.items()}
    return NodeTools(gather([control_plane, *helms, *made.values()]), made)
