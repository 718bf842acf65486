"""docs/tutorial.md is true: its commands run as they are written, in one shell that stops at a mistake."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from localcluster.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
LOCAL, _, KUBERNETES = PAGE.partition("\n## On Kubernetes\n")
UV = """#!/bin/sh
case "$1" in
  sync) [ "$*" = "sync --all-extras" ] ;;
  run) shift; exec "$@" ;;
  *) exit 64 ;;
esac
"""
"""In the place of uv: the environment is there already."""


def blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A checkout, as far as the page uses it, and its programs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").write_text(UV, encoding="utf-8")
    (programs / "uv").chmod(0o755)
    (tmp_path / "dev").symlink_to(ROOT / "dev")
    return {
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SCIM_API_PORT": str(free_port()),
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def commands(environment: dict[str, str]) -> list[str]:
    """The blocks of the first half, at a port that is free here."""
    return [block.replace(":8080", f":{environment['SCIM_API_PORT']}") for block in blocks(LOCAL)]


@pytest.fixture
def service(commands: list[str], environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """What the first block starts."""
    with (
        (tmp_path / "service.log").open("wb") as log,
        subprocess.Popen(
            ["bash", "-euc", commands[0].replace("uv run", "exec uv run")],
            cwd=tmp_path, env=environment, stdout=log, stderr=log,
        ) as process,
    ):  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while not _answers(environment["SCIM_API_PORT"]):
                assert process.poll() is None, (tmp_path / "service.log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def _answers(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/scim/v2/Users", trust_env=False).status_code == 401
    except httpx.TransportError:
        return False


def test_what_is_typed_does_what_the_page_says(
    service: None, commands: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    mark = "-- next block --"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"\necho; echo '{mark}'\n".join(commands[1:])],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    _, tested, played, people, reader, feed, rotated, _ = (part.strip() for part in done.stdout.split(mark))
    [shown] = re.findall(r"^```json\n(.*?)^```$", LOCAL, re.MULTILINE | re.DOTALL)
    assert json.loads(tested) == json.loads(shown)
    assert "initial cycle: created: " in played
    users = json.loads(people)["Resources"]
    assert json.loads(people)["totalResults"] == len(users) == 5
    assert {user["active"] for user in users} == {True, False}
    assert json.loads(reader)["status"] == "403"
    assert len(json.loads(feed)["changes"]) == 3
    assert rotated.splitlines()[:2] == ["200", "200"]
    listed = [line.split() for line in rotated.splitlines() if line.startswith("demo/entra ")]
    assert len(listed) == 2


def test_the_last_command_ends_all_other_tokens_of_entra(
    service: None, commands: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    end = 'curl --silent --output /dev/null --write-out "%{http_code} " "$SERVICE/scim/v2/Users" -H "Authorization: Bearer $TOKEN"'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join((commands[1], commands[-1], end))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("401 ")


def test_the_second_half_asks_for_what_the_operator_understands() -> None:
    """tests/e2e/test_tutorial_page.py runs it."""
    assert len(blocks(KUBERNETES)) == 3
    assert all("kubectl" in block for block in blocks(KUBERNETES))
