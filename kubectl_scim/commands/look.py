"""``status`` and ``credentials``: look, and change nothing."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from kubectl_scim.commands.common import fail, kubectl_of, kubernetes_options, print_document, terminal, told
from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError, NotFound
from kubectl_scim.scimtoken import KIND, Problem, ScimToken
from kubectl_scim.scimwebhook import WEBHOOK_KIND, ScimWebhook
from kubectl_scim.text import plain


@click.command()
@click.argument("name", required=False)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="For programs.")
@kubernetes_options
def status(
    name: str | None, all_namespaces: bool, output: str | None, namespace: str | None, **options: Any
) -> None:
    """Show the state of ScimTokens and ScimWebhooks.

    One ScimToken is a tree with the next command for whatever is wrong; all of them are a table, what is wrong first.

    Exits with 0 when nothing is wrong, 1 when something is, and 2 when that cannot be determined.
    """
    kubectl, now = kubectl_of(options), datetime.now(UTC)
    if name is not None and all_namespaces:
        raise click.UsageError("name a ScimToken, or ask for --all-namespaces")
    with told(kubectl):
        place = () if all_namespaces else ("-n", namespace or kubectl.namespace())
        tokens = [ScimToken(kubectl.get(KIND, name, *place))] if name else _listed(kubectl, place)
        secret = _secret(kubectl, tokens[0]) if name else None
        webhooks, unread = _webhooks(kubectl, place)
    if name:
        webhooks = [one for one in webhooks if one.tenant == tokens[0].tenant]
    is_wrong = any(one.problems(now) for one in tokens)
    if output is not None:
        document = _document(kubectl, tokens, secret, webhooks, unread, now, is_one=name is not None)
        print_document(document, output)
    else:
        from kubectl_scim import status_view

        screen = terminal()
        if name:
            status_view.show_one(screen, tokens[0], secret, now, webhooks, kubectl.suggested)
        elif tokens:
            status_view.show_all(screen, tokens, now, all_namespaces=all_namespaces)
        else:
            click.echo(
                kubectl.suggested(
                    "no ScimTokens here; kubectl explain sct.spec tells how to make one, -A looks everywhere"
                ),
                err=True,
            )
        if webhooks and not name:
            click.echo()
            status_view.show_webhooks(
                screen, webhooks, now, all_namespaces=all_namespaces, suggested=kubectl.suggested
            )
        if is_wrong and not name:
            where = "NAMESPACE" if all_namespaces else tokens[0].namespace
            following = kubectl.suggested(f"kubectl scim status NAME -n {where}")
            click.echo(f"details and next steps: {following}", err=True)
        if unread is not None:
            click.echo(plain(unread), err=True)
    if is_wrong or isinstance(secret, Problem) or any(one.problems for one in webhooks):
        sys.exit(1)


def _document(
    kubectl: Kubectl,
    tokens: Sequence[ScimToken],
    secret: Problem | str | None,
    webhooks: Sequence[ScimWebhook],
    unread: str | None,
    now: datetime,
    *,
    is_one: bool,
) -> dict[str, Any]:
    """For programs: the one with its webhooks, or all ScimTokens and all ScimWebhooks."""
    from kubectl_scim.status_view import as_document, webhook_document

    documents = [as_document(one, secret, now, kubectl.suggested) for one in tokens]
    hooks = {
        "scimWebhooks": [webhook_document(one, kubectl.suggested) for one in webhooks],
        "scimWebhooksError": unread,
    }
    return {**documents[0], **hooks} if is_one else {"scimTokens": documents, **hooks}


@click.command()
@click.argument("name")
@click.option("--show", is_flag=True, help="Print the secret, too.")
@kubernetes_options
def credentials(name: str, show: bool, namespace: str | None, **options: Any) -> None:
    """Show the values to paste into Entra.

    Field by field as Microsoft names them in the Entra admin center. It needs the right to read the Secret. What is secret is hidden, unless --show is given.
    """
    from kubectl_scim import portal

    kubectl = kubectl_of(options)
    with told(kubectl):
        place = ("-n", namespace or kubectl.namespace())
        token = ScimToken(kubectl.get(KIND, name, *place))
        secret = kubectl.get("secret", token.secret_name, *place)
    try:
        fields = portal.fields(token.auth_type, secret)
    except KeyError as missing:
        fail(
            kubectl.suggested(
                f"Secret {token.secret_name} has no {missing.args[0]} yet: kubectl scim status {token.name} -n {token.namespace}"
            )
        )
    click.echo(f"{portal.WHERE}: {portal.AUTHENTICATION.get(token.auth_type, token.auth_type)}")
    width = max(len(field.name) for field in fields)
    for field in fields:
        click.echo(f"  {field.name:<{width}}  {plain(field.shown(show=show))}")
    if not token.is_read_only and token.auth_type == "BearerToken":
        click.echo("then Test Connection, and save")


def _listed(kubectl: Kubectl, place: Sequence[str]) -> list[ScimToken]:
    return [ScimToken(item) for item in kubectl.list(KIND, *(place or ("-A",)))]


def _webhooks(kubectl: Kubectl, place: Sequence[str]) -> tuple[Sequence[ScimWebhook], str | None]:
    """Those that are there, and why there are none to be seen."""
    try:
        return [ScimWebhook(item) for item in kubectl.list(WEBHOOK_KIND, *(place or ("-A",)))], None
    except KubectlError as error:
        return [], f"ScimWebhooks not checked: {error}"


def _secret(kubectl: Kubectl, token: ScimToken) -> Problem | str | None:
    """What is wrong with its Secret, or why that is not known; None: it is there."""
    try:
        kubectl.run("get", "secret", token.secret_name, "-n", token.namespace, "-o", "name")
    except NotFound:
        return token.missing_secret
    except Forbidden as error:
        return f"not checked: {error}"
    return None
