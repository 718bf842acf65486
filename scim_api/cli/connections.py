"""``scim-api connection``: endpoints and credentials by hand, without Kubernetes."""

import json
import sys
from datetime import timedelta

import click

from scim_api.cli import issuance
from scim_api.cli.common import CONTEXT, database_option, read_settings, run, with_store
from scim_api.cli.create import create
from scim_api.cli.output import print_connections, print_issued
from scim_api.cli.parameters import JSON, LIFETIME, NAME, PUBLIC_URL
from scim_api.cli.sign_in import DEFAULT_LIFETIME
from scim_api.contract.admin import Connection
from scim_api.store.protocol import Store


@click.group(context_settings=CONTEXT)
def connection() -> None:
    """Connections by hand: endpoint and credentials for one SCIM client. They work while `serve` runs.

    In Kubernetes the operator does all of this from ScimToken objects.
    """


connection.add_command(create)


@connection.command()
@NAME
@LIFETIME
@click.option(
    "--revoke-others", is_flag=True, help="End all earlier ones now instead of at their own expiry."
)
@JSON
@PUBLIC_URL
@database_option
def rotate(
    connection_name: tuple[str, str],
    lifetime: timedelta | None,
    revoke_others: bool,
    as_json: bool,
    public_url: str | None,
    database_url: str | None,
) -> None:
    """Give a connection a new token or, with OAuthClientCredentials, another client secret.

    The earlier ones stay valid until their own expiry, so there is time to enter the new one in Entra. The client id
    stays. After --revoke-others nothing that was issued before works, access tokens included. A connection with
    WorkloadIdentity has no secret.
    """
    settings = read_settings(database_url=database_url, public_url=public_url)
    issued = run(
        lambda: with_store(
            settings,
            lambda store, endpoint: issuance.rotate(
                store,
                *connection_name,
                lifetime=lifetime or DEFAULT_LIFETIME,
                revoke_others=revoke_others,
                endpoint=endpoint,
            ),
        )
    )
    print_issued(issued, as_json=as_json)


@connection.command("list")
@JSON
@database_option
def list_connections(as_json: bool, database_url: str | None) -> None:
    """Show all connections: how each signs in, its client id, and its live credentials; never a secret itself.

    Of a client that the token endpoint refused since it last issued a token, it tells why: Entra shows almost nothing.
    """
    settings = read_settings(database_url=database_url)
    items = run(lambda: with_store(settings, lambda store, _: issuance.all_connections(store)))
    print_connections(items, as_json=as_json)


@connection.command()
@NAME
@click.option("--yes", is_flag=True, help="Don't ask.")
@database_option
def delete(connection_name: tuple[str, str], yes: bool, database_url: str | None) -> None:
    """Revoke all tokens of a connection. The users stay, and another connection of the tenant finds them."""
    namespace, name = connection_name
    settings = read_settings(database_url=database_url)
    if not yes and sys.stdin.isatty():
        click.confirm(f"End every token of {namespace}/{name} now?", abort=True)

    async def delete_present(store: Store, _endpoint: str) -> Connection:
        present = await issuance.existing(store, namespace, name)
        return await store.delete_connection(namespace, name, if_match=present.revision)

    run(lambda: with_store(settings, delete_present))
    click.echo(f"{namespace}/{name} is deleted; its tokens no longer work")


@connection.command("release-namespace")
@click.argument("namespace")
@click.option("--yes", is_flag=True, help="Don't ask.")
@database_option
def release_namespace(namespace: str, yes: bool, database_url: str | None) -> None:
    """Let a namespace that was made anew have the users of the one that was deleted.

    \b
        scim-api connection release-namespace team-a

    A tenant belongs to the namespace that registered it, not to whoever has a namespace of the same name later:
    until an administrator says so here, the ScimToken there is refused (NamespaceMismatch). First make sure that
    the namespace belongs to the same people. The next ScimToken of that name binds the tenant again; the operator
    tries within a minute.
    """  # noqa: D301 (click reads the backspace)
    settings = read_settings(database_url=database_url)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Do the users of namespace {namespace} belong to whoever has it now?", abort=True)
    names = run(lambda: with_store(settings, lambda store, _: store.release_namespace(namespace)))
    if not names:
        raise click.ClickException(f"no tenant of a namespace {namespace} belongs to one that may be gone")
    click.echo(f"released: {', '.join(f'{namespace}/{name}' for name in names)}")


@connection.command()
@JSON
@database_option
@click.pass_context
def duplicates(ctx: click.Context, as_json: bool, database_url: str | None) -> None:
    """List users and groups that share what is to be unique: work e-mails, user names, group names.

    \b
        scim-api connection duplicates
        scim-api connection duplicates --json | jq -r '.[].ids[]'

    Earlier releases let in a second work e-mail that another user has, and took for two names what is one by
    Unicode (a final and another sigma). Nothing of it is lost or refused: all of them are served, each can be
    changed, and nobody else gets the value. But Entra's matching query finds several and stops, so mend them:
    change the value in Entra ID for all but one of them, or delete those that are superfluous. They are listed by
    the oldest first.

    Only tenants with matching workEmail have unique work e-mails. The exit code is 0 when there are none and 3
    when there are some; before `scim-api migrate` has ended, names may be missing.
    """  # noqa: D301 (click reads the backspace)
    settings = read_settings(database_url=database_url)
    found = run(lambda: with_store(settings, lambda store, _: store.duplicates()))
    if as_json:
        rows = [
            {
                "tenant": one.tenant,
                "resourceType": one.kind,
                "attribute": one.attribute,
                "value": one.key,
                "ids": list(one.ids),
            }
            for one in found
        ]
        click.echo(json.dumps(rows))
    elif not found:
        click.echo("no duplicates", err=True)
    for one in () if as_json else found:
        click.echo(f"{one.tenant}  {one.kind}  {one.attribute}  {json.dumps(one.key, ensure_ascii=False)}")
        for identity in one.ids:
            click.echo(f"    {identity}")
    if found:
        ctx.exit(3)
