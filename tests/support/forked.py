"""Python programs as processes forked from one that has imported what they need.

An operator imports for a second, which is most of what its start costs; tests start hundreds. What comes of it is a
process like any other: its own pid, session, environment and log, and it is killed alone. That the programs start by
their command lines too, the demo, the pods and the tests of the command lines show.
"""

import functools
import importlib
import io
import multiprocessing
import multiprocessing.connection
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Final

IMPORTED: Final = ("support.forked_programs",)
"""What the process that forks has imported."""
_ONE_AT_A_TIME: Final = threading.Lock()
"""An exit code comes once, through a pipe; whoever else asks at that moment would take its end for the answer."""


def spawn(
    argv: Sequence[str], log: Path, environment: Mapping[str, str], directory: Path | None = None
) -> "ForkedProcess":
    """Start ``python -m MODULE ...`` or ``python FILE ...`` as ``demo.processes.spawn`` does.

    Args:
        argv: the interpreter, and its arguments.
        log: what it prints is appended to it.
        environment: all of it.
        directory: it works there; default where we do.

    Raises:
        ValueError: when it is another program.
    """
    if argv[0] != sys.executable or (argv[1].startswith("-") and argv[1] != "-m"):
        raise ValueError(f"not a module of Python, and not a file: {argv}")
    process = _context().Process(
        target=_become,
        args=(tuple(argv[1:]), str(log.absolute()), dict(environment), str(directory or Path.cwd())),
        daemon=True,
    )
    with _ONE_AT_A_TIME:
        process.start()
    return ForkedProcess(process)


class ForkedProcess:
    """As much of ``subprocess.Popen`` as ``demo.processes.Process`` needs."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid: Final = process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative for the signal that ended it; None while it runs."""
        with _ONE_AT_A_TIME:
            return self._process.exitcode

    def poll(self) -> int | None:
        """The same, asked anew."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: when it still runs after ``timeout`` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.returncode) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            multiprocessing.connection.wait([self._process.sentinel], left)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal to it, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


@functools.cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    # The server takes its path from the environment alone.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context


def _become(argv: tuple[str, ...], log: str, environment: Mapping[str, str], directory: str) -> None:
    """What ``python`` with these arguments would be, in this process."""
    os.setsid()
    os.chdir(directory)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for opened in (nothing, output):
        os.close(opened)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="utf-8", write_through=True)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    _look_up_the_kubeconfig()
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    module, arguments = (argv[1], argv[2:]) if argv[0] == "-m" else ("", argv[1:])
    sys.argv = [argv[0], *arguments]
    if module:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(argv[0], run_name="__main__")


def _look_up_the_kubeconfig() -> None:
    """The Kubernetes client reads KUBECONFIG as it is imported, which was before the program had its environment."""
    if "KUBECONFIG" in os.environ:
        for client in ("kubernetes.config.kube_config", "kubernetes.aio.config.kube_config"):
            vars(importlib.import_module(client))["KUBE_CONFIG_DEFAULT_LOCATION"] = os.environ["KUBECONFIG"]
