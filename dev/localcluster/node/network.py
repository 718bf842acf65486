"""The bridge that pods and the node's own address live on, and the rules around it."""

import contextlib
import ipaddress
import json
from pathlib import Path
from typing import Final

from localcluster.errors import ClusterError
from localcluster.node import policy
from localcluster.node.commands import run
from localcluster.node.layout import BRIDGE, NODE_IP, POD_CIDR, POD_GATEWAY, Layout

TABLE: Final = "scim-operator-node"
TABLES: Final = (
    ("inet", TABLE),
    ("inet", policy.TABLE),
    # kube-proxy's and the portmap plugin's.
    ("ip", "kube-proxy"),
    ("ip6", "kube-proxy"),
    ("ip", "cni_hostport"),
    ("ip6", "cni_hostport"),
)
OURS: Final = {
    "net.ipv4.ip_forward": "1",
    # What goes from pod to pod over the bridge has to meet the rules of Services and policies.
    "net.bridge.bridge-nf-call-iptables": "1",
}
KUBELETS: Final = (
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
"""What the kubelet sets and does not put back."""
RULES: Final = f"""
table inet {TABLE} {{}}
delete table inet {TABLE}
table inet {TABLE} {{
    chain forward {{
        # With forwarding on, the machine must not become a router between pods and the outside.
        type filter hook forward priority 10; policy accept;
        iifname "{BRIDGE}" oifname "{BRIDGE}" accept
        iifname "{BRIDGE}" reject
        oifname "{BRIDGE}" ct state established,related accept
        oifname "{BRIDGE}" drop
    }}
    chain input {{
        # Linux answers for any of its addresses on any interface: a neighbour with a route to the node's
        # address would reach the API server and the kubelet.
        type filter hook input priority 10; policy accept;
        iifname {{ "lo", "{BRIDGE}" }} accept
        ip daddr {{ {NODE_IP}, {POD_GATEWAY} }} drop
    }}
}}
"""


def _setting(name: str) -> Path:
    return Path("/proc/sys") / name.replace(".", "/")


def up(layout: Layout) -> None:
    """Make the bridge and its rules, and note down the kernel's settings that are about to change."""
    if not _setting("net.bridge.bridge-nf-call-iptables").exists():
        with contextlib.suppress(ClusterError):
            run(["modprobe", "br_netfilter"])
    saved = layout.run / "settings.json"
    if not saved.exists():
        names = [name for name in (*OURS, *KUBELETS) if _setting(name).exists()]
        saved.write_text(json.dumps({name: _setting(name).read_text().strip() for name in names}))
    for name, value in OURS.items():
        try:
            _setting(name).write_text(value)
        except OSError as error:
            raise ClusterError(f"this machine's kernel cannot set {name}={value}: {error}") from error

    if not _exists(BRIDGE):
        run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    prefix = ipaddress.ip_network(POD_CIDR).prefixlen
    run(["ip", "address", "replace", f"{POD_GATEWAY}/{prefix}", "dev", BRIDGE])
    run(["ip", "address", "replace", f"{NODE_IP}/32", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    run(["nft", "-f", "-"], text=RULES)


def _exists(interface: str) -> bool:
    return Path("/sys/class/net", interface).exists()


def down(layout: Layout) -> None:
    """Remove the bridge and every table of rules, and put the kernel's settings back."""
    for family, table in TABLES:
        run(["nft", "delete", "table", family, table], check=False)
    if _exists(BRIDGE):
        run(["ip", "link", "delete", BRIDGE])
    saved = layout.run / "settings.json"
    if saved.exists():
        for name, value in json.loads(saved.read_text()).items():
            if _setting(name).read_text().strip() != value:
                _setting(name).write_text(value)
        saved.unlink()


def write_cni(layout: Layout) -> Path:
    """The pods' network: our bridge, addresses from a file, host ports by rules."""
    directory = layout.state / "cni"
    directory.mkdir(parents=True, exist_ok=True)
    configuration = {
        "cniVersion": "1.0.0",
        "name": "scim-operator-node",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                # A pod may be the answer to its own Service.
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(layout.state / "cni-addresses"),
                    "ranges": [[{"subnet": POD_CIDR, "gateway": POD_GATEWAY}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {
                "type": "portmap",
                "backend": "nftables",
                "snat": True,
                "capabilities": {"portMappings": True},
            },
        ],
    }
    (directory / "10-bridge.conflist").write_text(json.dumps(configuration, indent=2))
    return directory
