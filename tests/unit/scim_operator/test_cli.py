"""What a person types: help that teaches, settings as understood, and mistakes in one line."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from scim_operator.api import crd
from scim_operator.cli import cli
from scim_operator.settings import RENAMED, OperatorSettings

NEEDED = {
    "SCIM_OPERATOR_ENDPOINT_URL": "https://scim.example.com/scim/v2",
    "SCIM_OPERATOR_ADMIN_URL": "http://scim-api-internal:8081",
}


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*OperatorSettings.model_fields, *RENAMED):
        monkeypatch.delenv(f"SCIM_OPERATOR_{name.upper()}", raising=False)


def typed(*words: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, words, env=env)


@pytest.mark.parametrize("command", ["run", "release", "apply", "self-test", "crd"])
def test_every_command_has_help_in_a_sentence(command: str) -> None:
    shown = typed(command, "--help")
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage: cli " + command)
    assert len(shown.output.splitlines()) > 3
    assert "\\b" not in shown.output
    assert command in typed("--help").output


def test_settings_are_shown_as_understood_and_nothing_is_started() -> None:
    shown = typed("run", "--show-settings", env={**NEEDED, "SCIM_OPERATOR_WATCH_NAMESPACES": "red, blue"})
    assert shown.exit_code == 0
    assert "SCIM_OPERATOR_WATCH_NAMESPACES=red,blue\n" in shown.output
    assert "SCIM_OPERATOR_DELETION_LIMIT_COUNT=5\n" in shown.output


@pytest.mark.parametrize("command", ["run", "release"])
def test_a_missing_setting_is_one_line_and_no_traceback(command: str) -> None:
    shown = typed(command)
    assert shown.exit_code == 1
    assert "Error: SCIM_OPERATOR_ENDPOINT_URL is not set" in shown.output
    assert "Traceback" not in shown.output


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_renamed_setting_is_refused_with_its_new_name(old: str, new: str) -> None:
    shown = typed("run", "--show-settings", env={**NEEDED, f"SCIM_OPERATOR_{old}": "5"})
    assert shown.exit_code == 1
    assert shown.output == f"Error: SCIM_OPERATOR_{old} is now SCIM_OPERATOR_{new}: rename it\n"


def test_a_renamed_settings_new_name_exists() -> None:
    fields = {name.upper() for name in OperatorSettings.model_fields}
    assert set(RENAMED.values()) <= fields
    assert not set(RENAMED) & fields


def test_the_crds_are_printed_for_kubectl_apply() -> None:
    printed = list(yaml.safe_load_all(typed("crd").output))
    assert printed == [crd.custom_resource_definition(kind) for kind in crd.KINDS]


def test_a_file_that_holds_something_else_is_refused_before_kubernetes_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "secret.yaml"
    file.write_text("kind: Secret\napiVersion: v1\nmetadata: {name: x}\n")
    shown = typed("apply", "-f", str(file))
    assert shown.exit_code == 1
    assert "document 1 is no ScimToken" in shown.output
