"""A cluster of kind's is private, and does not outlive who made it. A stand-in notes how kind is called."""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from localcluster import kind
from localcluster.errors import ClusterError, Unavailable
from localcluster.kind import KindCluster, check, reason, remove_leftovers

DEV = str(Path(__file__).resolve().parents[3] / "dev")
AUTHORITY = b"a certificate"
KIND = f"""#!/bin/sh
echo "$*" >> "$PLACE/calls"
if [ -e "$PLACE/fails-$1" ]; then cat "$PLACE/fails-$1" >&2; exit 1; fi
if [ -e "$PLACE/hangs-get" ]; then sleep 600; fi
if [ -e "$PLACE/hangs-$1" ]; then exec sleep 600; fi
while [ $# -gt 0 ]; do
  if [ "$1" = create ]; then create=yes; fi
  if [ "$1" = --kubeconfig ] && [ "$create" ]; then
    echo '{{"clusters": [{{"name": "kind", "cluster": {{"server": "https://127.0.0.1:1",' > "$2"
    echo '"certificate-authority-data": "{base64.b64encode(AUTHORITY).decode()}"}}}}]}}' >> "$2"
  fi
  shift
done
"""
WITHOUT_ENGINE = (
    'ERROR: failed to list clusters: command "docker ps -a --filter label=io.x-k8s.kind.cluster '
    '--format \'{{.Label "io.x-k8s.kind.cluster"}}\'" failed with error: exit status 1\n\n'
    "Command Output: Cannot connect to the Docker daemon.\n"
)
"""What kind 0.33.0 says where no Docker daemon runs."""
KUBECTL = """#!/bin/sh
echo '{"clientVersion": {"gitVersion": "v1.37.2"}}'
"""


class Place:
    """A machine on which kind is what these tests make of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def calls(self) -> list[str]:
        """How kind was called."""
        path = self.directory / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def set(self, what: str, content: str = "") -> Path:
        """Let a subcommand hang or fail."""
        path = self.directory / what
        path.write_text(content)
        return path

    def left(self) -> list[str]:
        """Files that are no program's, in the temporary and state directories."""
        return [
            str(path)
            for name in ("tmp", "state")
            for path in (self.directory / name).rglob("*")
            if path.is_file()
        ]


def install(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(text)
    (directory / name).chmod(0o755)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in ("bin", "tmp", "state"):
        (tmp_path / name).mkdir()
    install(tmp_path / "bin", "kind", KIND)
    install(tmp_path / "bin", "kubectl", KUBECTL)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "home/of-the-person"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Place(tmp_path)


def until(condition: Callable[[], object], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


# -- whether it can be used -------------------------------------------------------------------------
def test_it_can_be_used_where_its_engine_answers(place: Place) -> None:
    check()
    assert place.calls() == ["get clusters"]


def test_a_machine_without_kind_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place.directory))
    with pytest.raises(Unavailable, match="kind is not installed"):
        check()


def test_a_kubectl_that_is_too_old_is_told(place: Place) -> None:
    install(place.directory / "bin", "kubectl", KUBECTL.replace("37", "20"))
    with pytest.raises(Unavailable, match="no kubectl on the PATH, or it is too old"):
        check()


def test_an_engine_that_does_not_answer_is_told_in_one_line(place: Place) -> None:
    place.set(
        "fails-get",
        'ERROR: failed to list clusters: command "docker ps" failed with error: exit status 1\n\nCommand Output: no daemon\n\nStack',
    )
    with pytest.raises(Unavailable, match="no container engine answers kind") as refused:
        check()
    assert "no daemon" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_engine_that_hangs_is_given_up_with_all_that_was_started(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.set("hangs-get")
    monkeypatch.setattr(kind, "ENGINE_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"did not end in 0\.3 s"):
        check()
    assert time.monotonic() - began < 300  # The stand-in's child, which has the pipe, would take 600.


# -- for a block ------------------------------------------------------------------------------------
def test_it_is_private_and_ends_with_its_block(place: Place) -> None:
    with KindCluster.start(lambda _: None) as cluster:
        assert cluster.url == "https://127.0.0.1:1"
        assert cluster.authority == AUTHORITY
        assert cluster.has_controllers
        assert cluster.directory.stat().st_mode & 0o077 == 0
        assert cluster.kubeconfig.parent == cluster.directory
        assert place.calls() == [
            f"create cluster --name {cluster.name} --kubeconfig {cluster.kubeconfig} --wait 120s"
        ]
    assert place.calls()[1].startswith(
        f"delete cluster --name {cluster.name} --kubeconfig {place.directory}/tmp/"
    )
    assert len(place.calls()) == 2
    assert place.left() == []
    assert not (place.directory / "home").exists()


def test_what_is_in_kubectls_way_is_the_paths(place: Place) -> None:
    with KindCluster.start(lambda _: None) as cluster:
        assert Path(cluster.tools.path("kubectl")).resolve() == place.directory / "bin/kubectl"


def test_one_that_does_not_come_up_is_told_with_kinds_words_and_leaves_nothing(place: Place) -> None:
    place.set(
        "fails-create",
        "Creating cluster\nERROR: failed to create cluster: failed to pull image\n\nStack Trace:\n",
    )
    with pytest.raises(
        Unavailable, match=r"kind made no cluster: .*: failed to create cluster: failed to pull image"
    ):
        KindCluster.start(lambda _: None).__enter__()
    assert place.calls()[1].startswith("delete cluster --name scim-demo-")
    assert place.left() == []


def test_a_long_creation_says_that_it_goes_on_and_is_bounded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.set("hangs-create")
    monkeypatch.setattr(kind, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(kind, "CREATE_SECONDS", 0.3)
    said: list[str] = []
    with pytest.raises(Unavailable, match=r"`kind create cluster` did not end in 0\.3 s"):
        KindCluster.start(said.append).__enter__()
    assert any(line.startswith("  `kind create cluster`: ") for line in said)
    assert place.left() == []


def test_an_interruption_while_it_is_made_leaves_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.set("hangs-create")
    monkeypatch.setattr(kind, "HEARTBEAT_SECONDS", 0.1)

    def interrupt(line: str) -> None:
        if line.startswith("  "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KindCluster.start(interrupt).__enter__()
    assert place.calls()[1].startswith("delete cluster --name scim-demo-")
    assert place.left() == []


@pytest.mark.parametrize("moment", ["while it is made", "while it runs"])
def test_a_kill_of_its_owner_ends_it_too(place: Place, moment: str) -> None:
    program = (
        "import time\nfrom localcluster.kind import KindCluster\n"
        "with KindCluster.start():\n"
        "    print('runs', flush=True)\n    time.sleep(600)\n"
    )
    hangs = place.set("hangs-create") if moment == "while it is made" else None
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": DEV},
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        until(place.calls, "it is being made")
        if hangs is None:
            while owner.stdout.readline() != "runs\n":
                pass
        assert len(place.left()) >= 1
        owner.send_signal(signal.SIGKILL)
    until(lambda: place.left() == [], "nothing is left of it")
    assert [call.split()[0] for call in place.calls()] == ["create", "delete"]


# -- what is left -----------------------------------------------------------------------------------
def leave_one(place: Place) -> str:
    """One that could not be deleted when its block ended; its name."""
    fails = place.set("fails-delete", "ERROR: the engine is away")
    said: list[str] = []
    with KindCluster.start(said.append) as cluster:
        pass
    assert f"{cluster.name} could not be removed, the next demo tries again" in said[-1]
    fails.unlink()
    return cluster.name


def of_a_dead_owner(place: Place) -> Path:
    [record] = (place.directory / "state").rglob("*.json")
    pid, started = json.loads(record.read_text())
    assert pid == os.getpid()
    record.write_text(json.dumps([pid, f"{started}0"]))
    return record


def test_what_a_dead_owner_left_is_removed_and_told(place: Place) -> None:
    name = leave_one(place)
    of_a_dead_owner(place)
    said: list[str] = []
    remove_leftovers(said.append)
    assert said == [f"removed kind's cluster {name}, which an interrupted demo had left"]
    assert place.calls()[-1].startswith(f"delete cluster --name {name} ")
    remove_leftovers(said.append)
    assert len(said) == 1


def test_what_cannot_be_removed_is_told_and_tried_again(place: Place) -> None:
    leave_one(place)
    record = of_a_dead_owner(place)
    place.set("fails-delete", "ERROR: the engine is away")
    said: list[str] = []
    remove_leftovers(said.append)
    assert said[0].endswith("could not be removed: `kind delete cluster`: the engine is away")
    assert record.exists()


def test_what_somebody_uses_is_left_alone(place: Place) -> None:
    with KindCluster.start(lambda _: None):
        remove_leftovers(pytest.fail)
        assert len(place.calls()) == 1


# -- to stay ----------------------------------------------------------------------------------------
def test_one_that_is_to_stay_is_found_again_and_ended(place: Place) -> None:
    directory = place.directory / "tmp" / "kept"
    made = KindCluster.detached(directory, lambda _: None)
    remove_leftovers(pytest.fail)
    found = KindCluster.attach(directory)
    assert (found.name, found.url, found.kubeconfig) == (made.name, made.url, made.kubeconfig)
    found.close()
    assert place.calls()[-1].startswith(f"delete cluster --name {made.name} ")
    assert not directory.exists()
    with pytest.raises(ClusterError, match="no kind cluster"):
        KindCluster.attach(directory)


def test_one_that_was_to_stay_and_did_not_come_up_leaves_nothing(place: Place) -> None:
    place.set("fails-create", "ERROR: failed to pull image")
    with pytest.raises(Unavailable, match="failed to pull image"):
        KindCluster.detached(place.directory / "tmp" / "kept", lambda _: None)
    assert place.calls()[-1].startswith("delete cluster --name scim-demo-")
    assert place.left() == []


def test_one_whose_maker_was_killed_can_be_ended(place: Place) -> None:
    directory = place.directory / "tmp" / "kept"
    KindCluster.detached(directory, lambda _: None).kubeconfig.unlink()
    KindCluster.attach(directory).close()
    assert place.left() == []


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Creating\nERROR: the first\nERROR: another", "the first"),
        (WITHOUT_ENGINE, "failed to list clusters: Cannot connect to the Docker daemon."),
        ("unknown flag: --wat\n\n", "unknown flag: --wat"),
        ("", ""),
    ],
)
def test_the_reason_is_one_line_of_what_kind_says(said: str, told: str) -> None:
    assert reason(said.splitlines()) == told
