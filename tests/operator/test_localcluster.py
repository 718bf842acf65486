"""The local control plane is a real one, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from localcluster import ClusterError, ControlPlane, Tools
from localcluster.build import MODULE, kubernetes_version

DEV = str(Path(__file__).resolve().parents[2] / "dev")


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


def test_two_run_side_by_side_and_a_restarted_one_keeps_its_data(
    control_plane: ControlPlane, tools: Tools
) -> None:
    with ControlPlane.start(tools) as other:
        assert other.url != control_plane.url
        assert other.directory.stat().st_mode & 0o077 == 0
        other.kubectl("create", "namespace", "kept")
        other.restart_api_server()
        other.kubectl("get", "namespace", "kept")
        with pytest.raises(ClusterError, match="kept"):
            control_plane.kubectl("get", "namespace", "kept")
        pids = other.pids()
    assert len(pids) == 3
    assert not other.directory.exists()
    assert all(not alive(pid) for pid in pids.values())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_nothing_is_left_when_the_owner_is_killed() -> None:
    program = (
        "import json, time\nfrom localcluster import ControlPlane\n"
        "with ControlPlane.start() as plane:\n"
        "    print(json.dumps([list(plane.pids().values()), str(plane.directory)]), flush=True)\n    time.sleep(600)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": DEV},
    )
    assert owner.stdout is not None
    pids, directory = json.loads(owner.stdout.readline())
    assert all(alive(pid) for pid in pids)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids) or Path(directory).exists():
        assert time.monotonic() < deadline, (pids, directory)
        time.sleep(0.05)


def test_a_part_that_cannot_start_is_told_with_its_log(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ControlPlane, "start_etcd", lambda plane: plane._start("etcd", ["--no-such-option"]))
    with pytest.raises(ClusterError, match="no-such-option"), ControlPlane.start(tools):
        pass


def test_by_hand_it_goes_up_and_down(tmp_path: Path, tools: Tools, run_module: Callable[..., str]) -> None:
    assert "is ready" in run_module("up")
    assert "kube-apiserver" in run_module("status")
    assert "KUBECONFIG=" in run_module("env")
    assert "stopped" in run_module("down")
    assert "no control plane" in run_module("status", expect=1)


@pytest.fixture
def run_module(tmp_path: Path, tools: Tools) -> Callable[..., str]:
    """``python -m localcluster`` with a home of its own and the tools that are there."""
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

    return run
