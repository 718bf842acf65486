"""An older backup comes back: what was issued since works again, and what was revoked since can be ended."""

import shutil
import subprocess
import sys
from pathlib import Path

from support.stack import Stack, until

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
