"""Programs that tests need: the machine's, or else unpacked from Debian's packages, without installing them."""

import dataclasses
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scim-operator"


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    """Where a program is, and where the libraries are that came with it."""

    path: Path
    libraries: tuple[Path, ...] = ()

    def link(self, directory: Path) -> None:
        """Make it callable by its name in ``directory``."""
        script = directory / self.path.name
        libraries = ":".join(map(str, self.libraries))
        script.write_text(
            f'#!/bin/sh\nLD_LIBRARY_PATH="{libraries}" exec "{self.path}" "$@"\n', encoding="utf-8"
        )
        script.chmod(0o755)


@functools.cache
def debian_program(name: str, *libraries: str) -> Program:
    """The program of the package of its name. Skips only on a machine without it and without apt-get.

    Args:
        name: of program and package.
        libraries: packages that it needs besides.
    """
    if found := shutil.which(name):
        return Program(Path(found))
    place = CACHE / name
    if not _found(place, name):
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            pytest.skip(f"no {name}: install it (this machine has no apt-get to do so)")
        with tempfile.TemporaryDirectory() as directory:
            _download(directory, name, *libraries)
            for package in Path(directory).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", str(package), f"{directory}/root"], check=True)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(f"{directory}/root", place, dirs_exist_ok=True, symlinks=True)
    return Program(_found(place, name)[0], tuple(sorted({path.parent for path in place.rglob("*.so.*")})))


def jq() -> Program:
    """What the documentation reads JSON with."""
    return debian_program("jq", "libjq1", "libonig5")


def _found(place: Path, name: str) -> list[Path]:
    return [path for path in (place / "usr/bin" / name, place / "usr/sbin" / name) if path.exists()]


def _download(directory: str, *packages: str) -> None:
    """Fetch the packages; a machine that has never asked which there are asks now, as root may."""
    for first in ([], ["apt-get", "update"]):
        if first:
            subprocess.run(first, capture_output=True, check=False)
        done = subprocess.run(
            ["apt-get", "download", *packages], cwd=directory, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return
    raise RuntimeError(f"apt-get can't download {packages[0]}; install it: {done.stderr.strip()[-200:]}")
