"""What is the same for every Kubernetes that is started here: an administrator's kubectl, and kubeconfigs with fewer rights."""

import abc
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final

from localcluster import pki
from localcluster.cache import Tools
from localcluster.errors import ClusterError

KUBECTL_SECONDS: Final = 120.0

_SETPRIV: Final = Path(shutil.which("setpriv") or "busybox").resolve().name
_ENDS_WITH_US: Final = () if _SETPRIV == "busybox" else ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a program that may wait for long: it ends when we are killed. BusyBox's setpriv does not know how."""


class Cluster(abc.ABC):
    """A Kubernetes API with a private directory.

    Attributes:
        tools: the binaries it is used with, kubectl among them.
        directory: mode 0700; everything of this cluster that is not elsewhere, removed when it is closed.
        url: of the API server.
        kubeconfig: of an administrator.
        has_controllers: whether owned objects are collected with their owners, deleted namespaces end, and new
            ones have a default ServiceAccount.
    """

    def __init__(self, tools: Tools, directory: Path, url: str, *, has_controllers: bool) -> None:
        self.tools, self.directory, self.url, self.has_controllers = tools, directory, url, has_controllers
        self.kubeconfig = directory / "admin.kubeconfig"

    @property
    @abc.abstractmethod
    def authority(self) -> bytes:
        """The certificate authority of the API server, PEM."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop everything and remove the directory; harmless twice."""

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 (subprocess's word)
        check: bool = True,
        kubeconfig: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as administrator by default.

        Raises:
            ClusterError: with ``check``, when it fails, the message is what kubectl said; it did not end.
        """
        try:
            done = subprocess.run(
                [
                    *_ENDS_WITH_US,
                    self.tools.path("kubectl"),
                    "--kubeconfig",
                    str(kubeconfig or self.kubeconfig),
                    *arguments,
                ],
                input=input,
                capture_output=True,
                text=True,
                timeout=KUBECTL_SECONDS,
                check=False,
                env={**os.environ, "HOME": str(self.directory)},
            )
        except subprocess.TimeoutExpired as error:
            raise ClusterError(
                f"kubectl {' '.join(arguments)} did not end in {KUBECTL_SECONDS:.0f} s"
            ) from error
        if check and done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def wait_established(self, crd: str, seconds: float = 30.0) -> None:
        """Wait until the API server serves a CustomResourceDefinition, such as ``scimtokens.scim-operator.io``.

        ``kubectl wait`` gives up on one whose conditions are still null, hence this.

        Raises:
            ClusterError: it was not served in time.
        """
        path = 'jsonpath={.status.conditions[?(@.type=="Established")].status}'
        deadline = time.monotonic() + seconds
        while self.kubectl("get", "crd", crd, "-o", path, check=False).stdout != "True":
            if time.monotonic() > deadline:
                raise ClusterError(f"{crd} was not served after {seconds:g} s")
            time.sleep(0.1)

    def service_account_kubeconfig(self, namespace: str, name: str, duration: str = "24h") -> Path:
        """A kubeconfig with exactly the permissions of a ServiceAccount (TokenRequest), mode 0600."""
        token = self.kubectl(
            "create", "token", name, "--namespace", namespace, "--duration", duration
        ).stdout.strip()
        # A namespace has no dot in its name, so that no two ServiceAccounts share a file.
        user = f"{namespace}.{name}"
        content = pki.kubeconfig(self.url, self.authority, {"token": token}, user)
        return pki.write_private(self.directory / f"{user}.kubeconfig", content)
