"""The kubelet's cgroups, which it makes and never removes."""

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

from localcluster.errors import ClusterError

NAME: Final = "kubepods"
ATTEMPTS: Final = 50


def roots() -> list[Path]:
    """The top of every mounted cgroup hierarchy, of either version."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.split()[0] in ("cgroup", "cgroup2"):
            found.append(Path(left.split()[4]))
    return found


def pods() -> list[Path]:
    """The kubelet's cgroup in each hierarchy that has one."""
    return [root / NAME for root in roots() if (root / NAME).is_dir()]


def remove_pods() -> None:
    """Kill what is left in the kubelet's cgroups and remove them; other cgroups are not touched.

    Raises:
        ClusterError: a process in them does not end.
    """
    for group in pods():
        for _ in range(ATTEMPTS):
            remaining = _remove_tree(group)
            if remaining is None:
                break
            for pid in remaining:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        else:
            raise ClusterError(f"{group} still holds processes")


def _remove_tree(group: Path) -> list[int] | None:
    """None when the tree is removed, else the process ids that keep it."""
    remaining: list[int] = []
    for directory, _, _ in os.walk(group, topdown=False):
        path = Path(directory)
        try:
            path.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            with contextlib.suppress(OSError):
                remaining += [int(pid) for pid in (path / "cgroup.procs").read_text().split()]
    return remaining if group.exists() else None
