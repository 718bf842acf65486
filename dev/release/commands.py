"""Programs that a release is made with."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from release.errors import ReleaseError

Say = Callable[[str], None]
TAIL_LINES: Final = 30


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 1800,
) -> str:
    """Run a program to its end; what it wrote to standard output.

    Raises:
        ReleaseError: it failed, or did not end in time; with the end of what it said.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise ReleaseError(f"{command[0]} is not installed: see RELEASE.md, What it needs") from error
    except subprocess.TimeoutExpired as error:
        raise ReleaseError(f"`{' '.join(command)}` did not end in {seconds:.0f} s") from error
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL_LINES:])
        raise ReleaseError(f"`{' '.join(command)}` failed ({done.returncode}):\n{tail}")
    return done.stdout


def missing(programs: Sequence[str]) -> list[str]:
    """Those of the programs that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


class Steps:
    """Says what is being done, and how long it took."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._began = self._step = time.monotonic()
        self._name = ""

    def begin(self, name: str) -> None:
        """The next step; the one before it has ended."""
        self.end()
        self._name, self._step = name, time.monotonic()
        self._say(f"== {name}")

    def end(self) -> None:
        """The last step has ended."""
        if self._name:
            self._say(f"   {time.monotonic() - self._step:.0f} s")
        self._name = ""

    @property
    def seconds(self) -> float:
        """Since the first one began."""
        return time.monotonic() - self._began
