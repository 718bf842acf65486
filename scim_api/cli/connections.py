"""``scim-api connection``: endpoint and token by hand, without Kubernetes."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from scim_api.cli import issuance
from scim_api.cli.common import CONTEXT, database_option, read_settings, run, with_store
from scim_api.contract.admin import RATE_BOUNDS, Connection, CustomField, Matching, RateLimit, TenantSettings
from scim_api.contract.durations import LONGEST, SHORTEST, parse_duration
from scim_api.store.protocol import Store


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
        match = re.fullmatch(r"([a-z0-9][-a-z0-9.]{0,251})/([a-z0-9][-a-z0-9.]{0,251})", str(value))
        if match is None or match[1].endswith(("-", ".")) or match[2].endswith(("-", ".")):
            self.fail(f"{value!r}: write NAMESPACE/NAME in lower case, such as demo/entra", param, ctx)
        return match[1], match[2]


@click.group(context_settings=CONTEXT)
def connection() -> None:
    """Connections by hand: endpoint and token for one SCIM client. They work while `serve` runs.

    In Kubernetes the operator does all of this from ScimToken objects.
    """


def _print(issued: issuance.Issued, *, as_json: bool) -> None:
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
    "--tenant", help="Whose directory; users are isolated by namespace and tenant.  [default: NAME]"
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
@click.option(
    "--requests-per-second",
    type=click.IntRange(*RATE_BOUNDS),
    metavar="N",
    default=RateLimit().requests_per_second,
    show_default=True,
    help="How many requests the tenant may send each second, to each process of `serve`; at least 25.",
)
@click.option(
    "--burst",
    type=click.IntRange(*RATE_BOUNDS),
    metavar="N",
    default=RateLimit().burst,
    show_default=True,
    help="How many it may send at once after a quiet time; at least 25. Beyond both it is answered 429.",
)
@_JSON
@_PUBLIC_URL
@database_option
def create(
    connection_name: tuple[str, str],
    tenant: str | None,
    lifetime: timedelta,
    matching: str,
    groups: str,
    custom_fields: tuple[str, ...],
    requests_per_second: int,
    burst: int,
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
                "rateLimit": {"requestsPerSecond": requests_per_second, "burst": burst},
            }
        )
    except ValueError as error:
        raise click.ClickException(
            "--custom-field: a name starts with a letter and has letters, digits and _ only"
        ) from error
    settings = read_settings(database_url=database_url, public_url=public_url)
    issued = run(
        lambda: with_store(
            settings,
            lambda store, endpoint: issuance.create(
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
@database_option
def rotate(
    connection_name: tuple[str, str],
    lifetime: timedelta,
    revoke_others: bool,
    as_json: bool,
    public_url: str | None,
    database_url: str | None,
) -> None:
    """Give a connection a new token; the earlier ones stay valid until their own expiry."""
    settings = read_settings(database_url=database_url, public_url=public_url)
    issued = run(
        lambda: with_store(
            settings,
            lambda store, endpoint: issuance.rotate(
                store, *connection_name, lifetime=lifetime, revoke_others=revoke_others, endpoint=endpoint
            ),
        )
    )
    _print(issued, as_json=as_json)


def _row(item: Connection) -> dict[str, object]:
    rate = (item.settings or TenantSettings()).rate_limit
    return {
        "connection": f"{item.namespace}/{item.name}",
        "tenant": item.tenant,
        "users": item.resources,
        "requestsPerSecond": rate.requests_per_second,
        "burst": rate.burst,
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
@database_option
def list_connections(as_json: bool, database_url: str | None) -> None:
    """Show all connections with their live tokens; never a token itself."""
    settings = read_settings(database_url=database_url)
    rows = [
        _row(item)
        for item in run(lambda: with_store(settings, lambda store, _: issuance.all_connections(store)))
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("no connections; `scim-api connection create NAMESPACE/NAME` makes one", err=True)
        return
    lines = [("CONNECTION", "TENANT", "USERS", "REQUESTS/S", "BURST", "TOKEN ID", "EXPIRES", "LAST USED")]
    for row in rows:
        tokens: Any = row["tokens"] or [{"tokenId": "-", "expiresAt": "-", "lastUsedAt": None}]
        lines += [
            (
                str(row["connection"]),
                str(row["tenant"]),
                str(row["users"]),
                str(row["requestsPerSecond"]),
                str(row["burst"]),
                token["tokenId"],
                token["expiresAt"],
                token["lastUsedAt"] or "never",
            )
            for token in tokens
        ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


@connection.command()
@_NAME
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
@_JSON
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
