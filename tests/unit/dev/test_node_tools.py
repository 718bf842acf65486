"""What a node and the chart's checks are built from, and how the results are found again."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from localcluster import build, projects
from localcluster.build import MODULE, Project
from localcluster.cache import Say, cache_root
from localcluster.errors import ClusterError
from localcluster.projects import ACTIONLINT, CHART, HELM, NODE, OLDEST

ROOT = Path(__file__).resolve().parents[3]
ALL = [*CHART, *NODE.values()]
COMPILER = "go1.26.0 linux amd64"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small one, whose files may be changed."""
    directory = tmp_path / "module"
    directory.mkdir()
    (directory / "go.mod").write_text("module m\n\nrequire example.test/small v1.2.3\n")
    (directory / "go.sum").write_text("")
    (directory / "patch.txt").write_text("one")
    return Project(directory, "small", "example.test/small", {"small": "example.test/small"})


@pytest.mark.parametrize("one", [*ALL, ACTIONLINT, OLDEST], ids=lambda item: item.title)
def test_every_program_is_pinned_by_its_go_mod(one: Project) -> None:
    block = re.search(r"^tool (?:\(\n(.*?)\n\)|(\S+))$", one.go_mod, re.MULTILINE | re.DOTALL)
    assert block is not None
    pinned = (block[1] or block[2]).split()
    ours = (one.directory / "pause").exists()
    packages = {package for package in one.packages.values() if not (ours and package.endswith("/pause"))}

    assert set(pinned) == packages
    assert re.fullmatch(r"v\d+\.\d+\.\d+", one.version)


def test_node_and_control_plane_are_of_one_version() -> None:
    assert NODE["node"].version == build.kubernetes_version((MODULE / "go.mod").read_text())


def test_the_oldest_kubernetes_in_the_tests_is_the_oldest_that_is_promised() -> None:
    minor = OLDEST.version.rpartition(".")[0]
    promised = yaml.safe_load((ROOT / "charts/scim-operator/Chart.yaml").read_text())["kubeVersion"]
    assert promised == f">={minor.removeprefix('v')}.0-0"
    for page in ("docs/install.md", "charts/scim-operator/README.md"):
        assert f"{minor.removeprefix('v')} or newer" in (ROOT / page).read_text()


def test_no_two_projects_make_files_of_the_same_name() -> None:
    names = [Path(name).parts[0] for one in ALL for name in {Path(n).parts[0] for n in one.packages}]
    names += [name for one in ALL for name in one.folders] + list(build.PACKAGES)
    assert len(names) == len(set(names))


def test_a_binary_is_told_its_version() -> None:
    command = HELM.command("p", Path("helm"), "v4.0.0")
    assert (
        command[command.index("-ldflags") + 1] == "-s -w -X helm.sh/helm/v4/internal/version.version=v4.0.0"
    )


def test_what_is_linked_with_c_is_static(project: Project) -> None:
    linked = dataclasses.replace(project, c_library=True, tags="seccomp")
    command = linked.command("p", Path("b"), "v1")
    assert command[command.index("-tags") + 1] == "seccomp"
    assert command[command.index("-ldflags") + 1].endswith("-extldflags -static")
    assert linked.environment["CGO_ENABLED"] == "1"
    assert project.environment["CGO_ENABLED"] == "0"


def test_the_same_project_is_found_again(project: Project) -> None:
    assert project.key(COMPILER) == dataclasses.replace(project).key(COMPILER)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("go.mod", "module m\n\nrequire example.test/small v1.2.4\n"),
        ("go.sum", "sum"),
        ("patch.txt", "two"),
        ("another.txt", ""),
    ],
)
def test_a_changed_file_has_another_place_in_the_cache(project: Project, name: str, content: str) -> None:
    before = project.key(COMPILER)
    (project.directory / name).write_text(content)
    assert project.key(COMPILER) != before


@pytest.mark.parametrize(
    "change",
    [
        {"packages": {"small": "example.test/other"}},
        {"version_variable": "x.y"},
        {"tags": "seccomp"},
        {"c_library": True},
        {"folders": {"crds": ("example.test/small", "crds")}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_recipe_has_another_place_in_the_cache(project: Project, change: dict[str, object]) -> None:
    assert dataclasses.replace(project, **change).key(COMPILER) != project.key(COMPILER)  # type: ignore[arg-type]


def test_a_module_that_go_mod_does_not_require_is_told(project: Project) -> None:
    with pytest.raises(ClusterError, match=r"does not require example\.test/other"):
        dataclasses.replace(project, module="example.test/other").key(COMPILER)


def test_the_charts_tools_need_no_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked: list[str] = []

    def built(project: Project, _say: Say) -> Path:
        asked.append(project.title)
        made = cache_root() / project.title
        made.mkdir(parents=True)
        for name in project.packages:
            (made / name).touch()
        return made

    monkeypatch.setattr(projects, "build_project", built)
    tools = projects.build_chart_tools(lambda _: None)
    assert asked == ["Helm", "Helm 3", "kubeconform", "promtool", "an OCI registry"]
    assert all(
        Path(tools.path(name)).exists() for name in ("helm", "helm3", "kubeconform", "promtool", "registry")
    )
