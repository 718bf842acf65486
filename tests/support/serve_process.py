"""A ``scim-api serve`` process of a test's own, on ports of its own."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from demo.processes import Child, answers
from localcluster.ports import free_port
from support import forked

PYTHON = [sys.executable, "-m", "scim_api.cli.main"]


class Serve:
    """A ``scim-api serve`` process of our own."""

    def __init__(
        self,
        directory: Path,
        database_url: str,
        *options: str,
        file_limit: int | None = None,
        open_files: int | None = None,
    ) -> None:
        def limit() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        self.port, self.internal = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/scim/v2"
        self.database_url = database_url
        self.directory = directory
        self.log = directory / "serve.log"
        self.log.write_bytes(b"")
        argv = [
            *PYTHON, "serve", "--port", str(self.port), "--internal-port", str(self.internal),
            "--database-url", database_url, "--log-level", "debug", *options,
        ]  # fmt: skip
        self.process: Child
        if file_limit is open_files is None:
            self.process = forked.spawn(argv, self.log, os.environ, directory)
        else:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=directory, preexec_fn=limit)

    def wait_ready(self, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while True:
            if answers(f"http://127.0.0.1:{self.internal}/readyz"):
                return
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PYTHON, *arguments],
            capture_output=True,
            text=True,
            cwd=self.directory,
            timeout=60,
            env={**os.environ, "SCIM_API_DATABASE_URL": self.database_url},
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def connect(self, name: str = "demo/entra", *options: str) -> dict[str, Any]:
        issued: dict[str, Any] = json.loads(self.cli("connection", "create", name, "--json", *options).stdout)
        return issued
