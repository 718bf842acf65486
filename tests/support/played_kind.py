"""Plays kind without containers: a cluster of its is a control plane on this machine, which stays until it is deleted.

``PLAYED_KIND`` names the directory in which they are. ``install`` makes programs of it, for a PATH.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from localcluster import ControlPlane, Tools

ROOT = Path(__file__).resolve().parents[2]


def install(directory: Path, tools: Tools) -> None:
    """Put ``kind``, the ``docker`` that it asks, and ``kubectl`` into a new directory."""
    directory.mkdir(parents=True)
    path = os.pathsep.join(str(ROOT / name) for name in ("dev", "tests", "."))
    kind = f'#!/bin/sh\nPYTHONPATH="{path}" exec "{sys.executable}" -m support.played_kind "$@"\n'
    for name, text in (("kind", kind), ("docker", "#!/bin/sh\nexit 0\n")):
        (directory / name).write_text(text)
        (directory / name).chmod(0o755)
    (directory / "kubectl").symlink_to(tools.path("kubectl"))


def main(arguments: list[str]) -> None:
    """``kind get clusters``, ``kind create cluster`` and ``kind delete cluster``, with the options that the demo gives."""
    parser = argparse.ArgumentParser("kind", allow_abbrev=False)
    parser.add_argument("command", choices=("get", "create", "delete"))
    parser.add_argument("what", choices=("cluster", "clusters"))
    parser.add_argument("--name")
    parser.add_argument("--kubeconfig", type=Path)
    parser.add_argument("--wait")
    asked = parser.parse_args(arguments)
    place = Path(os.environ["PLAYED_KIND"])
    subprocess.run(["docker", "ps", "--all"], check=True)
    if asked.command == "get":
        print(*(path.name for path in place.glob("*")), sep="\n")
        return
    cluster = place / asked.name
    if asked.command == "create":
        plane = ControlPlane.detached(cluster)
        asked.kubeconfig.write_bytes(plane.kubeconfig.read_bytes())
    elif cluster.exists():
        ControlPlane.attach(cluster).close()


if __name__ == "__main__":
    main(sys.argv[1:])
