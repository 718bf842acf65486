"""`make lint` refuses a workflow that does not work or is not safe. Both linters are the real ones."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from workflow_lint import lint

ROOT: Final = Path(__file__).resolve().parents[2]
CHECKOUT: Final = re.compile(r"actions/checkout@[0-9a-f]{40} # \S+")


@pytest.fixture
def ci(tmp_path: Path) -> Path:
    """The workflow CI in a copy of .github, to put a fault in."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    return tmp_path / ".github/workflows/ci.yml"


def _change(path: Path, old: str | re.Pattern[str], new: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed = old.sub(new, text, count=1) if isinstance(old, re.Pattern) else text.replace(old, new, 1)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


def test_what_is_committed_has_no_finding(ci: Path) -> None:
    assert lint(ci.parents[2]) == []


@pytest.mark.parametrize(
    ("old", "new", "finding", "linters"),
    [
        (CHECKOUT, "actions/checkout@v7", "unpinned-uses", ["zizmor"]),
        ("        with:\n          persist-credentials: false\n", "", "artipacked", ["zizmor"]),
        ("permissions: {}", "permissions: write-all", "excessive-permissions", ["zizmor"]),
        ("  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers", ["zizmor"]),
        (
            "run: make lint",
            'run: echo "${{ github.event.issue.title }}" && make lint',
            "template-injection",
            ["actionlint", "zizmor"],
        ),
        ("needs: tools", "needs: toolz", 'job "toolz"', ["actionlint"]),
        ("matrix.part }}\n    needs", "matrix.parts }}\n    needs", '"parts" is not defined', ["actionlint"]),
    ],
)
def test_a_fault_is_refused(
    ci: Path,
    capfd: pytest.CaptureFixture[str],
    old: str | re.Pattern[str],
    new: str,
    finding: str,
    linters: list[str],
) -> None:
    _change(ci, old, new)
    assert lint(ci.parents[2]) == linters
    assert finding in "".join(capfd.readouterr())


def test_the_command_says_who_found_something_and_fails(ci: Path) -> None:
    _change(ci, CHECKOUT, "actions/checkout@v7")
    done = subprocess.run(
        [sys.executable, "-m", "workflow_lint", str(ci.parents[2])],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "dev")},
    )
    assert done.returncode == 1
    assert f"workflow_lint: zizmor found something in {ci.parents[1]}" in done.stderr


def test_what_is_no_checkout_is_refused_in_a_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workflow_lint", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "dev")},
    )
    assert done.returncode == 2
    assert f"{tmp_path} has no .github/workflows; name a checkout" in done.stderr


def test_a_dependabot_without_a_wait_for_new_releases_is_refused(
    ci: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _change(ci.parents[1] / "dependabot.yml", "    cooldown: {default-days: 7}\n", "")
    assert lint(ci.parents[2]) == ["zizmor"]
    assert "dependabot-cooldown" in "".join(capfd.readouterr())
