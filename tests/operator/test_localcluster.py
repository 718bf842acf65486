"""The local control plane is a real one, private, and leaves nothing behind."""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster import ClusterError, ControlPlane, Tools
from localcluster import control_plane as control_plane_module
from localcluster.build import MODULE, kubernetes_version
from localcluster.control_plane import COMPONENTS
from scim_api.contract.tls import without_strict_profile

DEV = str(Path(__file__).resolve().parents[2] / "dev")
LISTENING = "0A"
LOOPBACK = "0100007F"
"""127.0.0.1 in /proc/net/tcp on a little-endian machine."""


@pytest.fixture(scope="module")
def own(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One that these tests may break, beside the session's."""
    with ControlPlane.start(tools, tmp_path_factory.mktemp("own") / "plane") as plane:
        yield plane


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], object], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(0.05)


def test_kubectl_version_is_true_for_client_and_server(control_plane: ControlPlane) -> None:
    versions = json.loads(control_plane.kubectl("version", "-o", "json").stdout)
    pinned = kubernetes_version((MODULE / "go.mod").read_text())
    assert versions["clientVersion"]["gitVersion"] == versions["serverVersion"]["gitVersion"] == pinned


def test_a_service_account_may_do_nothing_until_it_is_bound(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.kubectl("create", "serviceaccount", "nobody", "-n", namespace)
    kubeconfig = control_plane.service_account_kubeconfig(namespace, "nobody")
    assert kubeconfig.stat().st_mode & 0o077 == 0
    refused = control_plane.kubectl("get", "secrets", "-n", namespace, check=False, kubeconfig=kubeconfig)
    assert refused.returncode != 0
    assert "forbidden" in refused.stderr.lower()
    control_plane.kubectl("create", "role", "r", "-n", namespace, "--verb=list", "--resource=secrets")
    control_plane.kubectl(
        "create", "rolebinding", "b", "-n", namespace, "--role=r", f"--serviceaccount={namespace}:nobody"
    )
    control_plane.kubectl("get", "secrets", "-n", namespace, kubeconfig=kubeconfig)


def test_service_accounts_whose_names_join_alike_have_their_own_kubeconfigs(own: ControlPlane) -> None:
    who = []
    for namespace, name in (("a-b", "c"), ("a", "b-c")):
        own.kubectl("create", "namespace", namespace)
        own.kubectl("create", "serviceaccount", name, "-n", namespace)
    kubeconfigs = [own.service_account_kubeconfig("a-b", "c"), own.service_account_kubeconfig("a", "b-c")]
    for kubeconfig in kubeconfigs:
        review = own.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig).stdout
        who.append(json.loads(review)["status"]["userInfo"]["username"])
    assert who == ["system:serviceaccount:a-b:c", "system:serviceaccount:a:b-c"]


def test_an_owned_object_is_collected_with_its_owner(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "configmap", "owner", "-n", namespace)
    owner = json.loads(
        control_plane.kubectl("get", "configmap", "owner", "-n", namespace, "-o", "json").stdout
    )
    owned = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "owned",
            "namespace": namespace,
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
            ],
        },
    }
    control_plane.kubectl("apply", "-f", "-", input=json.dumps(owned))
    control_plane.kubectl("delete", "configmap", "owner", "-n", namespace)
    control_plane.kubectl("wait", "--for=delete", "secret/owned", "-n", namespace, "--timeout=60s")


def test_nobody_gets_in_without_credentials(control_plane: ControlPlane) -> None:
    context = without_strict_profile(ssl.create_default_context(cafile=str(control_plane.ca_file)))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(f"{control_plane.url}/api", timeout=10)
    assert refused.value.code == 401
    refused.value.close()


def test_etcd_asks_for_a_certificate_on_both_of_its_ports(control_plane: ControlPlane) -> None:
    context = without_strict_profile(
        ssl.create_default_context(cafile=str(control_plane.ca_file.parent / "etcd-ca.crt"))
    )
    ports = listening(control_plane.pids()["etcd"])
    assert len(ports) == 2
    for _, port in ports:
        with (
            pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
            socket.create_connection(("127.0.0.1", port), 10) as connection,
            context.wrap_socket(connection, server_hostname="127.0.0.1") as encrypted,
        ):
            encrypted.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            encrypted.recv(1)  # In TLS 1.3 the refusal comes with the first answer.


def test_all_listen_on_loopback_only(control_plane: ControlPlane) -> None:
    found = {name: listening(pid) for name, pid in control_plane.pids().items()}
    assert {address for sockets in found.values() for address, _ in sockets} == {LOOPBACK}
    assert {name: len(sockets) for name, sockets in found.items()} == {
        "etcd": 2,
        "kube-apiserver": 1,
        "kube-controller-manager": 0,
    }


def listening(pid: int) -> list[tuple[str, int]]:
    """Addresses (as the kernel writes them) and ports a process listens on."""
    own = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # Closed meanwhile.
            own.add(str(descriptor.readlink()))
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    sockets = [row[1].split(":") for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in own]
    return [(address, int(port, 16)) for address, port in sockets]


def test_two_run_side_by_side_and_know_nothing_of_each_other(
    control_plane: ControlPlane, own: ControlPlane
) -> None:
    assert own.url != control_plane.url
    own.kubectl("create", "namespace", "only-here")
    with pytest.raises(ClusterError, match="only-here"):
        control_plane.kubectl("get", "namespace", "only-here")


def test_a_restarted_one_keeps_its_data_its_address_and_its_controllers(own: ControlPlane) -> None:
    url = own.url
    own.kubectl("create", "namespace", "kept")
    own.kill_api_server()
    assert set(own.pids()) == {"etcd", "kube-controller-manager"}
    assert own.kubectl("get", "namespaces", check=False).returncode != 0
    own.start_api_server()
    assert own.url == url
    own.kubectl("get", "namespace", "kept")
    own.kubectl("create", "namespace", "later")
    own.kubectl("wait", "--for=create", "serviceaccount/default", "-n", "later", "--timeout=60s")


def test_what_runs_is_not_started_twice(own: ControlPlane) -> None:
    pids = own.pids()
    with pytest.raises(ClusterError, match="kube-apiserver runs already"):
        own.start_api_server()
    assert own.pids() == pids


def test_its_directory_is_private_and_goes_with_it(tools: Tools, tmp_path: Path) -> None:
    directory = tmp_path / "plane"
    with ControlPlane.start(tools, directory) as plane:
        pids = plane.pids()
        assert plane.directory == directory
        assert directory.stat().st_mode & 0o077 == 0
    assert set(pids) == set(COMPONENTS)
    assert not directory.exists()
    assert [pid for pid in pids.values() if alive(pid)] == []


def test_a_directory_that_exists_is_refused_and_left_alone(tools: Tools, tmp_path: Path) -> None:
    kept = tmp_path / "file"
    kept.touch()
    with pytest.raises(ClusterError, match="exists"), ControlPlane.start(tools, tmp_path):
        pass
    assert kept.exists()


@pytest.mark.parametrize("which", [0, 2], ids=["etcd", "kube-apiserver"])
def test_a_port_that_somebody_takes_meanwhile_is_replaced(
    which: int, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_ports = control_plane_module._free_ports
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        chosen: list[tuple[int, int, int]] = []

        def ports() -> tuple[int, int, int]:
            etcd, peer, api = free_ports()
            first = (taken, peer, api) if which == 0 else (etcd, peer, taken)
            chosen.append((etcd, peer, api) if chosen else first)
            return chosen[-1]

        monkeypatch.setattr(control_plane_module, "_free_ports", ports)
        with ControlPlane.start(tools) as plane:
            plane.kubectl("get", "namespaces")
            assert len(chosen) == 2
            assert str(taken) not in plane.url


def test_a_part_that_cannot_start_is_told_with_its_log(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ControlPlane, "start_etcd", lambda plane: plane._start("etcd", ["--no-such-option"]))
    with pytest.raises(ClusterError, match="no-such-option"), ControlPlane.start(tools):
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_however_the_owner_ends(number: signal.Signals, tools: Tools) -> None:
    program = (
        "import json, signal, time\nfrom localcluster import ControlPlane\n"
        # A shell that starts these tests in the background has SIGINT ignored for all below it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with ControlPlane.start() as plane:\n"
        "    print(json.dumps([list(plane.pids().values()), str(plane.directory)]), flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": DEV},
    ) as owner:
        assert owner.stdout is not None
        pids, directory = json.loads(owner.stdout.readline())
        assert [alive(pid) for pid in pids] == [True, True, True]
        owner.send_signal(number)
        owner.wait(30)
    until(lambda: not any(alive(pid) for pid in pids), f"{pids} have ended", 10)
    until(lambda: not Path(directory).exists(), f"{directory} is gone", 10)


Run = Callable[..., str]


@pytest.fixture
def by_hand(tmp_path: Path, tools: Tools) -> Iterator[Run]:
    """``python -m localcluster`` with a cache of its own, in which the tools are there."""
    cache = tmp_path / "scim-operator"
    cache.mkdir()
    (cache / "tools").symlink_to(tools.directory.parent)

    def run(command: str, expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "localcluster", command],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": DEV, "XDG_CACHE_HOME": str(tmp_path)},
        )
        assert done.returncode == expect, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    yield run
    if (cache / "local").exists():
        run("down")


def test_by_hand_it_stays_until_it_is_ended(by_hand: Run, tmp_path: Path) -> None:
    assert "is ready" in by_hand("up")
    assert by_hand("status").count("pid") == 3
    shell = by_hand("env")
    shown = subprocess.run(
        ["bash", "-c", f"{shell}\nkubectl get namespaces -o name"], capture_output=True, text=True, check=True
    )
    assert "namespace/kube-system" in shown.stdout
    assert "runs already" in by_hand("up", expect=1)
    assert "stopped" in by_hand("down")
    assert not (tmp_path / "scim-operator" / "local").exists()
    for command in ("status", "env", "down"):
        assert "no control plane" in by_hand(command, expect=1)


def test_by_hand_one_that_was_killed_is_replaced(by_hand: Run, tmp_path: Path) -> None:
    by_hand("up")
    plane = ControlPlane.attach(tmp_path / "scim-operator" / "local")
    pids = plane.pids()
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    until(lambda: not plane.pids(), "all have ended")
    assert by_hand("status", expect=1).count("stopped") == 3
    assert "up` starts it" in by_hand("env", expect=1)
    by_hand("up")
    by_hand("status")


def test_by_hand_nothing_is_left_when_it_is_killed_while_it_starts(
    by_hand: Run, tmp_path: Path, tools: Tools
) -> None:
    directory = tmp_path / "scim-operator" / "local"
    with subprocess.Popen(
        [sys.executable, "-m", "localcluster", "up"],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": DEV, "XDG_CACHE_HOME": str(tmp_path)},
    ) as starting:
        until((directory / "kube-apiserver.log").exists, "the API server is being started")
        pids = ControlPlane.attach(directory).pids()
        starting.kill()
    assert "etcd" in pids
    until(lambda: not directory.exists(), "the directory is gone")
    assert [pid for pid in pids.values() if alive(pid)] == []
