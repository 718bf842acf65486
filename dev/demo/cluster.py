"""From where the demo has its Kubernetes: the ways in their order, and the first that is open."""

import enum
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from localcluster import ControlPlane, Tools, envtest
from localcluster.cache import Say, cache_root
from localcluster.cluster import Cluster
from localcluster.control_plane import STATE_FILE
from localcluster.errors import Unavailable
from localcluster.essentials import build_essentials, find_cached
from localcluster.kind import STATE_FILE as KIND_STATE_FILE
from localcluster.kind import KindCluster
from localcluster.kind import check as check_kind

Opened = TypeVar("Opened")


class Way(enum.StrEnum):
    """To a Kubernetes, in the order in which they are tried."""

    CACHED = "cached"
    """Built or downloaded before."""
    KIND = "kind"
    """A cluster in a container, where kind is installed and a container engine answers."""
    DOWNLOAD = "download"
    """Prebuilt binaries, pinned by their SHA-512."""
    BUILD = "build"
    """From the pinned Go modules."""


NOT: Final[Mapping[Way, str]] = {
    Way.CACHED: "not cached",
    Way.KIND: "not on kind",
    Way.DOWNLOAD: "not downloaded",
    Way.BUILD: "not built",
}


class Start(Protocol):
    """How a cluster is started: for the length of a block, or to stay."""

    def local(self, tools: Tools) -> Cluster:
        """A control plane of these tools. Raises ``ClusterError``."""

    def kind(self, say: Say) -> Cluster:
        """A cluster of kind's. Raises ``Unavailable``."""


def first_open(attempts: Sequence[tuple[Way, Callable[[], Opened]]], say: Say) -> Opened:
    """What the first way leads to that is open; each that is not is told, with the reason.

    Args:
        attempts: each raises ``Unavailable`` when its way is not open on this machine.
        say: told one line for each way that is not.

    Raises:
        Unavailable: of the last way, when none is open.
    """
    for way, attempt in attempts[:-1]:
        try:
            return attempt()
        except Unavailable as reason:
            say(f"Kubernetes is {NOT[way]}: {reason}")
    return attempts[-1][1]()


def start(how: Start, say: Say, only: Way | None = None) -> Cluster:
    """Start a Kubernetes.

    Args:
        how: for how long.
        say: told which way is taken and why, a line for each.
        only: take this way, and no other.

    Raises:
        ClusterError: there is none, or it did not come up.
    """
    attempts: dict[Way, Callable[[], Cluster]] = {
        Way.CACHED: lambda: _cached(how, say),
        Way.KIND: lambda: _on_kind(how, say),
        Way.DOWNLOAD: lambda: _downloaded(how, say),
        Way.BUILD: lambda: _built(how, say),
    }
    return first_open([(way, attempts[way]) for way in Way if only in (None, way)], say)


def _cached(how: Start, say: Say) -> Cluster:
    found = find_cached()
    if found is None:
        raise Unavailable(f"{cache_root()} has none of this checkout's version")
    say(f"Kubernetes {found.version} is cached: {found.origin}")
    return how.local(found.tools)


def _on_kind(how: Start, say: Say) -> Cluster:
    check_kind()
    say("Kubernetes is to be kind's, which is installed and whose container engine answers")
    return how.kind(say)


def _downloaded(how: Start, say: Say) -> Cluster:
    archive = envtest.pinned()
    tools = envtest.download(archive, say)
    say(f"Kubernetes {archive.version} is downloaded, and is what is pinned")
    return how.local(tools)


def _built(how: Start, say: Say) -> Cluster:
    say(
        "Kubernetes is built from its Go modules, as far as the demo needs it: minutes once, then it is cached"
    )
    return how.local(build_essentials(say))


def left_in(directory: Path) -> Cluster | None:
    """The cluster that was started there to stay; None when there is none."""
    if (directory / KIND_STATE_FILE).exists():
        return KindCluster.attach(directory)
    if (directory / STATE_FILE).exists():
        return ControlPlane.attach(directory)
    return None
