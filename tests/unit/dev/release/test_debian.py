"""What is done to a Debian while an emulator installs it."""

import subprocess
import sys
from pathlib import Path

from release.debian import COMPILER, without_byte_code


def _run_hooks(kind: str, root: Path) -> None:
    for option in without_byte_code():
        name, _, command = option.partition("=")
        if name == f"--{kind}-hook":
            # As mmdebstrap calls it.
            subprocess.run(["sh", "-c", command, "exec", root], check=True)


def _truename(root: Path) -> str:
    done = subprocess.run(
        ["dpkg-divert", "--root", root, "--truename", COMPILER], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_python_is_installed_without_its_compiler_and_has_it_in_the_end(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/diversions").touch()
    compiler = tmp_path / COMPILER.lstrip("/")

    _run_hooks("essential", tmp_path)
    aside = tmp_path / _truename(tmp_path).lstrip("/")
    assert aside != compiler
    aside.write_text("the package's")  # which dpkg unpacks to the name that it is told
    broken = tmp_path / "broken.py"
    broken.write_text("no Python (")
    subprocess.run([sys.executable, "-E", "-S", compiler, broken], check=True)
    with subprocess.Popen([sys.executable, "-E", "-S", compiler, "-"], stdin=subprocess.PIPE) as waiting:
        assert waiting.stdin is not None
        waiting.stdin.write(b"broken.py\n" * 100_000)  # more than a pipe holds: it is read, or this fails

    _run_hooks("customize", tmp_path)
    assert compiler.read_text() == "the package's"
    assert _truename(tmp_path) == COMPILER
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"var/lib/dpkg/diversions", COMPILER.lstrip("/"), "broken.py"}
