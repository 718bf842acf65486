"""``scim-api webhook``: who is sent a tenant's changes, by hand."""

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import click

from scim_api.cli.common import CONTEXT, database_option, read_settings, run, with_store
from scim_api.cli.output import rfc3339
from scim_api.cli.parameters import JSON, ConnectionName, Duration
from scim_api.contract.change_types import ChangeType
from scim_api.contract.sealing import seal
from scim_api.contract.signing_secret import new_secret, secret_id
from scim_api.contract.webhooks import Content, Webhook
from scim_api.delivery.key_file import read_sealing_key, write_key
from scim_api.outbound.addresses import HttpUrl
from scim_api.server.settings import ApiSettings
from scim_api.store.protocol import Store
from scim_api.store.webhooks import SealedSecret, WebhookSettings

T = TypeVar("T")
_PAGE: Final = 100
NAME: Final = click.argument("webhook", metavar="NAMESPACE/NAME", type=ConnectionName())
KEY_FILE: Final = click.option(
    "--webhook-key-file",
    metavar="FILE",
    help="The dispatcher's key; its public half will do.  [default: SCIM_API_WEBHOOK_KEY_FILE]",
)
_COLUMNS: Final = (
    "WEBHOOK",
    "TENANT",
    "STATE",
    "LAST DELIVERY",
    "BACKLOG",
    "SECONDS",
    "FAILING SINCE",
    "URL",
)


@click.group(context_settings=CONTEXT)
def webhook() -> None:
    """Webhooks by hand: an application is sent what changes in a tenant, signed, until it has taken it.

    \b
    First the dispatcher's key, once, and a process that delivers:
        scim-api webhook key webhook.key
        SCIM_API_WEBHOOK_KEY_FILE=webhook.key scim-api serve --deliver
    Then for each application:
        scim-api webhook create demo/app --tenant entra --url https://app.example.com/hook
        scim-api webhook test demo/app
    """  # noqa: D301 (click reads the backspace)


@webhook.command()
@click.argument("file", type=click.Path(path_type=Path))
def key(file: Path) -> None:
    """Make a dispatcher's key: FILE gets the private half, for `deliver` alone; the public half is printed.

    Who creates webhooks needs the public half: signing secrets are sealed with it, and the database never has them in
    clear.
    """
    try:
        click.echo(write_key(file), nl=False)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _types(_ctx: click.Context, _param: click.Parameter, value: str | None) -> frozenset[str]:
    types = frozenset(filter(None, (one.strip() for one in (value or "").split(","))))
    for name in sorted(types.difference(get_args(ChangeType))):
        raise click.BadParameter(f"{name!r}; there are: {', '.join(get_args(ChangeType))}")
    return types


def _moment(_ctx: click.Context, _param: click.Parameter, value: str) -> datetime:
    try:
        moment: datetime | None = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise click.BadParameter("write a time with its zone, such as 2026-11-23T14:00:00Z")
    return moment.astimezone(UTC)


def _url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if HttpUrl.read(value) is None:
        raise click.BadParameter("write https://host/path, without a user and without a fragment")
    return value


@webhook.command()
@NAME
@click.option("--tenant", metavar="NAME", required=True, help="Whose changes; of the same namespace.")
@click.option("--url", metavar="URL", required=True, callback=_url, help="To where they are posted.")
@click.option("--types", metavar="TYPE,...", callback=_types, help="Only these types.  [default: all]")
@click.option(
    "--content",
    type=click.Choice([item.lower() for item in get_args(Content)]),
    default="thin",
    show_default=True,
    help="thin: what changed; full: the resource as well, as it is when it is sent.",
)
@click.option(
    "--timeout",
    type=Duration(timedelta(seconds=1), timedelta(seconds=60), "an attempt may take 1s to 60s"),
    default="15s",
    show_default=True,
    help="For one attempt.",
)
@JSON
@KEY_FILE
@database_option
def create(
    webhook: tuple[str, str],
    tenant: str,
    url: str,
    types: frozenset[str],
    content: str,
    timeout: timedelta,
    as_json: bool,
    webhook_key_file: str | None,
    database_url: str | None,
) -> None:
    """Send a tenant's changes from now on, and print the signing secret: once, for it is kept sealed.

    The application verifies each message with it, by any library of Standard Webhooks.
    """
    settings = read_settings(database_url=database_url, webhook_key_file=webhook_key_file)
    wanted = WebhookSettings(
        tenant, url, types, "Full" if content == "full" else "Thin", int(timeout.total_seconds())
    )
    secret, sealed = _new_secret(settings, webhook)
    run(lambda: with_store(settings, lambda store, _: store.webhooks.create(*webhook, wanted, sealed)))
    _print_secret(webhook, secret, as_json=as_json)


@webhook.command("list")
@JSON
@database_option
def list_webhooks(as_json: bool, database_url: str | None) -> None:
    """Show all webhooks: the last delivery, what is to be delivered, and what fails since when and why.

    BACKLOG counts changes, SECONDS is the age of the oldest. To standard error goes what needs somebody: failures, a
    receiver that answered 410, and changes that were lost or will be within a week.
    """
    settings = read_settings(database_url=database_url)
    keep = timedelta(days=settings.change_retention_days)
    found = run(lambda: with_store(settings, lambda store, _: _all_webhooks(store, keep)))
    rows = [_row(one) for one in found]
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("no webhooks; `scim-api webhook create NAMESPACE/NAME` makes one", err=True)
        return
    lines = [_COLUMNS, *(_line(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        for notice in _notices(row):
            click.echo(f"{row['webhook']}: {notice}", err=True)


@webhook.command("rotate-secret")
@NAME
@click.option(
    "--overlap",
    type=Duration(timedelta(seconds=1), timedelta(days=30), "an overlap takes 1s to 30d"),
    default="1d",
    show_default=True,
    help="How long messages are signed with both.",
)
@JSON
@KEY_FILE
@database_option
def rotate_secret(
    webhook: tuple[str, str],
    overlap: timedelta,
    as_json: bool,
    webhook_key_file: str | None,
    database_url: str | None,
) -> None:
    """Make another signing secret, and print it once. For the overlap messages have both signatures."""
    settings = read_settings(database_url=database_url, webhook_key_file=webhook_key_file)
    secret, sealed = _new_secret(settings, webhook)
    _on_existing(settings, webhook, lambda store: store.webhooks.replace_secret(*webhook, sealed, overlap))
    _print_secret(webhook, secret, as_json=as_json)


@webhook.command()
@NAME
@database_option
def suspend(webhook: tuple[str, str], database_url: str | None) -> None:
    """Send nothing until `resume`; changes wait in the log for as long as it goes back."""
    settings = read_settings(database_url=database_url)
    _on_existing(settings, webhook, lambda store: store.webhooks.suspend(*webhook))
    click.echo(f"{'/'.join(webhook)} is suspended")


@webhook.command()
@NAME
@database_option
def resume(webhook: tuple[str, str], database_url: str | None) -> None:
    """Send again, after `suspend`, after a 410, or at once what waits for its next attempt."""
    settings = read_settings(database_url=database_url)
    _on_existing(settings, webhook, lambda store: store.webhooks.resume(*webhook))
    click.echo(f"{'/'.join(webhook)} is sent what waits for it")


@webhook.command("test")
@NAME
@JSON
@database_option
def ping(webhook: tuple[str, str], as_json: bool, database_url: str | None) -> None:
    """Have a message of type `ping` sent; `list` says whether it arrived."""
    settings = read_settings(database_url=database_url)
    message_id = _on_existing(settings, webhook, lambda store: store.webhooks.ping(*webhook))
    click.echo(json.dumps({"messageId": message_id}) if as_json else message_id)


@webhook.command()
@NAME
@click.option(
    "--from",
    "since",
    metavar="TIME",
    required=True,
    callback=_moment,
    help="RFC 3339, such as 2026-11-23T14:00:00Z.",
)
@database_option
def redeliver(webhook: tuple[str, str], since: datetime, database_url: str | None) -> None:
    """Send again what changed since a time, as far as the log goes back; each with the id that it had."""
    settings = read_settings(database_url=database_url)
    _on_existing(settings, webhook, lambda store: store.webhooks.redeliver(*webhook, since))
    click.echo(f"{'/'.join(webhook)} is sent what changed since {rfc3339(since)}")


@webhook.command()
@NAME
@click.option("--yes", is_flag=True, help="Don't ask.")
@database_option
def delete(webhook: tuple[str, str], yes: bool, database_url: str | None) -> None:
    """Forget a webhook, with what is not delivered yet."""
    settings = read_settings(database_url=database_url)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Forget {'/'.join(webhook)} and what it has not been sent?", abort=True)
    _on_existing(settings, webhook, lambda store: store.webhooks.delete(*webhook))
    click.echo(f"{'/'.join(webhook)} is deleted")


def _new_secret(settings: ApiSettings, webhook: tuple[str, str]) -> tuple[str, SealedSecret]:
    if settings.webhook_key_file is None:
        raise click.ClickException(
            "--webhook-key-file (SCIM_API_WEBHOOK_KEY_FILE): name the dispatcher's key or its public half; "
            "`scim-api webhook key` makes one"
        )
    secret = new_secret()
    try:
        public = read_sealing_key(settings.webhook_key_file)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    return secret, SealedSecret(seal(secret, public, "/".join(webhook)), id=secret_id(secret))


def _print_secret(webhook: tuple[str, str], secret: str, *, as_json: bool) -> None:
    shown = {"webhook": "/".join(webhook), "secret": secret}
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        click.echo(f"{name.ljust(7)}  {value}")
    click.echo("\nThe application verifies messages with the secret. It is shown only now.", err=True)


def _on_existing(
    settings: ApiSettings, webhook: tuple[str, str], action: Callable[[Store], Awaitable[T]]
) -> T:
    """What an action answers; one line to act on when there is no such webhook."""
    done = run(lambda: with_store(settings, lambda store, _: action(store)))
    if not done:
        raise click.ClickException(
            f"there is no webhook {'/'.join(webhook)}; `scim-api webhook list` shows all"
        )
    return done


async def _all_webhooks(store: Store, keep: timedelta) -> list[Webhook]:
    found: list[Webhook] = []
    after = None
    while True:
        page = await store.webhooks.page(after=after, limit=_PAGE, keep=keep)
        found += page.items
        if (after := page.next) is None:
            return found


def _row(webhook: Webhook) -> dict[str, Any]:
    times = {
        "lastDeliveredAt": webhook.last_delivered_at,
        "lastAttemptAt": webhook.last_attempt_at,
        "failingSince": webhook.failing_since,
        "retryAt": webhook.retry_at,
        "stoppedAt": webhook.stopped_at,
        "losesEventsAt": webhook.loses_events_at,
        "gapAt": webhook.gap_at,
    }
    return {
        "webhook": f"{webhook.namespace}/{webhook.name}",
        "tenant": webhook.tenant,
        "url": webhook.url,
        "types": list(webhook.types),
        "content": webhook.content,
        "timeoutSeconds": webhook.timeout_seconds,
        "state": "stopped" if webhook.stopped_at else "suspended" if webhook.suspended else "active",
        "backlog": webhook.backlog.events,
        "backlogSeconds": round(webhook.backlog.seconds, 3),
        "retrying": webhook.backlog.retrying,
        "failure": webhook.failure,
        "gap": webhook.gap,
        "secrets": len(webhook.secrets),
        **{name: None if moment is None else rfc3339(moment) for name, moment in times.items()},
    }


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["webhook"], row["tenant"], row["state"], row["lastDeliveredAt"] or "never", str(row["backlog"]),
        f"{row['backlogSeconds']:.0f}", row["failingSince"] or "-", row["url"],
    )  # fmt: skip


def _notices(row: dict[str, Any]) -> list[str]:
    notices = []
    if row["failure"]:
        notices.append(f"failing since {row['failingSince']}: {row['failure']}")
    if row["stoppedAt"]:
        notices.append(
            f"the receiver answered 410 at {row['stoppedAt']}; `scim-api webhook resume` starts again"
        )
    if row["gap"]:
        notices.append(f"at {row['gapAt']} changes were not to be had any more: {row['gap']}")
    if row["losesEventsAt"]:
        notices.append(f"changes that are not delivered will be lost from {row['losesEventsAt']} on")
    return notices
