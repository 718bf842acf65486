"""Where everything of the node lives, and which addresses it uses."""

import dataclasses
from pathlib import Path
from typing import Final, Self

from localcluster.cache import cache_root

SOURCE: Final = Path(__file__).resolve().parents[2] / "node"
"""The node's manifests and Containerfiles."""
RUN: Final = Path("/run/scim-operator-node")
"""Sockets, process ids, network namespaces. Short, because a socket's path ends at 107 bytes."""
LOCK: Final = Path("/run/lock/scim-operator-node")

NODE_NAME: Final = "node"
NODE_IP: Final = "172.30.0.1"
"""API server and kubelet, on a bridge of our own: the kubelet refuses a loopback address, and the machine's
outward address is not ours to use."""
POD_CIDR: Final = "10.244.0.0/16"
POD_GATEWAY: Final = "10.244.0.1"
SERVICE_CIDR: Final = "10.96.0.0/16"
API_SERVICE_IP: Final = "10.96.0.1"
DNS_IP: Final = "10.96.0.10"
BRIDGE: Final = "scimnode0"
API_PORT: Final = 6443
ETCD_PORT: Final = 12379
ETCD_PEER_PORT: Final = 12380
API_URL: Final = f"https://{NODE_IP}:{API_PORT}"


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """The directories of the one node that a machine can have (its addresses are fixed)."""

    root: Path
    """On disk; the stores of images in it survive ``down``."""
    run: Path = RUN

    @classmethod
    def default(cls) -> Self:
        """Beside the cache of the tools."""
        return cls(cache_root().parent / "node")

    @property
    def state(self) -> Path:
        """Gone after ``down``: etcd's data, certificates, configuration, the pods' volumes and logs."""
        return self.root / "state"

    @property
    def pki(self) -> Path:
        """Certificates, keys and kubeconfigs."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """Kept by ``down``, so that a failure can be read afterwards; emptied by the next start from nothing."""
        return self.root / "logs"

    @property
    def volumes(self) -> Path:
        """What persistent volumes hold."""
        return self.state / "volumes"

    @property
    def images(self) -> Path:
        """Where containerd keeps images; survives ``down``."""
        return self.root / "containerd"

    @property
    def builder(self) -> Path:
        """The image builder's store; survives ``down``."""
        return self.root / "buildah"

    @property
    def archives(self) -> Path:
        """Images as they were built."""
        return self.root / "archives"

    @property
    def kubelet(self) -> Path:
        """The kubelet's own directory."""
        return self.state / "kubelet"

    @property
    def kubeconfig(self) -> Path:
        """An administrator's."""
        return self.state / "admin.kubeconfig"

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return self.run / "containerd.sock"

    @property
    def registries(self) -> Path:
        """Where containerd reads at which address it finds a registry: a folder for each host."""
        return self.state / "registries"

    @property
    def owner(self) -> Path:
        """Whose node runs here: the root of its layout."""
        return self.run / "owner"

    @property
    def footprint(self) -> Path:
        """Paths outside of ours that were not there before the node."""
        return self.root / "footprint.json"
