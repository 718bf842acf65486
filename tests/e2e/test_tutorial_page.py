"""The second half of docs/tutorial.md: its commands run as they are written, against operator, API and Kubernetes."""

import os
import re
import subprocess
import sys
from pathlib import Path

from support.stack import ROOT, Stack

KUBERNETES = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8").partition("\n## On Kubernetes\n")[2]
UV = '#!/bin/sh\n[ "$1" = run ] || exit 64\nshift\nexec "$@"\n'
"""In the place of uv: the environment is there already."""


def test_what_is_typed_gives_a_secret_and_another_token_and_ends_the_old_one(
    stack: Stack, tmp_path: Path
) -> None:
    (tmp_path / "kubectl").symlink_to(stack.control_plane.tools.path("kubectl"))
    (tmp_path / "uv").write_text(UV, encoding="utf-8")
    (tmp_path / "uv").chmod(0o755)
    blocks = re.findall(r"^```sh\n(.*?)^```$", KUBERNETES, re.MULTILINE | re.DOTALL)
    try:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
            cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
            env={
                "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "KUBECONFIG": str(stack.control_plane.kubeconfig),
            },
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + stack.story("default", "tutorial")
        tokens = stack.object("default", "tutorial")["status"]["tokens"]
        assert sorted(token["state"] for token in tokens) == ["Active", "Revoked"]
        assert "/scim/v2" in done.stdout
    finally:
        stack.kubectl("delete", "sct", "tutorial", "-n", "default", "--ignore-not-found")
