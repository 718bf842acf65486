"""etcd, kube-apiserver and kube-controller-manager as plain processes on loopback, with TLS and real RBAC."""

import contextlib
import http.client
import json
import shutil
import ssl
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from localcluster import pki
from localcluster.build import build_tools
from localcluster.cache import Tools
from localcluster.cluster import Cluster
from localcluster.daemon import Component, Identity, Reaper
from localcluster.errors import ClusterError
from localcluster.ports import free_port
from scim_api.contract.tls import without_strict_profile

START_SECONDS: Final = 120.0
ATTEMPTS: Final = 3
CONTROLLERS: Final = (
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
)
"""What a ScimToken's life needs: owner references, namespaces that end, and ServiceAccounts."""
CONTROLLER_MANAGER: Final = "kube-controller-manager"
COMPONENTS: Final = ("etcd", "kube-apiserver", CONTROLLER_MANAGER)
STATE_FILE: Final = "control-plane.json"
PORT_TAKEN: Final = "address already in use"
"""What Linux calls EADDRINUSE; etcd and kube-apiserver end with it in their log."""


def _free_ports() -> tuple[int, int, int]:
    """Three that are free now: etcd's, etcd's for peers, the API server's."""
    return free_port(), free_port(), free_port()


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise ClusterError(f"{directory} exists; a control plane makes a directory of its own") from error


class ControlPlane(Cluster):
    """One Kubernetes API, in a private directory of mode 0700. Several may run side by side.

    Without a kube-controller-manager among the tools there is none: see ``Cluster.has_controllers``.
    """

    def __init__(self, tools: Tools, directory: Path, ports: tuple[int, int, int]) -> None:
        super().__init__(
            tools, directory, f"https://127.0.0.1:{ports[2]}", has_controllers=tools.has(CONTROLLER_MANAGER)
        )
        self._ports = ports
        self._components = {name: Component(name, directory) for name in COMPONENTS}
        self._reaper: Reaper | None = None

    # -- life ---------------------------------------------------------------------------------------
    @classmethod
    @contextlib.contextmanager
    def start(cls, tools: Tools | None = None, directory: Path | None = None) -> Iterator[Self]:
        """A running control plane for the length of a ``with`` block.

        It ends with the block, and also when this process ends in any other way.

        Args:
            tools: Built when they are not given.
            directory: To be made for it, and removed with it; by default one of its own among temporary files.

        Raises:
            ClusterError: it did not come up; the message holds the end of the failing part's log.
        """
        tools = tools or build_tools()
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="scim-kube-"))
        else:
            _make(directory)
        plane = cls._launch(tools, directory)
        try:
            yield plane
        finally:
            plane.close()

    @classmethod
    def detached(cls, directory: Path, tools: Tools | None = None) -> Self:
        """One that outlives this process, until ``attach(directory).close()``.

        Raises:
            ClusterError: as for ``start``, or the directory exists.
        """
        tools = tools or build_tools()
        _make(directory)
        plane = cls._launch(tools, directory)
        plane.leave_running()
        return plane

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """The one that ``detached`` left running. Raises ``ClusterError`` when there is none."""
        try:
            state = json.loads((directory / STATE_FILE).read_text())
        except FileNotFoundError as error:
            raise ClusterError(f"no control plane was started in {directory}") from error
        etcd, peer, api = state["ports"]
        plane = cls(Tools(Path(state["tools"])), directory, (etcd, peer, api))
        for name, (pid, started) in state["processes"].items():
            plane._components[name].identity = Identity(pid, started)
        return plane

    @classmethod
    def _launch(cls, tools: Tools, directory: Path) -> Self:
        """Start on free ports; on others when somebody was faster to take one."""
        reaper = Reaper(directory)
        try:
            pki.create(directory / "pki")
            for attempt in range(1, ATTEMPTS + 1):
                plane = cls(tools, directory, _free_ports())
                plane._reaper = reaper
                try:
                    plane._start_all()
                except BaseException as error:
                    plane._kill_components()
                    if attempt == ATTEMPTS or PORT_TAKEN not in str(error):
                        raise
                    shutil.rmtree(directory / "etcd", ignore_errors=True)
                else:
                    return plane
            raise AssertionError("unreachable")
        except BaseException:  # Ctrl-C, too: nobody else knows what runs already.
            reaper.end()
            raise

    def _start_all(self) -> None:
        self.start_etcd()
        self._write_kubeconfigs()
        self.start_api_server()
        if self.has_controllers:
            self._start_controllers()
        else:
            self._components["kube-apiserver"].wait(
                # It makes this one itself, a moment after it is ready.
                lambda: self._missing("/api/v1/namespaces/default"),
                START_SECONDS,
            )

    def _start_controllers(self) -> None:
        self._start(
            CONTROLLER_MANAGER,
            [
                "--bind-address=127.0.0.1",
                "--secure-port=0",
                f"--kubeconfig={self.directory}/controller-manager.kubeconfig",
                "--leader-elect=false",
                "--use-service-account-credentials",
                f"--controllers={','.join(CONTROLLERS)}",
                f"--root-ca-file={self._pki}/ca.crt",
                f"--service-account-private-key-file={self._pki}/sa.key",
            ],
        )
        self._components[CONTROLLER_MANAGER].wait(
            # Its first work that can be seen: from here on namespaces are complete and owners count.
            lambda: self._missing("/api/v1/namespaces/default/serviceaccounts/default"),
            START_SECONDS,
        )

    @property
    def _pki(self) -> Path:
        return self.directory / "pki"

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the API server."""
        return self._pki / "ca.crt"

    @property
    def authority(self) -> bytes:
        """The certificate authority of the API server, PEM."""
        return self.ca_file.read_bytes()

    def _start(self, name: str, arguments: list[str]) -> None:
        component = self._components[name]
        if component.running:
            raise ClusterError(f"{name} runs already")
        if self._reaper is None:
            raise ClusterError(f"{self.directory} was left running on its own: end it and start another")
        component.identity = self._reaper.spawn([self.tools.path(name), *arguments], component.log)
        self._write_state()

    def start_etcd(self) -> None:
        """Start etcd on its ports; not waited for: the API server waits for it."""
        client, peer = (f"https://127.0.0.1:{port}" for port in self._ports[:2])
        self._start(
            "etcd",
            [
                "--name=local",
                f"--data-dir={self.directory}/etcd",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=local={peer}",
                f"--cert-file={self._pki}/etcd.crt",
                f"--key-file={self._pki}/etcd.key",
                "--client-cert-auth",
                f"--trusted-ca-file={self._pki}/etcd-ca.crt",
                f"--peer-cert-file={self._pki}/etcd.crt",
                f"--peer-key-file={self._pki}/etcd.key",
                "--peer-client-cert-auth",
                f"--peer-trusted-ca-file={self._pki}/etcd-ca.crt",
                "--log-level=warn",
                # It lives as long as a test: durability over a power cut would only cost disk syncs.
                "--unsafe-no-fsync",
            ],
        )

    def start_api_server(self) -> None:
        """Start kube-apiserver on its port and wait until ``/readyz`` says ok."""
        pki_files = self._pki
        self._start(
            "kube-apiserver",
            [
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={self._ports[2]}",
                "--service-cluster-ip-range=10.0.0.0/24",
                f"--etcd-servers=https://127.0.0.1:{self._ports[0]}",
                f"--etcd-cafile={pki_files}/etcd-ca.crt",
                f"--etcd-certfile={pki_files}/apiserver-etcd-client.crt",
                f"--etcd-keyfile={pki_files}/apiserver-etcd-client.key",
                "--authorization-mode=RBAC",
                "--anonymous-auth=false",
                f"--client-ca-file={pki_files}/ca.crt",
                f"--tls-cert-file={pki_files}/apiserver.crt",
                f"--tls-private-key-file={pki_files}/apiserver.key",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={pki_files}/sa.pub",
                f"--service-account-signing-key-file={pki_files}/sa.key",
                # The endpoint reconciler would refuse loopback as the address of the kubernetes Service.
                "--endpoint-reconciler-type=none",
            ],
        )
        self._components["kube-apiserver"].wait(self._not_ready, START_SECONDS)

    def kill_api_server(self) -> None:
        """SIGKILL kube-apiserver; ``start_api_server`` brings it back with its data."""
        self._components["kube-apiserver"].kill()

    def kill_etcd(self) -> None:
        """SIGKILL etcd; ``start_etcd`` brings it back with its data."""
        self._components["etcd"].kill()

    def restart_api_server(self) -> None:
        """Kill it and bring it back."""
        self.kill_api_server()
        self.start_api_server()

    def close(self) -> None:
        """Stop everything and remove the directory; harmless twice."""
        self._stop_components()
        if self._reaper is not None:
            self._reaper.end()
            self._reaper = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def leave_running(self) -> None:
        """Let it outlive this process."""
        if self._reaper is not None:
            self._reaper.release()
            self._reaper = None

    def _stop_components(self) -> None:
        for name in reversed(COMPONENTS):
            self._components[name].stop()

    def _kill_components(self) -> None:
        """For one that did not come up: nothing is worth saving, and without etcd the API server ends slowly."""
        for name in reversed(COMPONENTS):
            self._components[name].kill()

    def pids(self) -> dict[str, int]:
        """Process ids of what runs, by name."""
        return {
            name: item.identity.pid
            for name, item in self._components.items()
            if item.identity is not None and item.running
        }

    def _write_kubeconfigs(self) -> None:
        authority = self.authority
        for name in ("admin", "controller-manager"):
            user = pki.certificate_user(self._pki, name)
            pki.write_private(
                self.directory / f"{name}.kubeconfig", pki.kubeconfig(self.url, authority, user, name)
            )

    def _write_state(self) -> None:
        processes = {
            name: (item.identity.pid, item.identity.started)
            for name, item in self._components.items()
            if item.identity is not None
        }
        state = {"tools": str(self.tools.directory), "ports": self._ports, "processes": processes}
        written = self.directory / f"{STATE_FILE}.new"
        written.write_text(json.dumps(state))
        written.replace(self.directory / STATE_FILE)

    def _not_ready(self) -> str | None:
        """None when ``/readyz`` says ok, else what it says. Raises ``ClusterError`` when it never will."""
        etcd = self._components["etcd"]
        if not etcd.running:
            raise ClusterError(f"etcd has ended; {etcd.tail()}")
        return self._missing("/readyz")

    def admin_context(self) -> ssl.SSLContext:
        """TLS to the API server as its administrator."""
        context = without_strict_profile(ssl.create_default_context(cafile=str(self.ca_file)))
        context.load_cert_chain(self._pki / "admin.crt", self._pki / "admin.key")
        return context

    def _missing(self, path: str) -> str | None:
        """None when the API server has this, else what it says."""
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.admin_context())
        )
        try:
            with opener.open(f"{self.url}{path}", timeout=5):
                return None
        except urllib.error.HTTPError as error:
            return f"{path} answers {error.code}"
        except (OSError, http.client.HTTPException) as error:
            return f"no answer from {path} ({error})"
