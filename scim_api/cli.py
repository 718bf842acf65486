"""``scim-api``: serve, migrate, copy, backup, and connections for people without Kubernetes."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from scim_api import connections, logs
from scim_api.admin_models import Connection, CustomField, Matching, TenantSettings
from scim_api.durations import LONGEST, SHORTEST, parse_duration
from scim_api.settings import ApiSettings, SettingsError, load
from scim_api.store import Conflict, Store, StoreError, Unavailable, create_store
from scim_api.store.copying import CopyRefused, Table, shown
from scim_api.store.copying import copy as run_copy

Result = TypeVar("Result")
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Duration(click.ParamType[timedelta, Any]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read ``90d``."""
        if isinstance(value, timedelta):
            return value
        try:
            duration = parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not SHORTEST <= duration <= LONGEST:
            self.fail("a token lives between 60s and 3650d", param, ctx)
        return duration


class _ConnectionName(click.ParamType[tuple[str, str], Any]):
    name = "namespace/name"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Read ``NAMESPACE/NAME``."""
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([a-z0-9][-a-z0-9.]{0,251})/([a-z0-9][-a-z0-9.]{0,251})", str(value))
        if found is None or found[1].endswith(("-", ".")) or found[2].endswith(("-", ".")):
            self.fail(f"{value!r}: write NAMESPACE/NAME in lower case, such as demo/entra", param, ctx)
        return found[1], found[2]


def _database_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--database-url",
        metavar="URL",
        help="sqlite:///file or postgresql://user@host/db. [default: SCIM_API_DATABASE_URL, else sqlite:///scim.db]",
    )(command)


def _settings(**options: object) -> ApiSettings:
    try:
        return load(**options)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _run(work: Callable[[], Awaitable[Result]]) -> Result:
    """Run to the end, and turn what can go wrong into one line a person can act on."""

    async def main() -> Result:
        return await work()

    try:
        return asyncio.run(main())
    except (SettingsError, connections.ConnectionMistake, CopyRefused, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except Unavailable as error:
        raise click.ClickException(f"the database can't be used: {error}") from None
    except (Conflict, StoreError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}") from None


async def _with_store(settings: ApiSettings, work: Callable[[Store, str], Awaitable[Result]]) -> Result:
    """Open the database (an SQLite file is made and migrated), do the work with its SCIM base URL, close."""
    from scim_api.store.migrations import REQUIRED_VERSION, migrate

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
        return await work(store, endpoint)
    finally:
        await store.close()


@click.group(context_settings=CONTEXT)
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
@_database_option
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
    "--public-url", metavar="URL", help="What clients use, such as https://scim.example.com/scim/v2."
)
@click.option(
    "--admin-keys-dir",
    metavar="DIR",
    help="The operator's public keys (its ConfigMap scim-operator-admin-keys, mounted).",
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[default: info]")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that share the ports; several need PostgreSQL. Rate limits count in each of them: a tenant "
    "gets up to so many times its rate.  [default: 1]",
)
def serve(**options: object) -> None:
    """Serve SCIM until SIGTERM; answers what is in flight, then ends.

    With SQLite (the default) the database is created and migrated here. PostgreSQL is migrated by
    `scim-api migrate`, and the service is not ready before.
    """
    settings = _settings(**options)
    logs.configure(settings.log_level)
    from scim_api.http.server import serve as run_server

    try:
        import uvloop
    except ImportError:
        pass
    else:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    if settings.workers == 1:
        _run(lambda: run_server(settings))
        return
    from scim_api.http.workers import CannotStart, serve_by_workers

    def run_worker(work: Callable[[], Awaitable[None]]) -> None:
        try:
            _run(work)
        except click.ClickException as error:
            raise CannotStart(error.message) from None

    try:
        sys.exit(serve_by_workers(settings, run_worker))
    except (SettingsError, CannotStart) as error:
        raise click.ClickException(str(error)) from None


@main.command()
@_database_option
def migrate(database_url: str | None) -> None:
    """Bring the database's schema up to this release. Safe to run twice, and by several at once."""
    settings = _settings(database_url=database_url)
    from scim_api.store.migrations import migrate as run_migrations

    version = _run(lambda: run_migrations(settings.database_url))
    click.echo(f"schema version {version}")


def _url_of(option: str, url: str | None, variable: str | None) -> str:
    """One of ``--<option> URL`` and ``--<option>-env NAME``."""
    if (url is None) == (variable is None):
        raise click.UsageError(f"give either --{option} URL or --{option}-env NAME")
    if url is not None:
        return url
    found = os.environ.get(variable or "")
    if not found:
        raise click.UsageError(f"--{option}-env: there is no environment variable {variable}")
    return found


class _Progress:
    """A line for each table, and one in between when a table is long."""

    every = 20_000

    def __init__(self) -> None:
        self._said = 0

    def __call__(self, table: Table, done: int, total: int) -> None:
        """Told after each page."""
        if done == 0:
            self._said = 0
        if done == total or done >= self._said + self.every:
            self._said = done
            click.echo(f"{table.name:<16} {done:>9} of {total}")


@main.command()
@click.option("--from", "source", metavar="URL", help="Database to read, as in --database-url.")
@click.option("--from-env", metavar="NAME", help="Environment variable that holds that URL.")
@click.option("--to", "target", metavar="URL", help="Database to fill; empty, or not there yet.")
@click.option("--to-env", metavar="NAME", help="Environment variable that holds that URL.")
def copy(source: str | None, from_env: str | None, target: str | None, to_env: str | None) -> None:
    """Copy everything from one database to another, such as from SQLite to PostgreSQL.

    \b
        scim-api copy --from sqlite:////var/lib/scim-api/scim.db --to-env NEW_DATABASE_URL

    Stop the API first (in Kubernetes: scale it to 0): a database that is in use is refused. People, groups,
    tokens, ids and versions are the same afterwards, so Entra and the operator notice nothing. The source
    stays as it is.

    The target is migrated and must be empty. All goes over in one transaction, is read back and compared:
    if anything goes wrong, the target is empty and you can run this again.

    A URL with a password does not belong on a command line, where others can see it: name an environment
    variable with --from-env or --to-env.
    """  # noqa: D301 (click reads the backspace)
    source_url, target_url = _url_of("from", source, from_env), _url_of("to", target, to_env)
    counts = _run(lambda: run_copy(source_url, target_url, _Progress()))
    click.echo(
        f"Copied and compared: {counts['resource']} users and groups, {counts['connection']} connections.\n"
        f"\nNext: give the API the new database (SCIM_API_DATABASE_URL; in the chart, api.database), start it,\n"
        f"and look at `scim-api connection list`. Keep {shown(source_url)} until you are\n"
        "sure, and never start an API on it again: the two would part from each other."
    )


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_database_option
def backup(file: Path, database_url: str | None) -> None:
    """Copy an SQLite database to a new FILE while the API runs.

    \b
        scim-api backup /backup/scim-2026-11-23.db

    To restore, stop the API, move scim.db, scim.db-wal and scim.db-shm away, and put FILE in the place of
    scim.db. A PostgreSQL database is saved with pg_dump.
    """  # noqa: D301 (click reads the backspace)
    settings = _settings(database_url=database_url)
    if not settings.database_url.startswith("sqlite:"):
        raise click.ClickException("this saves SQLite databases; save a PostgreSQL database with pg_dump")
    from scim_api.store.sqlite_backup import back_up

    saved = _run(lambda: asyncio.to_thread(back_up, settings.database_url, file))
    click.echo(f"{file}: {saved.connections} connections, {saved.resources} users and groups")


@main.group()
def connection() -> None:
    """Connections by hand: endpoint and token for one SCIM client. They work while `serve` runs.

    In Kubernetes the operator does all of this from ScimToken objects.
    """


def _print(issued: connections.Issued, *, as_json: bool) -> None:
    expires = _rfc3339(issued.expires_at)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "endpoint": issued.endpoint,
                    "token": issued.token,
                    "tokenId": issued.token_id,
                    "expiresAt": expires,
                }
            )
        )
        return
    click.echo(f"endpoint    {issued.endpoint}")
    click.echo(f"token       {issued.token}")
    click.echo(f"token id    {issued.token_id}")
    click.echo(f"expires at  {expires}")
    click.echo(
        "\nIn Entra: endpoint is the Tenant URL, token the Secret Token. It is shown only now.", err=True
    )


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_LIFETIME = click.option(
    "--lifetime",
    type=_Duration(),
    default="90d",
    show_default=True,
    help="How long the token is valid: 90d, 12h.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_NAME = click.argument("connection_name", metavar="NAMESPACE/NAME", type=_ConnectionName())
_PUBLIC_URL = click.option(
    "--public-url", metavar="URL", help="Endpoint to print.  [default: what `serve` announces]"
)


@connection.command()
@_NAME
@click.option(
    "--tenant", help="Whose directory; people are isolated by namespace and tenant.  [default: NAME]"
)
@_LIFETIME
@click.option(
    "--matching",
    type=click.Choice([item.value for item in Matching]),
    default="workEmail",
    show_default=True,
    help="What identifies a user; it can't be changed later.",
)
@click.option(
    "--groups",
    type=click.Choice(["Enabled", "Disabled"]),
    default="Enabled",
    show_default=True,
    help="Whether groups are served.",
)
@click.option(
    "--custom-field",
    "custom_fields",
    multiple=True,
    metavar="NAME",
    help="An attribute of the custom extension, type Any; may be repeated.",
)
@_JSON
@_PUBLIC_URL
@_database_option
def create(
    connection_name: tuple[str, str],
    tenant: str | None,
    lifetime: timedelta,
    matching: str,
    groups: str,
    custom_fields: tuple[str, ...],
    as_json: bool,
    public_url: str | None,
    database_url: str | None,
) -> None:
    """Create a connection and print its endpoint and first token."""
    namespace, name = connection_name
    try:
        tenant_settings = TenantSettings.model_validate(
            {
                "matching": matching,
                "groups": groups,
                "customFields": [CustomField.model_validate({"name": field}) for field in custom_fields],
            }
        )
    except ValueError as error:
        raise click.ClickException(
            "--custom-field: a name starts with a letter and has letters, digits and _ only"
        ) from error
    settings = _settings(database_url=database_url, public_url=public_url)
    issued = _run(
        lambda: _with_store(
            settings,
            lambda store, endpoint: connections.create(
                store,
                namespace,
                name,
                tenant=tenant or name,
                settings=tenant_settings,
                lifetime=lifetime,
                endpoint=endpoint,
            ),
        )
    )
    _print(issued, as_json=as_json)


@connection.command()
@_NAME
@_LIFETIME
@click.option(
    "--revoke-others", is_flag=True, help="End all earlier tokens now instead of at their own expiry."
)
@_JSON
@_PUBLIC_URL
@_database_option
def rotate(
    connection_name: tuple[str, str],
    lifetime: timedelta,
    revoke_others: bool,
    as_json: bool,
    public_url: str | None,
    database_url: str | None,
) -> None:
    """Give a connection a new token; the earlier ones stay valid until their own expiry."""
    settings = _settings(database_url=database_url, public_url=public_url)
    issued = _run(
        lambda: _with_store(
            settings,
            lambda store, endpoint: connections.rotate(
                store, *connection_name, lifetime=lifetime, revoke_others=revoke_others, endpoint=endpoint
            ),
        )
    )
    _print(issued, as_json=as_json)


def _row(item: Connection) -> dict[str, object]:
    return {
        "connection": f"{item.namespace}/{item.name}",
        "tenant": item.tenant,
        "users": item.resources,
        "tokens": [
            {
                "tokenId": credential.id,
                "expiresAt": _rfc3339(credential.expires_at),
                "lastUsedAt": None if credential.last_used_at is None else _rfc3339(credential.last_used_at),
            }
            for credential in item.credentials
        ],
    }


@connection.command("list")
@_JSON
@_database_option
def list_connections(as_json: bool, database_url: str | None) -> None:
    """Show all connections with their live tokens; never a token itself."""
    settings = _settings(database_url=database_url)
    rows = [
        _row(item)
        for item in _run(lambda: _with_store(settings, lambda store, _: connections.everything(store)))
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("no connections; `scim-api connection create NAMESPACE/NAME` makes one", err=True)
        return
    lines = [("CONNECTION", "TENANT", "USERS", "TOKEN ID", "EXPIRES", "LAST USED")]
    for row in rows:
        tokens: Any = row["tokens"] or [{"tokenId": "-", "expiresAt": "-", "lastUsedAt": None}]
        lines += [
            (
                str(row["connection"]),
                str(row["tenant"]),
                str(row["users"]),
                token["tokenId"],
                token["expiresAt"],
                token["lastUsedAt"] or "never",
            )
            for token in tokens
        ]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


@connection.command()
@_NAME
@click.option("--yes", is_flag=True, help="Don't ask.")
@_database_option
def delete(connection_name: tuple[str, str], yes: bool, database_url: str | None) -> None:
    """Revoke all tokens of a connection. The people stay, and a connection of the same tenant finds them."""
    namespace, name = connection_name
    settings = _settings(database_url=database_url)
    if not yes and sys.stdin.isatty():
        click.confirm(f"End every token of {namespace}/{name} now?", abort=True)

    async def work(store: Store, _endpoint: str) -> Connection:
        present = await connections.existing(store, namespace, name)
        return await store.delete_connection(namespace, name, if_match=present.revision)

    _run(lambda: _with_store(settings, work))
    click.echo(f"{namespace}/{name} is deleted; its tokens no longer work")


if __name__ == "__main__":
    main()
