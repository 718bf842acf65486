"""``make kind`` does its part. kind itself needs a container engine: a stand-in notes how it was called."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from localcluster import ControlPlane, Tools, pki

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "dev/kind/up.sh"
CONTEXT = "kind-scim-operator"
"""As kind names context, user and cluster of a cluster ``scim-operator``."""
KIND = """#!/bin/sh
echo "$*" >> "$CALLS"
if [ "$1 $2" = "get clusters" ]; then cat "$CLUSTERS"; exit; fi
while [ "$1" != --kubeconfig ]; do shift; done
cp "$ADMIN" "$2"
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def empty(tools: Tools) -> Iterator[ControlPlane]:
    """One on which nothing of ours is installed."""
    with ControlPlane.start(tools) as plane:
        yield plane


@pytest.fixture
def clusters(tmp_path: Path) -> Path:
    """The clusters that kind has, one a line."""
    path = tmp_path / "clusters"
    path.write_text("scim-operator-2\n")
    return path


@pytest.fixture
def up(empty: ControlPlane, tools: Tools, tmp_path: Path, clusters: Path) -> Run:
    """The script, with a kind whose cluster is our control plane."""
    programs, admin = tmp_path / "bin", tmp_path / "admin"
    programs.mkdir()
    (programs / "kind").write_text(KIND)
    (programs / "kind").chmod(0o755)
    (programs / "kubectl").symlink_to(tools.path("kubectl"))
    user = pki.certificate_user(empty.ca_file.parent, "admin")
    pki.write_private(admin, pki.kubeconfig(empty.url, empty.ca_file.read_bytes(), user, CONTEXT))

    def run(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", str(SCRIPT)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd="/",
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "XDG_STATE_HOME": str(tmp_path / "state"),
                "ADMIN": str(admin),
                "CALLS": str(tmp_path / "calls"),
                "CLUSTERS": str(clusters),
                **environment,
            },
        )

    return run


def test_a_new_cluster_gets_the_crd_and_the_permissions(up: Run, empty: ControlPlane, tmp_path: Path) -> None:
    done = up()
    assert done.returncode == 0, done.stderr
    assert "create cluster --config dev/kind/kind.yaml" in (tmp_path / "calls").read_text()
    empty.kubectl("get", "crd", "scimtokens.scim-operator.io")
    empty.kubectl("get", "clusterrolebinding", "scim-operator")


def test_one_that_is_there_is_used(up: Run, clusters: Path, tmp_path: Path) -> None:
    clusters.write_text("another\nscim-operator\n")
    done = up()
    assert done.returncode == 0, done.stderr
    assert "create" not in (tmp_path / "calls").read_text()


def test_the_operator_gets_credentials_of_its_own_and_no_others(
    up: Run, empty: ControlPlane, tmp_path: Path
) -> None:
    assert up().returncode == 0
    kubeconfig = tmp_path / "state/scim-operator-kind/operator.kubeconfig"
    assert kubeconfig.stat().st_mode & 0o077 == 0
    users = [entry["name"] for entry in yaml.safe_load(kubeconfig.read_text())["users"]]
    assert users == ["scim-operator"]
    review = json.loads(empty.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig).stdout)
    assert review["status"]["userInfo"]["username"] == "system:serviceaccount:scim-system:scim-operator"


def test_a_machine_without_kind_is_told(up: Run, tmp_path: Path) -> None:
    programs = tmp_path / "few"
    programs.mkdir()
    for program in ("bash", "dirname"):
        found = shutil.which(program)
        assert found is not None
        (programs / program).symlink_to(found)
    done = up(PATH=str(programs))
    assert done.returncode == 1
    assert "kind is not installed" in done.stderr


def test_script_and_configuration_name_the_same_cluster() -> None:
    configuration = yaml.safe_load((SCRIPT.parent / "kind.yaml").read_text())
    assert f"\ncluster={configuration['name']}\n" in SCRIPT.read_text()
