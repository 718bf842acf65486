"""The way to the SCIM API of an installation: ``kubectl port-forward`` to the Service that an Ingress leads to.

A credential goes this way, so it leads to no Service that somebody else may have made: which namespace an installation
is in is what cluster-wide bindings say, which a cluster's administrator writes, or what the caller says.
"""

import collections
import subprocess
import threading
from collections.abc import Sequence
from typing import IO, Final, Self

from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError, NotFound, error_of
from kubectl_scim.scimtoken import PART_OF

USUAL_NAMESPACE: Final = "scim-system"
"""Where the documentation installs the chart."""
SERVICE: Final = f"{PART_OF},app.kubernetes.io/component=api"
"""Labels of the Service with the public port."""
PORT: Final = "scim"
"""That port's name. It is plain HTTP: an Ingress ends TLS, and from here the Kubernetes API's own TLS leads to the pod."""
SECONDS: Final = 15.0
"""Until the port is open."""
_ENDING: Final = 5.0
_READY: Final = "Forwarding from 127.0.0.1:"
_KEPT: Final = 20
"""Lines of what kubectl says beside it."""


class PortForward:
    """A port of this machine that leads to a Service, opened when it is needed and again when kubectl has ended.

    Args:
        kubectl: with the caller's rights.
        namespace: of the Service.
        service: its name.
        outlives_interrupt: Ctrl-C does not end it, for who has to clean up after it.
    """

    def __init__(
        self, kubectl: Kubectl, namespace: str, service: str, *, outlives_interrupt: bool = False
    ) -> None:
        self._kubectl, self._namespace, self._service = kubectl, namespace, service
        self._outlives_interrupt = outlives_interrupt
        self._process: subprocess.Popen[str] | None = None
        self._url, self._is_over = "", False
        self._opening = threading.Lock()

    def __enter__(self) -> Self:
        """Open it. Raises ``KubectlError``; ``Forbidden`` names the right that is missing."""
        self.url()
        return self

    def __exit__(self, *_exception: object) -> None:
        """End kubectl, for good: a thread that still asks opens no other."""
        with self._opening:
            self._is_over = True
            process, self._process = self._process, None
        if process is not None:
            _end(process)

    def url(self) -> str:
        """``http://127.0.0.1:PORT``, where something listens now. Raises ``KubectlError``."""
        with self._opening:
            if self._is_over:
                raise KubectlError("the port-forward has ended")
            if self._process is None or self._process.poll() is not None:
                self._process, port = self._open()
                self._url = f"http://127.0.0.1:{port}"
            return self._url

    def _open(self) -> "tuple[subprocess.Popen[str], int]":
        process = self._kubectl.start(
            "port-forward", f"service/{self._service}", f":{PORT}", "-n", self._namespace, "--address", "127.0.0.1",
            outlives_interrupt=self._outlives_interrupt,
        )  # fmt: skip
        assert process.stdout is not None  # noqa: S101 (they are pipes)
        assert process.stderr is not None  # noqa: S101
        said: collections.deque[str] = collections.deque(maxlen=_KEPT)
        errors = _drained(process.stderr, said)
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            for line in process.stdout:
                if line.startswith(_READY):
                    _drained(process.stdout, collections.deque(maxlen=1))
                    return process, int(line.removeprefix(_READY).split()[0])
        except BaseException:
            _end(process)
            raise
        finally:
            in_time = timer.is_alive()
            timer.cancel()
        _end(process)
        errors.join(_ENDING)
        if not in_time:
            raise KubectlError(
                f"kubectl port-forward to service/{self._service} -n {self._namespace} did not begin within {SECONDS:g} s"
            )
        raise error_of("".join(said))


def to_installation(
    kubectl: Kubectl, namespace: str | None, *, outlives_interrupt: bool = False
) -> PortForward:
    """The way to the installation's SCIM API, not opened yet.

    Args:
        kubectl: with the caller's rights.
        namespace: of the installation; None: find it.
        outlives_interrupt: as ``PortForward`` has it.

    Raises:
        KubectlError: it is not found, or the caller may not look; the message says what to do.
    """
    where = namespace or _bound_namespace(kubectl)
    if where is None:
        raise NotFound(
            "no cluster-wide binding that you may read says where the chart is installed, and a credential goes nowhere on a guess: "
            "--installation-namespace NAME, or KUBECTL_SCIM_INSTALLATION_NAMESPACE"
        )
    try:
        services = kubectl.list("services", "-n", where, "-l", SERVICE)
    except Forbidden as error:
        raise Forbidden(f"{error} (to find the SCIM API of the installation in {where})") from None
    names = [str(one["metadata"]["name"]) for one in services]
    if not names:
        raise NotFound(
            f"namespace {where} has no Service of the SCIM API (labels {SERVICE}); "
            "--installation-namespace says where the chart is installed"
        )
    if len(names) > 1:
        raise KubectlError(f"namespace {where} has several installations: {', '.join(sorted(names))}")
    return PortForward(kubectl, where, names[0], outlives_interrupt=outlives_interrupt)


def installation_namespace(kubectl: Kubectl) -> str:
    """Where to look at the installation: what the cluster's bindings of the operator say, or where the documentation
    puts it. Nothing secret goes there: whoever may make namespaces may have made that one.

    Raises:
        KubectlError: there are several.
    """
    return _bound_namespace(kubectl) or USUAL_NAMESPACE


def _bound_namespace(kubectl: Kubectl) -> str | None:
    """Where the cluster's bindings of the operator say that it is; None when there are none that the caller may read."""
    try:
        found = _namespaces(kubectl.list("clusterrolebindings", "-l", PART_OF))
    except Forbidden:
        return None
    if len(found) > 1:
        raise KubectlError(
            f"there are installations in {', '.join(found)}: say which one with --installation-namespace"
        )
    return found[0] if found else None


def _namespaces(bindings: Sequence[dict[str, object]]) -> Sequence[str]:
    """Of the ServiceAccounts that they bind."""
    found = set()
    for binding in bindings:
        subjects = binding.get("subjects")
        for subject in subjects if isinstance(subjects, list) else ():
            if subject.get("kind") == "ServiceAccount" and subject.get("namespace"):
                found.add(str(subject["namespace"]))
    return sorted(found)


def _drained(stream: "IO[str]", into: "collections.deque[str]") -> threading.Thread:
    """Read what else is said, or kubectl stops when a pipe is full."""
    thread = threading.Thread(target=into.extend, args=(stream,), daemon=True)
    thread.start()
    return thread


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_ENDING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
