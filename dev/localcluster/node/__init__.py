"""A real Kubernetes node of its own on this machine: pods, Services, volumes, Ingress, images from a Dockerfile.

There is one on a machine (its addresses are fixed), and it outlives the process that starts it: ``Node.up``,
``Node.down``, or ``python -m localcluster node --help`` by hand.
"""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, Self

from localcluster.cache import Say
from localcluster.errors import ClusterError
from localcluster.node import (
    addons,
    certificates,
    control_plane,
    images,
    lock,
    machine,
    network,
    runtime,
)
from localcluster.node.commands import Service, run
from localcluster.node.layout import Layout
from localcluster.projects import NodeTools, build_node_tools

COMPONENTS: Final = (*control_plane.COMPONENTS, *runtime.COMPONENTS)
KUBECTL_SECONDS: Final = 300.0
HELM_SECONDS: Final = 600.0


class Node:
    """The node of this machine, running.

    Attributes:
        kubeconfig: an administrator's.
        tools: a directory for PATH with kubectl, helm, ctr and the others.
        base_image: what ``build_image`` gives as ``BASE_IMAGE``.
    """

    def __init__(self, layout: Layout, tools: NodeTools, say: Say = print) -> None:
        self._layout, self._tools, self._say = layout, tools, say
        self.kubeconfig, self.tools = layout.kubeconfig, tools.directory
        self.base_image = images.base_image()
        self._builder = images.Builder(layout, tools)

    # -- life ---------------------------------------------------------------------------------------
    @classmethod
    def up(cls, say: Say = print) -> Self:
        """Start whatever does not run, building what is missing; harmless when everything does.

        Until it ends or calls ``down``, this process has the node to itself: others that call ``up`` wait.

        Raises:
            ClusterError: it did not come up, with the end of the failing part's log; or what to do about it.
        """
        machine.prepare(say)
        tools = build_node_tools(say)
        lock.acquire(say)
        layout = Layout.default()
        _take(layout)
        _record_tools(layout, tools)
        node = cls(layout, tools, say)
        node._start()
        return node

    @classmethod
    def attach(cls, say: Say = print) -> Self:
        """The one that runs already. Raises ``ClusterError`` when none does."""
        layout = Layout.default()
        _check_owner(layout)
        tools = _recorded_tools(layout)
        if tools is None or not layout.kubeconfig.exists():
            raise ClusterError("there is no node: `python -m localcluster node up` starts it")
        return cls(layout, tools, say)

    def _start(self) -> None:
        layout, tools = self._layout, self._tools
        self._step("certificates", lambda: certificates.create(layout))
        shutil.copy(layout.pki / "admin.kubeconfig", layout.kubeconfig)
        self._step("network", lambda: network.up(layout))
        self._step("control plane", lambda: control_plane.start(layout, tools))
        pause = images.program_image("pause", tools)
        self._step("containerd", lambda: runtime.start_containerd(layout, tools, pause))
        self._step("images", lambda: self._builder.ensure_own(self._say))
        self._step("node", lambda: runtime.start(layout, tools))
        self._step("DNS, storage, ingress", lambda: addons.apply(layout, tools, self._kubectl_text))

    def _step(self, name: str, action: Callable[[], object]) -> None:
        began = time.monotonic()
        action()
        self._say(f"  {name}: {time.monotonic() - began:.1f} s")

    def restart(self, name: str) -> None:
        """End one component, such as ``kubelet``, and bring it back; pods run on.

        Raises:
            ClusterError: there is no such component, or it did not come back.
        """
        if name not in COMPONENTS:
            raise ClusterError(f"{name} is none of {', '.join(COMPONENTS)}")
        Service(self._layout, name).stop()
        self._start()

    def down(self) -> None:
        """Remove the node, and whatever a killed one left. See ``remove``."""
        remove(self._say)

    # -- use ----------------------------------------------------------------------------------------
    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 (subprocess's word)
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as an administrator. Raises ``ClusterError`` with what it said."""
        return run(
            [self._tools.path("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            check=check,
            text=input,
            seconds=KUBECTL_SECONDS,
            env={"HOME": str(self._layout.state)},
        )

    def _kubectl_text(self, *arguments: str, check: bool = True, text: str | None = None) -> str:
        return self.kubectl(*arguments, check=check, input=text).stdout

    def helm(
        self, *arguments: str, check: bool = True, timeout: float = HELM_SECONDS, program: str = "helm"
    ) -> subprocess.CompletedProcess[str]:
        """Run Helm as an administrator, with none of a person's own settings.

        Args:
            arguments: What comes after ``helm``.
            check: Whether a failure is an error.
            timeout: In seconds, after which it is ended.
            program: ``helm``, or ``helm3`` for the one of before.

        Raises:
            ClusterError: with what it said.
        """
        home = self._layout.state / program
        return run(
            [self._tools.path(program), *arguments],
            check=check,
            seconds=timeout,
            env={
                "KUBECONFIG": str(self.kubeconfig),
                **{f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")},
            },
        )

    def build_image(
        self,
        context: Path,
        image: str,
        *,
        target: str | None = None,
        build_args: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Path:
        """Build a Dockerfile into an image that pods can run; its OCI archive.

        Args:
            context: The directory that is sent to the build.
            image: Name and tag, such as ``localhost/app:dev``. Pods take it with ``imagePullPolicy: Never``,
                or ``IfNotPresent`` and another tag than ``latest``.
            target: The stage to build, by default the last.
            build_args: Beside ``BASE_IMAGE``, which is ours unless it is given.
            file: By default ``Containerfile`` or ``Dockerfile`` in ``context``.

        Raises:
            ClusterError: with the end of what the build said.
        """
        return self._builder.build(context, image, target=target, build_args=build_args, file=file)

    def load_image(self, layout: Path, name: str, tag: str) -> None:
        """Give pods the image of an OCI layout, by name and tag, and by name and digest.

        Args:
            layout: its directory.
            name: such as ``registry.example.com/app``.
            tag: besides the one that the layout says.

        Raises:
            ClusterError: containerd does not take it.
        """
        self._builder.load_layout(layout, name, tag)

    def remove_images(self, names: Collection[str]) -> None:
        """Forget images and what only they consist of, as if no pod had ever run from them.

        Args:
            names: without registry and tag, such as ``scim-api``.

        Raises:
            ClusterError: containerd keeps one.
        """
        self._builder.remove(names)

    def blobs(self) -> frozenset[str]:
        """The digests of all that the node has of images: ``sha256:…`` of indexes, manifests, configurations, layers."""
        return self._builder.blobs()

    def registry(self, host: str, url: str) -> contextlib.AbstractContextManager[None]:
        """Pods may have images of a registry, which are pulled, for the length of the block.

        Args:
            host: as the images' names begin, such as ``registry.example.com``.
            url: where it is, for the node: it asks nobody else for that host, and no name server.
        """
        return self._builder.registry(host, url)

    def components(self) -> dict[str, tuple[int, int] | None]:
        """Process id and resident bytes of each component; None for one that does not run."""
        found = {name: Service(self._layout, name) for name in COMPONENTS}
        return {
            name: (item.identity.pid, item.memory()) if item.identity is not None and item.running else None
            for name, item in found.items()
        }

    @classmethod
    def is_running(cls) -> bool:
        """Whether there is one of which anything runs."""
        with contextlib.suppress(ClusterError):
            return any(cls.attach().components().values())
        return False

    # -- the machine --------------------------------------------------------------------------------
    @staticmethod
    def packages() -> tuple[str, ...]:
        """The Debian packages that a node needs."""
        return machine.PACKAGES

    @staticmethod
    def missing_packages() -> tuple[str, ...]:
        """Those that are not installed."""
        return machine.missing_packages()

    @staticmethod
    def obstacle() -> str | None:
        """Why this machine cannot be a node, whatever is installed; None when it can be tried."""
        return machine.obstacle()


def remove(say: Say = print) -> None:
    """End the node and remove all of it: processes, mounts, interface, rules, cgroups, settings.

    The stores of images, the archives and the logs stay for the next one. Harmless when nothing runs.

    Raises:
        ClusterError: something of it cannot be ended, or it belongs to somebody else.
    """
    reason = machine.obstacle()
    if reason is not None:
        raise ClusterError(reason)
    lock.acquire(say)
    try:
        layout = Layout.default()
        _check_owner(layout)
        tools = _recorded_tools(layout)
        runtime.stop(layout, tools, images.program_image("pause", tools) if tools else "")
        control_plane.stop(layout)
        network.down(layout)
        machine.remove_footprint(layout)
        for directory in (layout.state, layout.run):
            shutil.rmtree(directory, ignore_errors=True)
    finally:
        lock.release()


def _check_owner(layout: Layout) -> None:
    if layout.owner.exists() and layout.owner.read_text() != str(layout.root):
        raise ClusterError(
            f"the node of this machine belongs to {layout.owner.read_text()}: set XDG_CACHE_HOME as it was then, "
            "and run `python -m localcluster node down`"
        )


def _take(layout: Layout) -> None:
    """Make the directories, and the node ours."""
    _check_owner(layout)
    if not layout.owner.exists():
        # What is there is from before a reboot, or of a node that was half removed.
        shutil.rmtree(layout.state, ignore_errors=True)
        shutil.rmtree(layout.logs, ignore_errors=True)
    for directory in (layout.root, layout.state, layout.run, layout.logs, layout.archives, layout.volumes):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    machine.note_footprint(layout)
    layout.owner.write_text(str(layout.root))


def _record_tools(layout: Layout, tools: NodeTools) -> None:
    document = {"directory": str(tools.directory), "projects": {k: str(v) for k, v in tools.projects.items()}}
    (layout.run / "tools.json").write_text(json.dumps(document))


def _recorded_tools(layout: Layout) -> NodeTools | None:
    """What the running node was started with; None when there is none, or they are gone."""
    path = layout.run / "tools.json"
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    if not Path(found["directory"]).exists():
        return None
    return NodeTools(Path(found["directory"]), {name: Path(item) for name, item in found["projects"].items()})
