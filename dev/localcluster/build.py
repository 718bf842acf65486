"""etcd, kube-apiserver, kube-controller-manager and kubectl, built once from their pinned Go modules.

The result is kept outside the checkout under a name made of everything it depends on, so that it is found
again as long as nothing changed, and several checkouts share it.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from localcluster.errors import ClusterError

MODULE: Final = Path(__file__).resolve().parent.parent / "tools" / "kubernetes"
"""The directory of the go.mod and go.sum that pin everything."""
KUBERNETES: Final = "k8s.io/kubernetes"
PACKAGES: Final[Mapping[str, str]] = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": f"{KUBERNETES}/cmd/kube-apiserver",
    "kube-controller-manager": f"{KUBERNETES}/cmd/kube-controller-manager",
    "kubectl": f"{KUBERNETES}/cmd/kubectl",
}
"""Name of the binary -> its package. etcd's main package would call itself ``server``."""
BUILD_SECONDS: Final = 3600
HEARTBEAT_SECONDS: Final = 10
FLAGS: Final = ("-trimpath", "-buildvcs=false", "-v")
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """The directory with the four binaries."""

    directory: Path

    def path(self, name: str) -> str:
        """Full path of one binary."""
        return str(self.directory / name)


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/scim-operator/tools``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "scim-operator" / "tools"


def kubernetes_version(go_mod: str) -> str:
    """The version that go.mod requires, such as ``v1.37.2``. Raises ``ClusterError``."""
    found = re.search(rf"^\s*(?:require )?{re.escape(KUBERNETES)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"{MODULE / 'go.mod'} does not require {KUBERNETES}")
    return found[1]


def cache_key(go_mod: bytes, go_sum: bytes, go_version: str) -> str:
    """A name for the result of building exactly this, with exactly this recipe."""
    recipe = repr((sorted(PACKAGES.items()), FLAGS, go_version)).encode()
    digest = hashlib.sha256()
    for part in (go_mod, go_sum, recipe):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:24]


def build_tools(say: Say = print) -> Tools:
    """The tools, built when they are not in the cache; safe to call from several processes.

    Raises:
        ClusterError: Go is missing, or a build failed; the message holds the end of its output.
    """
    go_mod, go_sum = (MODULE / "go.mod").read_bytes(), (MODULE / "go.sum").read_bytes()
    target = cache_root() / cache_key(go_mod, go_sum, _go_version())
    if (target / ".complete").exists():
        return Tools(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock"), say):
        if not (target / ".complete").exists():
            _build_all(target, kubernetes_version(go_mod.decode()), say)
    return Tools(target)


def _go_version() -> str:
    try:
        return subprocess.run(
            ["go", "env", "GOVERSION"], capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()
    except FileNotFoundError as error:
        raise ClusterError(
            "Go is not installed, and Kubernetes is built with it: install Go 1.26 or newer"
        ) from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`go env GOVERSION` failed: {error}") from error


@contextlib.contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process builds the same tools; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build_all(target: Path, version: str, say: Say) -> None:
    began = time.monotonic()
    say(
        f"building Kubernetes {version} and etcd from Go modules; minutes the first time, then cached in {target}"
    )
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as scratch:
        work, made = Path(scratch) / "module", Path(scratch) / "bin"
        shutil.copytree(MODULE, work)
        made.mkdir()
        for number, (name, package) in enumerate(PACKAGES.items(), 1):
            _build_one(work, made / name, package, version, f"[{number}/{len(PACKAGES)}] {name}", say)
        (made / ".complete").touch()
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    say(f"tools are ready after {time.monotonic() - began:.0f} s")


def _build_one(work: Path, binary: Path, package: str, version: str, label: str, say: Say) -> None:
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={version}"
    command = ["go", "build", *FLAGS, "-ldflags", flags, "-o", str(binary), package]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}
    began, compiled, tail = time.monotonic(), 0, [""]
    process = subprocess.Popen(command, cwd=work, env=environment, stderr=subprocess.PIPE, text=True)
    finished = threading.Event()

    def heartbeat() -> None:
        while not finished.wait(HEARTBEAT_SECONDS):
            say(f"  {label}: {compiled} packages compiled, {time.monotonic() - began:.0f} s")

    watch = threading.Thread(target=heartbeat, daemon=True)
    killer = threading.Timer(BUILD_SECONDS, process.kill)
    watch.start()
    killer.start()
    try:
        assert process.stderr is not None
        for line in process.stderr:
            compiled += 1
            tail = [*tail, line.rstrip()][-20:]
        code = process.wait()
    finally:
        finished.set()
        killer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0:
        raise ClusterError(f"building {package} failed ({code}):\n" + "\n".join(tail))
    say(f"  {label}: done after {time.monotonic() - began:.0f} s")
