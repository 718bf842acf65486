"""``simulate`` as people type it: it asks before it writes, shows each step, and cleans up."""

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kubectl_scim.main import cli
from kubectl_scim.scim_service import Answer
from scim_console.model import Denied
from support.played_kubectl import PlayedKubectl
from support.played_scim import PlayedScim
from support.scimtoken_objects import scimtoken


class World:
    def __init__(self, played: PlayedKubectl) -> None:
        self.played, self.scim = played, PlayedScim()
        self.used: list[Any] = []

    @contextlib.contextmanager
    def using(self, kubectl: object, token: Any, **options: Any) -> Iterator[PlayedScim]:
        self.used.append((token.name, options))
        yield self.scim


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    played = PlayedKubectl(tmp_path)
    monkeypatch.setenv("KUBECTL", str(played.program))
    played.answer("config", out="team")
    world = World(played)
    monkeypatch.setattr("kubectl_scim.reading.using", world.using)
    return world


def run(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["simulate", "entra", *arguments], input=input)


def test_each_step_is_shown_with_what_came_back(world: World) -> None:
    world.played.answer("get", out=scimtoken())
    result = run("--yes", "--port-forward")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split(maxsplit=1)[0] == "✓"
    assert "Test Connection" in lines[0]
    assert lines[-1].endswith("204, and it is gone")
    assert "see them come and go" in result.stderr
    [(name, options)] = world.used
    assert name == "entra"
    assert options["through_cluster"] is True
    assert options["agent"].startswith("scim-simulate/")


def test_it_writes_nothing_without_a_yes(world: World) -> None:
    world.played.answer("get", out=scimtoken())
    result = run(input="n\n")
    assert result.exit_code == 1
    assert "Continue?" in result.stderr
    assert world.used == []


def test_a_read_only_token_is_refused(world: World) -> None:
    world.played.answer("get", out=scimtoken(spec={"access": "ReadOnly"}))
    result = run("--yes")
    assert result.exit_code == 2
    assert "entra is ReadOnly" in result.stderr
    assert world.used == []


def test_a_step_that_fails_is_the_exit_code_and_moves_no_cursor(world: World) -> None:
    world.played.answer("get", out=scimtoken(spec={"groups": "Disabled"}))
    world.scim.wrong["POST", "Users"] = lambda _right: Answer(400, {"detail": "\x1b[31mno"})
    result = run("--yes", "-o", "json")
    assert result.exit_code == 1
    steps = {step["name"]: step for step in json.loads(result.stdout)}
    assert steps["user created"]["outcome"] == "failed"
    assert steps["group created"]["outcome"] == "skipped"
    assert "✗ user created" in run("--yes").stdout
    assert "\x1b" not in run("--yes").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_cleans_up_when_it_is_ended(world: World, number: signal.Signals) -> None:
    def ended(right: Answer) -> Answer:
        os.kill(os.getpid(), number)
        return right

    world.played.answer("get", out=scimtoken())
    world.scim.wrong["PATCH", "Groups"] = ended
    before = signal.getsignal(signal.SIGTERM)
    result = run("--yes")
    assert result.exit_code == 1
    assert result.stdout.count("cleaned up") == 2
    assert world.scim.resources == {"Users": {}, "Groups": {}}
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_refused_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise Denied("not accepted")

    world.played.answer("get", out=scimtoken())
    monkeypatch.setattr("kubectl_scim.reading.using", refuse)
    result = run("--yes")
    assert result.exit_code == 2
    assert "not accepted" in result.stderr
