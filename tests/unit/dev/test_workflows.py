"""What the linters do not ask of .github: that it fits this checkout, and that what may write builds nothing."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.make import targets

ROOT: Final = Path(__file__).resolve().parents[3]
WORKFLOWS: Final = sorted((ROOT / ".github/workflows").glob("*.yml"))
DEPENDABOT: Final = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text(encoding="utf-8"))["updates"]


def _jobs(workflow: Path) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return jobs


def _commands(job: dict[str, Any]) -> list[str]:
    """What a job runs, once for each value of its matrix that a command takes from the environment."""
    commands: list[str] = []
    for step in job["steps"]:
        text = step.get("run", "")
        axes = {
            name: job["strategy"]["matrix"][axis[1]]
            for name, value in step.get("env", {}).items()
            if (axis := re.fullmatch(r"\$\{\{ matrix\.([a-z-]+) \}\}", value))
        }
        if axes:
            commands += [text.replace(f"${name}", one) for name, values in axes.items() for one in values]
        else:
            commands.append(text)
    return commands


def _made(job: dict[str, Any]) -> set[str]:
    return set(
        re.findall(
            r'(?:^|&& |env "PATH=\$PATH" )make "?([a-z0-9-]+)', "\n".join(_commands(job)), re.MULTILINE
        )
    )


def _directories(ecosystem: str) -> set[str]:
    return {
        directory
        for update in DEPENDABOT
        if update["package-ecosystem"] == ecosystem
        for directory in update.get("directories", [update.get("directory")])
    }


def _holding(name: str) -> set[str]:
    """The folders of the checkout that hold such a file."""
    return {
        f"/{path.parent.relative_to(ROOT)}"
        for path in (*ROOT.glob(f"dev/**/{name}"), *ROOT.glob(f"tests/**/{name}"))
    }


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_targets_of_make_that_exist(workflow: Path) -> None:
    made = set().union(*map(_made, _jobs(workflow).values()))
    assert made or workflow.stem == "codeql"
    assert made <= targets()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_names_files_that_exist(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:dev|charts|tests)/[\w./-]+\.\w+", text)
    assert all((ROOT / name).exists() for name in named), named


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_each_job_says_what_it_may_do_how_long_it_takes_and_on_which_system(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text(encoding="utf-8"))["permissions"] == {}
    for name, job in _jobs(workflow).items():
        assert "permissions" in job, name
        assert 0 < job["timeout-minutes"] <= 90, name
        assert re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"]), name


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_runs_what_strangers_wrote_with_rights_of_the_repository(workflow: Path) -> None:
    triggers = yaml.safe_load(workflow.read_text(encoding="utf-8"))[True]  # YAML 1.1 reads `on` so.
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_no_job_that_may_write_builds(workflow: Path) -> None:
    for name, job in _jobs(workflow).items():
        if {"write"} & set(job["permissions"].values()):
            assert not _made(job), name


def test_every_action_is_pinned_by_one_commit_with_its_version_beside_it() -> None:
    pins: dict[str, set[str]] = {}
    for workflow in WORKFLOWS:
        lines = re.findall(r"uses: (.+)$", workflow.read_text(encoding="utf-8"), re.MULTILINE)
        for line in lines:
            pin = re.fullmatch(r"([\w-]+/[\w-]+)(?:/[\w-]+)?@([0-9a-f]{40} # v\d+\.\d+\.\d+)", line)
            assert pin is not None, line
            pins.setdefault(pin[1], set()).add(pin[2])
    assert len(pins) >= 8
    assert all(len(commits) == 1 for commits in pins.values()), pins


def test_ci_runs_each_part_of_the_tests() -> None:
    jobs = _jobs(ROOT / ".github/workflows/ci.yml")
    made = set().union(*map(_made, jobs.values()))
    assert made >= {target for target in targets() if target.startswith("test-")} | {"lint", "kind"}
    assert set(jobs["passed"]["needs"]) == set(jobs) - {"passed"}


def test_every_test_file_belongs_to_a_part() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    run = {
        folder
        for line in re.findall(r"^test-.*\n\t.*(?:\n\t.*)?", makefile, re.MULTILINE)
        for folder in re.findall(r"tests/(\w+)", line)
    }
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").rglob("test_*.py")}
    assert folders <= run | {"java"}


def test_the_go_of_the_workflows_is_new_enough_for_every_tool() -> None:
    def wanted(go_mod: Path) -> tuple[int, ...]:
        found = re.search(r"^go ([\d.]+)$", go_mod.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        return tuple(map(int, found[1].split(".")))

    ci = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    [named] = set(re.findall(r"go-version-file: (\S+)", ci))
    assert wanted(ROOT / named) == max(map(wanted, ROOT.glob("dev/tools/*/go.mod")))


def test_dependabot_looks_at_every_lock() -> None:
    assert _directories("gomod") == _holding("go.mod") - {"/dev/tools/traefik/ext"}  # Two empty types.
    assert _directories("npm") == _holding("package.json")
    assert _directories("maven") == _holding("pom.xml")
    assert {"uv", "docker", "github-actions"} <= {update["package-ecosystem"] for update in DEPENDABOT}
    for update in DEPENDABOT:
        assert update["schedule"] == {"interval": "weekly"}
        assert len(update["groups"]) == 1
        assert update["cooldown"]["default-days"] == 7


def test_dependabot_moves_node_and_control_plane_together_and_keeps_the_oldest() -> None:
    go = [update for update in DEPENDABOT if update["package-ecosystem"] == "gomod"]
    assert {"/dev/tools/kubernetes", "/dev/tools/node"} in [
        set(update.get("directories", ())) for update in go
    ]
    [oldest] = [update for update in go if update.get("directory") == "/dev/tools/kubernetes-oldest"]
    assert oldest["ignore"] == [
        {
            "dependency-name": "*",
            "update-types": ["version-update:semver-major", "version-update:semver-minor"],
        }
    ]
