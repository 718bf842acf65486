"""``scim-api migrate``, ``copy`` and ``backup``: commands on the database itself."""

import asyncio
import os
from pathlib import Path

import click

from scim_api.cli.common import database_option, read_settings, run, tell_ignored
from scim_api.store.protocol import KeyRebuild
from scim_api.store.sql.transfer_tables import Table
from scim_api.store.transfer import copy as run_copy
from scim_api.store.urls import read_url, redact_url


@click.command()
@database_option
def migrate(database_url: str | None) -> None:
    """Bring the database up to this release: its schema, and the keys that users and groups are found by.

    Safe to run twice, by several at once, and while APIs of this release and the one before run. If it is
    ended early, run it again, or start the API: either goes on where it was.
    """
    settings = read_settings(database_url=database_url)
    from scim_api.store.migrate import migrate as run_migrations
    from scim_api.store.migrate import rebuild_all_keys

    tell_ignored(settings.database_url)
    version = run(lambda: run_migrations(settings.database_url))
    click.echo(f"schema version {version}")
    done = _KeyProgress()
    run(lambda: rebuild_all_keys(settings.database_url, done))
    done.end()


class _KeyProgress:
    """A line now and then while keys are rebuilt, and one at the end if there were any."""

    every = 20_000

    def __init__(self) -> None:
        self._looked_at = self._conflicts = self._reported = 0

    def __call__(self, done: KeyRebuild) -> None:
        """Report a batch."""
        self._looked_at += done.looked_at
        self._conflicts += done.conflicts
        if self._looked_at >= self._reported + self.every:
            self._reported = self._looked_at
            click.echo(f"keys: {self._looked_at} users and groups so far")

    def end(self) -> None:
        """Report all of them."""
        if self._looked_at:
            click.echo(f"keys: {self._looked_at} users and groups have those of this release")
        if self._conflicts:
            click.echo(
                f"{self._conflicts} of them should have a key that another has; they are served as before."
                " `scim-api connection duplicates` lists them.",
                err=True,
            )


def _url_of(option: str, url: str | None, variable: str | None) -> str:
    """One of ``--<option> URL`` and ``--<option>-env NAME``."""
    if (url is None) == (variable is None):
        raise click.UsageError(f"give either --{option} URL or --{option}-env NAME")
    if url is not None:
        return url
    value = os.environ.get(variable or "")
    if not value:
        raise click.UsageError(f"--{option}-env: there is no environment variable {variable}")
    return value


class _Progress:
    """A line for each table, and one in between when a table is long."""

    every = 20_000

    def __init__(self) -> None:
        self._reported = 0

    def __call__(self, table: Table, done: int, total: int) -> None:
        """Report a page that was copied."""
        if done == 0:
            self._reported = 0
        if done == total or done >= self._reported + self.every:
            self._reported = done
            click.echo(f"{table.name:<16} {done:>9} of {total}")


@click.command()
@click.option("--from", "source", metavar="URL", help="Database to read, as in --database-url.")
@click.option("--from-env", metavar="NAME", help="Environment variable that holds that URL.")
@click.option("--to", "target", metavar="URL", help="Database to fill; empty, or not there yet.")
@click.option("--to-env", metavar="NAME", help="Environment variable that holds that URL.")
def copy(source: str | None, from_env: str | None, target: str | None, to_env: str | None) -> None:
    """Copy everything from one database to another, such as from SQLite to PostgreSQL.

    \b
        scim-api copy --from sqlite:////var/lib/scim-api/scim.db --to-env NEW_DATABASE_URL

    Stop the API first (in Kubernetes: scale it to 0): a database that is in use is refused. Users, groups,
    tokens, ids and versions are the same afterwards, so Entra and the operator notice nothing. The source
    stays as it is.

    The target is migrated and must be empty. All goes over in one transaction, is read back and compared:
    if anything goes wrong, the target is empty and you can run this again.

    A URL with a password does not belong on a command line, where others can see it: name an environment
    variable with --from-env or --to-env.
    """  # noqa: D301 (click reads the backspace)
    source_url, target_url = _url_of("from", source, from_env), _url_of("to", target, to_env)
    for url in (source_url, target_url):
        tell_ignored(url)
    counts = run(lambda: run_copy(source_url, target_url, _Progress()))
    click.echo(
        f"Copied and compared: {counts['resource']} users and groups, {counts['connection']} connections.\n"
        f"\nNext: give the API the new database (SCIM_API_DATABASE_URL; in the chart, api.database), start it,\n"
        f"and look at `scim-api connection list`. Keep {redact_url(source_url)} until you are\n"
        "sure, and never start an API on it again: the two would diverge."
    )


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@database_option
def backup(file: Path, database_url: str | None) -> None:
    """Copy an SQLite database to a new FILE while the API runs.

    \b
        scim-api backup /backup/scim-2026-11-23.db

    To restore, stop the API, move scim.db, scim.db-wal and scim.db-shm away, and put FILE in the place of
    scim.db. A PostgreSQL database is saved with pg_dump.
    """  # noqa: D301 (click reads the backspace)
    settings = read_settings(database_url=database_url)
    try:
        url = read_url(settings.database_url)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if not url.startswith("sqlite:"):
        raise click.ClickException("this saves SQLite databases; save a PostgreSQL database with pg_dump")
    from scim_api.store.sqlite.backup import back_up

    saved = run(lambda: asyncio.to_thread(back_up, url, file))
    click.echo(f"{file}: {saved.connections} connections, {saved.resources} users and groups")
