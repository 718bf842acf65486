"""Only our own processes are ended, and they end with us."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localcluster.daemon import Component, Identity, Reaper, start_time
from localcluster.errors import ClusterError

DEV = str(Path(__file__).resolve().parents[3] / "dev")
SLEEP = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('begun', flush=True); time.sleep(600)",
]


def until(condition: Callable[[], object], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(0.01)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEP, stdout=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def reaper(tmp_path: Path) -> Iterator[Reaper]:
    made = Reaper(tmp_path / "private")
    yield made
    made.end()


def identity_of(pid: int) -> Identity:
    started = start_time(pid)
    assert started is not None
    return Identity(pid, started)


def test_a_process_is_known_by_its_id_and_its_start(child: subprocess.Popen[bytes]) -> None:
    identity = identity_of(child.pid)
    assert identity.alive
    assert not Identity(child.pid, str(int(identity.started) + 1)).alive


def test_another_process_with_the_same_id_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    stranger = Identity(child.pid, "1")
    stranger.stop()
    stranger.kill()
    assert child.poll() is None


def test_a_zombie_is_not_alive(child: subprocess.Popen[bytes]) -> None:
    identity = identity_of(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    until(lambda: not identity.alive, "the zombie counts as ended")
    assert Path(f"/proc/{child.pid}").exists()


def test_who_does_not_end_when_asked_is_killed() -> None:
    process = subprocess.Popen(STUBBORN, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    identity_of(process.pid).stop(0.2)
    assert process.wait(5) == -signal.SIGKILL
    process.stdout.close()


def test_who_ended_long_ago_may_be_ended_again(child: subprocess.Popen[bytes]) -> None:
    identity = identity_of(child.pid)
    child.kill()
    child.wait()
    identity.stop()
    identity.kill()
    assert not identity.alive


def test_a_name_with_blanks_and_brackets_is_read_past() -> None:
    code = "import time\nopen('/proc/self/comm', 'w').write('a) S 1 (b')\nprint(flush=True)\ntime.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    before = start_time(process.pid)
    process.stdout.readline()
    assert start_time(process.pid) == before
    process.kill()
    process.communicate()


def test_the_reaper_starts_programs_with_a_log_and_ends_them(reaper: Reaper, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("older\n")
    first, second = reaper.spawn(SLEEP, log), reaper.spawn(SLEEP, tmp_path / "other")
    until(lambda: log.read_text() == "older\nbegun\n", "the log is appended to")
    assert [first.alive, second.alive] == [True, True]
    reaper.end()
    assert [first.alive, second.alive] == [False, False]


def test_what_the_reaper_released_runs_on(reaper: Reaper, tmp_path: Path) -> None:
    identity = reaper.spawn(SLEEP, tmp_path / "log")
    reaper.release()
    assert identity.alive
    identity.kill()
    until(lambda: not identity.alive, "it ends")


def test_a_program_that_is_not_there_is_told(reaper: Reaper, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"/no/such/program could not be started.*No such file"):
        reaper.spawn(["/no/such/program"], tmp_path / "log")
    assert reaper.spawn(SLEEP, tmp_path / "log").alive


def test_a_reaper_that_was_killed_is_told(reaper: Reaper, tmp_path: Path) -> None:
    os.kill(reaper._popen.pid, signal.SIGKILL)
    reaper._popen.wait()
    with pytest.raises(ClusterError, match="has ended"):
        reaper.spawn(SLEEP, tmp_path / "log")


def test_when_the_owner_is_killed_everything_ends_and_the_directory_goes(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    program = (
        "import json, pathlib, sys, time\nfrom localcluster.daemon import Identity, Reaper, start_time\n"
        "directory = pathlib.Path(sys.argv[1])\nreaper = Reaper(directory)\n"
        "reaper.watch(Identity(int(sys.argv[2]), start_time(int(sys.argv[2]))))\n"
        "one = reaper.spawn(json.loads(sys.argv[3]), directory / 'log')\n"
        "print(one.pid, flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(directory), str(child.pid), json.dumps(SLEEP)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": DEV},
    ) as owner:
        assert owner.stdout is not None
        spawned, watched = identity_of(int(owner.stdout.readline())), identity_of(child.pid)
        owner.kill()
    until(lambda: not spawned.alive, "what it started has ended")
    until(lambda: not watched.alive, "what it watched has ended")
    until(lambda: not directory.exists(), "the directory is gone")


def test_an_owner_killed_before_it_hears_of_its_child_leaves_none(tmp_path: Path) -> None:
    directory = tmp_path / "private"
    directory.mkdir()
    program = (
        "import os, pathlib, signal, sys\nfrom localcluster.daemon import Reaper\n"
        "directory = pathlib.Path(sys.argv[1])\nreaper = Reaper(directory)\n"
        f"reaper._say({{'spawn': {SLEEP!r}, 'log': str(directory.parent / 'log')}})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    env = {**os.environ, "PYTHONPATH": DEV}
    done = subprocess.run([sys.executable, "-c", program, str(directory)], env=env, stderr=subprocess.PIPE)
    assert done.returncode == -signal.SIGKILL
    until(lambda: not directory.exists(), "the reaper has finished")
    assert (tmp_path / "log").exists(), "it was not started at all"
    running = [path for path in Path("/proc").glob("[0-9]*/fd/1") if _leads_to(path, tmp_path / "log")]
    assert running == []
    assert done.stderr == b""


def _leads_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except OSError:
        return False


def test_waiting_for_a_program_that_ended_tells_its_last_words(reaper: Reaper, tmp_path: Path) -> None:
    component = Component("part", tmp_path)
    component.identity = reaper.spawn(["/bin/sh", "-c", "echo cannot go on; exit 3"], component.log)
    with pytest.raises(ClusterError, match=r"(?s)part ended at once \(not there\).*cannot go on"):
        component.wait(lambda: "not there", 10)


def test_waiting_is_bounded(reaper: Reaper, tmp_path: Path) -> None:
    component = Component("part", tmp_path)
    component.identity = reaper.spawn(SLEEP, component.log)
    with pytest.raises(ClusterError, match="part: not there after 0 s"):
        component.wait(lambda: "not there", 0.1)
