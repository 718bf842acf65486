"""What a shell has to source."""

import shutil

import pytest
from click.testing import CliRunner

from kubectl_scim.main import cli


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "source <(kubectl completion bash)"),
        ("zsh", "source <(kubectl completion zsh)"),
        ("fish", "kubectl completion fish | source"),
    ],
)
def test_it_is_kubectls_own_completion_which_asks_the_plugin(
    monkeypatch: pytest.MonkeyPatch, shell: str, line: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    result = CliRunner().invoke(cli, ["completion", shell])
    assert (result.exit_code, result.stderr) == (0, "")
    first, second = result.stdout.splitlines()
    assert first.startswith("# ")
    assert second == line


def test_a_program_that_kubectl_would_not_find_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    result = CliRunner().invoke(cli, ["completion", "bash"])
    assert "kubectl_complete-scim is not on PATH" in result.stderr
    assert CliRunner().invoke(cli, ["completion", "cmd.exe"]).exit_code == 2
