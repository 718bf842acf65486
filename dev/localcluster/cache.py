"""Where tools are kept: outside the checkout, each set of them below a name of its own, whole or not at all."""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

COMPLETE: Final = ".complete"
"""A file in a directory that holds all it shall hold."""
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Tools:
    """A directory with binaries."""

    directory: Path

    def path(self, name: str) -> str:
        """Full path of one binary."""
        return str(self.directory / name)

    def has(self, name: str) -> bool:
        """Whether this binary is among them."""
        return (self.directory / name).exists()


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/scim-operator/tools``, by default below ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "scim-operator" / "tools"


def is_complete(directory: Path) -> bool:
    """Whether ``make_once`` has made it."""
    return (directory / COMPLETE).exists()


def make_once(target: Path, make: Callable[[Path], Path], say: Say) -> Path:
    """``target``, made when it is not complete. Safe to call from several processes, and to be killed in.

    Args:
        target: a directory directly below the cache.
        make: fills a scratch directory beside it, and returns the directory in there that becomes ``target``.
        say: told when another process has to be waited for.
    """
    if is_complete(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_suffix(f"{target.suffix}.lock"), say):
        if not is_complete(target):
            prefix = f"{target.name}.building-"
            for killed in target.parent.glob(f"{prefix}*"):
                shutil.rmtree(killed, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as scratch:
                made = make(Path(scratch))
                (made / COMPLETE).touch()
                shutil.rmtree(target, ignore_errors=True)
                made.rename(target)
    return target


@contextlib.contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process makes the same tools; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def gather(directories: Sequence[Path]) -> Path:
    """One directory with links to everything in those, for a PATH; made once, under a name of its own.

    What two of them have is taken from the first.
    """
    programs = {
        path.name: path
        for directory in reversed(directories)
        for path in directory.iterdir()
        if path.name != COMPLETE
    }
    return _links("\0".join(map(str, directories)), programs)


def link(programs: Mapping[str, Path]) -> Path:
    """One directory with a link for each name, for a PATH; made once, under a name of its own."""
    return _links("\0".join(f"{name}={path}" for name, path in sorted(programs.items())), programs)


def _links(named_by: str, programs: Mapping[str, Path]) -> Path:
    name = hashlib.sha256(named_by.encode()).hexdigest()[:24]
    target = cache_root() / f"{name}.links"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=cache_root(), prefix=f"{name}.building-"))
        for program, path in programs.items():
            (scratch / program).symlink_to(path)
        scratch.chmod(0o755)
        try:
            scratch.rename(target)
        except OSError:
            shutil.rmtree(scratch)  # Somebody else was faster, with the same.
    return target
