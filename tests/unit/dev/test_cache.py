"""Where tools are kept, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from localcluster.cache import cache_root, gather, is_complete, link, make_once

DEV = Path(__file__).resolve().parents[3] / "dev"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def make(scratch: Path) -> Path:
    made = scratch / "made"
    made.mkdir()
    (made / "program").write_text("it")
    return made


def test_the_programs_of_several_are_in_one_directory() -> None:
    for name in ("a", "b"):
        (cache_root() / name).mkdir(parents=True)
        (cache_root() / name / f"tool-{name}").write_text(name)
        (cache_root() / name / ".complete").touch()
    made = gather([cache_root() / "a", cache_root() / "b"])
    assert sorted(path.name for path in made.iterdir()) == ["tool-a", "tool-b"]
    assert (made / "tool-b").read_text() == "b"
    assert gather([cache_root() / "a", cache_root() / "b"]) == made
    assert gather([cache_root() / "a"]) != made
    (cache_root() / "b" / "tool-a").write_text("of b")
    for order, first in (("ab", "a"), ("ba", "of b")):
        both = gather([cache_root() / name for name in order] + [cache_root()])
        assert (both / "tool-a").read_text() == first


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "scim-operator" / "tools"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_root() == Path("/home/somebody/.cache/scim-operator/tools")


def test_some_programs_are_in_a_directory_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "kubectl-1.37").write_text("this one")
    directory = link({"kubectl": tmp_path / "kubectl-1.37"})
    assert [path.name for path in directory.iterdir()] == ["kubectl"]
    assert (directory / "kubectl").read_text() == "this one"
    assert link({"kubectl": tmp_path / "kubectl-1.37"}) == directory
    assert link({"kubectl": tmp_path / "other"}) != directory


def test_what_is_made_is_made_once() -> None:
    target = cache_root() / "tools-v1.2"
    assert make_once(target, make, print) == target
    assert (target / "program").read_text() == "it"
    assert make_once(target, lambda _: pytest.fail("again"), print) == target


def test_what_fails_while_it_is_made_leaves_nothing() -> None:
    target = cache_root() / "tools-v1.2"

    def fail(scratch: Path) -> Path:
        make(scratch)
        raise ValueError

    with pytest.raises(ValueError):
        make_once(target, fail, print)
    assert [path.name for path in cache_root().iterdir() if path.is_dir()] == []


def test_a_kill_leaves_nothing_that_counts_and_the_next_one_clears_up() -> None:
    target = cache_root() / "tools-v1.2"
    program = (
        "import os, pathlib, signal, sys\nfrom localcluster.cache import make_once\n"
        "def make(scratch):\n"
        "    (scratch / 'half').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "make_once(pathlib.Path(sys.argv[1]), make, print)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(target)], cwd=DEV)
    assert killed.returncode < 0
    assert not is_complete(target)
    assert len(list(cache_root().glob("*/half"))) == 1
    make_once(target, make, print)
    assert [path.name for path in cache_root().iterdir() if path.is_dir()] == [target.name]
