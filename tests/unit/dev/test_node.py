"""The node's own files: manifests, images' names, packages, and what it says to whom it cannot serve."""

import subprocess
from pathlib import Path

import pytest
import yaml

from localcluster.errors import ClusterError
from localcluster.node import Node, cgroups, machine, network, policy
from localcluster.node.addons import WORKLOADS, fill, manifests
from localcluster.node.images import base_image, program_image
from localcluster.node.layout import BRIDGE, RUN, Layout
from localcluster.projects import NODE, NodeTools

TOOLS = NodeTools(Path("/tools"), {name: Path(f"/cache/0123456789-{name}") for name in NODE})


def objects(tmp_path: Path) -> list[dict[str, object]]:
    return [item for text in manifests(Layout(tmp_path), TOOLS) for item in yaml.safe_load_all(text)]


def test_manifests_have_everything_filled_in(tmp_path: Path) -> None:
    text = "".join(manifests(Layout(tmp_path), TOOLS))
    assert f'"paths": ["{tmp_path}/state/volumes"]' in text
    assert "image: localhost/" in text.replace('"', "")
    with pytest.raises(KeyError):
        fill("@UNKNOWN@", {})


def test_every_workload_that_is_waited_for_is_applied(tmp_path: Path) -> None:
    found = {
        (item["metadata"]["namespace"], f"{str(item['kind']).lower()}/{item['metadata']['name']}")  # type: ignore[index]
        for item in objects(tmp_path)
        if item["kind"] in ("Deployment", "DaemonSet")
    }
    assert found == set(WORKLOADS)


def test_no_manifest_asks_a_registry(tmp_path: Path) -> None:
    pods = [item for item in objects(tmp_path) if item["kind"] in ("Deployment", "DaemonSet")]
    containers = [c for item in pods for c in item["spec"]["template"]["spec"]["containers"]]  # type: ignore[index]
    assert containers
    assert {container["imagePullPolicy"] for container in containers} == {"Never"}
    assert all(container["image"].startswith("localhost/") for container in containers)


def test_an_images_tag_changes_with_what_is_in_it() -> None:
    rebuilt = NodeTools(TOOLS.directory, {**TOOLS.projects, "traefik": Path("/cache/abcdefghij")})
    assert program_image("traefik", TOOLS) != program_image("traefik", rebuilt)
    assert program_image("coredns", TOOLS) == program_image("coredns", rebuilt)
    assert program_image("pause", TOOLS).startswith("localhost/pause:1.37.")
    assert base_image().startswith("localhost/python-base:trixie-")


def test_sockets_fit_into_an_address(tmp_path: Path) -> None:
    # containerd names a shim's socket by a digest in hex.
    assert len(f"{RUN}/shims/s/{64 * 'f'}") < 107
    assert len(str(Layout(tmp_path).socket)) < 107


def test_the_bridges_name_fits_into_an_interface() -> None:
    assert len(BRIDGE) < 16


def test_only_what_is_lacking_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        known = "\n".join(f"{name} installed" for name in machine.PACKAGES if name != "buildah")
        return subprocess.CompletedProcess(command, 0, f"{known}\nbuildah not-installed\n", "")

    monkeypatch.setattr(machine, "run", run)
    monkeypatch.setattr(machine, "obstacle", lambda: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    said: list[str] = []
    machine.prepare(said.append)
    assert said == ["installing buildah"]
    assert ran[-1] == ["apt-get", "install", "--yes", "--no-install-recommends", "buildah"]


def test_a_machine_without_apt_is_told_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "obstacle", lambda: None)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ClusterError, match=r"install what Debian calls buildah gcc .*pkg-config"):
        machine.prepare(lambda _: None)


def test_who_is_not_root_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert Node.obstacle() == "containers, network and cgroups need root"
    with pytest.raises(ClusterError, match="need root"):
        Node.up(lambda _: None)


def test_another_kubelets_cgroups_are_not_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "pods", lambda: [Path("/sys/fs/cgroup/kubepods")])
    with pytest.raises(ClusterError, match="another kubelet"):
        machine.note_footprint(Layout(tmp_path))


def test_directories_of_others_that_were_there_before_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, made = tmp_path / "theirs", tmp_path / "made"
    theirs.mkdir()
    monkeypatch.setattr(machine, "FOREIGN", (str(theirs), str(made)))
    monkeypatch.setattr(cgroups, "pods", list)
    layout = Layout(tmp_path / "node")
    layout.root.mkdir()
    machine.note_footprint(layout)
    made.mkdir()
    machine.note_footprint(layout)
    machine.remove_footprint(layout)
    assert theirs.exists()
    assert not made.exists()
    assert not layout.footprint.exists()


def test_every_table_of_rules_is_removed_that_is_made() -> None:
    assert f"table inet {network.TABLE} {{" in network.RULES
    assert {("inet", network.TABLE), ("inet", policy.TABLE), ("ip", "kube-proxy")} <= set(network.TABLES)
