"""NetworkPolicy on the node's one bridge: the policies of the API server as rules of the kernel.

Run as a process of its own (``python -m localcluster.node.policy DIRECTORY``). It polls, so that a new pod is
open for up to ``INTERVAL`` seconds; IPv4 only; what is not allowed is rejected, so that a test fails fast. Good
for proving that a chart's policies let through what they must and nothing else; not a security boundary.
"""

import dataclasses
import http.client
import ipaddress
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from localcluster.errors import ClusterError
from localcluster.node.commands import run
from localcluster.node.control_plane import opener
from localcluster.node.layout import API_URL, Layout

TABLE: Final = "scim-operator-node-policy"
INTERVAL: Final = 0.5
FINISHED: Final = ("Succeeded", "Failed")

Object = dict[str, Any]


def matches(selector: Object, labels: Object) -> bool:
    """Whether a label selector (``matchLabels``, ``matchExpressions``) selects these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        key, values = expression["key"], expression.get("values", [])
        match expression["operator"]:
            case "In":
                fits = labels.get(key) in values
            case "NotIn":
                fits = labels.get(key) not in values
            case "Exists":
                fits = key in labels
            case _:
                fits = key not in labels
        if not fits:
            return False
    return True


def _labels(item: Object) -> Object:
    labels: Object = item["metadata"].get("labels", {})
    return labels


def _address(pod: Object) -> str:
    return str(pod["status"]["podIP"])


def block_networks(block: Object) -> list[str]:
    """What is left of an ``ipBlock`` without its exceptions."""
    if ":" in block["cidr"]:
        return []
    networks = [ipaddress.IPv4Network(block["cidr"])]
    for hole in (ipaddress.IPv4Network(text) for text in block.get("except", []) if ":" not in text):
        left: list[ipaddress.IPv4Network] = []
        for network in networks:
            if network.subnet_of(hole):
                continue
            left += network.address_exclude(hole) if hole.subnet_of(network) else [network]
        networks = left
    return [str(network) for network in sorted(networks)]


@dataclasses.dataclass(frozen=True)
class _Cluster:
    pods: Sequence[Object]
    namespaces: Sequence[Object]

    def selected(self, peer: Object, namespace: str) -> list[Object]:
        """The pods that a peer without ``ipBlock`` stands for; ``namespace`` is the policy's."""
        chosen = {namespace}
        if "namespaceSelector" in peer:
            chosen = {
                item["metadata"]["name"]
                for item in self.namespaces
                if matches(peer["namespaceSelector"], _labels(item))
            }
        return [
            pod
            for pod in self.pods
            if pod["metadata"]["namespace"] in chosen and matches(peer.get("podSelector", {}), _labels(pod))
        ]


def _named_port(name: str, protocol: str, pod: Object) -> list[int]:
    return sorted(
        {
            port["containerPort"]
            for container in pod["spec"]["containers"]
            for port in container.get("ports", [])
            if port.get("name") == name and port.get("protocol", "TCP") == protocol
        }
    )


def _set(addresses: Sequence[str]) -> str:
    return "{ " + ", ".join(addresses) + " }"


def _egress(rule: Object, namespace: str, cluster: _Cluster) -> Iterator[str]:
    """What one egress rule lets through; a named port is that of each pod it leads to."""
    peers, ports = rule.get("to"), rule.get("ports") or [{}]
    for peer in peers or [{}]:
        pods = cluster.selected(peer, namespace) if peers and "ipBlock" not in peer else list(cluster.pods)
        if not peers:
            host = ""
        elif found := block_networks(peer["ipBlock"]) if "ipBlock" in peer else sorted(map(_address, pods)):
            host = f"ip daddr {_set(found)} "
        else:
            continue
        for port in ports:
            if not isinstance(port.get("port"), str):
                yield f"{host}{_port(port)}return"
            elif "ipBlock" not in peer:
                protocol = port.get("protocol", "TCP")
                for pod in pods:
                    for number in _named_port(port["port"], protocol, pod):
                        yield f"ip daddr {_address(pod)} {protocol.lower()} dport {number} return"


def _ingress(rule: Object, namespace: str, pod: Object, cluster: _Cluster) -> Iterator[str]:
    """What one ingress rule lets through to ``pod``."""
    peers = rule.get("from")
    hosts = [] if peers else [""]
    for peer in peers or []:
        found = (
            block_networks(peer["ipBlock"])
            if "ipBlock" in peer
            else sorted(map(_address, cluster.selected(peer, namespace)))
        )
        if found:
            hosts.append(f"ip saddr {_set(found)} ")
    for host in hosts:
        for port in rule.get("ports") or [{}]:
            if isinstance(port.get("port"), str):
                protocol = port.get("protocol", "TCP")
                for number in _named_port(port["port"], protocol, pod):
                    yield f"{host}{protocol.lower()} dport {number} return"
            else:
                yield f"{host}{_port(port)}return"


def _port(port: Object) -> str:
    """The match of one numbered port; empty for a rule without ports."""
    if not port:
        return ""
    protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
    if number is None:
        return f"meta l4proto {protocol} "
    last = port.get("endPort", number)
    return f"{protocol} dport {number if last == number else f'{number}-{last}'} "


def ruleset(pods: Sequence[Object], namespaces: Sequence[Object], policies: Sequence[Object]) -> str:
    """The whole table, as ``nft -f`` takes it: replaced in one step.

    Args:
        pods: Those with an address of their own: not finished, not on the machine's network.
        namespaces: All.
        policies: All NetworkPolicies.
    """
    cluster = _Cluster(pods, namespaces)
    chains: list[str] = []
    jumps: list[str] = []
    for pod in sorted(pods, key=_address):
        address, namespace = _address(pod), pod["metadata"]["namespace"]
        selecting = [
            item["spec"]
            for item in policies
            if item["metadata"]["namespace"] == namespace
            and matches(item["spec"].get("podSelector", {}), _labels(pod))
        ]
        for direction, own in (("Egress", "saddr"), ("Ingress", "daddr")):
            isolating = [spec for spec in selecting if direction in spec["policyTypes"]]
            if not isolating:
                continue
            lines = [
                line
                for spec in isolating
                for rule in spec.get(direction.lower()) or []
                for line in (
                    _egress(rule, namespace, cluster)
                    if direction == "Egress"
                    else _ingress(rule, namespace, pod, cluster)
                )
            ]
            chain = f"{direction.lower()}-{address}"
            jumps.append(f"ip {own} {address} jump {chain}")
            chains.append(f"chain {chain} {{ {'; '.join([*lines, 'reject'])}; }}")
    # The bridge shows these hooks what goes from pod to pod (bridge-nf-call-iptables). What the node itself
    # sends, such as probes, meets neither, as Kubernetes asks.
    hooks = [
        f"chain {hook} {{ type filter hook {hook} priority 0; ct state established,related accept; "
        + "".join(f"{jump}; " for jump in jumps)
        + "}"
        for hook in ("forward", "input")
    ]
    body = "\n".join([*chains, *hooks])
    return f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{body}\n}}\n"


class Enforcer:
    """Keeps the kernel's table equal to what the API server says."""

    def __init__(self, layout: Layout) -> None:
        self._opener = opener(layout)
        self._applied = ""

    def _list(self, path: str) -> list[Object]:
        # resourceVersion=0: from the API server's memory, not from etcd.
        with self._opener.open(f"{API_URL}{path}?resourceVersion=0", timeout=5) as answer:
            items: list[Object] = json.load(answer)["items"]
            return items

    def enforce(self) -> None:
        """One round. Raises ``OSError`` when the API server does not answer."""
        pods = [
            pod
            for pod in self._list("/api/v1/pods")
            if pod["status"].get("podIP")
            and not pod["spec"].get("hostNetwork")
            and pod["status"]["phase"] not in FINISHED
        ]
        policies = self._list("/apis/networking.k8s.io/v1/networkpolicies")
        wanted = ruleset(pods, self._list("/api/v1/namespaces"), policies)
        if wanted != self._applied:
            run(["nft", "-f", "-"], text=wanted)
            self._applied = wanted


def main(directory: str) -> None:
    """Enforce until it is ended."""
    enforcer = Enforcer(Layout(Path(directory)))
    while True:
        try:
            enforcer.enforce()
        except (OSError, http.client.HTTPException, ClusterError) as error:
            print(error, file=sys.stderr, flush=True)
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main(sys.argv[1])
