"""The process that starts the others, and ends them when its input ends: see ``localcluster.daemon.Reaper``."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from typing import Any, Final

from localcluster.daemon import Identity, start_time

STOP_SECONDS: Final = 10.0
COMMAND_SECONDS: Final = 180.0


def serve(lines: Iterable[str], directory: str) -> None:
    """Obey one JSON message a line until there are no more, then end everything and remove the directory."""
    released = False
    commands: list[list[str]] = []
    found: list[Identity] = []
    children: list[subprocess.Popen[bytes]] = []
    try:
        for line in lines:
            message = json.loads(line)
            if "release" in message:
                released = True
                return
            if "watch" in message:
                found.append(Identity(*message["watch"]))
                continue
            if "at_end" in message:
                commands.append(message["at_end"])
                continue
            children = [child for child in children if child.poll() is None]
            answer = _spawn(message, children, found)
            # Not print: what it could not write to a starter that was killed, it would try again at the end.
            os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")
    except BrokenPipeError:
        return  # Our starter was killed before it read the answer.
    finally:
        if not released:
            for identity in reversed(found):
                identity.stop(STOP_SECONDS)
            for command in commands:
                _run(command)
            shutil.rmtree(directory, ignore_errors=True)


def _run(command: list[str]) -> None:
    # There is nobody left to tell how it went.
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            check=False,
            timeout=COMMAND_SECONDS,
        )


def _spawn(
    message: dict[str, Any], children: list[subprocess.Popen[bytes]], found: list[Identity]
) -> dict[str, Any]:
    try:
        with open(message["log"], "ab") as log:  # noqa: PTH123 (a string from a pipe)
            child = subprocess.Popen(
                message["spawn"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/",
            )
    except OSError as error:
        return {"error": str(error)}
    children.append(child)
    identity = Identity(child.pid, start_time(child.pid) or "ended at once")
    found.append(identity)
    return {"pid": identity.pid, "started": identity.started}


if __name__ == "__main__":
    serve(iter(sys.stdin.readline, ""), sys.argv[1])
