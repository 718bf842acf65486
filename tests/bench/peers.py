"""Other SCIM servers, with people in memory: what each needs, how it is built once, and how it is started.

What was built is kept beside the other caches, under the digest of its sources: an edit builds it anew.
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_CACHE: Final = "scim-operator/peers"
_MAVEN: Final = ("mvn", "--batch-mode", "--no-transfer-progress", "--quiet", "process-classes")
_NPM: Final = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")


@dataclasses.dataclass(frozen=True)
class Peer:
    """A SCIM server of others, with one worker on one core.

    Attributes:
        name: as tables show it.
        start: from the directory of what was built to the command; its port is appended.
        folder: its sources, beside this module; empty for a Python package of this project's environment.
        build: the command that builds it, run in a copy of the folder.
        tools: the programs that building and running take, each with what to install.
        environment: variables of its process.
        cannot: the workloads that it refuses or misunderstands, and why; checked before anything is measured.
    """

    name: str
    start: Callable[[Path], Sequence[str]]
    folder: str = ""
    build: Sequence[str] = ()
    tools: Mapping[str, str] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cannot: Mapping[str, str] = dataclasses.field(default_factory=dict)


def _java(built: Path) -> Sequence[str]:
    target = built / "target"
    return ("java", "-XX:ActiveProcessorCount=1", "-cp", f"{target}/classes:{target}/lib/*", "Contender")


INTERPRETED: Final = (
    Peer("scim2-server", lambda _: (sys.executable, "-m", "bench.library", "--port")),
    Peer(
        "SCIMMY",
        lambda built: ("node", str(built / "server.js")),
        folder="scimmy",
        build=_NPM,
        tools={"node": "Node.js 20 or newer", "npm": "npm"},
    ),
)
COMPILED: Final = (
    Peer(
        "elimity-com/scim",
        lambda built: (str(built / "server"),),
        folder="elimity",
        build=("go", "build", "-trimpath", "-buildvcs=false", "-o", "server", "."),
        tools={"go": "Go 1.26 or newer"},
        environment={"GOMAXPROCS": "1"},
        cannot={
            "filter e-mail": 'its parser takes no sub-attribute after a value path (emails[type eq "work"].value)'
        },
    ),
    Peer(
        "Apache SCIMple",
        _java,
        folder="scimple",
        build=_MAVEN,
        tools={"java": "a JDK of 17 or newer", "javac": "a JDK of 17 or newer", "mvn": "Maven"},
        cannot={
            "filter e-mail": 'its parser ignores what comes after a value path (emails[type eq "work"].value eq ...)'
        },
    ),
)
ALL: Final = {peer.name: peer for peer in (*INTERPRETED, *COMPILED)}


def lacking(peer: Peer) -> str:
    """What to install before a peer can take part; empty when everything is here."""
    wanted = dict.fromkeys(what for tool, what in peer.tools.items() if shutil.which(tool) is None)
    if not wanted:
        return ""
    return f"{peer.name} needs {' and '.join(wanted)}: install it, or {_left_out(peer)}"


def _left_out(peer: Peer) -> str:
    return f"""leave {peer.name} out: make bench ARGS="--without '{peer.name}'\""""


def built(peer: Peer) -> Path:
    """The directory with what a peer is built to; built now if its sources are new.

    Raises ``SystemExit`` with the builder's last words when that fails.
    """
    if not peer.folder:
        return _HERE
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / _CACHE
    finished = base / f"{peer.folder}-{_digest(_HERE / peer.folder)}"
    if finished.exists():
        return finished
    base.mkdir(parents=True, exist_ok=True)
    print(f"  building {peer.name}, once", flush=True)
    with tempfile.TemporaryDirectory(prefix=f".{peer.folder}-", dir=base) as made:
        copy = Path(made) / "built"
        shutil.copytree(_HERE / peer.folder, copy)
        done = subprocess.run(peer.build, cwd=copy, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(
                f"{peer.name} could not be built by: {' '.join(peer.build)}\n{(done.stdout + done.stderr)[-3000:]}\n"
                f"To measure the others, {_left_out(peer)}"
            )
        for former in base.glob(f"{peer.folder}-*"):
            shutil.rmtree(former)
        copy.rename(finished)
    return finished


def _digest(folder: Path) -> str:
    """Of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
