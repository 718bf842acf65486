"""``console``: pages in the browser, with the caller's rights."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from kubectl_scim.commands.common import fail, installation_option, kubectl_of, kubernetes_options

_SCREENS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@click.command()
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option(
    "--port", type=click.IntRange(1, 65_535), metavar="PORT", help="Of 127.0.0.1. Default: one that is free."
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
@installation_option
@kubernetes_options
def console(
    all_namespaces: bool,
    port: int | None,
    no_browser: bool,
    installation: str | None,
    namespace: str | None,
    **options: Any,
) -> None:
    """Open a local web console.

    What needs attention, each credential's timeline, Entra's job, and people, live in the browser. It listens on this machine alone, and the address that it prints opens it once. It looks with your own rights, says which
    one is missing where something is not shown, and changes nothing. Ctrl-C ends it.
    """
    from kubectl_scim.console_source import ClusterSource, context_of
    from kubectl_scim.text import plain
    from scim_console.server import PortInUse, serve

    if all_namespaces and namespace is not None:
        raise click.UsageError("name a --namespace, or ask for --all-namespaces")
    kubectl = kubectl_of(options)
    place = None if all_namespaces else namespace or kubectl.namespace()

    def say(text: str) -> None:
        click.echo(plain(text), err=True)

    def announce(url: str) -> None:
        click.echo(url)
        say("This address opens the console once; Ctrl-C ends it.")
        if browser is None and not no_browser:
            port = url.split(":")[2].split("/", maxsplit=1)[0]
            say(
                f"There is no browser here. From another machine: ssh -L {port}:127.0.0.1:{port} to this one, then open it there."
            )

    browser = None if no_browser else _browser()
    source = ClusterSource(kubectl, context_of(kubectl), place, installation, say)
    with contextlib.closing(source):
        try:
            serve(source, port or 0, announce, browser)
        except PortInUse as error:
            fail(str(error))


def _browser() -> Callable[[str], object] | None:
    """What opens a page; None: there is no screen, where one for terminals would take this one over."""
    if sys.platform.startswith("linux") and not any(os.environ.get(one) for one in _SCREENS):
        return None
    import webbrowser

    return webbrowser.open
