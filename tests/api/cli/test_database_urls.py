"""Whatever a person types as a database URL: commands answer with one line, never with a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from scim_api.cli.main import main
from support.serve_process import PYTHON

SECRET = "Qz7Kx9Wv3Jp5"
REFUSED = [
    "",
    "x",
    SECRET,
    f"scim:{SECRET}@db/scim",
    f"mysql://scim:{SECRET}@db/scim",
    "sqlite://scim.db",
    "sqlite:///",
    "sqlite:////nowhere/at/all/scim.db",
    "sqlite:////",
    "sqlite:////proc/version",
    "postgresql://",
    "postgresql://nobody@",
    "postgresql://nobody@/",
    "postgresql://nobody@,/x",
    f"postgresql://scim:{SECRET}/@127.0.0.1:1/scim",
    f"postgresql://scim:12/{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:?{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:1?{SECRET}=1@127.0.0.1:1/scim",
    f"postgresql://scim:#{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:@{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:[{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:%ff{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:ℂ{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?password={SECRET}&{SECRET}",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim",
    f"postgresql://scim:{SECRET}@127.0.0.1:70000/scim",
    f"postgresql://scim:{SECRET}@127.0.0.1:port/scim",
    f"postgresql://scim:{SECRET}@127.0.0.1:-1/scim",
    f"postgresql://scim:{SECRET}@[::1/scim",
    f"postgresql://scim:{SECRET}@[::1]:1/scim",
    f"postgresql://scim:{SECRET}@[::zz]:1/scim",
    f"postgresql://scim:{SECRET}@{'a' * 70}/scim",
    f"postgresql://scim:{SECRET}@ä.invalid/scim",
    f"postgresql://scim:{SECRET}@127.0.0.1:1,127.0.0.1:1/scim",
    f"postgresql://scim:{SECRET}@%2Fnowhere/scim",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?sslmode=on",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?ssl=maybe",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?sslmode=verify-full",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?sslcert=/nowhere",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?sslnegotiation=direct",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?sslmode",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?connect_timeout=soon",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?connect_timeout=3&ssl=true&channel_binding=require",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?target_session_attrs=standby",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?target_session_attrs=read-write",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?wrong=1",
    f"postgresql://scim:{SECRET}@127.0.0.1:1/scim?passfile=/nowhere&service=none",
]


def commands(url: str) -> list[list[str]]:
    return [
        ["migrate", "--database-url", url],
        ["connection", "list", "--database-url", url],
        ["connection", "create", "demo/entra", "--database-url", url],
        ["connection", "rotate", "demo/entra", "--database-url", url],
        ["connection", "delete", "demo/entra", "--yes", "--database-url", url],
        ["copy", "--from", url, "--to", "sqlite:///copy.db"],
        ["serve", "--port", "0", "--database-url", url],
    ]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_does_not_work_is_one_line_in_every_command(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in commands(url):
        if url == "x" and "copy" in command:
            continue
        with capture_logs() as logged:
            done = CliRunner().invoke(main, command)
        said = done.output.strip().splitlines()
        assert isinstance(done.exception, SystemExit), (command, done.exception)
        assert done.exit_code == 1, (command, said)
        assert said[-1].startswith("Error: "), (command, said)
        errors = [line for line in said if not line.startswith("Warning: ")]
        assert len(errors) == 1, (command, said)
        shown = f"{done.output}{logged}".replace(f"scheme {SECRET!r}", "")
        assert not any(SECRET[at : at + 4] in shown for at in range(len(SECRET) - 3)), (command, said)


def test_parameters_without_effect_are_told_on_stderr_and_leave_json_alone(postgres_url: str) -> None:
    url = f"{postgres_url}&channel_binding=require&keepalives=0&connect_timeout=3"
    done = subprocess.run(
        [*PYTHON, "connection", "create", "demo/entra", "--json", "--database-url", url],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "token" in json.loads(done.stdout)
    assert done.stderr == "Warning: database URL: without effect here: channel_binding, keepalives\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_process_whose_uid_has_no_name_is_told_to_write_a_user(tmp_path: Path) -> None:
    script = (
        "import os, asyncpg, scim_api.store.postgres.store, scim_api.store.migrate; "
        "from scim_api.cli.main import main; os.setuid(54321); main()"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", script, "migrate", "--database-url", "postgresql://127.0.0.1:1/scim"],
        capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "Error: database URL: it names no user, and this process's uid 54321 has no name; "
        "write postgresql://user@host/database\n"
    )
