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
GO_BUILD: Final = ("go", "build", "-trimpath", "-buildvcs=false", "-v")
ENVIRONMENT: Final[Mapping[str, str]] = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly"}
"""What a person has set for other projects must not change what is built."""
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


def build_command(package: str, binary: Path, version: str) -> list[str]:
    """How one binary is built; without ``-X`` Kubernetes would call itself v0.0.0-master."""
    flags = f"-s -w -X k8s.io/component-base/version.gitVersion={version}"
    return [*GO_BUILD, "-ldflags", flags, "-o", str(binary), package]


def cache_key(go_mod: bytes, go_sum: bytes, compiler: str) -> str:
    """A name for the result of building exactly this, with exactly this recipe.

    Args:
        go_mod: Content of go.mod.
        go_sum: Content of go.sum.
        compiler: Version of Go, operating system and architecture.
    """
    version = kubernetes_version(go_mod.decode())
    commands = [build_command(package, Path(name), version) for name, package in sorted(PACKAGES.items())]
    recipe = repr((commands, sorted(ENVIRONMENT.items()), compiler)).encode()
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
    target = cache_root() / cache_key(go_mod, go_sum, _compiler(go_mod.decode()))
    if (target / ".complete").exists():
        return Tools(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(".lock"), say):
        if not (target / ".complete").exists():
            _build_all(target, kubernetes_version(go_mod.decode()), say)
    return Tools(target)


def _compiler(go_mod: str) -> str:
    """Version of the Go that builds in ``MODULE`` (go.mod may choose it), operating system, architecture."""
    try:
        done = subprocess.run(
            ["go", "env", "GOVERSION", "GOOS", "GOARCH"],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
            cwd=MODULE,
            env={**os.environ, **ENVIRONMENT},
        )
    except FileNotFoundError as error:
        wanted = re.search(r"^go (\d+\.\d+)", go_mod, re.MULTILINE)
        raise ClusterError(
            f"Go is not installed, and Kubernetes is built with it: install Go {wanted[1] if wanted else ''} "
            "or newer (https://go.dev/doc/install)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`go env` did not end in {error.timeout:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"`go env` failed: {error.stderr.strip()}") from error
    return " ".join(done.stdout.split())


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
    """Build everything beside ``target``, then give it that name in one step. The caller holds the lock."""
    began = time.monotonic()
    say(
        f"building Kubernetes {version} and etcd from Go modules; minutes the first time, then cached in {target}"
    )
    prefix = f"{target.name}.building-"
    for killed in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(killed, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as scratch:
        work, made = Path(scratch) / "module", Path(scratch) / "bin"
        shutil.copytree(MODULE, work)
        made.mkdir()
        for number, (name, package) in enumerate(PACKAGES.items(), 1):
            label = f"  [{number}/{len(PACKAGES)}] {name}"
            say(f"{label}: go build {package}")
            _build_one(build_command(package, made / name, version), work, label, say)
        (made / ".complete").touch()
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    say(f"tools are ready after {time.monotonic() - began:.0f} s")


class _Progress:
    """What `go build -v` has said so far."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._downloaded = self._compiled = 0
        self.tail: list[str] = []

    def read(self, line: str) -> None:
        """A module that is fetched, a package that is compiled, or a line of an error."""
        if line.startswith("go: downloading"):
            self._downloaded += 1
        else:
            self._compiled += 1
        self.tail = [*self.tail, line.rstrip()][-20:]

    def __str__(self) -> str:
        fetched = f"{self._downloaded} modules fetched, " if self._downloaded else ""
        return f"{fetched}{self._compiled} packages compiled, {time.monotonic() - self._began:.0f} s"


def _build_one(command: list[str], work: Path, label: str, say: Say) -> None:
    process = subprocess.Popen(
        command, cwd=work, env={**os.environ, **ENVIRONMENT}, stderr=subprocess.PIPE, text=True
    )
    progress, finished = _Progress(), threading.Event()

    def heartbeat() -> None:
        while not finished.wait(HEARTBEAT_SECONDS):
            say(f"{label}: {progress}")

    killer = threading.Timer(BUILD_SECONDS, process.kill)
    killer.daemon = True
    threading.Thread(target=heartbeat, daemon=True).start()
    killer.start()
    try:
        assert process.stderr is not None
        for line in process.stderr:
            progress.read(line)
        code = process.wait()
    finally:
        finished.set()
        killer.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
    if code != 0:
        raise ClusterError(f"`{' '.join(command)}` failed ({code}):\n" + "\n".join(progress.tail))
    say(f"{label}: done, {progress}")
