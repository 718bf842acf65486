"""Whoever types ``--help`` at a program of the project's own tools is told what it does, and nothing is done."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

INSIDE = {
    "localcluster/reaper.py",
    "localcluster/node/policy.py",
    "localcluster/kind.py",
    "mutants/__init__.py",
}
"""Started by other programs alone, or named in a text."""
PROGRAMS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "dev").rglob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8") or path.name == "__main__.py"
    if path.relative_to(ROOT / "dev").as_posix() not in INSIDE
)


def test_there_are_programs() -> None:
    assert {"dev/demo/__main__.py", "dev/docs_site.py"} <= set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_says_what_it_is_for(program: str, tmp_path: Path) -> None:
    path = Path(program)
    names = path.relative_to("dev").with_suffix("").parts
    module = ".".join(names[:-1] if names[-1] == "__main__" else names)
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/dev:{ROOT}:{ROOT}/operator"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.lower().startswith("usage:")
    assert len(done.stdout.split()) > 12
    assert list(tmp_path.iterdir()) == []
