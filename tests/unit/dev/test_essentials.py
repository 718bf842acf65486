"""What the demo's Kubernetes is made of, found in the cache, and never more built than it needs."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from localcluster import build, envtest, essentials
from localcluster.build import Project
from localcluster.cache import Say, Tools, cache_root
from localcluster.errors import ClusterError
from localcluster.essentials import SERVERS, build_essentials, find_cached, find_kubectl, recent_enough
from localcluster.projects import KUBECTL

COMPILER = "go1.26.0 linux amd64"
Put = Callable[[str, tuple[str, ...]], Path]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts programs into an empty cache; there is no kubectl on the PATH, and nothing is really built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(build, "_compiler", lambda _: COMPILER)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")

    def complete(name: str, programs: tuple[str, ...]) -> Path:
        directory = cache_root() / name
        directory.mkdir(parents=True)
        for program in (*programs, ".complete"):
            (directory / program).touch()
        return directory

    return complete


def put_kubectl(tmp_path: Path, version: str) -> Path:
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    told = json.dumps({"clientVersion": {"gitVersion": version}})
    program.write_text(f"#!/bin/sh\necho '{told}'\n")
    program.chmod(0o755)
    return program


def test_an_empty_cache_has_nothing_and_go_is_not_asked(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_compiler", lambda _: pytest.fail("asked"))
    assert find_cached() is None


def test_the_whole_control_plane_comes_first_then_a_part_then_what_was_downloaded(put: Put) -> None:
    downloaded = put(envtest.pinned().directory.name, tuple(envtest.MEMBERS.values()))
    found = find_cached()
    assert found is not None
    assert (found.tools.directory, found.version) == (downloaded, envtest.VERSION)
    assert found.origin == "downloaded before"

    put(SERVERS.key(COMPILER), tuple(SERVERS.packages))
    assert find_cached() == found  # There is no kubectl to it.
    put(KUBECTL.key(COMPILER), ("kubectl",))
    found = find_cached()
    assert found is not None
    assert (found.origin, found.version) == ("built before", KUBECTL.version)
    assert all(found.tools.has(name) for name in ("etcd", "kube-apiserver", "kubectl"))
    assert not found.tools.has("kube-controller-manager")

    whole = put(build._kubernetes().key(COMPILER), tuple(build.PACKAGES))
    found = find_cached()
    assert found is not None
    assert found.tools == Tools(whole)
    assert "with kube-controller-manager" in found.origin


def test_without_go_what_was_downloaded_is_found(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_go(_project: Project) -> str:
        raise ClusterError("Go is not installed")

    monkeypatch.setattr(build, "_compiler", without_go)
    put(envtest.pinned().directory.name, tuple(envtest.MEMBERS.values()))
    found = find_cached()
    assert found is not None
    assert found.origin == "downloaded before"


def test_the_paths_kubectl_completes_what_was_built(put: Put, tmp_path: Path) -> None:
    put(SERVERS.key(COMPILER), tuple(SERVERS.packages))
    program = put_kubectl(tmp_path, "v1.34.1")
    found = find_cached()
    assert found is not None
    assert Path(found.tools.path("kubectl")).resolve() == program


@pytest.mark.parametrize(
    ("on_path", "wanted"),
    [(None, [SERVERS, KUBECTL]), ("v1.29.9", [SERVERS, KUBECTL]), ("v1.30.0", [SERVERS])],
    ids=["no kubectl", "one that is too old", "one that is recent enough"],
)
def test_kubectl_is_built_only_where_there_is_none_that_will_do(
    put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: str | None, wanted: list[Project]
) -> None:
    if on_path is not None:
        put_kubectl(tmp_path, on_path)
    built: list[Project] = []

    def build_project(project: Project, _say: Say) -> Path:
        built.append(project)
        return put(project.key(COMPILER), tuple(project.packages))

    monkeypatch.setattr(essentials, "build_project", build_project)
    tools = build_essentials(lambda _: None)
    assert built == wanted
    assert all(tools.has(name) for name in ("etcd", "kube-apiserver", "kubectl"))


def test_a_kubectl_that_cannot_be_run_is_none(put: Put, tmp_path: Path) -> None:
    assert find_kubectl() is None
    program = put_kubectl(tmp_path, "v1.37.0")
    assert find_kubectl() == program
    program.write_text("#!/nowhere\n")
    assert find_kubectl() is None


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("v1.30.0", True),
        ("v1.32.4-dispatcher", True),
        ("v2.0.0", True),
        ("v1.29.9", False),
        ("v1.4.0", False),
        ("", False),
    ],
)
def test_a_kubectl_of_the_oldest_supported_minor_or_later_will_do(version: str, enough: bool) -> None:
    assert recent_enough(json.dumps({"clientVersion": {"gitVersion": version}}), "v1.30.14") is enough


@pytest.mark.parametrize("told", ["", "Client Version: v1.37.0", "{}", "[]", '{"clientVersion": null}'])
def test_what_is_not_the_answer_of_a_kubectl_will_not_do(told: str) -> None:
    assert not recent_enough(told, "v1.30.14")


def test_the_parts_are_of_the_whole() -> None:
    whole = build._kubernetes()
    for part in (SERVERS, KUBECTL):
        assert part.packages.items() <= whole.packages.items()
        assert (part.version, part.version_variable) == (whole.version, whole.version_variable)
        assert part.key(COMPILER) != whole.key(COMPILER)
