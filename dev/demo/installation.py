"""The parts of the demo: a control plane, the API and the operator, started, remembered and stopped."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from demo import cluster
from demo.console import Console, DemoFailed, Kubectl, until
from demo.processes import ADMIN_KEYS_CONFIG_MAP, Api, ConfigMapMirror, Process, start_api, start_operator
from localcluster import ControlPlane, Tools, kind
from localcluster.cache import Say
from localcluster.cluster import Cluster
from localcluster.daemon import Identity, Reaper, start_time, uninterrupted

NAMESPACE: Final = "scim-system"
"""The operator's own, as dev/manifests/rbac.yaml makes it."""
CRD: Final = "scimtokens.scim-operator.io"
_PROCESSES: Final = "processes.json"
_KUBERNETES: Final = "kubernetes"
_READY_SECONDS: Final = 60.0
_ESTABLISHED_SECONDS: Final = 30.0


def is_established(crd: Mapping[str, Any]) -> bool:
    """Whether the API server serves this CustomResourceDefinition; a new one has no conditions, or null."""
    conditions = crd.get("status", {}).get("conditions") or []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


def kept_directory() -> Path:
    """Where ``--keep`` leaves all: ``$XDG_STATE_HOME/scim-operator/demo``, by default below ~/.local/state."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "scim-operator" / "demo"


class Installation:
    """API and operator as real processes against one Kubernetes.

    Args:
        plane: a running one.
        directory: private; logs, the SQLite file and the operator's public keys go there.
        console: told what happens.
        reaper: ends the processes when this one dies; None leaves them.
    """

    def __init__(
        self, plane: Cluster, directory: Path, console: Console, reaper: Reaper | None = None
    ) -> None:
        self.plane, self.directory = plane, directory
        self.kubectl = Kubectl(plane, console)
        self._console, self._reaper = console, reaper
        self._api: Api | None = None
        self._operator: Process | None = None
        self._beside: Process | None = None

    @property
    def endpoint(self) -> str:
        """The SCIM base URL."""
        if self._api is None:
            raise DemoFailed("the API was not started")
        return self._api.scim_url

    def start(self, keys_host: str, operator_settings: Mapping[str, str]) -> None:
        """CRD, permissions, API and operator, in the order that an installation has.

        Args:
            keys_host: from where the API may fetch keys that assertions are signed with.
            operator_settings: more variables of the operator.

        The operator publishes the key that the API trusts, so the API becomes ready after it; the operator is
        told the API's addresses, so the API's ports are chosen first.
        """
        self.kubectl.step("the kinds are known", "apply", "--server-side", "-f", "crds")
        until("the kind ScimToken is established", self._kind_is_established, _ESTABLISHED_SECONDS)
        self.kubectl.step("the operator may do what it needs", "apply", "-f", "dev/manifests/rbac.yaml")
        keys = self.directory / "admin-keys"
        mirror = ConfigMapMirror(self._admin_keys, keys)
        mirror.start()
        try:
            self._start_both(keys, keys_host, operator_settings)
            mirror.wait(_READY_SECONDS)
            for process in self._processes():
                process.wait_ready(_READY_SECONDS)
        finally:
            mirror.stop()
        self._console.step(f"the API serves {self.endpoint} (pid {self._pids()['scim-api']}, SQLite)")
        self._console.step(
            f"the operator watches, as ServiceAccount {NAMESPACE}/scim-operator (pid {self._pids()['scim-operator']})"
        )

    def _admin_keys(self) -> Mapping[str, Any]:
        """The ConfigMap with the operator's public keys. Raises ``DemoFailed`` while there is none."""
        found = self.kubectl("get", "configmap", ADMIN_KEYS_CONFIG_MAP, "-n", NAMESPACE, "-o", "json")
        return dict(json.loads(found))

    def _kind_is_established(self) -> bool:
        """Asked again and again, because `kubectl wait` gives up on a CRD whose conditions are still null."""
        return is_established(json.loads(self.kubectl("get", "crd", CRD, "-o", "json")))

    def _start_both(self, keys: Path, keys_host: str, operator_settings: Mapping[str, str]) -> None:
        kubeconfig = self.plane.service_account_kubeconfig(NAMESPACE, "scim-operator")
        with uninterrupted():
            api = self._api = start_api(
                self.directory,
                admin_keys_dir=keys,
                environment={"SCIM_API_LOG_LEVEL": "debug", "SCIM_API_KEYS_HOSTS": keys_host},
            )
            self._remember()
        with uninterrupted():
            self._operator = start_operator(
                self.directory,
                kubeconfig=kubeconfig,
                scim_url=api.scim_url,
                admin_url=api.internal_url,
                namespace=NAMESPACE,
                environment={"SCIM_OPERATOR_LOG_LEVEL": "debug", **operator_settings},
            )
            self._remember()

    @contextlib.contextmanager
    def beside(self, start: Callable[[Path], Process]) -> Iterator[Process]:
        """One process more for the length of the block; it ends however this process ends.

        Args:
            start: starts it, with the directory for its log, and does not wait for it.
        """
        with uninterrupted():
            process = self._beside = start(self.directory)
            self._remember()
        try:
            yield process
        finally:
            process.stop()
            self._beside = None

    def check_running(self) -> None:
        """Raises ``DemoFailed`` when a process has ended by itself."""
        for process in self._processes():
            if not process.running:
                raise DemoFailed(f"{process.name} has ended with {process.popen.returncode}")

    def stop(self) -> None:
        """End all, the newest first; harmless twice."""
        for process in reversed(self._processes()):
            process.stop()

    def _processes(self) -> list[Process]:
        return [process for process in (self._api, self._operator, self._beside) if process is not None]

    def _pids(self) -> dict[str, int]:
        return {process.name: process.pid for process in self._processes()}

    def _remember(self) -> None:
        """Write who runs, by process id and start time, for ``stop_kept`` and for our own sudden end."""
        identities = [Identity(pid, start_time(pid) or "") for pid in self._pids().values()]
        if self._reaper is not None:
            self._reaper.watch(identities[-1])
        _write(self.directory, identities)


class _Passing:
    """Starts a cluster that ends with the stack, and however this process ends."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack

    def local(self, tools: Tools) -> Cluster:
        return self._stack.enter_context(ControlPlane.start(tools))

    def kind(self, say: Say) -> Cluster:
        return self._stack.enter_context(kind.KindCluster.start(say))


class _Kept:
    """Starts a cluster in a directory, where it stays."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def local(self, tools: Tools) -> Cluster:
        return ControlPlane.detached(self._directory, tools)

    def kind(self, say: Say) -> Cluster:
        return kind.KindCluster.detached(self._directory, say)


@contextlib.contextmanager
def passing(console: Console, only: cluster.Way | None = None) -> Iterator[Installation]:
    """An installation for the length of the block; it ends however this process ends.

    Args:
        console: told what happens.
        only: the way to a Kubernetes; by default the first that is open.

    Raises:
        ClusterError: there is no Kubernetes, or it did not come up.
    """
    _remove_leftovers(console)
    with contextlib.ExitStack() as stack:
        plane = cluster.start(_Passing(stack), console.step, only)
        directory = Path(tempfile.mkdtemp(prefix="scim-demo-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        reaper = Reaper(directory)
        stack.callback(reaper.release)
        installation = Installation(plane, directory, console, reaper)
        stack.callback(installation.stop)
        yield installation


@contextlib.contextmanager
def kept(console: Console, only: cluster.Way | None = None) -> Iterator[Installation]:
    """An installation that stays when the block succeeds, and ends when it fails.

    Args:
        console: told what happens.
        only: the way to a Kubernetes; by default the first that is open.

    Raises:
        DemoFailed: one runs already.
        ClusterError: there is no Kubernetes, or it did not come up.
    """
    directory = kept_directory()
    if _alive(directory):
        raise DemoFailed("a demo was left running; `make demo-stop` ends it")
    _remove_leftovers(console)
    _make_ours(directory)
    with contextlib.ExitStack() as stack:
        stack.callback(_remove, directory)
        plane = cluster.start(_Kept(directory / _KUBERNETES), console.step, only)
        installation = Installation(plane, directory, console)
        stack.callback(installation.stop)
        yield installation
        stack.pop_all()


def stop_kept() -> bool:
    """End what ``kept`` left and remove its data; whether there was any. Raises ``ClusterError``: it does not end."""
    directory = kept_directory()
    if not directory.exists():
        return False
    for identity in reversed(_identities(directory)):
        identity.stop()
    _remove(directory)
    return True


def _remove_leftovers(console: Console) -> None:
    """What demos left that were killed: their clusters on kind, and what was to be kept and did not get ready."""
    kind.remove_leftovers(console.step)
    if not _alive(kept_directory()) and stop_kept():
        console.step(f"removed what an interrupted demo had left in {kept_directory()}")


def _remove(directory: Path) -> None:
    """The directory of ``kept`` with its cluster. As long as that can't be ended, the directory stays to tell of it."""
    if (left := cluster.left_in(directory / _KUBERNETES)) is not None:
        left.close()
    shutil.rmtree(directory, ignore_errors=True)


def _make_ours(directory: Path) -> None:
    """Make it, and note us as what runs there while Kubernetes is downloaded, built or started; in one step."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f"{directory.name}-"))
    _write(made, [Identity(os.getpid(), start_time(os.getpid()) or "")])
    made.rename(directory)


def _write(directory: Path, identities: Sequence[Identity]) -> None:
    text = json.dumps([[identity.pid, identity.started] for identity in identities])
    fresh = directory / f"{_PROCESSES}.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(directory / _PROCESSES)


def _identities(directory: Path) -> list[Identity]:
    try:
        text = (directory / _PROCESSES).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [Identity(int(pid), str(started)) for pid, started in json.loads(text)]


def _alive(directory: Path) -> bool:
    if any(identity.alive for identity in _identities(directory)):
        return True
    left = cluster.left_in(directory / _KUBERNETES)
    return isinstance(left, ControlPlane) and bool(left.pids())
