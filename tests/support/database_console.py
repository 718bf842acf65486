"""``scim-api console`` as a process, as a person starts it."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

START_SECONDS: Final = 60.0


@contextlib.contextmanager
def running_console(directory: Path, database_url: str) -> Iterator[str]:
    """The address that it prints; it ends with the block.

    Args:
        directory: for its log.
        database_url: as the command has it.
    """
    argv = [
        sys.executable,
        "-m",
        "scim_api.cli.main",
        "console",
        "--no-browser",
        "--database-url",
        database_url,
    ]
    log = directory / "console.log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "\n" not in (told := log.read_text()):
            assert process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        yield told.splitlines()[0]
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
    ended = log.read_text()
    assert "Traceback" not in ended, ended
