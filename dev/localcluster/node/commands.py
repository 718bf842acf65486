"""Programs that run to their end, and components that outlive the process that started them."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcluster.daemon import Component, Identity, start_time, uninterrupted
from localcluster.errors import ClusterError
from localcluster.node.layout import Layout

SECONDS = 60.0
TAIL_LINES = 30
_children: list[subprocess.Popen[bytes]] = []
"""What this process started, so that it can be waited for when it ends while we live."""


def run(
    command: Sequence[str],
    *,
    seconds: float = SECONDS,
    check: bool = True,
    text: str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Raises:
        ClusterError: it is not there, did not end in time or, with ``check``, failed; with what it said.
    """
    shown = f"`{' '.join(command)}`"
    try:
        done = subprocess.run(
            command,
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=None if env is None else {**os.environ, **env},
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shown} did not end in {seconds:.0f} s") from error
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-TAIL_LINES:])
        raise ClusterError(f"{shown} failed ({done.returncode}):\n{tail}")
    return done


class Service(Component):
    """A component with its process id in a file: whoever comes later finds it."""

    def __init__(self, layout: Layout, name: str) -> None:
        super().__init__(name, layout.logs)
        self._file = layout.run / f"{name}.pid"
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid, started = self._file.read_text().split()
            self.identity = Identity(int(pid), started)

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> bool:
        """Start it unless it runs; whether it was started. It outlives this process."""
        _children[:] = [child for child in _children if child.poll() is None]
        if self.running:
            return False
        with self.log.open("ab") as log, uninterrupted():
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=None if env is None else {**os.environ, **env},
                cwd="/",
            )
            _children.append(child)
            self.identity = Identity(child.pid, start_time(child.pid) or "0")
            self._file.write_text(f"{self.identity.pid} {self.identity.started}")
        return True

    def stop(self) -> None:
        """End it, and forget its process id."""
        super().stop()
        self._file.unlink(missing_ok=True)

    def memory(self) -> int:
        """Resident bytes; 0 when it does not run."""
        if self.identity is None or not self.running:
            return 0
        with contextlib.suppress(OSError):
            pages = Path(f"/proc/{self.identity.pid}/statm").read_text().split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        return 0
