"""``python -m entra_standin.graph``: play Microsoft's login and Graph until Ctrl-C, with one application and one caller.

The SCIM endpoint is asked for real once credentials are handed over; the job runs cycles with six people.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from entra_standin.directory import six_people, three_teams
from entra_standin.graph.applications import Application
from entra_standin.graph.cloud import MicrosoftCloud
from entra_standin.graph.registrations import Caller, FederatedCredential

_ROLE = "Synchronization.ReadWrite.All"


def main(argv: Sequence[str] | None = None, *, wait: Callable[[], object] | None = None) -> int:
    """Play until a signal comes.

    Args:
        argv: the arguments.
        wait: returns when it is time to end.

    Returns:
        The exit code: 1 when it can't begin.
    """
    arguments = _parser().parse_args(argv)
    try:
        with MicrosoftCloud(port=arguments.port, jwks=_keys(arguments.jwks_file)) as cloud:
            tenant = cloud.add_tenant()
            caller = tenant.add_caller(
                secret=_secret(arguments.secret_env), federated=_federated(arguments), roles={_ROLE}
            )
            application = tenant.add_application(people=six_people(), teams=three_teams())
            cloud.run_jobs(every_seconds=arguments.every)
            _describe(cloud, caller, application)
            (wait or _until_signal)()
    except (OSError, ValueError) as error:
        print(f"can't begin: {error}", file=sys.stderr)
        return 1
    return 0


def _describe(cloud: MicrosoftCloud, caller: Caller, application: Application) -> None:
    for name, value in {
        "login": cloud.login_url,
        "graph": cloud.graph_url,
        "tenantID": application.tenant_id,
        "clientID": caller.client_id,
        "servicePrincipalID": application.service_principal_id,
        "jobID": application.jobs[0].id,
    }.items():
        print(f"{name:<20}{value}", flush=True)


def _secret(variable: str | None) -> str | None:
    """From the environment; never from the command line. Raises ``ValueError``."""
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise ValueError(f"the environment variable {variable} is not set")
    return os.environ[variable]


def _federated(arguments: argparse.Namespace) -> list[FederatedCredential]:
    if (arguments.issuer is None) != (arguments.subject is None):
        raise ValueError("--issuer and --subject go together")
    return [] if arguments.issuer is None else [FederatedCredential(arguments.issuer, arguments.subject)]


def _keys(file: Path | None) -> Callable[[], Any] | None:
    return None if file is None else lambda: json.loads(file.read_text(encoding="utf-8"))


def _until_signal() -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m entra_standin.graph", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--every",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="between cycles, in the place of 40 minutes",
    )
    parser.add_argument(
        "--secret-env", metavar="NAME", help="environment variable with the caller's client secret"
    )
    parser.add_argument(
        "--issuer", metavar="URL", help="of the ServiceAccount's tokens that stand for the caller"
    )
    parser.add_argument("--subject", metavar="TEXT", help="system:serviceaccount:<namespace>:<name>")
    parser.add_argument(
        "--jwks-file",
        type=Path,
        metavar="FILE",
        help="kubectl get --raw /openid/v1/jwks; read for each exchange",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
