"""What a managed cluster brings along: cluster DNS, a default StorageClass, an Ingress and Gateway controller."""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from localcluster.errors import ClusterError
from localcluster.node.images import PROGRAMS, base_image, program_image
from localcluster.node.layout import DNS_IP, SOURCE, Layout
from localcluster.projects import GATEWAY_API, NodeTools

Kubectl = Callable[..., str]
WORKLOADS: Final = (
    ("kube-system", "deployment/coredns"),
    ("local-path-storage", "deployment/local-path-provisioner"),
    ("ingress", "daemonset/traefik"),
)
ROLLOUT_SECONDS: Final = 90
ESTABLISHED_SECONDS: Final = 30


def manifests(layout: Layout, tools: NodeTools) -> list[str]:
    """Every manifest, with the addresses and images of this node."""
    values = {
        "BASE_IMAGE": base_image(),
        "DNS_IP": DNS_IP,
        "VOLUMES": str(layout.volumes),
        **{f"{name.upper().replace('-', '_')}_IMAGE": program_image(name, tools) for name in PROGRAMS},
    }
    return [fill(path.read_text(), values) for path in sorted((SOURCE / "manifests").glob("*.yaml"))]


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace each ``@NAME@``. Raises ``KeyError`` for one that is not known."""
    return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], text)


def apply(layout: Layout, tools: NodeTools, kubectl: Kubectl) -> None:
    """Apply what has not been applied yet, and wait until what runs of it is ready.

    Raises:
        ClusterError: with the events of what is not ready.
    """
    texts, definitions = manifests(layout, tools), (tools.directory / GATEWAY_API).resolve()
    digest = hashlib.sha256("\0".join([str(definitions), *texts]).encode()).hexdigest()
    applied = layout.state / "addons"
    if not applied.exists() or applied.read_text() != digest:
        kubectl("apply", "--server-side", "-f", str(definitions))
        _wait_established(kubectl)
        for text in texts:
            kubectl("apply", "--server-side", "-f", "-", text=text)
        applied.write_text(digest)
    for namespace, workload in WORKLOADS:
        try:
            kubectl("rollout", "status", "-n", namespace, workload, f"--timeout={ROLLOUT_SECONDS}s")
        except ClusterError as error:
            events = kubectl("get", "events", "-n", namespace, check=False)
            pods = kubectl("describe", "pods", "-n", namespace, check=False)
            raise ClusterError(f"{error}\n{events}\n{pods[-2000:]}") from error


def _wait_established(kubectl: Kubectl) -> None:
    """Until the API server serves every definition; ``kubectl wait`` gives up on one without conditions yet."""
    deadline = time.monotonic() + ESTABLISHED_SECONDS
    while not established(json.loads(kubectl("get", "crd", "-o=json"))):
        if time.monotonic() > deadline:
            raise ClusterError(f"the Gateway API's definitions are not served after {ESTABLISHED_SECONDS} s")
        time.sleep(0.2)


def established(definitions: dict[str, Any]) -> bool:
    """Whether each definition of a list says that it is served; one that was just made says nothing yet."""
    return all(
        any(
            (condition["type"], condition["status"]) == ("Established", "True")
            for condition in one.get("status", {}).get("conditions") or ()
        )
        for one in definitions["items"]
    )
