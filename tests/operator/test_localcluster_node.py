"""A node of one's own: real pods, brought back after a crash, gone without a trace.

These end the node of this machine. Nobody else may use it meanwhile, which ``Node.up`` sees to.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localcluster import ClusterError
from localcluster.node import COMPONENTS, Node, cgroups, lock, remove
from localcluster.node.layout import LOCK, Layout

DEV = str(Path(__file__).resolve().parents[2] / "dev")
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - {{name: main, image: "{image}", imagePullPolicy: Never, command: [sleep, infinity]}}
"""


# Asked while tests are collected: a node that this session's other tests start is theirs to break as well.
pytestmark = [
    pytest.mark.skipif(
        Node.is_running(), reason="a node is running that somebody may need: `localcluster node down` ends it"
    ),
    pytest.mark.skipif(Node.obstacle() is not None, reason=str(Node.obstacle())),
]


def mounts() -> set[str]:
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def settings() -> dict[str, str]:
    names = ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/keys/root_maxkeys")
    return {name: Path("/proc/sys", name).read_text() for name in names}


def machine() -> dict[str, object]:
    """Everything that a node could leave behind."""
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
    return {
        "interfaces": {path.name for path in Path("/sys/class/net").iterdir()},
        "rules": set(tables.stdout.splitlines()),
        "mounts": mounts(),
        "cgroups": {str(path) for path in cgroups.pods()},
        "settings": settings(),
        "directories": {
            path for path in ("/etc/cni", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/run/containerd")
            if Path(path).exists()
        },
        "run": Layout.default().run.exists(),
        "processes": {name for name in commands() if "scim-operator-node" in name or "/scim-operator/node/" in name},
    }  # fmt: skip


def commands() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue


def until(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def before() -> dict[str, object]:
    """The machine without a node."""
    remove(lambda _: None)
    return machine()


@pytest.fixture(scope="module")
def node(before: dict[str, object]) -> Iterator[Node]:
    """One that these tests may break."""
    assert before
    found = Node.up()
    yield found
    found.down()


def kill_everything(node: Node) -> None:
    for state in node.components().values():
        assert state is not None
        os.kill(state[0], signal.SIGKILL)
    until(lambda: not any(node.components().values()), "components end")


def started_at(node: Node, pod: str) -> str:
    path = "jsonpath={.status.containerStatuses[0].state.running.startedAt}"
    return node.kubectl("get", "pod", pod, "-o", path, check=False).stdout


def run_pod(node: Node, name: str) -> str:
    node.kubectl("apply", "-f", "-", input=POD.format(name=name, image=node.base_image))
    node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    return started_at(node, name)


def test_a_dockerfile_becomes_a_pod(node: Node, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS first\nRUN echo first > /stage\n"
        "FROM first AS second\nARG WORD\nRUN echo ${WORD} > /stage\n"
    )
    archives = {
        target: node.build_image(
            tmp_path, f"localhost/staged:{target}", target=target, build_args={"WORD": "spoken"}
        )
        for target in ("first", "second")
    }
    assert all(path.exists() for path in archives.values())
    for target, word in (("first", "first"), ("second", "spoken")):
        name = f"staged-{target}"
        node.kubectl("apply", "-f", "-", input=POD.format(name=name, image=f"localhost/staged:{target}"))
        node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        assert node.kubectl("exec", name, "--", "cat", "/stage").stdout.strip() == word


def test_the_same_input_gives_the_same_image(node: Node, tmp_path: Path) -> None:
    digests: list[str] = []
    for name in ("one", "two"):
        context = tmp_path / name
        context.mkdir()
        (context / "Dockerfile").write_text(
            "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo $0 > /file\nCOPY data /\n"
        )
        (context / "data").write_text("the same")
        os.utime(context / "data", (len(digests) * 1000, len(digests) * 1000))
        archive = node.build_image(context, "localhost/same:dev")
        index = subprocess.run(["tar", "-xOf", archive, "index.json"], capture_output=True, check=True).stdout
        digests.append(json.loads(index)["manifests"][0]["digest"])
    assert digests[0] == digests[1]


def test_a_build_that_fails_tells_why(node: Node, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN echo the reason >&2; exit 3\n"
    )
    with pytest.raises(ClusterError, match="the reason"):
        node.build_image(tmp_path, "localhost/broken:dev")
    with pytest.raises(ClusterError, match="neither Containerfile nor Dockerfile"):
        node.build_image(tmp_path / "..", "localhost/broken:dev")


def test_helm_sees_the_node_and_nothing_of_the_persons_own(node: Node) -> None:
    assert node.helm("list", "--all-namespaces", "-o", "json").stdout.strip() == "[]"
    shown = node.helm("env").stdout
    assert f'HELM_DATA_HOME="{Layout.default().state}' in shown
    with pytest.raises(ClusterError, match="not found"):
        node.helm("status", "nothing")


class Talk:
    """Who of three pods, each a small server, reaches whom under one NetworkPolicy."""

    NAMES = ("server", "friend", "stranger")

    def __init__(self, node: Node, namespace: str) -> None:
        self._node, self._namespace = node, namespace
        node.kubectl("create", "namespace", namespace)
        for name in self.NAMES:
            self._kubectl("apply", "-f", "-", input=json.dumps(self._pod(name)))
        self._kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
        path = "jsonpath={.status.podIP}"
        self.address = {name: self._kubectl("get", "pod", name, "-o", path).stdout for name in self.NAMES}

    def _kubectl(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return self._node.kubectl("-n", self._namespace, *arguments, **options)

    def _pod(self, name: str) -> dict[str, Any]:
        container = {
            "name": "main",
            "image": self._node.base_image,
            "imagePullPolicy": "Never",
            "command": ["python3", "-m", "http.server", "8080"],
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 1},
        }
        metadata = {"name": name, "labels": {"app": name}}
        spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}

    def reaches(self, source: str, target: str) -> bool:
        code = f"import urllib.request as u; u.urlopen('http://{self.address[target]}:8080/', timeout=3)"
        return self._kubectl("exec", source, "--", "python3", "-c", code, check=False).returncode == 0

    def until(self, expected: set[tuple[str, str]], **spec: Any) -> None:
        """Wait until, under this policy, exactly these of all pairs reach each other."""
        metadata = {"name": "only", "namespace": self._namespace}
        document = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata,
            "spec": spec,
        }
        self._kubectl("apply", "-f", "-", input=json.dumps(document))
        pairs = [(a, b) for a in self.NAMES for b in self.NAMES if a != b]
        until(lambda: {pair for pair in pairs if self.reaches(*pair)} == expected, f"only {expected} talk")


def test_network_policies_are_enforced(node: Node) -> None:
    talk = Talk(node, "policies")
    server = {"matchLabels": {"app": "server"}}
    everybody = {(a, b) for a in Talk.NAMES for b in Talk.NAMES if a != b}
    without_stranger = everybody - {("stranger", "server")}
    friends = {
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["stranger"]}]}
    }
    talk.until(
        without_stranger, podSelector=server, ingress=[{"from": [friends], "ports": [{"port": "http"}]}]
    )
    talk.until(everybody, podSelector=server, ingress=[{"ports": [{"port": 8000, "endPort": 8080}]}])
    block = {"cidr": "10.244.0.0/16", "except": [f"{talk.address['stranger']}/32"]}
    talk.until(without_stranger, podSelector=server, ingress=[{"from": [{"ipBlock": block}]}])
    to_server = {"to": [{"podSelector": server}], "ports": [{"port": "http"}]}
    strangers = {"matchLabels": {"app": "stranger"}}
    talk.until(
        everybody - {("stranger", "friend")},
        podSelector=strangers,
        policyTypes=["Egress"],
        egress=[to_server],
    )
    node.kubectl("delete", "namespace", "policies")


def test_a_restarted_kubelet_leaves_pods_alone(node: Node) -> None:
    began, pid = run_pod(node, "stays"), node.components()["kubelet"]
    node.restart("kubelet")
    assert node.components()["kubelet"] != pid
    assert started_at(node, "stays") == began
    with pytest.raises(ClusterError, match="none of etcd"):
        node.restart("docker")


def test_what_was_killed_is_brought_back_with_its_pods(node: Node) -> None:
    began = run_pod(node, "survives")
    kill_everything(node)
    Node.up()
    assert all(node.components().values())
    assert started_at(node, "survives") == began
    run_pod(node, "after")


def test_up_twice_changes_nothing(node: Node) -> None:
    pids = {name: state and state[0] for name, state in node.components().items()}
    Node.up()
    assert {name: state and state[0] for name, state in node.components().items()} == pids


def test_another_owner_is_refused(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(node.components().values())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ClusterError, match=r"belongs to .*scim-operator/node: set XDG_CACHE_HOME"):
        Node.attach()


def test_a_second_user_waits_for_the_first(node: Node) -> None:
    assert all(node.components().values())
    waiting = subprocess.Popen(
        [sys.executable, "-c", "from localcluster.node import lock; lock.acquire(print)"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": DEV, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == f"process {os.getpid()} uses the node; waiting for it\n"
        assert waiting.poll() is None
        lock.release()
        assert waiting.wait(30) == 0
    finally:
        waiting.kill()
        waiting.wait()
        waiting.stdout.close()  # type: ignore[union-attr]
        lock.acquire(print)
    assert LOCK.read_text() == str(os.getpid())


def test_down_leaves_nothing_even_of_a_killed_one(node: Node, before: dict[str, object]) -> None:
    run_pod(node, "left-behind")
    assert machine() != before
    kill_everything(node)
    node.down()
    assert machine() == before
    node.down()
    with pytest.raises(ClusterError, match="there is no node"):
        Node.attach()


def test_after_down_it_comes_up_again_from_nothing(node: Node) -> None:
    again = Node.up()
    assert "survives" not in again.kubectl("get", "pods", "-o", "name").stdout
    run_pod(again, "first")
    assert set(node.components()) == set(COMPONENTS)
