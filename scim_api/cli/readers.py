"""``scim-api reader``: roles of PostgreSQL that read one tenant by SQL."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from scim_api.cli.common import CONTEXT, Result, database_option, read_settings, run, tell_ignored
from scim_api.cli.parameters import JSON, ConnectionName
from scim_api.store.urls import read_url

if TYPE_CHECKING:
    from scim_api.store.postgres.readers import ReaderCreated

_OPEN_SCHEMA = (
    "Warning: every role of this database may create objects in its schema public. Readers do not look there, but"
    " others may. An administrator ends that: REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
)


@click.group(context_settings=CONTEXT)
def reader() -> None:
    """Roles of PostgreSQL that read one tenant by SQL, through the views of the schema `published`.

    The database's own role has to have CREATEROLE, or an administrator makes the role; `create` tells how.
    """


@reader.command()
@click.argument("tenant", metavar="NAMESPACE/TENANT", type=ConnectionName())
@click.option("--role", required=True, metavar="NAME", help="Of the server; it is made if there is none.")
@click.option(
    "--no-password", is_flag=True, help="Set none: for a provider's own login, or one you set yourself."
)
@JSON
@database_option
def create(
    tenant: tuple[str, str], role: str, no_password: bool, as_json: bool, database_url: str | None
) -> None:
    """Let a role read the users, groups, memberships and changes of one tenant, and nothing else.

    \b
        scim-api reader create demo/entra --role billing
        psql "host=db.example.com dbname=scim user=billing" -c "SELECT user_name, active FROM published.users"

    Prints the role's password, once: PostgreSQL gets a SCRAM verifier of it and never the password. Run again it
    sets another password, and what else the role needs: after a restore, too. A role that an administrator has
    made is let in, and stays as it is.
    """  # noqa: D301 (click reads the backspace)

    async def make(url: str) -> "ReaderCreated":
        from scim_api.store.postgres import readers

        return await readers.create(url, *tenant, role, with_password=not no_password)

    made = _on_postgresql(database_url, make)
    shown = {"role": made.role, "database": made.database, "tenant": made.tenant, "password": made.password}
    if as_json:
        click.echo(json.dumps(shown))
    else:
        for name, value in shown.items():
            click.echo(f"{name.ljust(8)}  {value if value is not None else '(as it was, or none)'}")
        if made.password is not None:
            click.echo("\nThe password is shown only now.", err=True)
        else:
            click.echo(f"\nTo set one: \\password {made.role} in psql, as an administrator.", err=True)
    if made.open_schema:
        click.echo(_OPEN_SCHEMA, err=True)


@reader.command("list")
@JSON
@database_option
def list_readers(as_json: bool, database_url: str | None) -> None:
    """Show all readers, and whether each reads anything.

    Active: it reads its tenant. NoRole: the server has no such role (after a restore); `create` makes it again.
    NoTenant: its tenant was deleted, and it sees nothing. TooMighty: it has rights beyond the views by now.
    """

    async def read(url: str) -> list[dict[str, str]]:
        from scim_api.store.postgres import readers

        return [
            {"role": one.role, "tenant": one.tenant, "state": one.state.value, "createdAt": one.created_at}
            for one in await readers.list_readers(url)
        ]

    rows = _on_postgresql(database_url, read)
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("no readers; `scim-api reader create NAMESPACE/TENANT --role NAME` makes one", err=True)
        return
    lines = [("ROLE", "TENANT", "STATE"), *((row["role"], row["tenant"], row["state"]) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


@reader.command()
@click.argument("role")
@click.option("--yes", is_flag=True, help="Don't ask.")
@database_option
def delete(role: str, yes: bool, database_url: str | None) -> None:
    """End a reader: it sees nothing from now on, and a role that `create` made is dropped."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"End the reader {role} now?", abort=True)

    async def end(url: str) -> str | None:
        from scim_api.store.postgres import readers

        return await readers.delete(url, role)

    left = _on_postgresql(database_url, end)
    if left is None:
        click.echo(f"{role} is no reader any more, and dropped")
    else:
        click.echo(
            f"{role} is no reader any more. The role is still there; an administrator drops it: {left}"
        )


def _on_postgresql(database_url: str | None, action: Callable[[str], Awaitable[Result]]) -> Result:
    """Run on the database of the settings. Raises ``ClickException`` when it is none of PostgreSQL."""
    settings = read_settings(database_url=database_url)
    tell_ignored(settings.database_url)
    try:
        url = read_url(settings.database_url)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if url.startswith("sqlite:"):
        raise click.ClickException(
            "readers need PostgreSQL, which knows roles, and this is an SQLite database. Without it, applications read"
            " the tenant through the SCIM endpoint; `scim-api copy` moves everything to PostgreSQL"
        )
    return run(lambda: action(settings.database_url))
