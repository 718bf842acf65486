"""``users``, ``groups``, ``whois`` and ``log``: who is there, and what happened to them."""

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from kubectl_scim.commands.common import (
    fail,
    installation_option,
    kubectl_of,
    kubernetes_options,
    print_document,
    terminal,
    told,
)
from kubectl_scim.kubectl import Kubectl
from kubectl_scim.scimtoken import KIND, ScimToken

if TYPE_CHECKING:
    from kubectl_scim.people import About, Log, Person
    from kubectl_scim.scim_service import ScimService
    from scim_console.model import HistoryQuery, ResourcePage

F = TypeVar("F", bound=Callable[..., Any])
TYPES: Final = (
    "user.created",
    "user.updated",
    "user.activated",
    "user.deactivated",
    "user.deleted",
    "group.created",
    "group.updated",
    "group.deleted",
    "group.member_added",
    "group.member_removed",
)
"""Of changes, as the service names them."""
_SHOWN: Final = 50
_OF_A_PERSON: Final = 20


@dataclasses.dataclass(frozen=True, slots=True)
class _Tenant:
    """Of a ScimToken."""

    directory: "ScimService"
    token: ScimToken
    kubectl: Kubectl

    def command(self, name: str, *words: str) -> str:
        """One of these commands about the same tenant, to type next."""
        line = ["kubectl", "scim", name, self.token.name, *words, "-n", self.token.namespace]
        return self.kubectl.suggested(shlex.join(line))


def _options(command: F) -> F:
    command = click.option(
        "-o", "--output", type=click.Choice(["json", "yaml"]), help="For programs; times are in UTC."
    )(command)
    return installation_option(kubernetes_options(command))


@click.command()
@click.argument("name")
@click.argument("filter", required=False)
@click.option("--limit", type=click.IntRange(1), default=_SHOWN, show_default=True, help="Users at most.")
@_options
def users(name: str, filter: str | None, limit: int, output: str | None, **options: Any) -> None:
    """List the tenant's users.

    All, those with a text in their names or addresses, or those whom a SCIM filter finds.

    \b
    kubectl scim users entra
    kubectl scim users entra lovelace
    kubectl scim users entra 'active eq false and meta.lastModified gt "2026-11-23T00:00:00Z"'

    A text is looked for in userName, displayName and e-mail addresses.
    """  # noqa: D301 (click reads the backspace)
    from kubectl_scim import people
    from kubectl_scim.search import users_filter

    with _tenant(name, options) as tenant:
        page = people.users(tenant.directory, users_filter(filter), limit)
    _show(tenant, "user", page, filter, output)


@click.command()
@click.argument("name")
@click.argument("filter", required=False)
@click.option("--limit", type=click.IntRange(1), default=_SHOWN, show_default=True, help="Groups at most.")
@_options
def groups(name: str, filter: str | None, limit: int, output: str | None, **options: Any) -> None:
    """List the tenant's groups.

    All, those with a text in their name, or those that a SCIM filter finds. Members are not shown: kubectl scim users NAME 'groups.value eq "ID"' lists them.
    """
    from kubectl_scim import people
    from kubectl_scim.search import groups_filter

    with _tenant(name, options) as tenant:
        page = people.groups(tenant.directory, groups_filter(filter), limit)
    _show(tenant, "group", page, filter, output)


@click.command()
@click.argument("name")
@click.argument("value")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=_OF_A_PERSON,
    show_default=True,
    help="Lines of the log at most.",
)
@_options
def whois(name: str, value: str, limit: int, output: str | None, **options: Any) -> None:
    """Show one user, their groups and history.

    Attributes as they were sent, groups, and what happened to them, when and by which credential.

    VALUE is a userName, e-mail address, externalId or id. Who was deleted is found by externalId or id.
    Exits with 0 when somebody is there, 1 when nobody is or was, or they were deleted, and 2 when that cannot be determined.
    """
    from kubectl_scim import people
    from scim_console.model import HistoryQuery

    query = HistoryQuery(limit=limit)
    with _tenant(name, options) as tenant:
        directory = tenant.directory
        found = people.matching(directory, value)
        if len(found) > 1:
            ids = ", ".join(f"{one.get('userName')} (id {one.get('id')})" for one in found)
            fail(f"{value} names {len(found)} users: {ids}; ask by id")
        person = (
            people.present(directory, found[0], query) if found else people.former(directory, value, query)
        )
        names = {} if person is None or output else people.Names(directory).of(person.log.changes)
    if person is None:
        _nobody(tenant, value)
    if output is not None:
        print_document(_document(person), output)
    else:
        from kubectl_scim.people_view import show_person

        show_person(terminal(), person, names)
    if person.user is None:
        sys.exit(1)


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option(
    "--about", metavar="VALUE", help="A user or group: userName, e-mail, displayName, externalId or id."
)
@click.option(
    "--type", "types", type=click.Choice(TYPES), multiple=True, metavar="TYPE",
    help=f"May be repeated. One of {', '.join(TYPES)}.",
)  # fmt: skip
@click.option("--since", "begin", metavar="TIME", help="2h, 7d, or RFC 3339.")
@click.option("--credential", metavar="ID", help="By which it was done; kubectl scim status NAME lists them.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=_SHOWN,
    show_default=True,
    help="The last ones, so many at most.",
)
@_options
def log(
    name: str, follow: bool, about: str | None, types: tuple[str, ...], begin: str | None, credential: str | None, limit: int,
    output: str | None, **options: Any,
) -> None:  # fmt: skip
    """Show changes to users and groups.

    What happened, to whom, when and by which credential, the newest last.

    \b
    kubectl scim log entra --follow
    kubectl scim log entra --about ada@example.com
    kubectl scim log entra --type user.deleted --since 7d
    """  # noqa: D301 (click reads the backspace)
    from kubectl_scim import people
    from kubectl_scim.search import since
    from scim_console.model import HistoryQuery

    try:
        start = since(begin, datetime.now().astimezone()) if begin is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    query = HistoryQuery(credential=credential, types=frozenset(types), since=start, limit=limit)
    with _tenant(name, options) as tenant:
        directory = tenant.directory
        whom = people.About()
        if about is not None:
            found = people.whom(directory, about)
            if len(found) > 1:
                fail(
                    f"{about} names {len(found)} users: {tenant.command('users', about)} lists them; ask by id"
                )
            whom = found[0]
        head = directory.head() if follow else ""
        last = _last(tenant, whom, query, follow=follow)
        show = _shown(directory, output, follow=follow)
        show(list(reversed(last.changes)))
        if not last.changes and not follow:
            click.echo(_nothing(about), err=True)
        if not last.is_whole and not follow:
            click.echo(f"the last {len(last.changes)}; --limit shows more", err=True)
        if follow:
            _follow(directory, head, whom, query, {str(one.get("id")) for one in last.changes}, show)


def _last(tenant: _Tenant, whom: "About", query: "HistoryQuery", *, follow: bool) -> "Log":
    """What was; where only what will be can be read, that is enough to follow."""
    from kubectl_scim import people
    from kubectl_scim.text import plain
    from scim_console.model import Unreachable

    try:
        return people.history(tenant.directory, whom, query)
    except Unreachable as error:
        if not follow:
            raise
        click.echo(plain(tenant.kubectl.suggested(f"only what happens from now on: {error}")), err=True)
        return people.Log((), is_whole=True)


def _follow(
    directory: "ScimService", head: str, whom: "About", query: "HistoryQuery", shown: set[str], show: Callable[[list[Any]], None]
) -> None:  # fmt: skip
    import threading

    from kubectl_scim import people

    with contextlib.suppress(KeyboardInterrupt):
        changes = directory.follow(threading.Event(), query.types, head)
        for one in people.following(changes, whom, query, shown):
            show([one])


def _shown(directory: "ScimService", output: str | None, *, follow: bool) -> Callable[[list[Any]], None]:
    """Prints changes, the newest last."""
    if output is not None:
        return _written(output) if follow else lambda changes: print_document(changes, output)
    from kubectl_scim.people import Names
    from kubectl_scim.people_view import log_line

    names, screen = Names(directory), terminal()

    def lines(changes: Iterable[Mapping[str, Any]]) -> None:
        called = names.of(changes)
        for one in changes:
            screen.print(log_line(one, called), soft_wrap=True)

    return lines


def _written(output: str) -> Callable[[list[Any]], None]:
    """For what does not end: an object a line, or a document each."""

    def each(changes: Iterable[Any]) -> None:
        for one in changes:
            if output == "json":
                import json

                click.echo(json.dumps(one))
            else:
                click.echo("---")
                print_document(one, output)

    return each


@contextlib.contextmanager
def _tenant(name: str, options: dict[str, Any]) -> Iterator[_Tenant]:
    """The people of a ScimToken's tenant; whatever goes wrong is told."""
    from kubectl_scim.reading import reading
    from kubectl_scim.text import plain
    from scim_console.model import Denied, Missing, Unreachable

    installation, namespace = options.pop("installation"), options.pop("namespace")
    kubectl: Kubectl = kubectl_of(options)
    try:
        with told(kubectl):
            token = ScimToken(kubectl.get(KIND, name, "-n", namespace or kubectl.namespace()))
            with reading(
                kubectl, token, installation, lambda text: click.echo(plain(text), err=True)
            ) as directory:
                yield _Tenant(directory, token, kubectl)
    except (Denied, Missing, Unreachable, ValueError) as error:
        fail(kubectl.suggested(str(error)))


def _show(tenant: _Tenant, noun: str, page: "ResourcePage", filter: str | None, output: str | None) -> None:
    """A page of users or groups, and how many there are more."""
    if output is not None:
        print_document({"totalResults": page.total, "Resources": list(page.resources)}, output)
        return
    from kubectl_scim.people_view import show_groups, show_users

    if page.resources:
        (show_users if noun == "user" else show_groups)(terminal(), page.resources)
    _count(tenant, noun, len(page.resources), page.total, filter)


def _count(tenant: _Tenant, noun: str, shown: int, total: int, filter: str | None) -> None:
    """How many there are more, and what to do where there are none; beside what is printed."""
    from kubectl_scim.search import is_filter
    from kubectl_scim.text import plain

    if shown < total:
        click.echo(f"{shown} of {total} {noun}s; --limit shows more", err=True)
    elif not total and filter is None:
        click.echo(plain(f"no {noun}s: has provisioning begun? {tenant.command('log')} tells"), err=True)
    elif not total and filter is not None:
        if is_filter(filter):
            what = "for which that filter holds"
        elif noun == "group":
            what = f'whose displayName contains "{filter}"'
        else:
            what = f"with {filter} in its name or an address"
        click.echo(plain(f"no {noun} {what}"), err=True)


def _nothing(about: str | None) -> str:
    kept = "The log goes back 90 days by default (chart value api.changeRetentionDays)"
    if about is None:
        return f"nothing found. {kept}"
    return f"nothing found about {about}. {kept}. Who was deleted is found by externalId or id"


def _nobody(tenant: _Tenant, value: str) -> NoReturn:
    from kubectl_scim.search import TRIED
    from kubectl_scim.text import plain

    click.echo(
        plain(
            f"nobody has {value} as {TRIED}, and nobody deleted had it as externalId or id, as far back as the log goes. "
            f"Next: {tenant.command('users', 'TEXT')} looks for a part of a name; "
            f"{tenant.command('log', '--type', 'user.deleted')} lists who was deleted; in Entra, Provision on demand says why somebody is left out"
        ),
        err=True,
    )
    sys.exit(1)


def _document(person: "Person") -> Mapping[str, Any]:
    return {
        "user": person.user,
        "groups": list(person.groups),
        "deletion": person.deletion,
        "log": list(reversed(person.log.changes)),
        "logComplete": person.log.is_whole,
        "logError": person.log.obstacle,
    }
