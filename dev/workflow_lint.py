"""What `make lint` asks of .github: actionlint for whether the workflows work, zizmor for whether they are safe.

Both without the network. actionlint is built once from its Go module, as the Kubernetes tools are; zizmor is one of
the locked dependencies. ``python -m workflow_lint [CHECKOUT]``.
"""

import argparse
import subprocess
import sysconfig
from pathlib import Path
from typing import Final

from localcluster.build import build_project
from localcluster.errors import ClusterError
from localcluster.projects import ACTIONLINT

ROOT: Final = Path(__file__).resolve().parents[1]
# Without what happens to be installed: every machine gets the same answer.
_ACTIONLINT: Final = ("-no-color", "-shellcheck=", "-pyflakes=")
_SCRIPTS: Final = Path(sysconfig.get_path("scripts"))
_ZIZMOR: Final = ("--offline", "--no-progress", "--quiet", "--strict-collection", "--persona=pedantic")


def lint(checkout: Path) -> list[str]:
    """The names of the linters that found something in the checkout's .github; their findings are printed.

    Raises:
        ClusterError: Go is missing, or actionlint could not be built.
    """
    actionlint = build_project(ACTIONLINT) / "actionlint"
    workflows = sorted(map(str, (checkout / ".github/workflows").glob("*.y*ml")))
    commands = {
        "actionlint": [str(actionlint), *_ACTIONLINT, *workflows],
        "zizmor": [str(_SCRIPTS / "zizmor"), *_ZIZMOR, str(checkout / ".github")],
    }
    return [
        name for name, command in commands.items() if subprocess.run(command, check=False).returncode != 0
    ]


def main() -> None:
    """Exit code 1 when one of them found something."""
    parser = argparse.ArgumentParser(
        "python -m workflow_lint",
        description="actionlint and zizmor on the workflows of a checkout, without the network.",
    )
    parser.add_argument("checkout", type=Path, nargs="?", default=ROOT, help="default: this one")
    checkout: Path = parser.parse_args().checkout
    if not (checkout / ".github/workflows").is_dir():
        parser.error(f"{checkout} has no .github/workflows; name a checkout")
    try:
        refused = lint(checkout)
    except ClusterError as error:
        raise SystemExit(f"workflow_lint: {error}") from None
    if refused:
        raise SystemExit(f"workflow_lint: {' and '.join(refused)} found something in {checkout / '.github'}")


if __name__ == "__main__":
    main()
