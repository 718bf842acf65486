"""``scim-api`` itself: its commands, and how options and environment reach ``serve``."""

import asyncio
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from scim_api.cli.main import main, serve
from scim_api.server.settings import ApiSettings, SettingsError


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[ApiSettings]:
    """What ``serve`` was called with; nothing is served and nothing of this process is changed."""
    calls: list[ApiSettings] = []

    async def remember(settings: ApiSettings) -> None:
        calls.append(settings)
        if settings.port == 1:
            raise SettingsError("can't listen on 127.0.0.1:1; choose another --port")

    monkeypatch.setattr("scim_api.server.serve.serve", remember)
    return calls


def test_what_serves_runs_on_uvloop_and_changes_no_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[str] = []

    async def remember(_settings: object) -> None:
        loops.append(type(asyncio.get_running_loop()).__module__)

    monkeypatch.setattr("scim_api.server.serve.serve", remember)
    monkeypatch.setattr("scim_api.server.deliver.deliver", remember)
    before = asyncio.new_event_loop()
    before.close()
    for command in ("serve", "deliver"):
        result = CliRunner().invoke(main, [command, "--database-url", "sqlite:///nowhere.db"])
        assert result.exit_code == 0, result.output
    after = asyncio.new_event_loop()
    after.close()
    assert loops == ["uvloop", "uvloop"]
    assert type(after) is type(before)


def test_every_command_is_there_and_explains_itself() -> None:
    names = main.list_commands(click.Context(main))
    assert set(names) == {
        "serve",
        "migrate",
        "copy",
        "backup",
        "connection",
        "reader",
        "console",
        "webhook",
        "deliver",
    }
    for name in names:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        for option in ("-h", "--help"):
            shown = CliRunner().invoke(main, [name, option])
            assert shown.exit_code == 0, (name, option, shown.output)
        assert command.help
        assert "\b" not in shown.output
        assert "\\b" not in shown.output


def test_the_version_is_that_of_the_installed_package() -> None:
    shown = CliRunner().invoke(main, ["--version"]).output
    assert shown == f"scim-api, version {version('scim-operator')}\n"


def test_every_option_of_serve_is_a_setting_and_tells_its_default() -> None:
    fields = ApiSettings.model_fields
    options = {option.name: option for option in serve.params if isinstance(option, click.Option)}
    assert set(fields) - set(options) == {"shutdown_seconds"}  # of interest to the chart alone
    assert set(options) <= set(fields)
    for name in (
        "host", "port", "internal_host", "log_level", "max_connections", "head_seconds", "body_seconds",
        "change_retention_days",
    ):  # fmt: skip
        default = fields[name].default
        shown = f"{default:g}" if isinstance(default, float) else default
        assert f"[default: {shown}]" in (options[name].help or "")


def test_options_reach_the_service(served: list[ApiSettings], tmp_path: Path) -> None:
    given = {
        "database_url": "postgresql://me@host/db", "host": "10.0.0.1", "port": 81, "internal_host": "10.0.0.2",
        "internal_port": 82, "public_url": "https://scim.example.com/scim/v2", "admin_keys_dir": tmp_path,
        "log_level": "warning", "max_connections": 11, "head_seconds": 1.5, "body_seconds": 2.5,
    }  # fmt: skip
    arguments = [
        part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    done = CliRunner().invoke(main, ["serve", *arguments])
    assert done.exit_code == 0, done.output
    assert served[0].model_dump(include=set(given)) == given


def test_an_option_left_out_is_left_to_the_environment(served: list[ApiSettings]) -> None:
    environment = {"SCIM_API_PORT": "83", "SCIM_API_LOG_LEVEL": "error"}
    assert CliRunner().invoke(main, ["serve", "--log-level", "debug"], env=environment).exit_code == 0
    assert (served[0].port, served[0].log_level) == (83, "debug")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--port", "70000"], 2, "70000 is not in the range"),
        (["--log-level", "loud"], 2, "'loud' is not one of"),
        (["--public-url", "scim.example.com"], 1, "write an absolute URL"),
        (["--port", "1"], 1, "Error: can't listen on 127.0.0.1:1; choose another --port"),
    ],
)
def test_what_serve_refuses_is_told_in_words(
    served: list[ApiSettings], arguments: list[str], status: int, message: str
) -> None:
    done = CliRunner().invoke(main, ["serve", *arguments])
    assert done.exit_code == status
    assert message in done.stderr
    assert isinstance(done.exception, SystemExit)


def test_the_command_line_starts_without_what_only_the_service_needs() -> None:
    code = "import sys, scim_api.cli.main; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(re.split(r"\s", done.stdout))
    assert "scim_api.cli.main" in loaded
    assert not loaded & {"uvicorn", "fastapi", "uvloop", "apsw", "asyncpg"}
