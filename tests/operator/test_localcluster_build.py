"""Tools are built once, whole or not at all. A small module stands for Kubernetes; Go is the real one."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from localcluster import ClusterError, build, build_tools
from localcluster.cache import cache_root

DEV = str(Path(__file__).resolve().parents[2] / "dev")
GO_MOD = """module example.test/small

go 1.21

require k8s.io/kubernetes v1.2.3

replace k8s.io/kubernetes => ./kubernetes
"""
MAIN = 'package main\n\nfunc main() { println("it runs") }\n'


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of one program, to be built into an empty cache."""
    directory = tmp_path / "module"
    for package in ("small", "kubernetes"):
        (directory / package).mkdir(parents=True)
    (directory / "kubernetes" / "go.mod").write_text("module k8s.io/kubernetes\n")
    (directory / "go.mod").write_text(GO_MOD)
    (directory / "go.sum").write_text("")
    (directory / "small" / "main.go").write_text(MAIN)
    monkeypatch.setattr(build, "MODULE", directory)
    monkeypatch.setattr(build, "PACKAGES", {"small": "example.test/small/small"})
    go_cache = subprocess.run(["go", "env", "GOCACHE"], capture_output=True, text=True, check=True).stdout
    monkeypatch.setenv("GOCACHE", go_cache.strip())  # It would go with XDG_CACHE_HOME, and be cold.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return directory


def test_a_second_time_nothing_is_built(module: Path) -> None:
    said: list[str] = []
    tools = build_tools(said.append)
    ran = subprocess.run([tools.path("small")], capture_output=True, text=True, check=True)
    assert ran.stderr == "it runs\n"
    assert said[1].startswith("  [1/1] small: go build")
    assert "done" in said[2]
    again: list[str] = []
    assert build_tools(again.append) == tools
    assert again == []


def test_a_change_is_built_into_another_place(module: Path) -> None:
    first = build_tools(lambda _: None)
    (module / "go.sum").write_text("\n")
    second = build_tools(lambda _: None)
    assert first.directory != second.directory
    assert Path(first.path("small")).exists()


def test_a_build_that_fails_tells_the_compilers_words_and_leaves_nothing(module: Path) -> None:
    (module / "small" / "main.go").write_text("package main\n\nfunc main() { missing() }\n")
    with pytest.raises(ClusterError, match="undefined: missing"):
        build_tools(lambda _: None)
    assert [path for path in cache_root().iterdir() if path.is_dir()] == []


def test_two_at_the_same_time_build_once(module: Path) -> None:
    said: list[list[str]] = [[], []]
    builders = [threading.Thread(target=build_tools, args=(lines.append,)) for lines in said]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(120)
    assert sum(line.startswith("building") for lines in said for line in lines) == 1
    assert len([path for path in cache_root().iterdir() if path.is_dir()]) == 1


def test_what_a_killed_build_left_is_removed_by_the_next(module: Path) -> None:
    target = build_tools(lambda _: None).directory
    (target / ".complete").unlink()
    left = target.with_name(f"{target.name}.building-killed")
    left.mkdir()
    build_tools(lambda _: None)
    assert not left.exists()
    assert (target / ".complete").exists()


def test_a_long_build_shows_that_it_goes_on(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "HEARTBEAT_SECONDS", 0.01)
    said: list[str] = []
    build_tools(said.append)
    assert any("packages compiled" in line and "done" not in line for line in said)


def test_a_machine_without_go_is_told_what_to_install_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localcluster", "build"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": DEV, "PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("localcluster: Go is not installed")
    assert "install Go 1.26 or newer" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_go_that_is_too_old_is_told(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "local")
    (module / "go.mod").write_text(GO_MOD.replace("go 1.21", "go 1.99"))
    with pytest.raises(ClusterError, match=r"requires go >= 1\.99"):
        build_tools(lambda _: None)
