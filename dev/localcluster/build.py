"""Tools built once from their pinned Go modules: etcd, kube-apiserver and the like.

Each project has its own go.mod below ``dev/tools``: in a common one, its dependencies would be lifted to
versions that its authors never built with. The result is kept (``localcluster.cache``) under a name made of
everything it depends on, so that it is found again as long as nothing changed, and several checkouts share it.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from localcluster.cache import COMPLETE, Say, Tools, cache_root, is_complete, make_once
from localcluster.errors import ClusterError

SOURCES: Final = Path(__file__).resolve().parent.parent / "tools"
"""Below it, a directory for each go.mod and go.sum."""
MODULE: Final = SOURCES / "kubernetes"
"""The directory of the go.mod and go.sum that pin the control plane."""
KUBERNETES: Final = "k8s.io/kubernetes"
KUBERNETES_VERSION: Final = "k8s.io/component-base/version.gitVersion"
"""What the linker sets; without it Kubernetes would call itself v0.0.0-master."""
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


@dataclasses.dataclass(frozen=True)
class Project:
    """The binaries made from one go.mod."""

    directory: Path
    """Of go.mod, go.sum and whatever else the build needs."""
    title: str
    """What people call it."""
    module: str
    """Whose version in go.mod is the project's version."""
    packages: Mapping[str, str]
    """Name of the binary, or its path below the result -> its package."""
    version_variable: str | None = None
    """What the linker sets to the version: without one, tools do not know what they are."""
    tags: str = ""
    c_library: bool = False
    """Linked with C, statically, so that it runs where the library is not installed."""
    architecture: str = ""
    """For which it is built, as Go names it; empty for this machine's."""
    folders: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    """Name below the result -> a module in go.mod and the folder in it whose files are copied."""
    prepare: Callable[[Path], None] | None = None
    """What has to be done to a copy of ``directory`` before it can be built."""

    @property
    def go_mod(self) -> str:
        """Content of go.mod."""
        return (self.directory / "go.mod").read_text()

    @property
    def version(self) -> str:
        """The pinned version, such as ``v1.37.2``. Raises ``ClusterError``."""
        return required_version(self.go_mod, self.module)

    @property
    def environment(self) -> dict[str, str]:
        """What is set while it is built."""
        architecture = {"GOARCH": self.architecture} if self.architecture else {}
        return {**ENVIRONMENT, **({"CGO_ENABLED": "1"} if self.c_library else {}), **architecture}

    def command(self, package: str, binary: Path, version: str) -> list[str]:
        """How one binary is built."""
        flags = "-s -w"
        if self.version_variable:
            flags += f" -X {self.version_variable}={version}"
        if self.c_library:
            flags += " -extldflags -static"
        tags = ["-tags", self.tags] if self.tags else []
        return [*GO_BUILD, *tags, "-ldflags", flags, "-o", str(binary), package]

    def key(self, compiler: str) -> str:
        """A name for the result of building exactly this, with exactly this recipe."""
        go_mod, go_sum = ((self.directory / name).read_bytes() for name in ("go.mod", "go.sum"))
        return _key(self, go_mod, go_sum, self._other_files(), compiler)

    def _other_files(self) -> list[bytes]:
        return [
            part
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and path.name not in ("go.mod", "go.sum")
            for part in (str(path.relative_to(self.directory)).encode(), path.read_bytes())
        ]


def _key(project: Project, go_mod: bytes, go_sum: bytes, others: Sequence[bytes], compiler: str) -> str:
    version = required_version(go_mod.decode(), project.module)
    commands = [
        project.command(package, Path(name), version) for name, package in sorted(project.packages.items())
    ]
    recipe: list[object] = [commands, sorted(project.environment.items()), compiler]
    if project.folders:
        recipe.append(sorted(project.folders.items()))
    digest = hashlib.sha256()
    for part in (go_mod, go_sum, repr(tuple(recipe)).encode(), *others):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:24]


def _kubernetes() -> Project:
    return Project(MODULE, "Kubernetes and etcd", KUBERNETES, PACKAGES, KUBERNETES_VERSION)


def required_version(go_mod: str, module: str) -> str:
    """The version of a module that go.mod requires. Raises ``ClusterError``."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"go.mod does not require {module}")
    return found[1]


def kubernetes_version(go_mod: str) -> str:
    """The version of Kubernetes that go.mod requires, such as ``v1.37.2``. Raises ``ClusterError``."""
    return required_version(go_mod, KUBERNETES)


def build_command(package: str, binary: Path, version: str) -> list[str]:
    """How one binary of the control plane is built."""
    return _kubernetes().command(package, binary, version)


def cache_key(go_mod: bytes, go_sum: bytes, compiler: str) -> str:
    """A name for the control plane that is built from exactly this.

    Args:
        go_mod: Content of go.mod.
        go_sum: Content of go.sum.
        compiler: Version of Go, operating system and architecture.
    """
    return _key(_kubernetes(), go_mod, go_sum, [], compiler)


def build_tools(say: Say = print) -> Tools:
    """The control plane's tools, built when they are not in the cache; safe to call from several processes.

    Raises:
        ClusterError: Go is missing, or a build failed; the message holds the end of its output.
    """
    return Tools(build_project(_kubernetes(), say))


def find_tools() -> Tools | None:
    """What ``build_tools`` has built before."""
    found = find_project(_kubernetes())
    return None if found is None else Tools(found)


def build_project(project: Project, say: Say = print) -> Path:
    """The directory with one project's binaries, built when they are not in the cache.

    Raises:
        ClusterError: as for ``build_tools``.
    """
    target = cache_root() / project.key(_compiler(project))
    return make_once(target, lambda scratch: _build_all(project, target, scratch, say), say)


def find_project(project: Project) -> Path | None:
    """The directory with one project's binaries when they were built before; None without Go, too."""
    if not any(cache_root().glob(f"*/{COMPLETE}")):
        return None  # Not even Go is asked, which might download another Go for the answer.
    with contextlib.suppress(ClusterError):
        target = cache_root() / project.key(_compiler(project))
        return target if is_complete(target) else None
    return None


def module_directory(module: str, version: str) -> Path:
    """Where Go keeps the source of a module, fetched when it is not there. Raises ``ClusterError``."""
    command = ["go", "mod", "download", "-json", f"{module}@{version}"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            cwd="/",
            env={**os.environ, **ENVIRONMENT},
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(command)}` did not end in {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return Path(json.loads(done.stdout)["Dir"])


def _compiler(project: Project) -> str:
    """Version of the Go that builds it (go.mod may choose it), operating system, architecture."""
    try:
        done = subprocess.run(
            ["go", "env", "GOVERSION", "GOOS", "GOARCH"],
            capture_output=True,
            text=True,
            check=True,
            timeout=600,
            cwd=project.directory,
            env={**os.environ, **ENVIRONMENT},
        )
    except FileNotFoundError as error:
        wanted = re.search(r"^go (\d+\.\d+)", project.go_mod, re.MULTILINE)
        raise ClusterError(
            f"Go is not installed, and {project.title} is built with it: install Go {wanted[1] if wanted else ''} "
            "or newer (https://go.dev/doc/install)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`go env` did not end in {error.timeout:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"`go env` failed: {error.stderr.strip()}") from error
    return " ".join(done.stdout.split())


def _build_all(project: Project, target: Path, scratch: Path, say: Say) -> Path:
    """Build everything below ``scratch``; the directory that shall be ``target``."""
    began = time.monotonic()
    version = project.version
    say(
        f"building {project.title} {version} from Go modules; minutes the first time, then cached in {target}"
    )
    work, made = scratch / "module", scratch / "bin"
    shutil.copytree(project.directory, work)
    made.mkdir()
    if project.prepare is not None:
        project.prepare(work)
    for number, (name, package) in enumerate(project.packages.items(), 1):
        label = f"  [{number}/{len(project.packages)}] {name}"
        say(f"{label}: go build {package}")
        (made / name).parent.mkdir(exist_ok=True)
        _build_one(project.command(package, made / name, version), work, project.environment, label, say)
    for name, (module, folder) in project.folders.items():
        _copy_files(module_directory(module, required_version(project.go_mod, module)) / folder, made / name)
    say(f"{project.title}: ready after {time.monotonic() - began:.0f} s")
    return made


def _copy_files(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        # Not their modes: Go keeps its sources read-only, and nobody could remove these again.
        shutil.copyfile(path, target / path.name)


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


def _build_one(command: list[str], work: Path, environment: Mapping[str, str], label: str, say: Say) -> None:
    process = subprocess.Popen(
        command, cwd=work, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True
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
