"""Commands that run in the tests' own process leave it as it was."""

import pytest


@pytest.fixture(autouse=True)
def logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """``serve`` sets logging up for its process, for good: later tests of this one would see nothing."""
    monkeypatch.setattr("scim_api.cli.main.configure", lambda level: None)
