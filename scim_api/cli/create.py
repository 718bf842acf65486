"""``scim-api connection create``: a connection with its first credential."""

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from scim_api.cli import issuance
from scim_api.cli.common import database_option, read_settings, run, with_store
from scim_api.cli.mistake import ConnectionMistake
from scim_api.cli.output import print_issued
from scim_api.cli.parameters import ACCESS_TOKEN_LIFETIME, JSON, LIFETIME, NAME, PUBLIC_URL
from scim_api.cli.sign_in import AuthType, SignIn, Typed, WorkloadIdentity, sign_in_of
from scim_api.contract.admin import RATE_BOUNDS, CustomField, Matching, RateLimit, TenantSettings
from scim_api.contract.oauth import LOGIN_HOSTS, Cloud

_SETTINGS: Final = {
    "matching": "--matching",
    "groups": "--groups",
    "custom_fields": "--custom-field",
    "requests_per_second": "--requests-per-second",
    "burst": "--burst",
}
"""Options of the tenant's settings."""


@click.command()
@NAME
@click.option(
    "--tenant", help="Whose directory; users are isolated by namespace and tenant.  [default: NAME]"
)
@click.option(
    "--auth",
    type=click.Choice([item.value for item in AuthType]),
    default=AuthType.BEARER_TOKEN.value,
    show_default=True,
    help="How Entra signs in.",
)
@LIFETIME
@ACCESS_TOKEN_LIFETIME
@click.option("--entra-tenant", metavar="GUID", help="WorkloadIdentity: id of the Entra tenant, claim tid.")
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    metavar="ID",
    help="WorkloadIdentity: the object id that Entra shows as Subject, claim sub; may be repeated.",
)
@click.option(
    "--audience",
    "audiences",
    multiple=True,
    metavar="TEXT",
    help="WorkloadIdentity: what Entra shows as Audience, claim aud, compared exactly; may be repeated.",
)
@click.option(
    "--cloud",
    type=click.Choice([item.value for item in Cloud]),
    help="WorkloadIdentity: Microsoft's cloud, from which issuers and keys URL follow.  [default: Public]",
)
@click.option(
    "--issuer",
    "issuers",
    multiple=True,
    metavar="URL",
    help="WorkloadIdentity: instead of the cloud's issuers, claim iss; may be repeated.",
)
@click.option(
    "--keys-url", metavar="URL", help="WorkloadIdentity: instead of where the cloud publishes its keys."
)
@click.option(
    "--access",
    type=click.Choice(["read-write", "read-only"]),
    default="read-write",
    show_default=True,
    help="read-only: for an application that reads users and groups; the tenant's settings are another connection's.",
)
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
@JSON
@PUBLIC_URL
@database_option
@click.pass_context
def create(
    ctx: click.Context,
    connection_name: tuple[str, str],
    tenant: str | None,
    auth: str,
    lifetime: timedelta | None,
    access_token_lifetime: timedelta | None,
    entra_tenant: str | None,
    subjects: tuple[str, ...],
    audiences: tuple[str, ...],
    cloud: str | None,
    issuers: tuple[str, ...],
    keys_url: str | None,
    access: str,
    matching: str,
    groups: str,
    custom_fields: tuple[str, ...],
    requests_per_second: int,
    burst: int,
    as_json: bool,
    public_url: str | None,
    database_url: str | None,
) -> None:
    """Create a connection, and print what Entra is given: once, for a secret is kept by its digest alone.

    \b
    A secret token:
        scim-api connection create demo/entra
    OAuth 2.0 client credentials: Entra gets a token for an hour with client id and secret:
        scim-api connection create demo/entra-oauth --tenant entra --auth OAuthClientCredentials
    A workload identity: Entra signs in with an assertion, and there is no secret:
        scim-api connection create demo/entra-wi --tenant entra --auth WorkloadIdentity
            --entra-tenant <tenant id> --subject <object id>
            --audience api://<app id>/.default --audience api://<app id> --audience <app id>
    For an application that reads what Entra has provisioned, and can change nothing:
        scim-api connection create demo/reports --tenant entra --access read-only

    Connections of one --tenant have the same users. So Entra changes from one way to the other without a rejected
    request: create the second, enter it in Entra, and delete the first when it is no longer used.
    """  # noqa: D301 (click reads the backspace)
    typed = Typed(
        lifetime, access_token_lifetime, entra_tenant, cloud, subjects, audiences, issuers, keys_url
    )
    try:
        sign_in = sign_in_of(AuthType(auth), typed)
    except ConnectionMistake as error:
        raise click.ClickException(str(error)) from None
    namespace, name = connection_name
    tenant_settings = None
    if access == "read-only":
        _refuse_settings(ctx)
    else:
        tenant_settings = _tenant_settings(matching, groups, custom_fields, requests_per_second, burst)
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
                sign_in=sign_in,
                endpoint=endpoint,
            ),
        )
    )
    print_issued(issued, as_json=as_json)
    _tell_unlisted_keys(sign_in)


def _refuse_settings(ctx: click.Context) -> None:
    """Refuse options of the tenant's settings: with --access read-only they would be without effect."""
    for name, option in _SETTINGS.items():
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.ClickException(
                f"{option}: with --access read-only leave it out; the tenant's settings are those of its connections that"
                " may write"
            )


def _tenant_settings(
    matching: str, groups: str, custom_fields: tuple[str, ...], requests_per_second: int, burst: int
) -> TenantSettings:
    try:
        return TenantSettings.model_validate(
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


def _tell_unlisted_keys(sign_in: SignIn) -> None:
    """Keys are fetched from Microsoft's hosts alone unless an administrator names others."""
    if not isinstance(sign_in, WorkloadIdentity):
        return
    url = urlsplit(sign_in.trust.keys_url)
    if url.hostname not in LOGIN_HOSTS:
        entry = f"{url.scheme}://{url.netloc}" if url.scheme == "http" else url.hostname
        click.echo(f"Note: `serve` fetches these keys only with {entry} in SCIM_API_KEYS_HOSTS.", err=True)
