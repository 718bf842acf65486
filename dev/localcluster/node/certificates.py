"""The node's certificates, keys and kubeconfigs, as kubeadm lays them out."""

from typing import Final

from localcluster import pki
from localcluster.node.layout import API_SERVICE_IP, API_URL, NODE_IP, NODE_NAME, Layout

LOOPBACK: Final = ("localhost", "127.0.0.1")
API_NAMES: Final = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    API_SERVICE_IP,
    NODE_IP,
    *LOOPBACK,
)
USERS: Final = {
    "admin": ("kubernetes-admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "kubelet": (f"system:node:{NODE_NAME}", "system:nodes"),
    # RBAC's bootstrap policy binds this user to system:node-proxier.
    "proxy": ("system:kube-proxy", None),
}
"""Name of the files -> common name, organisation."""


def create(layout: Layout) -> None:
    """Write every certificate, key and kubeconfig; nothing when they are there."""
    done = layout.pki / ".complete"
    if done.exists():
        return
    layout.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    cluster, etcd, front_proxy = (
        pki.Authority.create(layout.pki, name) for name in ("ca", "etcd-ca", "front-proxy-ca")
    )
    etcd.issue("etcd", "etcd", pki.SERVER, pki.CLIENT, names=LOOPBACK)
    etcd.issue("apiserver-etcd-client", "kube-apiserver", pki.CLIENT)
    front_proxy.issue("front-proxy-client", "front-proxy-client", pki.CLIENT)
    cluster.issue("apiserver", "kube-apiserver", pki.SERVER, names=API_NAMES)
    cluster.issue("apiserver-kubelet-client", "kube-apiserver", pki.CLIENT, organisation="system:masters")
    cluster.issue(
        "kubelet-server",
        f"system:node:{NODE_NAME}",
        pki.SERVER,
        organisation="system:nodes",
        names=(NODE_NAME, NODE_IP, *LOOPBACK),
    )
    for name, (common_name, organisation) in USERS.items():
        cluster.issue(name, common_name, pki.CLIENT, organisation=organisation)
        content = pki.kubeconfig(
            API_URL, cluster.certificate_pem, pki.certificate_user(layout.pki, name), name
        )
        pki.write_private(layout.pki / f"{name}.kubeconfig", content)
    for name in ("controller-manager", "scheduler"):
        cluster.issue(f"{name}-server", name, pki.SERVER, names=LOOPBACK)
    pki.service_account_key(layout.pki)
    done.touch()
