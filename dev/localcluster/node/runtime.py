"""What makes the machine a node: containerd, kubelet, kube-proxy and the enforcer of NetworkPolicies."""

import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from localcluster.daemon import Identity, start_time
from localcluster.errors import ClusterError
from localcluster.node import cgroups, network
from localcluster.node.commands import Service, run
from localcluster.node.layout import DNS_IP, NODE_IP, NODE_NAME, POD_CIDR, Layout
from localcluster.projects import NodeTools

COMPONENTS: Final = ("containerd", "kubelet", "kube-proxy", "network-policy")
CONTAINERD_SECONDS: Final = 30.0
READY_SECONDS: Final = 90.0
SHIM: Final = "containerd-shim-runc-v2"
KUBELET_HEALTH: Final = "http://127.0.0.1:10248/healthz"


def start_containerd(layout: Layout, tools: NodeTools, pause_image: str) -> None:
    """Start containerd, unless it runs, and wait until it answers."""
    layout.images.mkdir(parents=True, exist_ok=True)
    path = layout.state / "containerd.toml"
    path.write_text(_containerd_configuration(layout, tools, pause_image, network.write_cni(layout)))
    containerd = Service(layout, "containerd")
    # It looks for its shim on PATH.
    containerd.start(
        [tools.path("containerd"), "--config", str(path)],
        {"PATH": f"{tools.directory}:{os.environ['PATH']}"},
    )
    containerd.wait(
        lambda: None if ctr(layout, tools, "version", check=False) is not None else "no answer",
        CONTAINERD_SECONDS,
    )


def _containerd_configuration(layout: Layout, tools: NodeTools, pause_image: str, cni: Path) -> str:
    return f"""
version = 4
root = '{layout.images}'
state = '{layout.run}/containerd'
imports = []
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.cri.v1.cdi']

[plugins.'io.containerd.server.v1.grpc']
address = '{layout.socket}'

[plugins.'io.containerd.server.v1.ttrpc']
address = '{layout.socket}.ttrpc'

[plugins.'io.containerd.shim.v1.manager']
socket_dir = '{layout.run}/shims'

[plugins.'io.containerd.internal.v1.opt']
path = '{layout.state}/opt'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '{pause_image}'
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = '{layout.registries}'

[plugins.'io.containerd.cri.v1.runtime']
# Without CAP_SYS_RESOURCE nobody may lower an oom_score_adj, and every pod's pause would fail.
restrict_oom_score_adj = true
# One directory to unmount on the way down, instead of the machine's /run/netns.
netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['{tools.directory}/cni']
conf_dir = '{cni}'
use_internal_loopback = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '{tools.directory}/runc'
Root = '{layout.run}/runc'
SystemdCgroup = false
"""


def ctr(
    layout: Layout, tools: NodeTools, *arguments: str, check: bool = True, seconds: float = 120
) -> str | None:
    """What containerd's client says in the kubelet's namespace; None when it failed without ``check``."""
    done = run(
        [tools.path("ctr"), "--address", str(layout.socket), "-n", "k8s.io", *arguments],
        check=check,
        seconds=seconds,
    )
    return done.stdout if done.returncode == 0 else None


def start(layout: Layout, tools: NodeTools) -> None:
    """Start the kubelet, kube-proxy and the enforcer, unless they run; wait until the node is Ready."""
    kubelet = _healthy_kubelet(layout, tools)
    proxy = Service(layout, "kube-proxy")
    if not proxy.running:
        # It ends by itself when somebody writes this file, even with the same content.
        _write(layout.state / "kube-proxy.json", _proxy_configuration(layout))
    proxy.start([tools.path("kube-proxy"), f"--config={layout.state}/kube-proxy.json"])
    source = str(Path(__file__).resolve().parents[2])
    Service(layout, "network-policy").start(
        [sys.executable, "-m", "localcluster.node.policy", str(layout.root)], {"PYTHONPATH": source}
    )
    kubelet.wait(lambda: _node_missing(layout, tools), READY_SECONDS)
    proxy.wait(_rules_missing, READY_SECONDS)


def _healthy_kubelet(layout: Layout, tools: NodeTools) -> Service:
    """Started again where it has ended: it does when containerd answers, and has not taken its pods up again yet."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        kubelet = _start_kubelet(layout, tools)
        try:
            kubelet.wait(_kubelet_missing, READY_SECONDS)
        except ClusterError:
            if kubelet.running or time.monotonic() > deadline:
                raise
        else:
            return kubelet


def _start_kubelet(layout: Layout, tools: NodeTools) -> Service:
    layout.kubelet.mkdir(parents=True, exist_ok=True)
    # Pods reach nothing outside: a name that the cluster does not know fails at once.
    (layout.state / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    kubelet = Service(layout, "kubelet")
    if not kubelet.running:
        _write(layout.state / "kubelet.json", _kubelet_configuration(layout))
    kubelet.start(
        [
            tools.path("kubelet"),
            f"--config={layout.state}/kubelet.json",
            f"--kubeconfig={layout.pki}/kubelet.kubeconfig",
            f"--root-dir={layout.kubelet}",
            f"--cert-dir={layout.kubelet}/pki",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_IP}",
        ]
    )
    return kubelet


def _write(path: Path, configuration: dict[str, Any]) -> None:
    path.write_text(json.dumps(configuration, indent=2))


def _kubelet_configuration(layout: Layout) -> dict[str, Any]:
    certificates = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{certificates}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{certificates}/kubelet-server.crt",
        "tlsPrivateKeyFile": f"{certificates}/kubelet-server.key",
        "containerRuntimeEndpoint": f"unix://{layout.socket}",
        "cgroupDriver": "cgroupfs",
        # The default refuses cgroup version 1.
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_IP],
        "resolvConf": f"{layout.state}/resolv.conf",
        "podLogsDir": f"{layout.state}/pod-logs",
        "volumePluginDir": f"{layout.state}/volume-plugins",
        "seccompDefault": True,
        "makeIPTablesUtilChains": False,
        # An image that is given to the node may be one that it has pulled from a registry under another name. By
        # default that would be pulled once more, to see who may have it.
        "imagePullCredentialsVerificationPolicy": "NeverVerify",
        # Nothing can be pulled again, so nothing may be collected.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "200Mi",
            "nodefs.available": "1Gi",
            "imagefs.available": "1Gi",
        },
        # Lowering it needs CAP_SYS_RESOURCE.
        "oomScoreAdj": 0,
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "15s",
    }


def _proxy_configuration(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE_NAME,
        "clientConnection": {"kubeconfig": f"{layout.pki}/proxy.kubeconfig"},
        "clusterCIDR": POD_CIDR,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "nodePortAddresses": [f"{NODE_IP}/32"],
        "oomScoreAdj": 0,
        # Zeros leave the machine's connection tracking as it is.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def _kubelet_missing() -> str | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(KUBELET_HEALTH, timeout=5):
            return None
    except (OSError, urllib.error.HTTPError) as error:
        return f"the kubelet is not healthy ({error})"


def _node_missing(layout: Layout, tools: NodeTools) -> str | None:
    query = '-o=jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}'
    done = run(
        [tools.path("kubectl"), f"--kubeconfig={layout.kubeconfig}", "get", "node", NODE_NAME, query],
        check=False,
    )
    if done.returncode == 0 and done.stdout.startswith("True"):
        return None
    return f"the node is not Ready ({done.stdout.strip() or 'not registered'})"


def _rules_missing() -> str | None:
    done = run(["nft", "list", "table", "ip", "kube-proxy"], check=False)
    return None if done.returncode == 0 else "no rules of Services yet"


def stop(layout: Layout, tools: NodeTools | None, pause_image: str) -> None:
    """Stop the node and leave nothing of it: pods, mounts, network namespaces, cgroups."""
    for name in ("kubelet", "kube-proxy", "network-policy"):
        Service(layout, name).stop()
    forget_images = False
    if (layout.state / "containerd.toml").exists():
        try:
            if tools is None:
                raise ClusterError("the tools are gone")
            # It has to run for this: what it remembers would come back with the next node.
            start_containerd(layout, tools, pause_image)
            _remove_containers(layout, tools)
        except ClusterError:
            forget_images = True
    Service(layout, "containerd").stop()
    _stop_shims(layout)
    cgroups.remove_pods()
    _unmount_below(layout.run, layout.root)
    if forget_images:
        shutil.rmtree(layout.images, ignore_errors=True)


def _remove_containers(layout: Layout, tools: NodeTools) -> None:
    for kind, *flags in (("tasks", "--force"), ("containers",), ("leases",)):
        found = (ctr(layout, tools, kind, "ls", "-q", check=False) or "").split()
        if found:
            ctr(layout, tools, kind, "delete", *flags, *found, check=False)


def _stop_shims(layout: Layout) -> None:
    """Shims outlive containerd by design. Ours are known by the socket they were given."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if SHIM in words[0] and str(layout.socket) in words:
            started = start_time(int(entry.name))
            if started is not None:
                Identity(int(entry.name), started).stop(2)


def _mounts_below(*roots: Path) -> list[Path]:
    points = [
        Path(line.split()[4].encode().decode("unicode_escape"))
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
    ]
    return [point for point in points if any(point.is_relative_to(root) for root in roots)]


def _unmount_below(*roots: Path) -> None:
    """Unmount everything under our own directories, innermost first."""
    for point in reversed(_mounts_below(*roots)):
        run(["umount", "--lazy", str(point)], check=False)
    left = _mounts_below(*roots)
    if left:
        # Nothing may be removed while something of somebody else's may be mounted there.
        raise ClusterError(f"{left[0]} is still mounted: unmount it, then `down` again")
