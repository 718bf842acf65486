"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler of the node."""

import http.client
import ssl
import urllib.error
import urllib.request
from typing import Final

from localcluster.node.commands import Service
from localcluster.node.layout import (
    API_PORT,
    API_URL,
    ETCD_PEER_PORT,
    ETCD_PORT,
    NODE_IP,
    SERVICE_CIDR,
    Layout,
)
from localcluster.projects import NodeTools
from scim_api.contract.tls import without_strict_profile

COMPONENTS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
READY_SECONDS: Final = 120.0
ETCD_URL: Final = f"https://127.0.0.1:{ETCD_PORT}"


def start(layout: Layout, tools: NodeTools) -> None:
    """Start what does not run, and wait until the API server is ready."""
    _start_etcd(layout, tools)
    api = Service(layout, "kube-apiserver")
    api.start(_api_server(layout, tools))
    api.wait(lambda: missing(layout, "/readyz"), READY_SECONDS)
    certificates = layout.pki
    extra = {
        "controller-manager": [
            "--use-service-account-credentials",
            f"--root-ca-file={certificates}/ca.crt",
            f"--service-account-private-key-file={certificates}/sa.key",
            f"--cluster-signing-cert-file={certificates}/ca.crt",
            f"--cluster-signing-key-file={certificates}/ca.key",
        ],
        "scheduler": [],
    }
    for name, arguments in extra.items():
        kubeconfig = certificates / f"{name}.kubeconfig"
        Service(layout, f"kube-{name}").start(
            [
                tools.path(f"kube-{name}"),
                "--bind-address=127.0.0.1",
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                f"--client-ca-file={certificates}/ca.crt",
                f"--requestheader-client-ca-file={certificates}/front-proxy-ca.crt",
                f"--tls-cert-file={certificates}/{name}-server.crt",
                f"--tls-private-key-file={certificates}/{name}-server.key",
                # There is one of each, and an election would delay the first pod.
                "--leader-elect=false",
                *arguments,
            ]
        )


def stop(layout: Layout) -> None:
    """End all four."""
    for name in reversed(COMPONENTS):
        Service(layout, name).stop()


def _start_etcd(layout: Layout, tools: NodeTools) -> None:
    certificates, peer = layout.pki, f"https://127.0.0.1:{ETCD_PEER_PORT}"
    data = layout.state / "etcd"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    Service(layout, "etcd").start(
        [
            tools.path("etcd"),
            "--name=local",
            f"--data-dir={data}",
            f"--listen-client-urls={ETCD_URL}",
            f"--advertise-client-urls={ETCD_URL}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=local={peer}",
            f"--cert-file={certificates}/etcd.crt",
            f"--key-file={certificates}/etcd.key",
            "--client-cert-auth",
            f"--trusted-ca-file={certificates}/etcd-ca.crt",
            f"--peer-cert-file={certificates}/etcd.crt",
            f"--peer-key-file={certificates}/etcd.key",
            "--peer-client-cert-auth",
            f"--peer-trusted-ca-file={certificates}/etcd-ca.crt",
            "--log-level=warn",
            # It lives as long as a test run: durability over a power cut would only cost disk syncs.
            "--unsafe-no-fsync",
        ]
    )


def _api_server(layout: Layout, tools: NodeTools) -> list[str]:
    certificates = layout.pki
    return [
        tools.path("kube-apiserver"),
        f"--bind-address={NODE_IP}",
        f"--advertise-address={NODE_IP}",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--etcd-servers={ETCD_URL}",
        f"--etcd-cafile={certificates}/etcd-ca.crt",
        f"--etcd-certfile={certificates}/apiserver-etcd-client.crt",
        f"--etcd-keyfile={certificates}/apiserver-etcd-client.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--anonymous-auth=false",
        f"--client-ca-file={certificates}/ca.crt",
        f"--tls-cert-file={certificates}/apiserver.crt",
        f"--tls-private-key-file={certificates}/apiserver.key",
        f"--kubelet-certificate-authority={certificates}/ca.crt",
        f"--kubelet-client-certificate={certificates}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={certificates}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={certificates}/sa.pub",
        f"--service-account-signing-key-file={certificates}/sa.key",
        f"--requestheader-client-ca-file={certificates}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={certificates}/front-proxy-client.crt",
        f"--proxy-client-key-file={certificates}/front-proxy-client.key",
    ]


def opener(layout: Layout) -> urllib.request.OpenerDirector:
    """An administrator's way to the API server, past any proxy."""
    context = without_strict_profile(ssl.create_default_context(cafile=str(layout.pki / "ca.crt")))
    context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )


def missing(layout: Layout, path: str) -> str | None:
    """None when the API server has this, else what it says."""
    try:
        with opener(layout).open(f"{API_URL}{path}", timeout=5):
            return None
    except urllib.error.HTTPError as error:
        return f"{path} answers {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer from {path} ({error})"
