"""A program that was forked is what its command line would have started."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.forked import ForkedProcess, spawn

TELLING = """
import json, os, signal, sys
print(json.dumps({
    "arguments": sys.argv[1:], "environment": dict(os.environ), "pid": os.getpid(), "session": os.getsid(0),
    "group": os.getpgrp(), "directory": os.getcwd(), "name": __name__, "input": sys.stdin.read(),
    "open": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:3],
    "deaf": [str(one) for one in signal.valid_signals() if signal.getsignal(one) is signal.SIG_IGN],
}))
"""
SLEEPING = "import time\nprint('asleep', flush=True)\ntime.sleep(60)\n"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[list[ForkedProcess]]:
    started: list[ForkedProcess] = []
    yield started
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def start(
    ours: list[ForkedProcess], directory: Path, program: str, *arguments: str, **environment: str
) -> ForkedProcess:
    (directory / "program.py").write_text(program, encoding="utf-8")
    argv = [sys.executable, str(directory / "program.py"), *arguments]
    process = spawn(argv, directory / "log", {"PATH": "/usr/bin", **environment}, directory)
    ours.append(process)
    return process


def told(directory: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((directory / "log").read_text(encoding="utf-8"))
    return found


def test_it_has_its_arguments_its_environment_and_no_other_and_a_session_of_its_own(
    ours: list[ForkedProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "not theirs")
    process = start(ours, tmp_path, TELLING, "one", "--two", THEIRS="only")
    assert process.wait(20) == 0
    found = told(tmp_path)
    usual = subprocess.run(
        [sys.executable, "program.py", "one", "--two"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin", "THEIRS": "only"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        start_new_session=True,
    )
    (tmp_path / "log").write_bytes(usual.stdout)
    expected = told(tmp_path)
    for same in ("arguments", "directory", "name", "input", "open", "deaf"):
        assert found[same] == expected[same], same
    environment = found["environment"]
    assert environment == {"PATH": "/usr/bin", "THEIRS": "only"}
    assert found["pid"] == found["session"] == found["group"] == process.pid != os.getpid()


@pytest.mark.parametrize(
    ("program", "code", "shown"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('what to change')", 1, "what to change"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import sys; print('out'); print('err', file=sys.stderr)", 0, "out\nerr\n"),
    ],
)
def test_its_exit_code_and_its_last_words_are_those_of_its_command_line(
    ours: list[ForkedProcess], tmp_path: Path, program: str, code: int, shown: str
) -> None:
    (tmp_path / "log").write_text("before\n", encoding="utf-8")
    process = start(ours, tmp_path, program)
    assert process.wait(20) == code == process.returncode == process.poll()
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert log.startswith("before\n")
    assert shown in log


def test_a_module_runs_as_with_m(ours: list[ForkedProcess], tmp_path: Path) -> None:
    process = spawn([sys.executable, "-m", "json.tool", "--help"], tmp_path / "log", os.environ)
    ours.append(process)
    assert process.wait(20) == 0
    assert "usage: python -m json.tool" in (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it_alone(ours: list[ForkedProcess], tmp_path: Path, number: signal.Signals) -> None:
    first, second = (tmp_path / name for name in ("first", "second"))
    for directory in (first, second):
        directory.mkdir()
        start(ours, directory, SLEEPING)
    one, other = ours
    with pytest.raises(subprocess.TimeoutExpired):
        one.wait(0.1)
    one.send_signal(number)
    assert one.wait(20) == -number
    one.send_signal(number)  # It has ended, and whoever may have its number now is left alone.
    assert other.poll() is None


def test_what_is_no_python_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a module of Python"):
        spawn(["/bin/true", "x"], tmp_path / "log", {})
    with pytest.raises(ValueError, match="not a module of Python"):
        spawn([sys.executable, "-c", "pass"], tmp_path / "log", {})
