"""``make demo`` does what it tells, tells it without a token, and leaves nothing behind."""

import base64
import functools
import io
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import search
from demo.console import Console
from demo.installation import Installation
from demo.processes import start_feed
from localcluster import ControlPlane
from localcluster.daemon import uninterrupted
from localcluster.ports import free_port
from scim_api.contract.tokens import PATTERN, new_token
from support.demo_run import Demo, NewDemo, Runs
from support.stack import ROOT, until

KEPT = ("etcd", "kube-apiserver", "scim_api.cli.main", "scim_operator.cli")


# -- the whole story --------------------------------------------------------------------------------
def test_it_succeeds(runs: Runs) -> None:
    assert runs.codes == (0, 0), runs.plain.text() + runs.kept.text()


@pytest.mark.parametrize(
    "fact",
    [
        r"the kinds are known +\$ kubectl apply --server-side -f crds",
        r"\$ kubectl apply -f examples/scimtoken.yaml",
        r"\$ kubectl wait --for=condition=Ready sct/entra",
        r"\n +entra +True +20\d\d-",
        r"\n +token +sct_..…\n",
        r"Test Connection: 200",
        r"users created: 6\n",
        r"dialect without the flag",
        r"dialect with aadOptscim062020",
        r"a group created, 6 members added, one removed",
        r"disabled: still found, with active false",
        r"deleted: 404",
        r"in the group now: the disabled one still, the deleted one no more",
        r"sent twice: .*no duplicate",
        r"an empty e-mail is refused: 422",
        r"people in the directory now: 5\n",
        r"requests sent: [1-9]\d\d+, rejected: 0 \(old token [1-9]\d+, new token [1-9]\d+\)",
        r"both tokens work: old 200, new 200",
        r"revoked token no longer works: old 401, new 200",
        r"[0-9a-f]{16} Active\n",
        r"[0-9a-f]{16} Revoked\n",
        r"the Secret holds a client id and a client secret, scs_..…, and no token any more",
        r"requests sent: [1-9]\d\d+, rejected: 0 \(secret token [1-9]\d+, client credentials [1-9]\d+\)",
        r"the Secret holds no secret: client-id, endpoint, token-endpoint\n",
        r"requests sent: [1-9]\d\d+, rejected: 0 \(client credentials [1-9]\d+, workload identity [1-9]\d+\)",
        r"Entra signs with another key from now on: it was fetched",
        r"\$ kubectl apply -f examples/handover.yaml\n +serviceaccount/entra-hand-over created\n",
        r"Entra has the token and comes with it, and nobody pasted +\$ kubectl wait --for=condition=HandedOver",
        r"Start provisioning: 5 people sent",
        r"Entra has sct_..… and comes with it, and nobody pasted; the old sct_..… is refused: 401\n",
        r"Entra has scs_..… and comes with it, and nobody pasted; the old sct_..… is refused: 401\n",
        r"(?s)(Entra's cycles meanwhile: [1-9]\d*, requests: [1-9]\d*, refused: 0; the job: Active all .*){2}",
        r"in quarantine: EncounteredQuarantineException\n",
        r"\$ kubectl get sct entra -n identity -o wide\n +NAME .*ENTRA +JOB .*\n +entra +True +\w+ +Quarantined ",
        r"the operator has started the job: the quarantine has ended\n",
        r"\n +HandedOver +True +InUse: .*\n +Provisioning +True +Active: ",
        r"expired token is refused: expired 401, the Secret's newer one 200",
        r"\$ kubectl apply -n identity -f examples/consumers/feed.yaml -l ",
        r"feed.py runs, with a table of its own: Radia O'Perlman is signed in\n",
        r"disabled Radia O'Perlman: signed out of the application 0\.\d\d s later\n",
        r"read [1-9]\d* log files, [1-9]\d* database files, [1-9]\d* objects, [1-9]\d* events",
        r"plaintext tokens found: 0\n",
    ],
)
def test_it_tells_each_fact(runs: Runs, fact: str) -> None:
    assert re.search(fact, runs.plain.text()), runs.plain.text()


def test_no_whole_token_is_in_its_output(runs: Runs) -> None:
    for demo in (runs.plain, runs.kept):
        assert "sct_" in demo.text()
        assert not PATTERN.search(demo.text())


def test_it_says_from_where_its_kubernetes_is(runs: Runs) -> None:
    assert (
        "Kubernetes is to be kind's, which is installed and whose container engine answers"
        in runs.plain.text()
    )
    assert re.search(r"kind makes the cluster scim-demo-[0-9a-f]{8}; ", runs.plain.text())
    assert re.search(r"Kubernetes v1\.\d+\.\d+ is cached: downloaded before", runs.kept.text())


def test_a_cluster_on_kind_ends_with_the_demo_and_the_persons_own_is_left_alone(runs: Runs) -> None:
    assert list(Path(runs.plain.environment["PLAYED_KIND"]).glob("*")) == []
    assert Path(runs.plain.environment["KUBECONFIG"]).read_text() == "theirs"


def test_it_leaves_nothing_behind(runs: Runs) -> None:
    assert runs.plain.processes() == []
    assert runs.plain.files() == []


def test_kept_it_goes_on_and_tells_how_to_use_and_end_it_and_ends_whole(runs: Runs) -> None:
    kept = runs.kept
    running = kept.processes()
    assert len(running) == len(KEPT), running
    assert all(any(name in line for line in running) for name in KEPT), running
    use = re.search(r"\$ export KUBECONFIG=(\S+) PATH=(\S+):\$PATH\n", kept.text())
    assert use is not None, kept.text()
    assert "make demo-stop" in kept.text()
    assert "no kube-controller-manager runs" in kept.text()
    shown = subprocess.run(
        [f"{use[2]}/kubectl", "--kubeconfig", use[1], "get", "sct"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "entra" in shown.stdout
    assert kept.run("--keep") == 1
    assert "`make demo-stop` ends it" in kept.text()
    assert len(kept.processes()) == len(KEPT)
    assert kept.run("--stop") == 0
    assert kept.processes() == []
    assert kept.files() == []
    assert kept.run("--stop") == 0
    assert "nothing was left running" in kept.text()


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("demo",), "python -m demo"),
        (("demo", "KEEP=1"), "python -m demo --keep"),
        (("demo", "KUBERNETES=kind"), "python -m demo --kubernetes kind"),
        (("demo-stop",), "python -m demo --stop"),
    ],
)
def test_make_calls_what_is_tested_here(arguments: tuple[str, ...], command: str) -> None:
    told = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert command in [" ".join(line.split()[-len(command.split()) :]) for line in told.stdout.splitlines()]


# -- failures ---------------------------------------------------------------------------------------
def assert_told_in_words(demo: Demo, reason: str) -> None:
    """It failed with this reason, without a traceback, and left nothing."""
    assert reason in demo.text()
    assert "Traceback" not in demo.text()
    deadline = time.monotonic() + 30
    while demo.processes() or demo.files():  # the last to go is the one that ends the others
        assert time.monotonic() < deadline, (demo.processes(), demo.files())
        time.sleep(0.05)


def test_where_no_way_leads_to_a_kubernetes_each_is_told_and_at_once(
    new_demo: NewDemo, tmp_path: Path
) -> None:
    demo = new_demo(
        PATH=str(tmp_path),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
        https_proxy=f"http://127.0.0.1:{free_port()}",
        no_proxy="",
    )
    began = time.monotonic()
    assert demo.run() == 1
    assert time.monotonic() - began < 30
    assert_told_in_words(demo, "demo: failed: Go is not installed")
    told = [
        line.partition("Kubernetes is ")[2] for line in demo.text().splitlines() if "Kubernetes is " in line
    ]
    assert [line.partition(":")[0] for line in told] == [
        "not cached",
        "not on kind",
        "not downloaded",
        "built from its Go modules, as far as the demo needs it",
    ]
    assert "kind is not installed" in told[1]
    assert "refused" in told[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the demo reads from the checkout, to be spoiled."""
    copy = tmp_path / "checkout"
    for name in ("dev", "crds", "examples"):
        shutil.copytree(ROOT / name, copy / name)
    return copy


@pytest.mark.parametrize("mode", [(), ("--keep",)], ids=["plain", "keep"])
def test_a_step_that_fails_ends_it_with_the_reason(
    new_demo: NewDemo, checkout: Path, mode: tuple[str, ...]
) -> None:
    example = checkout / "examples/scimtoken.yaml"
    example.write_text(example.read_text().replace("rotateBefore: 30d", "rotateBefore: 80d"))
    demo = new_demo(checkout)
    assert demo.run(*mode) == 1
    assert_told_in_words(demo, "may be at most half of lifetime")


@pytest.mark.parametrize(
    ("mode", "moment"),
    [((), "A local Kubernetes"), (("--keep",), "A local Kubernetes"), ((), "Start provisioning")],
    ids=["plain, at once", "kept, at once", "plain, while Entra provisions"],
)
def test_ctrl_c_stops_everything(new_demo: NewDemo, mode: tuple[str, ...], moment: str) -> None:
    demo = new_demo()
    demo.start(*mode)
    demo.wait_for(moment)
    demo.send(signal.SIGINT)
    assert demo.wait() == 130
    assert_told_in_words(demo, "interrupted; everything was stopped")


def test_an_interruption_waits_until_a_started_process_is_noted_down(request: pytest.FixtureRequest) -> None:
    # Whoever started the tests may ignore SIGINT, as a shell does for its background jobs.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    handler, noted = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        noted.append("its process id")
    assert noted == ["its process id"]
    assert signal.getsignal(signal.SIGINT) is handler


def test_killed_while_it_waits_it_takes_its_parts_along_and_the_kubectl_that_waits(new_demo: NewDemo) -> None:
    demo = new_demo()
    demo.start()
    until("kubectl waits", lambda: any(" wait --for=" in line for line in demo.processes()), 90, demo.text)
    demo.send(signal.SIGKILL)
    demo.wait()
    until("nothing of it runs", lambda: not demo.processes(), 20, demo.processes)
    assert demo.files() == []


def test_a_process_beside_the_others_is_remembered_ends_with_its_block_and_has_its_token_in_memory(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    token = new_token()
    start = functools.partial(start_feed, endpoint="http://127.0.0.1:1/scim/v2", token=token)
    installation = Installation(control_plane, tmp_path, Console(io.StringIO()))
    with pytest.raises(KeyboardInterrupt), installation.beside(start) as process:
        assert json.loads((tmp_path / "processes.json").read_text())[0][0] == process.pid
        # Popen returns when the file descriptors are closed, shortly before the new environment is there.
        (file,) = until("it has its environment", lambda: named_in(process.pid))
        assert Path(file.replace("self", str(process.pid))).read_text() == token
        raise KeyboardInterrupt
    assert not process.running
    assert not any(token.encode() in path.read_bytes() for path in tmp_path.rglob("*"))


def named_in(pid: int) -> list[str]:
    """The file of the token that a process was started with."""
    environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return [line.partition("=")[2] for line in environment if line.startswith("SCIM_TOKEN_FILE=")]


# -- the search -------------------------------------------------------------------------------------
def found_in(places: Iterator[search.Place]) -> dict[str, int]:
    return search.search(places).found


def test_the_search_finds_a_token_in_a_log_plain_or_in_base64(tmp_path: Path) -> None:
    token = new_token()
    (tmp_path / "plain.log").write_text(f"issued {token}.\n")
    (tmp_path / "encoded.log").write_bytes(b'{"token":"' + base64.b64encode(token.encode()) + b'"}')
    (tmp_path / "clean.log").write_text("sct_ab… was issued, c2N0XzAx\n")
    assert found_in(search.files(tmp_path)) == {"plain.log": 1, "encoded.log": 1}


def test_the_search_finds_a_token_in_a_database_and_in_its_journal(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "scim.db")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE note (text TEXT)")
    database.execute("INSERT INTO note VALUES (?)", (new_token(),))
    database.commit()
    assert found_in(search.files(tmp_path)) == {"scim.db-wal": 1}
    database.close()
    assert found_in(search.files(tmp_path)) == {"scim.db": 1}


def test_the_search_finds_a_token_in_objects_and_events_but_allows_a_secrets_data(
    control_plane: ControlPlane, kubectl: Callable[..., str], namespace: str
) -> None:
    kubectl("create", "configmap", "planted", "-n", namespace, f"--from-literal=key={new_token()}")
    kubectl("create", "secret", "generic", "theirs", "-n", namespace, f"--from-literal=token={new_token()}")
    kubectl("create", "secret", "generic", "noted", "-n", namespace)
    kubectl("annotate", "secret", "noted", "-n", namespace, f"note={new_token()}")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "told", "namespace": namespace},
        "involvedObject": {"kind": "ConfigMap", "name": "planted", "namespace": namespace},
        "message": f"the token is {new_token()}",
    }
    kubectl("create", "-f", "-", input=json.dumps(event))
    found = {name for name in found_in(search.objects(kubectl)) if f" {namespace}/" in name}
    assert found == {f"{kind} {namespace}/{name}" for kind, name in
                     (("ConfigMap", "planted"), ("Secret", "noted"), ("Event", "told"))}  # fmt: skip
    assert f"Secret {namespace}/theirs" in found_in(search.secrets_data(kubectl))
