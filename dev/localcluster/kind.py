"""A cluster of kind's, for as long as somebody needs it: kind and a container engine run it, not we.

Its kubeconfig is in a private directory; ``~/.kube/config`` and ``$KUBECONFIG`` are neither read nor written. A cluster whose
owner was killed is found again by a record of it, which is written before the cluster is made.
"""

import base64
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import yaml

from localcluster.cache import Say, Tools, link
from localcluster.cluster import Cluster
from localcluster.daemon import Identity, Reaper, start_time
from localcluster.errors import ClusterError, Unavailable
from localcluster.essentials import find_kubectl

PREFIX: Final = "scim-demo-"
STATE_FILE: Final = "kind.json"
ENGINE_SECONDS: Final = 15.0
"""For an answer of the container engine."""
CREATE_SECONDS: Final = 600.0
"""The first time kind pulls the image of its node, some hundreds of MB."""
READY_SECONDS: Final = 120
DELETE_SECONDS: Final = 120.0
HEARTBEAT_SECONDS: Final = 10.0
_COMMAND_FAILED: Final = re.compile(r': command ".*" failed with error: exit status \d+$')
"""What kind says of the engine's program, whose own words follow."""


def check() -> None:
    """Raises ``Unavailable`` unless kind and kubectl are installed and kind's container engine answers."""
    if shutil.which("kind") is None:
        raise Unavailable("kind is not installed")
    _kubectl()
    try:
        # It asks the engine that kind itself takes: docker, nerdctl or podman, or KIND_EXPERIMENTAL_PROVIDER.
        _kind("get", "clusters", seconds=ENGINE_SECONDS)
    except ClusterError as error:
        raise Unavailable(f"no container engine answers kind ({error})") from None


def _kubectl() -> Tools:
    found = find_kubectl()
    if found is None:
        raise Unavailable("there is no kubectl on the PATH, or it is too old")
    return Tools(link({"kubectl": found}))


class KindCluster(Cluster):
    """A cluster with one node, made by ``start`` or ``detached``.

    Attributes:
        name: as kind knows it.
    """

    def __init__(self, name: str, directory: Path, tools: Tools) -> None:
        super().__init__(tools, directory, "", has_controllers=True)
        self.name = name

    @classmethod
    @contextlib.contextmanager
    def start(cls, say: Say = print) -> Iterator[Self]:
        """One for the length of a ``with`` block.

        It ends with the block, and also when this process is killed; what even that leaves, ``remove_leftovers`` finds.

        Raises:
            Unavailable: it did not come up; nothing is left of it.
        """
        kubectl, name = _kubectl(), f"{PREFIX}{secrets.token_hex(4)}"
        cluster = cls(name, Path(tempfile.mkdtemp(prefix="scim-kind-")), kubectl)
        reaper = Reaper(cluster.directory)
        try:
            _note(name)
            reaper.at_end([sys.executable, "-m", "localcluster.kind", name])
            cluster._create(say, reaper.watch)
            yield cluster
        finally:
            try:
                cluster.close()
            except ClusterError as error:
                say(f"kind's cluster {name} could not be removed, the next demo tries again: {error}")
            else:
                _forget(name)
            reaper.release()

    @classmethod
    def detached(cls, directory: Path, say: Say = print) -> Self:
        """One that outlives this process, until ``attach(directory).close()``.

        Args:
            directory: to be made for it.
            say: told how it goes on.

        Raises:
            Unavailable: it did not come up; nothing is left of it.
        """
        cluster = cls(f"{PREFIX}{secrets.token_hex(4)}", directory, _kubectl())
        directory.mkdir(parents=True, mode=0o700)
        state = {"name": cluster.name, "tools": str(cluster.tools.directory)}
        (directory / STATE_FILE).write_text(json.dumps(state))
        try:
            cluster._create(say, lambda _: None)
        except BaseException:
            cluster.close()
            raise
        return cluster

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """The one that ``detached`` left running. Raises ``ClusterError`` when there is none."""
        try:
            state = json.loads((directory / STATE_FILE).read_text())
        except FileNotFoundError as error:
            raise ClusterError(f"no kind cluster was made in {directory}") from error
        cluster = cls(state["name"], directory, Tools(Path(state["tools"])))
        with contextlib.suppress(FileNotFoundError):  # It was interrupted before it was up.
            cluster._read_url()
        return cluster

    @property
    def authority(self) -> bytes:
        """The certificate authority of the API server, PEM."""
        return base64.b64decode(self._read("certificate-authority-data"))

    def close(self) -> None:
        """Delete the cluster and its directory; harmless twice. Raises ``ClusterError`` when kind can't."""
        delete(self.name)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _create(self, say: Say, watch: Callable[[Identity], None]) -> None:
        say(
            f"kind makes the cluster {self.name}; the first time it pulls the image of its node, which takes minutes"
        )
        arguments = (
            "--name", self.name, "--kubeconfig", str(self.kubeconfig), "--wait", f"{READY_SECONDS}s",
        )  # fmt: skip
        try:
            _kind("create", "cluster", *arguments, seconds=CREATE_SECONDS, say=say, watch=watch)
            self._read_url()
        except (ClusterError, OSError, yaml.YAMLError, LookupError) as error:
            raise Unavailable(f"kind made no cluster: {error}") from error

    def _read_url(self) -> None:
        self.url = self._read("server")

    def _read(self, key: str) -> str:
        [entry] = yaml.safe_load(self.kubeconfig.read_text())["clusters"]
        return str(entry["cluster"][key])


def delete(name: str) -> None:
    """Delete a cluster; harmless when there is none of this name. Raises ``ClusterError``."""
    with tempfile.TemporaryDirectory() as directory:
        # Without a kubeconfig of its own it would edit the person's.
        arguments = ("--name", name, "--kubeconfig", f"{directory}/kubeconfig")
        _kind("delete", "cluster", *arguments, seconds=DELETE_SECONDS)


def remove_leftovers(say: Say = print) -> None:
    """Delete the clusters whose owners were killed; what can't be deleted now is left to the next call."""
    for record in sorted(_records().glob(f"{PREFIX}*.json")):
        if _owner_lives(record):
            continue
        name = record.stem
        try:
            delete(name)
        except ClusterError as error:
            say(f"kind's cluster {name}, which an interrupted demo left, could not be removed: {error}")
        else:
            _forget(name)
            say(f"removed kind's cluster {name}, which an interrupted demo had left")


def _records() -> Path:
    """Where it is noted whose a cluster is: ``$XDG_STATE_HOME/scim-operator/kind``."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "scim-operator" / "kind"


def _note(name: str) -> None:
    """This process is the owner of the cluster that it is going to make."""
    directory = _records()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = directory / f"{name}.new"
    fresh.write_text(json.dumps([os.getpid(), start_time(os.getpid())]))
    fresh.replace(directory / f"{name}.json")


def _forget(name: str) -> None:
    (_records() / f"{name}.json").unlink(missing_ok=True)


def _owner_lives(record: Path) -> bool:
    try:
        pid, started = json.loads(record.read_text())
    except FileNotFoundError:
        return True  # Somebody else has just removed it.
    return Identity(pid, started).alive


def _kind(
    *arguments: str,
    seconds: float,
    say: Say | None = None,
    watch: Callable[[Identity], None] = lambda _: None,
) -> str:
    """Run kind to its end; what it wrote to standard output.

    Args:
        arguments: of kind.
        seconds: that it may take.
        say: told from time to time that it goes on.
        watch: given the process.

    Raises:
        ClusterError: it is not there, failed or did not end in time; in one line.
    """
    shown = f"`kind {' '.join(arguments[:2])}`"
    try:
        process = subprocess.Popen(
            ["kind", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is for us; and what kind has started is ended with it.
            start_new_session=True,
        )
    except OSError as error:
        raise ClusterError(f"{shown}: {error.strerror}") from error
    try:
        watch(Identity(process.pid, start_time(process.pid) or ""))
        output, errors = _end_of(process, shown, seconds, say)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode != 0:
        raise ClusterError(f"{shown}: {reason(errors.splitlines()) or f'exit code {process.returncode}'}")
    return output


def _end_of(process: subprocess.Popen[str], shown: str, seconds: float, say: Say | None) -> tuple[str, str]:
    began = time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        try:
            return process.communicate(timeout=min(left, HEARTBEAT_SECONDS))
        except subprocess.TimeoutExpired:
            if say is not None:
                say(f"  {shown}: {time.monotonic() - began:.0f} s")
    raise ClusterError(f"{shown} did not end in {seconds:g} s")


def reason(lines: Sequence[str]) -> str:
    """What kind says is wrong, in one line: its first error, with what the engine has said to that, or its last line."""
    spoken = [line.strip() for line in lines if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in spoken if line.startswith("ERROR: ")]
    outputs = [
        line.removeprefix("Command Output: ") for line in spoken if line.startswith("Command Output: ")
    ]
    if outputs:
        errors = [_COMMAND_FAILED.sub("", error) for error in errors]
    return ": ".join([*errors[:1], *outputs[:1]] or spoken[-1:])


if __name__ == "__main__":
    # What the reaper runs for an owner that was killed.
    delete(sys.argv[1])
    _forget(sys.argv[1])
