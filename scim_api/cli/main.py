"""``scim-api``: the commands, and ``serve``.

What one command alone needs is imported by that command: ``serve`` starts sooner, and stays smaller.
"""

import asyncio
import gc
import importlib
from collections.abc import Callable, Mapping
from typing import Final

import click

from scim_api.cli.common import CONTEXT, database_option, read_settings, run
from scim_api.contract.logging import configure

ELSEWHERE: Final[Mapping[str, str]] = {
    "migrate": "database",
    "copy": "database",
    "backup": "database",
    "connection": "connections",
    "reader": "readers",
    "webhook": "webhooks",
    "console": "console.command",
}
"""The commands that are not in this module, and the module of ``scim_api.cli`` that has each."""


class Commands(click.Group):
    """The commands of this module, and those that are imported when they are typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of ``--help``."""
        return sorted((*super().list_commands(ctx), *ELSEWHERE))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One of them; None: there is no such."""
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"scim_api.cli.{ELSEWHERE[cmd_name]}")
        found: click.Command = getattr(module, cmd_name)
        return found


def webhook_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that delivers webhooks its options."""
    for option in (
        click.option(
            "--webhook-allow-http",
            is_flag=True,
            default=None,
            help="Receivers in these networks may be sent webhooks in clear text.  [default: no]",
        ),
        click.option(
            "--webhook-allowed-networks",
            metavar="CIDR,...",
            help="Private networks that webhooks may be sent to.  [default: none]",
        ),
        click.option("--webhook-key-file", metavar="FILE", help="The dispatcher's private key."),
    ):
        command = option(command)
    return command


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(package_name="scim-operator", prog_name="scim-api")
def main() -> None:
    """SCIM 2.0 service for Microsoft Entra ID.

    Try it on a laptop, without Kubernetes, in two terminals:

    \b
        scim-api serve
        scim-api connection create demo/entra

    The second prints the endpoint and the token: paste them into Entra as Tenant URL and Secret Token.
    Every option is also an environment variable, SCIM_API_<OPTION>.
    """  # noqa: D301 (click reads the backspace)


@main.command()
@database_option
@click.option("--host", help="Address of the public port, /scim/v2.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Public port; 0 takes a free one.  [default: 8080]"
)
@click.option("--internal-host", help="Address of the internal port.  [default: 127.0.0.1]")
@click.option(
    "--internal-port",
    type=click.IntRange(0, 65535),
    help="Serve /admin, /healthz, /readyz and /metrics here; never expose it.  [default: not served]",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Serve /metrics here too, at the internal address, apart from /admin.  [default: not served]",
)
@click.option(
    "--operator-port",
    type=click.IntRange(0, 65535),
    help="Serve the operator here, with TLS, at the internal address; /admin is not at the internal port then."
    "  [default: not served]",
)
@click.option(
    "--operator-tls-dir",
    metavar="DIR",
    help="tls.crt and tls.key for --operator-port (the operator's Secret scim-operator-api-tls, mounted).",
)
@click.option(
    "--public-url", metavar="URL", help="What clients use, such as https://scim.example.com/scim/v2."
)
@click.option(
    "--admin-keys-dir",
    metavar="DIR",
    help="The operator's public keys (its ConfigMap scim-operator-admin-keys, mounted).",
)
@click.option(
    "--max-connections",
    type=click.IntRange(10, 100_000),
    help="Connections at the public port at a time; a full port drops the longest idle.  [default: 1000]",
)
@click.option(
    "--head-seconds",
    type=click.FloatRange(0, 600, min_open=True),
    help="How long request line and headers may take to arrive.  [default: 10]",
)
@click.option(
    "--body-seconds",
    type=click.FloatRange(0, 600, min_open=True),
    help="How long a body may take to arrive, and a response to be read.  [default: 30]",
)
@click.option(
    "--group-body-mib",
    type=click.IntRange(1, 32),
    help="MiB of a body at /Groups; 16 for clients that send whole groups of 100,000.  [default: 1]",
)
@click.option(
    "--keys-hosts",
    metavar="HOST,...",
    help="From where the keys of workload identities may be fetched.  [default: Microsoft's login hosts]",
)
@click.option(
    "--keys-max-age-days",
    type=click.FloatRange(0, 365, min_open=True),
    help="How long these keys are used while they can't be fetched anew.  [default: 7]",
)
@click.option(
    "--change-retention-days",
    type=click.FloatRange(1, 3650),
    help="How long the log of changes goes back, for applications that follow it.  [default: 90]",
)
@click.option("--deliver", is_flag=True, default=None, help="Deliver webhooks, too.  [default: no]")
@webhook_options
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[default: info]")
def serve(**options: object) -> None:
    """Serve SCIM until SIGTERM; requests in flight are answered first.

    With SQLite (the default) the database is created and migrated here. PostgreSQL is migrated by
    `scim-api migrate`, and the service is not ready before.
    """
    gc.disable()  # a start leaves no garbage that is worth the search; `serve` enables it again
    try:
        settings = read_settings(**options)
        configure(settings.log_level)
        from scim_api.server.serve import serve as run_server

        run(lambda: run_server(settings), _fastest_loop())
    finally:
        gc.enable()


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes uvloop's, where it is installed; None: Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@main.command()
@database_option
@webhook_options
@click.option("--internal-host", help="Address of the internal port.  [default: 127.0.0.1]")
@click.option(
    "--internal-port",
    type=click.IntRange(0, 65535),
    help="Serve /healthz, /readyz and /metrics here; never expose it.  [default: not served]",
)
@click.option(
    "--public-url",
    metavar="URL",
    help="What clients use, for full messages.  [default: what `serve` announces]",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[default: info]")
def deliver(**options: object) -> None:
    """Deliver webhooks until SIGTERM, apart from `serve`; any number of these processes share them."""
    settings = read_settings(**options)
    configure(settings.log_level)
    from scim_api.server.deliver import deliver as run_dispatcher

    run(lambda: run_dispatcher(settings), _fastest_loop())


if __name__ == "__main__":
    main()
