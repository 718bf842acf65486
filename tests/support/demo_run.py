"""The demo as people start it: a process of its own, whose every descendant can be found again."""

import base64
import contextlib
import dataclasses
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from demo import search
from localcluster import ControlPlane, Tools, envtest
from localcluster.cache import COMPLETE
from support import played_kind
from support.stack import ROOT, until

SECONDS = 240.0
MARK = "SCIM_DEMO_RUN"
MANAGED = "app.kubernetes.io/managed-by=scim-operator"


@dataclasses.dataclass
class Demo:
    """One call of ``python -m demo``, with temporary and state directories of its own."""

    directory: Path
    root: Path
    environment: Mapping[str, str]

    def __post_init__(self) -> None:
        self.mark = f"{MARK}={secrets.token_hex(8)}"
        self.temporary, self.state = self.directory / "tmp", self.directory / "state"
        self.temporary.mkdir(parents=True)
        self.output = self.directory / "output.txt"
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        """Start it as the Makefile does; output and errors go to one file, which is appended to."""
        name, value = self.mark.split("=")
        environment = {
            **os.environ,
            "PYTHONPATH": "dev",
            "TMPDIR": str(self.temporary),
            "XDG_STATE_HOME": str(self.state),
            **self.environment,
            name: value,
        }
        with self.output.open("ab") as output:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "demo", *arguments],
                cwd=self.root, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> int:
        """Its exit code."""
        assert self._popen is not None
        return self._popen.wait(SECONDS)

    def run(self, *arguments: str) -> int:
        """Start it and wait for its end."""
        self.start(*arguments)
        return self.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._popen is not None
        self._popen.send_signal(number)

    def wait_for(self, text: str) -> None:
        """Wait until it has printed this."""
        until(f"the demo prints {text!r}", lambda: text in self.text(), SECONDS, self.text)

    def text(self) -> str:
        """All it has printed."""
        return self.output.read_text(encoding="utf-8") if self.output.exists() else ""

    def processes(self) -> list[str]:
        """Command lines of all that it started, directly or not, and that still run."""
        return [line for _, line in self._descendants()]

    def _descendants(self) -> Iterator[tuple[int, str]]:
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # It ended meanwhile, or is not ours to read.
                if self.mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                    line = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                    yield int(path.name), line

    def files(self) -> list[str]:
        """What it left in its temporary and state directories, other than empty parents."""
        directories = (self.temporary, self.state)
        return [str(path) for top in directories for path in top.rglob("*") if not path.is_dir()]

    def close(self) -> None:
        """End what a failed test left of it."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(30)
        for pid, _ in list(self._descendants()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclasses.dataclass(frozen=True)
class Written:
    """What a run left in writing, read while it goes on.

    Attributes:
        places: every file of its directory but etcd's, all objects without the Secrets' data, and its output.
        tokens: the plaintexts that its Secrets hold.
    """

    places: Sequence[search.Place]
    tokens: Sequence[str] = dataclasses.field(repr=False)


def written_by(kept: Demo) -> Written:
    """Read all that a kept run has written; nothing when it did not come up."""
    directory = kept.state / "scim-operator" / "demo"
    if not directory.exists():
        return Written((), ())
    plane = ControlPlane.attach(directory / "kubernetes")

    def kubectl(*arguments: str) -> str:
        done: subprocess.CompletedProcess[str] = plane.kubectl(*arguments)
        return done.stdout

    etcd = directory / "kubernetes" / "etcd"  # Holds the Secrets: the local one does not encrypt at rest.
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_relative_to(etcd)]
    places = [search.Place("files", str(path.relative_to(directory)), path.read_bytes()) for path in files]
    output = search.Place("output", "output", kept.output.read_bytes())
    secrets = json.loads(kubectl("get", "secrets", "-A", "-l", MANAGED, "-o", "json"))["items"]
    tokens = [
        base64.b64decode(item["data"][part]).decode()
        for item in secrets
        for part in ("token", "client-secret")
        if part in item["data"]
    ]
    return Written((*places, output, *search.objects(kubectl)), tokens)


def on_kind(place: Path, tools: Tools) -> dict[str, str]:
    """The environment of a machine with kind, which is played, and with a person's own kubeconfig."""
    played_kind.install(place / "bin", tools)
    person = place / "kubeconfig-of-the-person"
    person.write_text("theirs")
    return {
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PLAYED_KIND": str(place / "clusters"),
        "KUBECONFIG": str(person),
    }


def downloaded(cache: Path, tools: Tools) -> dict[str, str]:
    """The environment of somebody for whom the pinned archive was downloaded, and nothing built."""
    directory = cache / "scim-operator" / "tools" / envtest.pinned().directory.name
    directory.mkdir(parents=True)
    for name in envtest.MEMBERS.values():
        (directory / name).symlink_to(tools.path(name))
    (directory / COMPLETE).touch()
    return {"XDG_CACHE_HOME": str(cache)}


NewDemo = Callable[..., Demo]


@contextlib.contextmanager
def demos(parent: Path) -> Iterator[NewDemo]:
    """Makes demos, and ends them with the block."""
    with contextlib.ExitStack() as stack:

        def make(root: Path = ROOT, **environment: str) -> Demo:
            directory = Path(tempfile.mkdtemp(dir=parent, prefix="demo-"))
            demo = Demo(directory, root, environment)
            stack.callback(demo.close)
            return demo

        yield make


@dataclasses.dataclass(frozen=True)
class Runs:
    """The two whole runs that the tests look at, at their end.

    Attributes:
        plain: of ``make demo`` on kind.
        kept: of ``make demo KEEP=1`` with what was downloaded; what it left goes on running.
        codes: their exit codes.
        written: by the kept one, read at its end.
    """

    plain: Demo
    kept: Demo
    codes: tuple[int, int]
    written: Written
