"""What may follow on a command line, as kubectl asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from kubectl_scim import complete
from kubectl_scim.commands.look import status
from kubectl_scim.complete import FILES, NO_FILES, completed
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import credential, scimtoken


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedKubectl:
    played = PlayedKubectl(tmp_path)
    monkeypatch.setattr(complete, "Kubectl", lambda flags: played.in_process().__class__(flags))
    played.answer("namespaces", out="namespace/team\nnamespace/test\nnamespace/other\n")
    played.answer("get-contexts", out="here\nthere/with-a-slash\n")
    played.answer(
        "entra",
        out=scimtoken(
            credentials=(credential("t2"), credential("t1", "Superseded"), credential("t0", "Revoked"))
        ),
    )
    played.answer("get", out="scimtoken.scim-operator.io/entra\nscimtoken.scim-operator.io/reports\n")
    return played


def _values(*words: str) -> list[str]:
    return [value for value, _ in completed(words)[0]]


def test_commands_are_completed_with_what_they_do(played: PlayedKubectl) -> None:
    found, directive = completed(["s"])
    assert [value for value, _ in found] == ["status", "simulate", "suspend"]
    assert dict(found)["suspend"] == "Suspend rotation"
    assert directive == NO_FILES
    assert played.calls == []


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("status", ""), ["entra", "reports"]),
        (("status", "r"), ["reports"]),
        (("status", "-A", "e"), ["entra"]),
        (("status", "entra", ""), []),
        (("revoke", "entra", ""), ["t2", "t1"]),
        (("revoke", "-n", "team", "entra", "t1"), ["t1"]),
        (("revoke", "entra", "--all-s"), ["--all-superseded"]),
        (("rotate", "entra", "--t"), ["--timeout"]),
        (("status", "-o", ""), ["json", "yaml"]),
        (("status", "--output=y"), ["--output=yaml"]),
        (("status", "-n", "te"), ["team", "test"]),
        (("status", "--namespace=o"), ["--namespace=other"]),
        (("status", "--context", ""), ["here", "there/with-a-slash"]),
        (("status", "--as", ""), []),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("nonsense", ""), []),
        (("--help", ""), _values("")),
    ],
)
def test_what_may_follow_is_completed(
    played: PlayedKubectl, words: tuple[str, ...], values: list[str]
) -> None:
    assert _values(*words) == values


def test_flags_that_were_given_are_not_offered_again(played: PlayedKubectl) -> None:
    assert FILES == 0, "cobra's number"
    assert ("--namespace", "Default") in completed(["doctor", "--"])[0]
    assert "--namespace" not in _values("doctor", "-n", "team", "--")
    assert "--exclude" in _values("doctor", "--exclude", "x", "--")


def test_kubectl_is_asked_with_the_flags_on_the_line_and_not_for_long(played: PlayedKubectl) -> None:
    completed(["status", "--context=there", "--namespace", "team", ""])
    assert played.calls == [
        ["get", "scimtokens.scim-operator.io", "-n", "team", "-o", "name", "--request-timeout=2s"]
    ]
    line = complete._Line(status, ["--context=there", "--as", "ada"])
    assert line.kubectl().flags == ("--context=there", "--as=ada")


@pytest.mark.parametrize("words", [("doctor", "--bundle", ""), ("status", "--kubeconfig", "")])
def test_files_are_left_to_the_shell(played: PlayedKubectl, words: tuple[str, ...]) -> None:
    assert completed(words) == ([], FILES)


def test_what_can_not_be_found_out_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = PlayedKubectl(tmp_path)
    played.answer("get", err="Unable to connect to the server", code=1)
    monkeypatch.setattr(complete, "Kubectl", lambda flags: played.in_process())
    assert completed(["status", ""]) == ([], NO_FILES)
    assert completed([""])[0]


def test_it_prints_what_kubectl_reads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-scim", "completion", "b"])
    complete.main()
    assert capsys.readouterr().out == "bash\n:4\n"
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-scim", "resu"])
    complete.main()
    assert capsys.readouterr().out == "resume\tResume rotation\n:4\n"


def test_it_starts_without_what_it_does_not_use() -> None:
    program = "import sys, kubectl_scim.complete as c; c.completed(['']); print([one for one in sys.modules if one.split('.')[0] in ('rich', 'yaml', 'httpx', 'jinja2', 'pydantic')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
