"""What a plain ``serve`` imports until it has answered: imports are what a start takes its time for, and memory."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx
import pytest

from localcluster.ports import free_port
from support import plain_http
from support.serve_process import PYTHON

MOST_MODULES: Final = 600
"""Of Python's own, of libraries and of ours. More are no mistake, but a decision: they belong to every start."""
NOT_NEEDED: Final = frozenset({
    "cryptography", "fastapi", "httpx", "jinja2", "jwt", "pydantic_settings", "rich", "scim2_models", "scim_console",
})  # fmt: skip
"""Packages of other commands, of the other ports, of the token endpoint, of rare filters, or of nothing at all."""
NOT_NEEDED_OF_OURS: Final = (
    "scim_api.delivery.",
    "scim_api.http.admin.endpoints",
    "scim_api.http.oauth.token_",
)
OTHER_DRIVER: Final = {"sqlite": "asyncpg", "postgresql": "apsw"}
CODE: Final = """
import atexit, sys
from scim_api.cli.main import main
from scim_api.server import background_jobs
background_jobs.WARM_UP_SECONDS = 3600.0
atexit.register(lambda: print(*sys.modules))
main()
"""


def imported(directory: Path, database_url: str, token: str, options: Sequence[str] = ()) -> set[str]:
    """The modules of a ``serve`` that has answered a request with this token."""
    port = free_port()
    command = [
        sys.executable,
        "-c",
        CODE,
        "serve",
        "--port",
        str(port),
        "--database-url",
        database_url,
        *options,
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=directory
    ) as process:
        try:
            answered(process, f"http://127.0.0.1:{port}/scim/v2/Users", token)
        finally:
            process.terminate()
        printed, _ = process.communicate(timeout=30)
    return set(printed.splitlines()[-1].split())


def answered(process: "subprocess.Popen[str]", url: str, token: str) -> None:
    """Wait for an answer to a request for users."""
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = plain_http.get(url, headers={"authorization": f"Bearer {token}"}, timeout=30)
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            assert answer.status_code == 200
            return


@pytest.fixture
def token(database_url: str) -> str:
    """Of a connection in a migrated database."""
    at = ["--database-url", database_url]
    subprocess.run([*PYTHON, "migrate", *at], check=True, timeout=60, capture_output=True)
    create = [*PYTHON, "connection", "create", "demo/entra", "--json", *at]
    done = subprocess.run(create, check=True, timeout=60, capture_output=True, text=True)
    return str(json.loads(done.stdout)["token"])


def test_a_start_imports_what_serving_needs_and_no_more(
    tmp_path: Path, database_url: str, token: str
) -> None:
    modules = imported(tmp_path, database_url, token)

    packages = {name.partition(".")[0] for name in modules}
    assert {"uvicorn", "pydantic", "scim_api"} <= packages
    assert not packages & (NOT_NEEDED | {OTHER_DRIVER[database_url.partition(":")[0]]})
    assert [name for name in modules if name.startswith(NOT_NEEDED_OF_OURS)] == []
    assert len(modules) <= MOST_MODULES, f"{len(modules)} modules"


def test_the_internal_port_has_what_it_needs_from_the_start(
    tmp_path: Path, database_url: str, token: str
) -> None:
    modules = imported(
        tmp_path, database_url, token, ["--internal-port", "0", "--admin-keys-dir", str(tmp_path)]
    )

    assert {"fastapi", "jwt", "cryptography", "scim_api.http.admin.endpoints"} <= modules
