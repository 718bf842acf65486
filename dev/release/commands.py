"""Programs that a release is made with."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence

from localcluster.errors import ClusterError
from localcluster.node import commands
from release.errors import ReleaseError

Say = Callable[[str], None]


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    seconds: float = 1800,
) -> str:
    """Run a program to its end; what it wrote to standard output.

    Raises:
        ReleaseError: it is not there, failed, or did not end in time; with the end of what it said.
    """
    try:
        return commands.run(command, env=env, seconds=seconds).stdout
    except ClusterError as error:
        raise ReleaseError(
            f"{error}. RELEASE.md, What make release needs, has what it is made with"
        ) from error


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
