"""``scim-operator``: run it, apply ScimTokens, try it out, prepare its uninstallation, or print the CRD."""

import asyncio
import gc
import os
from pathlib import Path
from typing import TextIO

import click

from scim_api.contract import logging as logging_setup
from scim_operator.settings import ENV_PREFIX, OperatorSettings, SettingsError, load, own_namespace


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="scim-operator", prog_name="scim-operator")
@click.pass_context
def cli(context: click.Context) -> None:
    """Keep Entra ID's SCIM tokens as Kubernetes Secrets, and rotate them before they expire.

    Each ScimToken becomes a Secret with the endpoint and the token to give to Entra. Without a command,
    this is `scim-operator run`. Try `scim-operator run --help` for its settings.
    """
    if context.invoked_subcommand is None:
        context.invoke(run)


@cli.command()
@click.option("--show-settings", is_flag=True, help="Print the settings as understood, and exit.")
def run(show_settings: bool = False) -> None:
    """Run the operator until SIGTERM.

    \b
    Configured by the environment; two variables have no default:
      SCIM_OPERATOR_ENDPOINT_URL   what is pasted into Entra, e.g. https://scim.example.com/scim/v2
      SCIM_OPERATOR_ADMIN_URL      the API's internal port, e.g. http://scim-api-internal:8081
    \b
    Often set as well:
      SCIM_OPERATOR_SCIM_URL           how the operator itself reaches the endpoint (default: the endpoint)
      SCIM_OPERATOR_NAMESPACE          its own namespace (default: the pod's, else scim-system)
      SCIM_OPERATOR_WATCH_NAMESPACES   comma-separated; empty for all
      SCIM_OPERATOR_LOG_LEVEL          debug, info, warning or error
      SCIM_OPERATOR_HEALTH_PORT        /healthz, /readyz, /metrics (default 8090)

    Kubernetes is reached as the pod's ServiceAccount, or through KUBECONFIG.
    """  # noqa: D301 (click reads the backspace)
    try:
        settings = load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if show_settings:
        _print(settings)
        return
    logging_setup.configure(settings.log_level)
    # Imported late: the Kubernetes client takes most of a second, which --help should not. What is imported stays, so
    # that looking for garbage in it is a quarter of that, and of each full collection later.
    gc.disable()
    from scim_operator import app, replica

    gc.freeze()
    gc.enable()
    try:
        asyncio.run(app.run(settings))
    except replica.StartError as error:
        raise click.ClickException(str(error)) from None


@cli.command()
@click.option(
    "--hold",
    type=click.IntRange(10, 3600),
    default=300,
    show_default=True,
    help="Seconds for which no operator leads afterwards; those that run have to be gone by then.",
)
def release(hold: int) -> None:
    """Take the operator's finalizer off every ScimToken, before the operator is uninstalled.

    Takes the Lease first, so that no running operator puts it back. Configured as `scim-operator run` is, by the
    same environment.
    """
    try:
        settings = load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    logging_setup.configure(settings.log_level)
    from scim_operator import app, replica

    try:
        released = asyncio.run(app.release(settings, hold=hold))
    except replica.StartError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"finalizer taken off {released} ScimTokens")


@cli.command()
@click.option(
    "-f",
    "--filename",
    required=True,
    type=click.File(encoding="utf-8"),
    help="YAML with ScimTokens; - for standard input.",
)
@click.option(
    "-n", "--namespace", default=own_namespace, help="Of those that name none.  [default: the pod's]"
)
def apply(filename: TextIO, namespace: str) -> None:
    """Create or change ScimTokens, so that they are as a file says (server-side apply).

    Waits up to a minute for the kind to be served: right after an installation it may not be yet.
    """
    logging_setup.configure("info")
    from scim_operator import app, replica
    from scim_operator.commands.apply import NotApplied, read

    try:
        asyncio.run(app.apply(read(filename.read(), namespace=namespace), click.echo))
    except (NotApplied, replica.StartError) as error:
        raise click.ClickException(str(error)) from None


@cli.command("self-test")
@click.option("-n", "--namespace", default=own_namespace, help="Of the ScimToken.  [default: the pod's]")
@click.option("--name", default="helm-test", show_default=True, help="Of the ScimToken.")
@click.option("--url", metavar="URL", help="SCIM base URL to ask.  [default: the one in the Secret]")
@click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificates of the authorities to trust, PEM.  [default: SSL_CERT_FILE, else the public ones]",
)
@click.option(
    "--timeout", "seconds", type=click.FloatRange(min=1), default=180, show_default=True, help="Seconds."
)
def self_test(namespace: str, name: str, url: str | None, ca_file: str | None, seconds: float) -> None:
    """Try the installation out: ScimToken, Secret, Test Connection, one user's life; then clean up.

    Makes a ScimToken with a tenant of its own, and deletes both at the end, whatever happened.
    """
    from scim_operator import app, replica
    from scim_operator.commands import self_test as self_test_command
    from scim_operator.planning.ports import Key

    settings = self_test_command.Settings(key=Key(namespace, name), url=url, ca_file=ca_file, seconds=seconds)
    try:
        asyncio.run(app.self_test(settings, lambda step: click.echo(f"ok  {step}")))
    except (self_test_command.SelfTestFailed, replica.StartError) as error:
        raise click.ClickException(str(error)) from None


@cli.command()
def crd() -> None:
    """Print the CustomResourceDefinitions, for `kubectl apply -f -`."""
    from scim_operator.api import crd as definition

    click.echo(definition.render_all(), nl=False)


def _print(settings: OperatorSettings) -> None:
    for name, value in settings.model_dump(mode="json").items():
        shown = ",".join(value) if isinstance(value, list) else value
        click.echo(f"{ENV_PREFIX}{name.upper()}={'' if shown is None else shown}")


def _have_a_home() -> None:
    """The Kubernetes client asks for it as it is imported; a uid without a name (OpenShift) may have none."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"


def main() -> None:
    """The console script."""
    _have_a_home()
    cli(prog_name="scim-operator")


if __name__ == "__main__":
    main()
