"""Prebuilt etcd, kube-apiserver and kubectl: the archives that setup-envtest takes, as controller-tools publishes them.

What is in them is run, so each is pinned by its SHA-512, which is compared before anything is unpacked. The sums are those
of controller-tools' envtest-releases.yaml. There is no kube-controller-manager in them.
"""

import contextlib
import dataclasses
import hashlib
import platform
import shutil
import tarfile
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

from localcluster.cache import Say, Tools, cache_root, is_complete, make_once
from localcluster.errors import Unavailable

VERSION: Final = "v1.37.0"
_URL: Final = (
    "https://github.com/kubernetes-sigs/controller-tools/releases/download/"
    f"envtest-{VERSION}/envtest-{VERSION}-linux-"
)
_SHA512: Final[Mapping[str, str]] = {
    "amd64": "1d1c453633b72c161a5d5a886cde7ac850be1a2ac796a9e1d4ffacacc64868295bdd2d57aa66cd0c158f5ce510f5dfe3"
    "fbc61ac21bd3dcfb875bd70658aa663a",
    "arm64": "ae6a670502988200b0131c943758cfd3d3a58cf4e6247ef7f0e6a6467f1cd9a333c802e86101f0446b1b92a0e3273872"
    "24e1e44fe1a4693da0929c6e529cfe9a",
}
_ARCHITECTURES: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}
"""What Linux calls a processor -> what Go does."""
MEMBERS: Final[Mapping[str, str]] = {
    f"controller-tools/envtest/{name}": name for name in ("etcd", "kube-apiserver", "kubectl")
}
"""Of an archive, by their whole names -> the binary's. Nothing else of it is written anywhere."""
_REDIRECTS: Final = 5
_OK: Final = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Archive:
    """One that is pinned."""

    url: str
    sha512: str
    """In hexadecimal digits."""
    version: str = VERSION
    """Of Kubernetes."""

    @property
    def host(self) -> str:
        """From where it comes."""
        return httpx.URL(self.url).host

    @property
    def directory(self) -> Path:
        """Where it is unpacked: another pin has another place."""
        return cache_root() / f"envtest-{self.version}-{self.sha512[:16]}"


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What a download may cost. Times are seconds, sizes bytes."""

    connect: float = 5.0
    """To one address."""
    answer: float = 8.0
    """Until the archive begins to come: names that are looked up, connections, redirects."""
    read: float = 10.0
    """Between two parts of it."""
    whole: float = 240.0
    archive: int = 300_000_000
    member: int = 500_000_000
    heartbeat: float = 10.0
    """Between two lines that say how far it is."""


LIMITS: Final = Limits()


def pinned(machine: str | None = None) -> Archive:
    """The archive for a machine, by default this one.

    Args:
        machine: as ``uname -m`` says it.

    Raises:
        Unavailable: there is none for it.
    """
    machine = machine or platform.machine()
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        raise Unavailable(f"there is no archive for {machine}")
    return Archive(f"{_URL}{architecture}.tar.gz", _SHA512[architecture])


def find(archive: Archive) -> Tools | None:
    """What was downloaded before."""
    return Tools(archive.directory) if is_complete(archive.directory) else None


def download(archive: Archive, say: Say = print, limits: Limits = LIMITS) -> Tools:
    """The binaries of an archive, downloaded when they are not in the cache; proxies are those of the environment.

    Raises:
        Unavailable: it did not come within the limits, or is not what is pinned; nothing of it is kept.
    """

    def make(scratch: Path) -> Path:
        file, made = scratch / "archive.tar.gz", scratch / "bin"
        _compare(archive, _Transfer(archive, file, limits).run(say))
        unpack(file, made, limits)
        return made

    return Tools(make_once(archive.directory, make, say))


def _compare(archive: Archive, found: str) -> None:
    if found != archive.sha512:
        raise Unavailable(
            f"WRONG CHECKSUM: {archive.url} is not what is pinned, was deleted and is not used; "
            f"SHA-512 expected {archive.sha512}, found {found}"
        )


def unpack(file: Path, target: Path, limits: Limits = LIMITS) -> None:
    """Write the ``MEMBERS`` of an archive into ``target``, which is made; the modes are ours.

    Raises:
        Unavailable: one is not there, is no ordinary file or is too large, or the archive can't be read.
    """
    target.mkdir()
    missing = dict(MEMBERS)
    try:
        with tarfile.open(file, "r:gz") as archive:
            for member in archive:
                name = missing.pop(member.name, None)
                if name is None:
                    continue
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.size > limits.member:
                    raise Unavailable(f"{member.name} is no ordinary file of at most {limits.member} bytes")
                with content, (target / name).open("xb") as binary:
                    shutil.copyfileobj(content, binary)
                (target / name).chmod(0o755)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise Unavailable(f"the archive can't be unpacked: {error}") from error
    if missing:
        raise Unavailable(f"the archive lacks {', '.join(missing)}")


class _Transfer:
    """One download, in a thread: nothing else bounds how long names are looked up.

    Args:
        archive: what comes.
        file: where it goes.
        limits: of times and sizes.
    """

    def __init__(self, archive: Archive, file: Path, limits: Limits) -> None:
        self._archive, self._file, self._limits = archive, file, limits
        self._deadline = time.monotonic() + limits.whole
        self._begun, self._ended = threading.Event(), threading.Event()
        self._abandoned = False
        self._received, self._digest = 0, ""
        self._refusal: Unavailable | None = None

    def run(self, say: Say) -> str:
        """Wait for its end; the SHA-512 of what came. Raises ``Unavailable``."""
        began = time.monotonic()
        threading.Thread(target=self._work, name=f"download from {self._archive.host}", daemon=True).start()
        try:
            if not self._begun.wait(self._limits.answer):
                raise Unavailable(f"{self._archive.host} did not answer in {self._limits.answer:g} s")
            if self._refusal is None:
                say(f"downloading {self._archive.url}")
            while not self._ended.wait(self._limits.heartbeat):
                say(f"  {self._received / 1e6:.0f} MB, {time.monotonic() - began:.0f} s")
        finally:
            self._abandoned = True  # Of Ctrl-C, too: the thread ends by itself.
        if self._refusal is not None:
            raise self._refusal
        return self._digest

    def _work(self) -> None:
        try:
            self._digest = self._receive()
        except Unavailable as refusal:
            self._refusal = refusal
        # A proxy of a kind that httpx does not know is a ValueError or an ImportError.
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
            self._refusal = Unavailable(f"{self._archive.host}: {_in_one_line(error)}")
        finally:
            self._ended.set()
            self._begun.set()

    def _receive(self) -> str:
        timeout = httpx.Timeout(self._limits.read, connect=self._limits.connect)
        digest = hashlib.sha512()
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(
                httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=_REDIRECTS)
            )
            response = stack.enter_context(
                client.stream("GET", self._archive.url, headers={"accept-encoding": "identity"})
            )
            if response.status_code != _OK:
                raise Unavailable(f"{response.url.host} answers {response.status_code}")
            self._begun.set()
            file = stack.enter_context(self._file.open("xb"))
            for chunk in response.iter_raw():
                self._count(len(chunk))
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def _count(self, size: int) -> None:
        self._received += size
        if self._received > self._limits.archive:
            raise Unavailable(f"{self._archive.host} sends more than {self._limits.archive} bytes")
        if self._abandoned or time.monotonic() > self._deadline:
            raise Unavailable(
                f"{self._archive.host} sent {self._received} bytes in {self._limits.whole:g} s, and not all"
            )


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
