"""One user of the node at a time: a second test run waits for the first."""

import fcntl
import os
import time
from typing import Final

from localcluster.cache import Say
from localcluster.errors import ClusterError
from localcluster.node.layout import LOCK

WAIT_SECONDS: Final = 3600.0
_held: list[int] = []
"""The open file, while this process has the node; the kernel lets go of it when the process ends."""


def acquire(say: Say) -> None:
    """Have the node to ourselves, until ``release`` or this process's end; harmless when we have.

    Raises:
        ClusterError: the other one did not finish.
    """
    if _held:
        return
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline, told = time.monotonic() + WAIT_SECONDS, False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.pread(handle, 100, 0).decode(errors="replace").strip()
            if time.monotonic() > deadline:
                os.close(handle)
                raise ClusterError(f"process {other} has had the node for {WAIT_SECONDS:.0f} s") from None
            if not told:
                say(f"process {other} uses the node; waiting for it")
                told = True
            time.sleep(0.2)
        else:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
            _held.append(handle)
            return


def release() -> None:
    """Let somebody else have it."""
    while _held:
        os.close(_held.pop())
