"""``make kind`` does its part. kind itself needs a container engine: stand-ins note how the programs were called."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "dev/kind/up.sh"
PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
if [ "$1 $2" = "get clusters" ]; then cat "$CLUSTERS"; fi
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clusters(tmp_path: Path) -> Path:
    """The clusters that kind has, one a line."""
    path = tmp_path / "clusters"
    path.write_text("scim-operator-2\n")
    return path


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: (tmp_path / "calls").read_text().splitlines()


@pytest.fixture
def up(tmp_path: Path, clusters: Path) -> Run:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("kind", "kubectl", "helm", "docker"):
        (programs / name).write_text(PROGRAM)
        (programs / name).chmod(0o755)

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
                "CALLS": str(tmp_path / "calls"),
                "CLUSTERS": str(clusters),
                **environment,
            },
        )

    return run


def test_cluster_images_chart_and_a_scim_token_come_in_this_order(
    up: Run, calls: Callable[[], list[str]]
) -> None:
    done = up()
    assert done.returncode == 0, done.stderr
    wanted = [
        "kind create cluster --config dev/kind/kind.yaml",
        "docker build",
        "docker build",
        "kind load docker-image --name scim-operator scim-operator:kind scim-api:kind",
        "helm upgrade --install scim charts/scim-operator",
        "kubectl apply -f examples/scimtoken.yaml",
        "kubectl wait --for=condition=Ready sct/entra",
    ]
    made = iter(calls())
    for step in wanted:
        assert any(call.startswith(step) for call in made), (step, calls())


def test_the_images_that_are_built_are_those_that_are_loaded(up: Run, calls: Callable[[], list[str]]) -> None:
    assert up().returncode == 0
    builds = [call for call in calls() if call.startswith("docker build")]
    assert [call.partition("--tag ")[2].split()[0] for call in builds] == [
        "scim-operator:kind",
        "scim-api:kind",
    ]
    assert [call.partition("--target ")[2].split()[0] for call in builds] == ["operator", "api"]
    values = yaml.safe_load((SCRIPT.parent / "values.yaml").read_text())
    assert values["image"] == {"tag": "kind", "pullPolicy": "Never"}


def test_one_that_is_there_is_used(up: Run, clusters: Path, calls: Callable[[], list[str]]) -> None:
    clusters.write_text("another\nscim-operator\n")
    done = up()
    assert done.returncode == 0, done.stderr
    assert not any(call.startswith("kind create") for call in calls())


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
