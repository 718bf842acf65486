"""Both programs under a uid without a name, as OpenShift runs them: docs/openshift.md."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from demo.processes import Child, spawn
from localcluster import ControlPlane, Tools
from support import stack as stacks
from support.arbitrary_user import UID, confined, obstacle, volume
from support.stack import OPERATOR_NAMESPACE, Stack, running

pytestmark = pytest.mark.skipif(obstacle() is not None, reason=obstacle() or "")


@pytest.fixture
def data() -> Iterator[Path]:
    """A volume; pytest's own directories are for their owner alone."""
    directory = Path(tempfile.mkdtemp(prefix="volume-", dir="/tmp"))
    volume(directory)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def openshift(tools: Tools, data: Path) -> Iterator[Stack]:
    """An installation whose processes are confined; what they may write to is theirs by their group alone."""

    def spawn_confined(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> Child:
        return spawn((*confined(data), *argv), log, environment)

    with ControlPlane.start(tools) as plane:
        stack = Stack(plane, data, spawn=spawn_confined)
        stack.kubectl("create", "namespace", OPERATOR_NAMESPACE)
        stack.kubectl("apply", "-f", str(stacks.ROOT / "dev/manifests/rbac.yaml"))
        kubeconfig = plane.service_account_kubeconfig(OPERATOR_NAMESPACE, "scim-operator")
        stack._kubeconfig = data / "kubeconfig"
        stack._kubeconfig.write_bytes(kubeconfig.read_bytes())
        volume(data)
        with running(stack):
            yield stack


def test_a_scimtoken_becomes_ready_and_its_token_opens_the_endpoint(openshift: Stack) -> None:
    openshift.apply("default", "entra")
    token = openshift.wait_ready("default", "entra")["token"]
    assert openshift.ask(token) == 200
    assert openshift.api is not None
    for process in (openshift.api, *openshift.operators):
        status = Path(f"/proc/{process.popen.pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(UID)] * 4
        assert fields["Gid"].split() == ["0"] * 4
        assert int(fields["CapEff"], 16) == 0
        environment = Path(f"/proc/{process.popen.pid}/environ").read_bytes()
        assert b"\0HOME=" not in b"\0" + environment
    database = openshift.directory / "scim.db"
    assert database.stat().st_uid == UID
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM connection").fetchone() == (1,)


def test_nothing_but_the_volume_can_be_written_to(data: Path) -> None:
    """Of the confinement itself: otherwise the test above shows little."""

    def can_write(place: Path) -> bool:
        script = f"open({str(place / 'x')!r}, 'w')"
        done = subprocess.run(
            [*confined(data), sys.executable, "-c", script], capture_output=True, timeout=60
        )
        return done.returncode == 0

    assert can_write(data)
    for place in (Path("/"), Path("/etc"), stacks.ROOT, Path("/var/tmp")):
        assert not can_write(place), place
    name = [*confined(data), sys.executable, "-c", "import getpass; getpass.getuser()"]
    environment = {
        key: value for key, value in os.environ.items() if key not in ("USER", "LOGNAME", "USERNAME", "LNAME")
    }
    assert b"uid not found" in subprocess.run(name, capture_output=True, env=environment, timeout=60).stderr
