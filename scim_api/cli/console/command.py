"""``scim-api console``: the console's pages for a database without Kubernetes."""

import webbrowser
from pathlib import Path

import click

from scim_api.cli.common import database_option, read_settings, tell_ignored
from scim_api.store.factory import create_store
from scim_api.store.urls import read_url


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="To listen on, at 127.0.0.1.  [default: a free one]",
)
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@database_option
def console(port: int, no_browser: bool, database_url: str | None) -> None:
    """Look at connections, people and what happened to them, in a browser.

    \b
        scim-api console
        scim-api console --database-url postgresql://scim@db.example.com/scim --no-browser

    The pages are served at 127.0.0.1, to the browser that opens the address which is printed, once. They only
    read. In Kubernetes, `kubectl scim console` shows the same of ScimTokens.
    """  # noqa: D301 (click reads the backspace)
    settings = read_settings(database_url=database_url)
    tell_ignored(settings.database_url)
    try:
        from scim_api.cli.console.database import opened
        from scim_api.cli.console.source import StoreSource
        from scim_console.model import Unreachable
        from scim_console.server import PortInUse, serve
    except ImportError as error:
        raise click.ClickException(
            f"the console needs {error.name}: pip install 'scim-operator[api]'"
        ) from None
    try:
        url = read_url(settings.database_url)
        path = url.removeprefix("sqlite:///")
        if path != url and not Path(path).exists():
            raise click.ClickException(f"there is no database {path}; name it with --database-url")
        store = create_store(settings.database_url)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    try:
        with opened(store, settings.public_url) as database:
            serve(StoreSource(database), port, _announce, None if no_browser else webbrowser.open)
    except (Unreachable, PortInUse) as error:
        raise click.ClickException(str(error)) from None


def _announce(address: str) -> None:
    click.echo(f"{address}\n\nThis opens the console once, in one browser. Ctrl-C ends it.")
