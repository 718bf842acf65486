"""A process that is killed and started again."""

import os
import subprocess
from pathlib import Path


class Killable:
    """A command.

    Args:
        argv: what is run.
        log: what it writes is appended to.
        environment: more variables.
    """

    def __init__(self, argv: list[str], log: Path, **environment: str) -> None:
        self._argv, self._log, self._environment = argv, log, {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")
