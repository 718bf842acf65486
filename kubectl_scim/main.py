"""``kubectl scim``: look at ScimTokens, and do what their annotations do, with a look at who uses what before.

Only what a command needs is imported: a plugin is started again and again.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from kubectl_scim.kubectl import Forbidden, Kubectl, KubectlError, NotFound
from kubectl_scim.scimtoken import KIND, ScimToken

if TYPE_CHECKING:
    from rich.console import Console

    from kubectl_scim.changes import Change

F = TypeVar("F", bound=Callable[..., Any])
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_CLOCKS: Final = 0.5
"""Seconds by which this clock may be ahead of the database's."""
_LONGEST_WAIT: Final = 2.0
_WIDTH: Final = 200
"""Columns where there is no terminal."""
_FLAGS: Final = (
    ("--kubeconfig", "FILE", "As kubectl has it."),
    ("--context", "NAME", "Of the kubeconfig."),
    ("--as", "USER", "Impersonate somebody."),
)


def kubernetes_options(command: F) -> F:
    """Kubectl's own flags; kubectl takes none before a plugin's name."""
    for flag, metavar, text in reversed(_FLAGS):
        command = click.option(flag, f"flag_{flag.strip('-')}", metavar=metavar, help=text)(command)
    return click.option("-n", "--namespace", metavar="NAME", help="Default: the context's.")(command)


def _kubectl(options: dict[str, Any]) -> Kubectl:
    given = [(flag, options.pop(f"flag_{flag.strip('-')}")) for flag, _, _ in _FLAGS]
    return Kubectl(tuple(f"{flag}={value}" for flag, value in given if value))


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="scim-operator", prog_name="kubectl scim")
def cli() -> None:
    """ScimTokens: how they are, what to paste into Entra, and what to do when something is wrong.

    \b
    Look first:
        kubectl scim status              all of this namespace, what is wrong first
        kubectl scim status entra        one, with the next command to type
        kubectl scim credentials entra   what to paste where
    Then act; each waits until it is done:
        kubectl scim rotate entra
        kubectl scim revoke entra --all-superseded
        kubectl scim suspend entra; kubectl scim resume entra

    Everything is done by kubectl with your own rights.
    """  # noqa: D301 (click reads the backspace)


@cli.command()
@click.argument("name", required=False)
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="For programs.")
@kubernetes_options
def status(
    name: str | None, all_namespaces: bool, output: str | None, namespace: str | None, **options: Any
) -> None:
    """Show how ScimTokens are: one as a tree, or all as a table; what is wrong first, with the next command.

    Exits with 0 when nothing is wrong, 1 when something is, and 2 when it can't be told.
    """
    kubectl, now = _kubectl(options), datetime.now(UTC)
    if name is not None and all_namespaces:
        raise click.UsageError("name a ScimToken, or ask for --all-namespaces")
    with _told():
        place = () if all_namespaces else ("-n", namespace or kubectl.namespace())
        tokens = [ScimToken(kubectl.get(KIND, name, *place))] if name else _listed(kubectl, place)
        secrets = (
            [_secret_problem(kubectl, one) for one in tokens] if name or output else [None] * len(tokens)
        )
    if output is not None:
        from kubectl_scim.status_view import as_document

        documents = [as_document(one, secret, now) for one, secret in zip(tokens, secrets, strict=True)]
        _print(documents[0] if name else documents, output)
    else:
        from kubectl_scim import status_view

        console = _console()
        if name:
            status_view.show_one(console, tokens[0], secrets[0], now)
        elif tokens:
            status_view.show_all(console, tokens, now, all_namespaces=all_namespaces)
        else:
            click.echo(
                "no ScimTokens here; kubectl explain sct.spec tells how to make one, -A looks everywhere",
                err=True,
            )
    if any(one.problems(now) for one in tokens) or any(secrets):
        sys.exit(1)


@cli.command()
@click.argument("name")
@click.option("--show", is_flag=True, help="Print the secret, too.")
@kubernetes_options
def credentials(name: str, show: bool, namespace: str | None, **options: Any) -> None:
    """Show what to paste where in the Entra admin center, field by field as Microsoft names them.

    It needs the right to read the Secret. What is secret is hidden, unless --show is given.
    """
    from kubectl_scim import portal

    kubectl = _kubectl(options)
    with _told():
        place = ("-n", namespace or kubectl.namespace())
        token = ScimToken(kubectl.get(KIND, name, *place))
        secret = kubectl.get("secret", token.secret_name, *place)
    try:
        fields = portal.fields(token.auth_type, secret)
    except KeyError as missing:
        raise click.ClickException(
            f"Secret {token.secret_name} has no {missing.args[0]} yet: kubectl scim status {token.name} -n {token.namespace}"
        ) from None
    from kubectl_scim.text import plain

    click.echo(f"{portal.WHERE}: {portal.AUTHENTICATION.get(token.auth_type, token.auth_type)}")
    width = max(len(field.name) for field in fields)
    for field in fields:
        click.echo(f"  {field.name:<{width}}  {plain(field.shown(show=show))}")
    if not token.is_read_only and token.auth_type == "BearerToken":
        click.echo("then Test Connection, and save")


@cli.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask, even where requests are rejected.")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def rotate(name: str, yes: bool, seconds: float, namespace: str | None, **options: Any) -> None:
    """Replace the credential now; the one before stays valid for the overlap."""
    from kubectl_scim import changes

    now = datetime.now(UTC)
    _carry_out(_kubectl(options), name, namespace, lambda token: changes.rotate(token, now), seconds, yes=yes)


@cli.command()
@click.argument("name")
@click.argument("id", required=False)
@click.option("--all-superseded", is_flag=True, help="All that were replaced; the one in the Secret stays.")
@click.option("--leaked", is_flag=True, help="All that there are; another one is issued.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def revoke(
    name: str, id: str | None, all_superseded: bool, leaked: bool, yes: bool, seconds: float, namespace: str | None, **options: Any
) -> None:  # fmt: skip
    """End credentials before their time: whoever comes with them is rejected at once.

    `kubectl scim status NAME` lists the ids.
    """
    from kubectl_scim import changes
    from kubectl_scim.text import stamp

    if [id is not None, all_superseded, leaked].count(True) != 1:
        raise click.UsageError("name one ID, or give --all-superseded, or --leaked")
    now = datetime.now(UTC)

    def chosen(token: ScimToken) -> "Change":
        live = [one for one in token.credentials if one.state != "Revoked"]
        if leaked:
            limit = changes.leak_limit(token, now)
            time.sleep(min(max((limit - now).total_seconds() + _CLOCKS, 0.0), _LONGEST_WAIT))
            return changes.revoke(token, [one.id for one in live], f"all-before/{stamp(limit)}", now)
        if all_superseded:
            ids = [one.id for one in live if one.state == "Superseded"]
            return changes.revoke(
                token, _some(ids, "no credential is superseded: nothing to revoke"), "all-superseded", now
            )
        found = [one.id for one in live if one.id == id]
        return changes.revoke(
            token,
            _some(found, f"{token.name} has no credential {id}; kubectl scim status {token.name}"),
            str(id),
            now,
        )

    _carry_out(_kubectl(options), name, namespace, chosen, seconds, yes=yes)


def _some(ids: Sequence[str], otherwise: str) -> Sequence[str]:
    if not ids:
        raise click.ClickException(otherwise)
    return ids


@cli.command()
@click.argument("name")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def suspend(name: str, seconds: float, namespace: str | None, **options: Any) -> None:
    """Freeze rotation; what is accepted stays accepted to its end."""
    from kubectl_scim import changes

    _carry_out(_kubectl(options), name, namespace, changes.suspend, seconds, yes=True)


@cli.command()
@click.argument("name")
@click.option("--timeout", "seconds", type=float, default=120.0, show_default=True, help="Seconds to wait.")
@kubernetes_options
def resume(name: str, seconds: float, namespace: str | None, **options: Any) -> None:
    """End `suspend`; what is overdue is done at once."""
    from kubectl_scim import changes

    _carry_out(_kubectl(options), name, namespace, changes.resume, seconds, yes=True)


def _carry_out(
    kubectl: Kubectl,
    name: str,
    namespace: str | None,
    change_of: "Callable[[ScimToken], Change]",
    seconds: float,
    *,
    yes: bool,
) -> None:
    from kubectl_scim.text import plain
    from kubectl_scim.waiting import carry_out

    with _told():
        token = ScimToken(kubectl.get(KIND, name, "-n", namespace or kubectl.namespace()))
        change = change_of(token)
        if change.warning is not None:
            click.echo(plain(change.warning), err=True)
            if not yes and not click.confirm("Go on?", err=True):
                raise click.Abort
        done = carry_out(
            kubectl, token, change, seconds, lambda text: click.echo(f"  {plain(text)}", err=True)
        )
    click.echo(plain(change.done(done)))


def _listed(kubectl: Kubectl, place: Sequence[str]) -> list[ScimToken]:
    return [ScimToken(item) for item in kubectl.list(KIND, *(place or ("-A",)))]


def _secret_problem(kubectl: Kubectl, token: ScimToken) -> str | None:
    """What there is to say of its Secret; None: it is there."""
    try:
        kubectl.run("get", "secret", token.secret_name, "-n", token.namespace, "-o", "name")
    except NotFound:
        return "it does not exist"
    except Forbidden as error:
        return f"not looked at: {error}"
    return None


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Errors of kubectl as messages, and exit code 2."""
    try:
        yield
    except KubectlError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    from kubectl_scim.text import plain

    click.echo(f"Error: {plain(text)}", err=True)
    sys.exit(2)


def _console() -> "Console":
    """Colours on a terminal alone; what others wrote is never read as markup."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(markup=False, highlight=False, emoji=False, width=None if is_terminal else _WIDTH)


def _print(document: Any, output: str) -> None:
    if output == "json":
        import json

        click.echo(json.dumps(document, indent=2))
        return
    import yaml

    click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)


def main() -> None:
    """The console script."""
    cli(prog_name="kubectl scim")


if __name__ == "__main__":
    main()
