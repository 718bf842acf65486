"""The commands of docs/entra-handover.md: kubectl's run as they are written; Microsoft's are looked at in their place."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster import ControlPlane
from support.debian import debian_program, jq
from support.installed import IDENTITY, ROOT
from support.microsoft import certificate_pem, key_pem, rsa_key

PAGE = (ROOT / "docs/entra-handover.md").read_text(encoding="utf-8")
ID = "0c9e37a2-5b0f-4b8e-9d0a-2d1f6a0c9e37"
INSTEAD_OF_MICROSOFT = f"""\
import json, os, sys
name = os.path.basename(sys.argv[0])
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
print({{"az": "{ID}"}}.get(name) or json.dumps({{"issuer": "i", "jwks_uri": "j", "access_token": "secret"}}))
"""
"""In the place of az and curl: notes how it was called, and answers an id, or JSON."""


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


@pytest.fixture
def home(installed: ControlPlane, tmp_path: Path) -> Path:
    """A directory with these commands, and with a certificate that cert-manager would have made."""
    (tmp_path / "kubectl").symlink_to(installed.tools.path("kubectl"))
    for program in (jq(), debian_program("openssl")):
        program.link(tmp_path)
    for name in ("az", "curl"):
        (tmp_path / name).write_text(f"#!{sys.executable}\n{INSTEAD_OF_MICROSOFT}", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "tls.crt").write_text(certificate_pem(), encoding="utf-8")
    (tmp_path / "tls.key").write_text(key_pem(rsa_key()), encoding="utf-8")
    return tmp_path


@pytest.fixture
def said(installed: ControlPlane, identity_namespace: str, home: Path) -> str:
    """What the commands of the page print, all of them in its order, in one shell that stops at a mistake."""
    installed.kubectl(
        "create", "secret", "tls", f"{IDENTITY}-tls", "-n", identity_namespace,
        f"--cert={home}/tls.crt", f"--key={home}/tls.key",
    )  # fmt: skip
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks("sh"))],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=home,
        env={
            "PATH": f"{home}:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(installed.kubeconfig),
            "CALLS": str(home / "calls"),
            "NO_PROXY": "127.0.0.1",
        },
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def calls(home: Path, *beginning: str) -> list[dict[str, str]]:
    """Options of each call of az that begins so."""
    found = []
    for line in (home / "calls").read_text(encoding="utf-8").splitlines():
        name, *words = json.loads(line)
        if name == "az" and tuple(words[: len(beginning)]) == beginning:
            options = words[len(beginning) :]
            found.append(
                {
                    word: after
                    for word, after in zip(options, [*options[1:], ""], strict=True)
                    if word[:2] == "--"
                }
            )
    return found


def test_the_commands_run_as_they_are_written(
    installed: ControlPlane, said: str, home: Path, identity_namespace: str
) -> None:
    lines = said.splitlines()
    assert "yes" in lines  # the operator may create the ServiceAccount's token
    assert '"access_token"' not in said
    assert (home / "hand-over.crt").read_text().startswith("-----BEGIN CERTIFICATE-----")
    secret = installed.kubectl(
        "get", "secret", IDENTITY, "-n", identity_namespace, "-o", "jsonpath={.data.client-secret}"
    )
    assert secret.stdout
    annotations = json.loads(
        installed.kubectl("get", "sct/entra", "-n", identity_namespace, "-o", "json").stdout
    )["metadata"]["annotations"]
    orders = {key.partition("/")[2] for key in annotations if key.startswith("scim-operator.io/")}
    assert orders == {"rotate", "revoke", "full-cycle", "provision-on-demand"}

    (federated,) = calls(home, "ad", "app", "federated-credential", "create")
    issuer = json.loads(installed.kubectl("get", "--raw", "/.well-known/openid-configuration").stdout)[
        "issuer"
    ]
    assert json.loads(federated["--parameters"]) == {
        "name": "scim-operator",
        "issuer": issuer,
        "subject": f"system:serviceaccount:{identity_namespace}:{IDENTITY}",
        "audiences": ["api://AzureADTokenExchange"],
    }
    bodies = [json.loads(call["--body"]) for call in calls(home, "rest") if "--body" in call]
    right = {"principalId": ID, "resourceId": ID, "appRoleId": ID}
    owner = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{ID}"}
    assert bodies == [right, owner, right]
    assert [call["--url"].rpartition(ID)[2] for call in calls(home, "rest")] == [
        "/synchronization/jobs",
        "/appRoleAssignments",
        "/owners/$ref",
        "/appRoleAssignments",
    ]


def objects() -> list[Any]:
    return [item for block in blocks("yaml") for item in yaml.safe_load_all(block) if "kind" in item]


def test_the_objects_of_the_page_are_accepted(installed: ControlPlane, identity_namespace: str) -> None:
    assert {item["kind"] for item in objects()} == {"ScimToken", "NetworkPolicy"}
    for item in objects():
        assert item["metadata"]["namespace"] in (identity_namespace, "scim-system")
        installed.kubectl("apply", "--dry-run=server", "-f", "-", input=json.dumps(item))
