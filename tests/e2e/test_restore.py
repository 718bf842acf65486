"""An older backup comes back: what was issued since works again, and what was revoked since can be ended."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from localcluster import ControlPlane, Tools
from support.debian import jq
from support.stack import ROOT, Stack, running, until

NAME = "entra"


def test_after_the_restore_of_an_older_copy_tokens_issued_since_work_and_a_revocation_is_repeated(
    stack: Stack, namespace: str, tmp_path: Path
) -> None:
    stack.apply(namespace, NAME)
    revoked = stack.wait_ready(namespace, NAME)["token"]
    [first] = stack.object(namespace, NAME)["status"]["tokens"]
    database, copy = stack.directory / "scim.db", tmp_path / "copy.db"
    command = [sys.executable, "-m", "scim_api.cli.main", "backup", str(copy), "--database-url"]
    subprocess.run([*command, f"sqlite:///{database}"], check=True, timeout=60, capture_output=True)

    def rotate(value: str, before: str) -> str:
        stack.kubectl(
            "annotate", "sct", NAME, "-n", namespace, f"scim-operator.io/rotate={value}", "--overwrite"
        )
        found: str = until(
            "the Secret has a new token",
            lambda: (now := stack.secret(namespace, f"{NAME}-scim-token").get("token")) != before and now,
            shown=lambda: stack.story(namespace, NAME),
        )
        stack.wait_ready(namespace, NAME)
        return found

    superseded = rotate("first", revoked)
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/revoke=all-superseded")
    until("the first token is refused", lambda: stack.ask(revoked) == 401, 10)
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/revoke-")
    present = rotate("second", superseded)
    expected = [401, 200, 200]
    assert [stack.ask(token) for token in (revoked, superseded, present)] == expected

    assert stack.api is not None
    stack.api.stop()
    for path in stack.directory.glob("scim.db*"):
        path.unlink()
    shutil.copyfile(copy, database)
    stack.start_api()

    until(
        "the tokens that came after the copy work again",
        lambda: [stack.ask(token) for token in (superseded, present)] == [200, 200],
        shown=lambda: stack.story(namespace, NAME),
    )
    assert stack.secret(namespace, f"{NAME}-scim-token")["token"] == present
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, f"scim-operator.io/revoke={first['id']}")
    until(
        "all is as it was before the restore",
        lambda: [stack.ask(token) for token in (revoked, superseded, present)] == expected,
        shown=lambda: stack.story(namespace, NAME),
    )
    stack.kubectl("delete", "sct", "--all", "-n", namespace, "--wait=false")


def test_into_a_new_cluster_by_the_documented_commands_every_token_goes_on(
    tools: Tools, tmp_path: Path
) -> None:
    """Key, ScimTokens and Secrets by the commands of docs/backup.md; the database is carried over as it is."""
    with ControlPlane.start(tools) as plane, running(Stack(plane, directory(tmp_path, "old"))) as old:
        plane.kubectl("create", "namespace", "team")
        for name in (NAME, "other"):
            old.apply("team", name, tenant="contoso")
        superseded = old.wait_ready("team", NAME)["token"]
        old.kubectl("annotate", "sct", NAME, "-n", "team", "scim-operator.io/rotate=now")
        until("rotated", lambda: old.secret("team", f"{NAME}-scim-token")["token"] != superseded)
        present = [old.wait_ready("team", name)["token"] for name in (NAME, "other")]
        follow(plane, tmp_path, "> admin-key.json")
    database = f"sqlite:///{tmp_path / 'old/scim.db'}"
    with ControlPlane.start(tools) as plane:
        stack = Stack(plane, directory(tmp_path, "new"), database_url=database)
        follow(plane, tmp_path, "admin-key.json | kubectl create")
        stack.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        plane.wait_established("scimtokens.scim-operator.io")
        follow(plane, tmp_path, "secrets.json | kubectl create")
        with running(stack):
            now = [stack.wait_ready("team", name)["token"] for name in (NAME, "other")]
            assert now == present
            assert [stack.ask(token) for token in (superseded, *present)] == [200, 200, 200]
            events = stack.kubectl("get", "events", "-n", "team")
            assert "PredecessorRevoked" not in events
            assert "NamespaceMismatch" not in events


def directory(parent: Path, name: str) -> Path:
    made = parent / name
    made.mkdir()
    return made


def follow(plane: ControlPlane, home: Path, word: str) -> None:
    """Run the block of the page in which this stands, with an administrator's kubectl."""
    page = (ROOT / "docs/backup.md").read_text(encoding="utf-8")
    (block,) = (
        text for text in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) if word in text
    )
    kubectl = home / "kubectl"
    if not kubectl.exists():
        kubectl.symlink_to(plane.tools.path("kubectl"))
        jq().link(home)
    environment = {
        "PATH": f"{home}:{os.environ['PATH']}",
        "HOME": str(home),
        "KUBECONFIG": str(plane.kubeconfig),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=home, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
