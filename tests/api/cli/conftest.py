"""Commands that run in the tests' own process leave it as it was."""

from pathlib import Path

import pytest

from support.connection_command import ConnectionCommand


@pytest.fixture(autouse=True)
def logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """``serve`` sets logging up for its process, for good: later tests of this one would see nothing."""
    monkeypatch.setattr("scim_api.cli.main.configure", lambda level: None)


@pytest.fixture
def command(tmp_path: Path) -> ConnectionCommand:
    return ConnectionCommand(tmp_path)
