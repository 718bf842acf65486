"""What the machine itself has to bring, and what the node changes on it."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Final

from localcluster.cache import Say
from localcluster.errors import ClusterError
from localcluster.node import cgroups
from localcluster.node.commands import run
from localcluster.node.layout import Layout

PACKAGES: Final = (
    "buildah",
    "gcc",
    "iproute2",
    "libc6-dev",
    "libseccomp-dev",
    "mmdebstrap",
    "nftables",
    "pkg-config",
)
"""From Debian: the image builder, the network's tools, and what runc is compiled with."""
INSTALL_SECONDS: Final = 600.0
FOREIGN: Final = (
    "/etc/cni",
    "/run/containerd",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
)
"""Where components write to whatever they are told."""


def missing_packages() -> tuple[str, ...]:
    """Those of ``PACKAGES`` that are not installed; all of them where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return PACKAGES
    done = run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *PACKAGES], check=False)
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    return tuple(name for name in PACKAGES if name not in installed)


def obstacle() -> str | None:
    """Why this machine cannot be a node at all, whatever is installed; None when it can be tried."""
    if not sys.platform.startswith("linux"):
        return "a node needs Linux"
    if os.geteuid() != 0:
        return "containers, network and cgroups need root"
    if not any(os.access(root, os.W_OK) for root in cgroups.roots()):
        return "no cgroup hierarchy is mounted that could be written to"
    return None


def prepare(say: Say) -> None:
    """Install what is missing.

    Raises:
        ClusterError: this machine cannot be a node, or cannot install packages; it says what to do.
    """
    reason = obstacle()
    if reason is not None:
        raise ClusterError(reason)
    lacking = missing_packages()
    if not lacking:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *lacking]
    if shutil.which("apt-get") is None:
        raise ClusterError(f"install what Debian calls {' '.join(lacking)}")
    say(f"installing {' '.join(lacking)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(["apt-get", "update"], seconds=INSTALL_SECONDS, env=quiet)
        run(command, seconds=INSTALL_SECONDS, env=quiet)
    except ClusterError as error:
        raise ClusterError(f"run `{' '.join(command)}`, which failed here: {error}") from error


def note_footprint(layout: Layout) -> None:
    """Write down which foreign directories are not there yet, once."""
    if cgroups.pods() and not layout.footprint.exists():
        raise ClusterError(
            f"{cgroups.pods()[0]} exists: another kubelet runs on this machine, or ran and left it"
        )
    if not layout.footprint.exists():
        absent = [path for path in FOREIGN if not Path(path).exists()]
        layout.footprint.write_text(json.dumps(absent))


def remove_footprint(layout: Layout) -> None:
    """Remove the foreign directories that were not there before."""
    if layout.footprint.exists():
        for path in json.loads(layout.footprint.read_text()):
            shutil.rmtree(path, ignore_errors=True)
        layout.footprint.unlink()
