"""The command line: what it asks kubectl, prints, asks people, and exits with."""

import base64
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from kubectl_scim.main import cli
from scim_console.server import PortInUse
from support.installation_objects import pod, scimwebhook
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import condition, credential, scimtoken

FINE = scimtoken(
    credentials=(credential(lastUsedAt="2099-01-01T00:00:00Z", expiresAt="2099-02-01T00:00:00Z"),)
)
WRONG = scimtoken(condition("Ready", "False", "SecretNotOwned", "it is another's"))
AFTER = scimtoken(credentials=(credential("t2"), credential("t1", "Revoked")))
SECRET = {
    "data": {
        "endpoint": base64.b64encode(b"https://x").decode(),
        "token": base64.b64encode(b"sct_1").decode(),
    }
}


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlayedKubectl:
    played = PlayedKubectl(tmp_path)
    monkeypatch.setenv("KUBECTL", str(played.program))
    played.answer("config", out="team")
    return played


def run(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=input)


@pytest.mark.parametrize(("body", "code"), [(FINE, 0), (WRONG, 1)])
def test_status_exits_with_whether_something_is_wrong(played: PlayedKubectl, body: object, code: int) -> None:
    played.answer("secret")
    played.answer("scimwebhooks.scim-operator.io", out={"items": []})
    played.answer("get", out=body)
    result = run("status", "entra")
    assert result.exit_code == code
    assert "ScimToken team/entra" in result.stdout


def test_suggested_commands_act_where_the_caller_does(played: PlayedKubectl) -> None:
    played.answer("secret", out={"data": {}})
    played.answer("scimwebhooks.scim-operator.io", out={"items": [scimwebhook(observedGeneration=0)]})
    played.answer("get", "scimtokens.scim-operator.io", "entra", out=WRONG)
    played.answer("get", "scimtokens.scim-operator.io", out={"items": [WRONG]})
    played.answer("/version", err="no answer", code=1)
    played.answer("version", out={"clientVersion": {"gitVersion": "v1.37.2"}})
    there, flags = ("--context", "pro d"), "'--context=pro d'"
    assert f"next: kubectl get {flags} secret entra-scim-token" in run("status", "entra", *there).stdout
    table = run("status", *there)
    assert f"next for app: kubectl get {flags} pods" in table.stdout
    assert f"details and next steps: kubectl scim status {flags} NAME -n team" in table.stderr
    document = json.loads(run("status", "entra", "-o", "json", *there).stdout)
    assert document["problems"][0]["command"].startswith(f"kubectl get {flags} secret")
    assert f"kubectl scim status {flags} entra -n team" in run("credentials", "entra", *there).stderr
    assert f"kubectl scim status {flags} entra -n team" in run("revoke", "entra", "x", *there).stderr
    assert f"kubectl cluster-info {flags};" in run("doctor", *there).stdout
    assert f"kubectl cluster-info {flags};" in run("doctor", "-o", "json", *there).stdout


def test_status_of_all_is_a_table_of_the_namespace(played: PlayedKubectl) -> None:
    played.answer("scimwebhooks.scim-operator.io", out={"items": []})
    played.answer("get", out={"items": [FINE, WRONG]})
    flags = ("--context", "there", "--as", "ada", "--as-group", "a", "--as-group", "b")
    result = run("status", "-n", "other", *flags)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 3
    assert played.calls == [
        [
            "--context=there",
            "--as=ada",
            "--as-group=a",
            "--as-group=b",
            "get",
            f"{kind}.scim-operator.io",
            "-o",
            "json",
            "-n",
            "other",
        ]
        for kind in ("scimtokens", "scimwebhooks")
    ]


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_status_is_written_for_programs(played: PlayedKubectl, form: str, read: object) -> None:
    played.answer("secret")
    played.answer("scimwebhooks.scim-operator.io", out={"items": []})
    played.answer("get", out=WRONG)
    document = read(run("status", "entra", "-o", form).stdout)  # type: ignore[operator]
    assert [one["subject"] for one in document["problems"]] == ["Ready: SecretNotOwned"]


def test_status_has_the_webhooks_of_the_tenant_or_all(played: PlayedKubectl) -> None:
    played.answer("secret")
    failing = scimwebhook(condition("Delivering", "False", "Failing", "503"))
    others = scimwebhook(name="others", tenant="another")
    played.answer("scimwebhooks.scim-operator.io", out={"items": [failing, others]})
    played.answer("scimtokens.scim-operator.io", "entra", out=FINE)
    played.answer("scimtokens.scim-operator.io", out={"items": [FINE]})
    one, all_ = run("status", "entra"), run("status")
    assert (one.exit_code, all_.exit_code) == (1, 1)
    assert "ScimWebhook app  Failing" in one.stdout
    assert "others" not in one.stdout
    assert "others" in all_.stdout
    document = json.loads(run("status", "-o", "json").stdout)
    assert [one["name"] for one in document["scimTokens"]] == ["entra"]
    assert [one["name"] for one in document["scimWebhooks"]] == ["app", "others"]
    assert document["scimWebhooks"][0]["problems"][0]["subject"] == "ScimWebhook app: Failing"


@pytest.mark.parametrize(
    "said",
    [
        'error: the server doesn\'t have a resource type "scimwebhooks"',
        'Error from server (Forbidden): scimwebhooks is forbidden: User "x" cannot list',
    ],
)
def test_status_says_why_there_are_no_webhooks_to_be_seen_and_does_not_fail(
    played: PlayedKubectl, said: str
) -> None:
    played.answer("secret")
    played.answer("scimwebhooks.scim-operator.io", err=said, code=1)
    played.answer("get", out=FINE)
    result = run("status", "entra")
    assert result.exit_code == 0
    assert "ScimWebhooks not checked: " in result.stderr
    assert "ScimToken team/entra  ✓ nothing is wrong" in result.stdout


def test_without_the_right_to_read_secrets_status_works_and_says_what_is_missing(
    played: PlayedKubectl,
) -> None:
    played.answer(
        "secret", err='Error from server (Forbidden): secrets "entra-scim-token" is forbidden', code=1
    )
    played.answer("scimwebhooks.scim-operator.io", out={"items": []})
    played.answer("get", out=FINE)
    result = run("status", "entra")
    assert result.exit_code == 0
    assert "not checked: secrets" in result.stdout
    assert "ScimToken team/entra  ✓ nothing is wrong" in result.stdout
    assert json.loads(run("status", "entra", "-o", "json").stdout)["secretError"].startswith("not checked")


def test_a_secret_that_is_not_there_is_wrong_whatever_the_output(played: PlayedKubectl) -> None:
    played.answer("secret", err='Error from server (NotFound): secrets "x" not found', code=1)
    played.answer("scimwebhooks.scim-operator.io", out={"items": []})
    played.answer("scimtokens.scim-operator.io", "entra", out=FINE)
    played.answer("scimtokens.scim-operator.io", out={"items": [FINE]})
    assert [run("status", "entra", *more).exit_code for more in ((), ("-o", "json"))] == [1, 1]
    assert [run("status", *more).exit_code for more in ((), ("-o", "json"))] == [0, 0]


def test_what_can_not_be_told_exits_with_2(played: PlayedKubectl) -> None:
    played.answer("get", err='Error from server (NotFound): scimtokens "x" not found', code=1)
    result = run("status", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "not found" in result.stderr
    assert run("status", "x", "-A").exit_code == 2


def test_an_empty_namespace_says_what_to_do(played: PlayedKubectl) -> None:
    played.answer("get", out={"items": []})
    result = run("status")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "kubectl explain sct.spec" in result.stderr


def test_credentials_hide_what_is_secret_until_it_is_asked_for(played: PlayedKubectl) -> None:
    played.answer("secret", out=SECRET)
    played.answer("get", out=FINE)
    hidden, shown = run("credentials", "entra"), run("credentials", "entra", "--show")
    assert "sct_1" not in hidden.output
    assert "Secret Token" in hidden.stdout
    assert "sct_1" in shown.stdout


def test_credentials_that_are_not_there_yet_are_told(played: PlayedKubectl) -> None:
    played.answer("secret", out={"data": {}})
    played.answer("get", out=FINE)
    result = run("credentials", "entra")
    assert result.exit_code == 2
    assert "has no endpoint yet: kubectl scim status entra -n team" in result.stderr


def test_a_revocation_is_asked_about_and_not_made_without_a_yes(played: PlayedKubectl) -> None:
    played.answer("--watch", out=AFTER, hang=True)
    played.answer("patch")
    played.answer("get", out=FINE)
    refused = run("revoke", "entra", "t1", input="n\n")
    assert refused.exit_code == 1
    assert "rejected at once: t1 (Active)" in refused.stderr
    assert not any("patch" in call for call in played.calls)
    done = run("revoke", "entra", "--leaked", "--yes")
    assert (done.exit_code, done.stdout) == (0, "rejected from now on: t1; Secret entra-scim-token has t2\n")
    [patch] = [call[-1] for call in played.calls if "patch" in call]
    assert (
        json.loads(patch)["metadata"]["annotations"]["scim-operator.io/revoke"]
        == "all-before/2026-11-20T12:00:01Z"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("revoke", "entra"), 2, "name one ID"),
        (("revoke", "entra", "t1", "--leaked"), 2, "name one ID"),
        (("revoke", "entra", "t9", "--yes"), 2, "has no credential t9; kubectl scim status entra -n team"),
        (("revoke", "entra", "--all-superseded", "--yes"), 2, "nothing to revoke"),
    ],
)
def test_what_can_not_be_revoked_is_told(
    played: PlayedKubectl, arguments: tuple[str, ...], code: int, said: str
) -> None:
    played.answer("get", out=FINE)
    result = run(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert not any("patch" in call for call in played.calls)


def test_a_rotation_asks_only_where_requests_are_rejected(played: PlayedKubectl) -> None:
    played.answer("--watch", out=AFTER, hang=True)
    played.answer("patch")
    played.answer("get", out=FINE)
    assert run("rotate", "entra").exit_code == 0
    assert run("suspend", "entra", "--timeout", "0.3").exit_code == 2  # the operator does nothing here


def test_doctor_prints_each_line_with_what_to_do_and_exits_with_the_outcome(played: PlayedKubectl) -> None:
    played.answer("version", "--client", out={"clientVersion": {"gitVersion": "v1.37.2"}})
    played.answer("/version", err="no answer \x1b[31m from there", code=1)
    result = run("doctor", "entra")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        r"✗ kubectl and server  no answer \x1b[31m from there",
        "  next: kubectl cluster-info; is the context the right one?",
        "1 failed",
    ]
    document = json.loads(run("doctor", "-o", "json").stdout)
    assert document["exitCode"] == 1
    assert [(one["name"], one["outcome"]) for one in document["checks"]] == [("kubectl and server", "failed")]


@pytest.fixture
def small(played: PlayedKubectl, monkeypatch: pytest.MonkeyPatch) -> PlayedKubectl:
    """A cluster whose server does not answer the doctor, and that has one log."""
    played.answer("version", "--client", out={"clientVersion": {"gitVersion": "v1.37.2"}})
    played.answer("/version", err="no answer", code=1)
    played.answer("pods", out={"items": [pod("api", "api-1")]})
    played.answer("get", out={"items": []})
    monkeypatch.setattr("kubectl_scim.commands.doctor.kubectl_of", lambda _options: played.in_process())
    return played


def test_a_bundle_is_written_for_its_owner_alone_and_never_over_another_file(
    small: PlayedKubectl, tmp_path: Path
) -> None:
    small.answer("logs", out="ada@example.com came with Bearer abc12345\n")
    archive = tmp_path / "out.tar.gz"
    result = run("doctor", "--bundle", str(archive))
    assert result.exit_code == 1
    assert "1 secrets and 1 people taken out" in result.stderr
    assert archive.stat().st_mode & 0o777 == 0o600
    with tarfile.open(archive) as tar:
        log = tar.extractfile("kubectl-scim-bundle/logs/scim-system/api-1/main.log")
        assert log is not None
        assert log.read() == b"person-1@redacted came with [redacted: Authorization header]\n"
    again = run("doctor", "--bundle", str(archive))
    assert (again.exit_code, again.stdout) == (2, "")
    assert "exists" in again.stderr


def test_a_bundle_with_something_suspicious_is_not_written_until_that_file_is_left_out(
    small: PlayedKubectl, tmp_path: Path
) -> None:
    small.answer("logs", out="well\nit was aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1aB1\n")
    archive, log = tmp_path / "out.tar.gz", "logs/scim-system/api-1/main.log"
    refused = run("doctor", "--bundle", str(archive))
    assert refused.exit_code == 2
    assert f"{log} line 2: long random text" in refused.stderr
    assert not archive.exists()
    assert "it has README.txt" in run("doctor", "--bundle", str(archive), "--exclude", "x").stderr
    assert run("doctor", "--bundle", str(archive), "--exclude", log).exit_code == 1
    with tarfile.open(archive) as tar:
        assert not any(name.endswith(".log") for name in tar.getnames())


def test_it_starts_without_what_it_does_not_use() -> None:
    program = "import sys, kubectl_scim.main; print([one for one in sys.modules if one.split('.')[0] in ('rich', 'yaml', 'httpx', 'kubernetes', 'pydantic')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_help_teaches() -> None:
    text = run("--help").stdout
    listed = text.partition("Commands:")[2].split("\n")
    assert all(line.endswith(".") and "..." not in line for line in listed if line), "whole sentences"
    for command in ("status", "credentials", "doctor", "rotate", "revoke", "suspend", "resume"):
        assert command in text
        assert "--context" in run(command, "--help").stdout


def test_the_console_is_opened_in_a_browser_unless_it_is_not_wanted(
    played: PlayedKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[str, int, bool]] = []

    def serve(source: Any, port: int, announce: Any, open_browser: object) -> None:
        served.append((source.place, port, open_browser is not None))
        announce("http://127.0.0.1:4711/open?key=x")

    monkeypatch.setattr("scim_console.server.serve", serve)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    result = run("console")
    assert (result.exit_code, result.stdout) == (0, "http://127.0.0.1:4711/open?key=x\n")
    assert "opens the console once" in result.stderr
    run("console", "--no-browser", "--port", "4711", "-n", "other")
    run("console", "-A")
    assert served == [
        ("team · team", 0, True),
        ("team · other", 4711, False),
        ("team · all namespaces", 0, True),
    ]
    assert run("console", "-A", "-n", "x").exit_code == 2
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    assert "ssh -L 4711:127.0.0.1:4711" in run("console").stderr
    assert "ssh" not in run("console", "--no-browser").stderr
    assert [one[2] for one in served[-2:]] == [False, False]


def test_a_port_that_the_console_cannot_have_is_told(
    played: PlayedKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(*_arguments: object) -> None:
        raise PortInUse("port 4711 of 127.0.0.1 is not free: leave --port out")

    monkeypatch.setattr("scim_console.server.serve", serve)
    result = run("console", "--port", "4711")
    assert result.exit_code == 2
    assert result.stderr == "Error: port 4711 of 127.0.0.1 is not free: leave --port out\n"
