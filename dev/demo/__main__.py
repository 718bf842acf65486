"""``python -m demo``: see the package."""

import contextlib
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from demo import hand_over, installation
from demo.cluster import Way
from demo.console import Console, DemoFailed, masked
from demo.processes import ProcessFailed
from demo.sign_in import IDENTITY
from demo.story import Story
from entra_standin.key_server import KeyServer
from entra_standin.signing_keys import SigningKeys
from localcluster import ClusterError

ROOT: Final = Path(__file__).resolve().parents[2]
FAILED: Final = 1
INTERRUPTED: Final = 130
"""What a shell reports for a program that Ctrl-C ended."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--keep", "mode", flag_value="keep", help="Leave all running, and print how to use it.")
@click.option("--stop", "mode", flag_value="stop", help="End what --keep left running.")
@click.option(
    "--kubernetes",
    "only",
    type=click.Choice([way.value for way in Way]),
    help="Take it from there alone. By default from the first of these that is open.",
)
def main(mode: str | None, only: str | None) -> None:
    """A ScimToken becomes a Secret, people are provisioned with it, and it rotates without a rejection.

    It needs a Kubernetes API and takes the first that it can have here:

    \b
    cached    what was built or downloaded before: it starts in seconds
    kind      a cluster of its own, where kind and kubectl are installed and
              a container engine answers; your kubeconfig is left alone
    download  etcd, kube-apiserver and kubectl as setup-envtest takes them,
              from github.com, compared with the SHA-512 in this checkout
    build     the same from their Go modules: minutes once

    It says which, and why not those before. What was downloaded or built stays in the user's cache; a cluster
    of kind's ends with the demo.
    """  # noqa: D301 (click's mark for lines that stay as they are)
    console = Console()
    if mode == "stop":
        console.step("stopped" if installation.stop_kept() else "nothing was left running")
        return
    console.title("A local Kubernetes, and the product on it")
    keys = SigningKeys()
    with (
        KeyServer(keys, IDENTITY.tenant_id) as server,
        (installation.kept if mode == "keep" else installation.passing)(
            console, Way(only) if only else None
        ) as started,
        hand_over.Microsoft(started.kubectl) as cloud,
    ):
        console.step(f"Kubernetes answers at {started.plane.url}")
        started.start(server.origin, cloud.operator_settings)
        Story(started, console, keys, server, cloud).tell()
        if mode == "keep":
            _tell_what_stays(console, started)
    console.title("all steps succeeded" if mode == "keep" else "all steps succeeded; everything was stopped")


def _tell_what_stays(console: Console, left: installation.Installation) -> None:
    console.title("It goes on running")
    console.step(
        "use it with", f"export KUBECONFIG={left.plane.kubeconfig} PATH={left.plane.tools.directory}:$PATH"
    )
    console.step(f"the SCIM endpoint is {left.endpoint}; logs are in {left.directory}")
    console.step("what plays Microsoft ends here: the next token of identity/entra is not handed over")
    if not left.plane.has_controllers:
        console.step(
            "no kube-controller-manager runs: what a deleted owner leaves stays, and a deleted namespace does not end; "
            "`make tools` builds it for the next demo"
        )
    console.step("end it with", "make demo-stop")


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C and SIGTERM alike: stop everything, and let nothing interrupt that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def run() -> int:
    """The command; its exit code. A failure is told in words, not as a traceback."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    try:
        with contextlib.chdir(ROOT):
            main(standalone_mode=False)
    except (KeyboardInterrupt, click.Abort):
        print("\ndemo: interrupted; everything was stopped", file=sys.stderr)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (DemoFailed, ProcessFailed, ClusterError, subprocess.SubprocessError, OSError) as error:
        print(f"\ndemo: failed: {masked(str(error))}", file=sys.stderr)
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(run())
