"""The product's two programs, and an application, as real processes on this machine: start, wait, stop by pid.

Used by the demo, the tests and the benchmarks. Each process writes its log to a file; a process that does
not become ready in time is reported with the end of that log.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from localcluster.ports import free_port

ADMIN_KEYS_CONFIG_MAP: Final = "scim-operator-admin-keys"
SCIM_API: Final = (sys.executable, "-m", "scim_api.cli.main")
SCIM_OPERATOR: Final = (sys.executable, "-m", "scim_operator.cli")
_ROOT: Final = Path(__file__).resolve().parents[2]
_POLL_SECONDS: Final = 0.05
_LOG_TAIL_LINES: Final = 30


class Child(Protocol):
    """As much of ``subprocess.Popen`` as is used here."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """Its exit code as last asked for; None while it runs."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; ``subprocess.TimeoutExpired`` when that takes longer than ``timeout`` seconds."""

    def send_signal(self, sig: int, /) -> None:
        """Send a signal to it."""


class Spawn(Protocol):
    """Starts a program in a session of its own; its log is appended to."""

    def __call__(self, argv: Sequence[str], log: Path, environment: Mapping[str, str], /) -> Child:
        """``argv`` with this environment and no other."""


class ProcessFailed(Exception):
    """A process ended or did not become ready in time; the message holds the end of its log."""


@dataclasses.dataclass
class Process:
    """A child process of ours.

    Attributes:
        name: for messages.
        popen: the running process.
        log: where its output goes.
        ready_url: answers 200 when it is ready.
    """

    name: str
    popen: Child
    log: Path
    ready_url: str

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.popen.poll() is None

    def log_text(self) -> str:
        """All it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Poll its readiness.

        Raises:
            ProcessFailed: when it ended, or the time is over.
        """
        deadline = time.monotonic() + seconds
        while not answers(self.ready_url):
            if not self.running:
                raise ProcessFailed(f"{self.name} ended with {self.popen.returncode}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} was not ready after {seconds:g} s:\n{self._tail()}")
            time.sleep(_POLL_SECONDS)

    def wait_end(self, seconds: float = 15.0) -> int:
        """Wait for its end and return the exit code; negative is the signal that ended it.

        Raises:
            ProcessFailed: when it still runs after this time.
        """
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(f"{self.name} still runs after {seconds:g} s:\n{self._tail()}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, and only to it."""
        if self.running:
            self.popen.send_signal(number)

    def stop(self, seconds: float = 12.0) -> int:
        """SIGTERM, wait, SIGKILL when that did not do; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL: what a crash looks like."""
        self.signal(signal.SIGKILL)
        return self.popen.wait()

    def _tail(self) -> str:
        return "\n".join(self.log_text().splitlines()[-_LOG_TAIL_LINES:])


@dataclasses.dataclass
class Api(Process):
    """A running ``scim-api serve``."""

    scim_url: str
    """The SCIM base URL, up to and with ``/scim/v2``."""
    internal_url: str
    """The internal port: ``/admin``, ``/healthz``, ``/readyz``, ``/metrics``."""


def answers(url: str) -> bool:
    """Whether a GET of ``url`` answers 200 right now."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def start_api(
    directory: Path,
    *,
    admin_keys_dir: Path,
    database_url: str | None = None,
    port: int | None = None,
    internal_port: int | None = None,
    operator_port: int | None = None,
    operator_tls_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
    by: Spawn | None = None,
) -> Api:
    """Start ``scim-api serve``; it is not waited for.

    Args:
        directory: for its log and, by default, its SQLite file.
        admin_keys_dir: the operator's public keys, as ``ConfigMapMirror`` writes them.
        database_url: default an SQLite file in ``directory``.
        port: of the public side; default a free one; give it to start a second life on the same address.
        internal_port: likewise of the internal side.
        operator_port: of the operator's side, with TLS; default none.
        operator_tls_dir: the certificate for it.
        environment: more variables, such as ``SCIM_API_LOG_LEVEL``.
        by: what starts it; default ``spawn``.
    """
    port, internal_port = port or free_port(), internal_port or free_port()
    scim_url, internal_url = f"http://127.0.0.1:{port}/scim/v2", f"http://127.0.0.1:{internal_port}"
    argv = [
        *SCIM_API, "serve",
        "--host", "127.0.0.1", "--port", str(port),
        "--internal-host", "127.0.0.1", "--internal-port", str(internal_port),
        "--database-url", database_url or f"sqlite:///{directory / 'scim.db'}",
        "--public-url", scim_url, "--admin-keys-dir", str(admin_keys_dir),
    ]  # fmt: skip
    if operator_port is not None:
        argv += ["--operator-port", str(operator_port), "--operator-tls-dir", str(operator_tls_dir)]
    log = directory / "scim-api.log"
    popen = (by or spawn)(argv, log, _environment(environment or {}))
    return Api("scim-api", popen, log, f"{internal_url}/readyz", scim_url, internal_url)


def start_operator(
    directory: Path,
    *,
    kubeconfig: Path,
    scim_url: str,
    admin_url: str,
    namespace: str,
    name: str = "scim-operator",
    argv: Sequence[str] = (*SCIM_OPERATOR, "run"),
    environment: Mapping[str, str] | None = None,
    by: Spawn | None = None,
) -> Process:
    """Start ``scim-operator run``; it is not waited for.

    Args:
        directory: for its log.
        kubeconfig: with the credentials of its ServiceAccount.
        scim_url: the SCIM base URL that goes into the Secrets.
        admin_url: the API's internal port.
        namespace: the operator's own.
        name: tells several apart.
        argv: another program to run instead, such as one that crashes at a named step.
        environment: more variables, such as ``SCIM_OPERATOR_RESYNC_SECONDS``.
        by: what starts it; default ``spawn``.
    """
    port = free_port()
    settings = {
        "KUBECONFIG": str(kubeconfig),
        "SCIM_OPERATOR_ENDPOINT_URL": scim_url,
        "SCIM_OPERATOR_ADMIN_URL": admin_url,
        "SCIM_OPERATOR_NAMESPACE": namespace,
        "SCIM_OPERATOR_HEALTH_PORT": str(port),
        **(environment or {}),
    }
    log = directory / f"{name}.log"
    popen = (by or spawn)(argv, log, _environment(settings))
    return Process(name, popen, log, f"http://127.0.0.1:{port}/readyz")


def start_feed(directory: Path, *, endpoint: str, token: str) -> Process:
    """Start ``examples/consumers/feed.py``; it is not waited for.

    Args:
        directory: for its log and its SQLite file.
        endpoint: the SCIM base URL.
        token: that reads. It reads it from a file, which is in memory and ends with the process.
    """
    port, log = free_port(), directory / "feed.log"
    argv = [
        sys.executable, "-m", "uvicorn", "feed:app", "--app-dir", str(_ROOT / "examples" / "consumers"),
        "--port", str(port), "--no-access-log",
    ]  # fmt: skip
    with open(os.memfd_create("token"), "w+b", buffering=0) as file:  # noqa: PTH123 (a descriptor)
        file.write(token.encode())
        settings = {
            "SCIM_ENDPOINT": endpoint,
            "SCIM_TOKEN_FILE": f"/proc/self/fd/{file.fileno()}",
            "DATABASE": str(directory / "people.db"),
        }
        popen = spawn(argv, log, _environment(settings), (file.fileno(),))
    return Process("feed.py", popen, log, f"http://127.0.0.1:{port}/healthz")


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Ours without settings of another installation, with the checkout on the path, plus ``more``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SCIM_OPERATOR_", "SCIM_API_", "KUBERNETES_SERVICE_"))
    }
    path = os.pathsep.join([str(_ROOT / "operator"), str(_ROOT), str(_ROOT / "dev")])
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1,localhost", **more}


def spawn(
    argv: Sequence[str], log: Path, environment: Mapping[str, str], descriptors: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C reaches us first; its log is appended to."""
    with log.open("ab") as output:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True, pass_fds=descriptors,
        )  # fmt: skip


class ConfigMapMirror:
    """Keeps a directory like the ConfigMap with the operator's public keys, as kubelet does for a pod that mounts it.

    Args:
        read: gives the ConfigMap, or None while there is none; it may raise. Asked three times a second.
        directory: made when missing; one file for each key.
    """

    def __init__(self, read: Callable[[], Mapping[str, Any] | None], directory: Path) -> None:
        self._read, self._directory = read, directory
        self._stop = threading.Event()
        self._filled = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"mirror of {ADMIN_KEYS_CONFIG_MAP}", daemon=True
        )

    def start(self) -> None:
        """Begin to mirror; returns at once."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def wait(self, seconds: float = 30.0) -> None:
        """Wait until the ConfigMap was there once, which is when kubelet would start the pod.

        Raises:
            ProcessFailed: when it was not there in time.
        """
        if not self._filled.wait(seconds):
            raise ProcessFailed(f"ConfigMap {ADMIN_KEYS_CONFIG_MAP} was not there after {seconds:g} s")

    def stop(self) -> None:
        """Stop mirroring; the files stay."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            # Not there yet, or the API server is away: kubelet goes on trying as well.
            with contextlib.suppress(Exception):
                self._copy()
            self._stop.wait(0.3)

    def _copy(self) -> None:
        data: dict[str, str] = (self._read() or {}).get("data") or {}
        for name, text in data.items():
            target = self._directory / name
            if not target.exists() or target.read_text(encoding="utf-8") != text:
                fresh = target.with_name(f".{name}.new")
                fresh.write_text(text, encoding="utf-8")
                fresh.replace(target)
        for stale in self._directory.iterdir():
            if stale.name not in data and not stale.name.startswith("."):
                stale.unlink()
        if data:
            self._filled.set()
