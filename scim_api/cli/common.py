"""What every command of ``scim-api`` shares: settings, the database, and errors as one line."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import click

from scim_api.cli.mistake import ConnectionMistake
from scim_api.server.settings import ApiSettings, SettingsError, load
from scim_api.store.errors import Conflict, ReaderRefused, StoreError, TransferRefused, Unavailable
from scim_api.store.factory import create_store
from scim_api.store.protocol import Store
from scim_api.store.urls import ignored_parameters

Result = TypeVar("Result")
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def database_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option ``--database-url``."""
    return click.option(
        "--database-url",
        metavar="URL",
        help="sqlite:///file, postgresql://user@host/db, or file:///path of a file that holds one. [default: SCIM_API_DATABASE_URL, else sqlite:///scim.db]",
    )(command)


def read_settings(**options: object) -> ApiSettings:
    """Settings from a command's options, the environment and the defaults. Raises ``ClickException``."""
    try:
        return load(**options)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def run(
    action: Callable[[], Awaitable[Result]],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Result:
    """Run to the end, on Python's own event loop or another, and turn what can go wrong into one line to act on."""

    async def main() -> Result:
        return await action()

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(main())
    except (SettingsError, ConnectionMistake, TransferRefused, ReaderRefused, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except Unavailable as error:
        raise click.ClickException(f"the database can't be used: {error}") from None
    except (Conflict, StoreError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from None


def tell_ignored(url: str) -> None:
    """Say on stderr which parameters of a database URL have no effect. Raises ``ClickException``."""
    try:
        ignored = ignored_parameters(url)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if ignored:
        click.echo(f"Warning: {ignored}", err=True)


async def with_store(settings: ApiSettings, action: Callable[[Store, str], Awaitable[Result]]) -> Result:
    """Open the database (an SQLite file is made and migrated), run the action with its SCIM base URL, close."""
    from scim_api.store.migrate import REQUIRED_VERSION, migrate

    tell_ignored(settings.database_url)
    store = create_store(settings.database_url)
    try:
        await store.open()
        if store.dialect == "sqlite":
            await migrate(settings.database_url)
        elif await store.schema_version() < REQUIRED_VERSION:
            raise SettingsError(
                "the database has no schema of this release yet: run `scim-api migrate` first"
            )
        endpoint = settings.public_url or await store.public_url() or settings.endpoint
        return await action(store, endpoint)
    finally:
        await store.close()
