"""``scim-api copy``: what it says, and what it leaves."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from scim_api.store.migrate import migrate
from support.transfer import Life, Way

COMMAND = [sys.executable, "-m", "scim_api.cli.main", "copy"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )


async def test_the_command_tells_counts_and_what_comes_next(way: Way, person: Any) -> None:
    await Life().live(way.source, person)
    done = await asyncio.to_thread(lambda: run("--from-env", "OLD", "--to", way.target, OLD=way.source))
    assert done.returncode == 0, done.stderr
    assert "resource                 4 of 4" in done.stdout
    assert "4 users and groups, 2 connections" in done.stdout
    assert "SCIM_API_DATABASE_URL" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "sqlite:///none.db", "--to", "sqlite:///new.db"], "no such file"),
        (["--from", "sqlite:///text.db", "--to", "sqlite:///new.db"], "not an SQLite database"),
        (["--from", "sqlite:///empty.db", "--to", "sqlite:///new.db"], "no tables of scim-api"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:///good.db"], "same database"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:///other.db"], "not empty"),
        (["--from", "sqlite:///good.db", "--to", "mysql://x"], "postgresql://"),
        (["--from", "sqlite:///good.db", "--to", "sqlite:////nowhere/at/all.db"], "nowhere"),
        (["--from", "sqlite:///good.db", "--to", "postgresql://me:hidden@127.0.0.1:1/x"], "PostgreSQL"),
        (["--from", "sqlite:///good.db", "--to", "postgresql://me:hidden@nowhere.invalid/x"], "PostgreSQL"),
        (["--from", "sqlite:///good.db"], "--to-env"),
        (["--from-env", "NOT_THERE", "--to", "sqlite:///new.db"], "NOT_THERE"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    asyncio.run(migrate("sqlite:///good.db"))
    Path("text.db").write_text("not a database, but long enough to be looked at as one" * 100)
    Path("empty.db").touch()
    other = apsw.Connection("other.db")
    other.execute("CREATE TABLE theirs (x)")
    other.close()

    done = run(*arguments)

    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1
    assert message in done.stderr
    assert "hidden" not in done.stderr
    assert not Path("new.db").exists()
    assert not Path("none.db").exists()
