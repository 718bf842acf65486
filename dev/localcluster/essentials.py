"""The least that a demo's Kubernetes is made of: etcd, kube-apiserver and a kubectl, cached or built.

Without kube-controller-manager nothing collects what a deleted owner leaves and no deleted namespace ends: whoever only
shows the operator does without. The tests and the benchmarks use ``build_tools``, which has it.
"""

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from localcluster import envtest
from localcluster.build import (
    KUBERNETES,
    KUBERNETES_VERSION,
    MODULE,
    PACKAGES,
    Project,
    build_project,
    find_project,
    find_tools,
)
from localcluster.cache import Say, Tools, gather, link
from localcluster.errors import Unavailable
from localcluster.projects import KUBECTL, OLDEST

SERVERS: Final = Project(
    MODULE,
    "etcd and kube-apiserver",
    KUBERNETES,
    {name: PACKAGES[name] for name in ("etcd", "kube-apiserver")},
    KUBERNETES_VERSION,
)
_SECONDS: Final = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Cached:
    """Tools that are there."""

    tools: Tools
    version: str
    """Of Kubernetes."""
    origin: str
    """How they came here."""


def find_cached() -> Cached | None:
    """The best that is there: all of the control plane before a part of it, and built before downloaded."""
    if (full := find_tools()) is not None:
        return Cached(full, KUBECTL.version, "built before, with kube-controller-manager")
    if (built := _find_built()) is not None:
        return Cached(built, SERVERS.version, "built before")
    try:
        archive = envtest.pinned()
    except Unavailable:
        return None
    downloaded = envtest.find(archive)
    return None if downloaded is None else Cached(downloaded, archive.version, "downloaded before")


def _find_built() -> Tools | None:
    servers = find_project(SERVERS)
    if servers is None:
        return None
    if (kubectl := find_kubectl()) is not None:
        return _together(servers, kubectl)
    built = find_project(KUBECTL)
    return None if built is None else Tools(gather([servers, built]))


def build_essentials(say: Say = print) -> Tools:
    """Build what is not in the cache; kubectl only where the PATH has none that will do.

    Raises:
        ClusterError: as for ``build_tools``.
    """
    servers = build_project(SERVERS, say)
    if (kubectl := find_kubectl()) is not None:
        say(f"kubectl is {kubectl}: it need not be built")
        return _together(servers, kubectl)
    return Tools(gather([servers, build_project(KUBECTL, say)]))


def _together(servers: Path, kubectl: Path) -> Tools:
    return Tools(link({**{name: servers / name for name in SERVERS.packages}, "kubectl": kubectl}))


def find_kubectl() -> Path | None:
    """The PATH's kubectl; None when there is none, or it is older than the oldest Kubernetes that is supported."""
    found = shutil.which("kubectl")
    if found is None:
        return None
    try:
        done = subprocess.run(
            [found, "version", "--client", "--output=json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Path(found).absolute() if recent_enough(done.stdout, OLDEST.version) else None


def recent_enough(told: str, oldest: str) -> bool:
    """Whether what ``kubectl version --client --output=json`` says is of ``oldest``'s minor version or a later one."""
    try:
        version = json.loads(told)["clientVersion"]["gitVersion"]
    except (ValueError, KeyError, TypeError):
        return False
    ours, least = _minor(str(version)), _minor(oldest)
    return ours is not None and least is not None and ours >= least


def _minor(version: str) -> tuple[int, int] | None:
    found = re.match(r"v(\d+)\.(\d+)\.", version)
    return (int(found[1]), int(found[2])) if found else None
