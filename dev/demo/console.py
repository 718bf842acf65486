"""What the demo prints: one line a step, with the command where there is one, and never a whole token."""

import dataclasses
import shlex
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO, TypeVar

from localcluster import ClusterError
from localcluster.cluster import Cluster
from scim_api.contract.tokens import PATTERN, PREFIX

_SHOWN: Final = len(PREFIX) + 2
_POLL_SECONDS: Final = 0.1
Found = TypeVar("Found")


class DemoFailed(Exception):
    """A step did not do what it must; the message is the reason, for a person."""


def masked(text: str) -> str:
    """``text`` with every token cut to its first letters: ``sct_ab…``."""
    return PATTERN.sub(lambda token: f"{token[0][:_SHOWN]}…", text)


class Console:
    """Prints steps with the seconds since the start."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._began = time.monotonic()

    def title(self, text: str) -> None:
        """Begin a part of the story."""
        self._print(f"\n== {text}")

    def step(self, text: str, command: str | None = None) -> None:
        """One line: what happened, and the command that did it."""
        shown = f"   $ {command}" if command else ""
        self._print(f"{time.monotonic() - self._began:6.1f} s  {text}{shown}")

    def block(self, text: str) -> None:
        """Output of a command, indented below its step."""
        for line in text.rstrip().splitlines():
            self._print(f"            {line}")

    def _print(self, line: str) -> None:
        print(masked(line), file=self._out, flush=True)


@dataclasses.dataclass(frozen=True)
class Kubectl:
    """kubectl as administrator, silent when called, told as a step through ``step``."""

    plane: Cluster
    console: Console

    def __call__(self, *arguments: str) -> str:
        """Run it; its output.

        Raises:
            DemoFailed: with what kubectl said, or that it did not come to an end.
        """
        shown = shlex.join(["kubectl", *arguments])
        try:
            done = self.plane.kubectl(*arguments, check=False)
        except ClusterError as error:
            raise DemoFailed(str(error)) from None
        if done.returncode != 0:
            raise DemoFailed(f"`{shown}` failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def step(self, text: str, *arguments: str) -> str:
        """Run it and tell it as a step; its output."""
        output = self(*arguments)
        self.console.step(text, shlex.join(["kubectl", *arguments]))
        return output


def until(
    what: str, holds: Callable[[], Found | None], seconds: float, poll_seconds: float = _POLL_SECONDS
) -> Found:
    """Poll until ``holds()`` is something true, and return it.

    Raises:
        DemoFailed: not within this time.
    """
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise DemoFailed(f"not within {seconds:g} s: {what}")
        time.sleep(poll_seconds)
    return found


def check(holds: bool, otherwise: str) -> None:  # noqa: FBT001 (an assertion's own shape)
    """Raise ``DemoFailed`` with this reason unless it holds."""
    if not holds:
        raise DemoFailed(otherwise)
