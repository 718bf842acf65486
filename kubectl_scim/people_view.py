"""How people and what happened to them are shown. Whatever others wrote is shown as text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kubectl_scim.people import Person, Resource
from kubectl_scim.text import moment, plain

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "user.created": ("created", "green"),
    "user.updated": ("changed", ""),
    "user.activated": ("enabled", "green"),
    "user.deactivated": ("disabled", "yellow"),
    "user.deleted": ("deleted", "red"),
    "group.created": ("group created", "green"),
    "group.updated": ("group changed", ""),
    "group.deleted": ("group deleted", "red"),
    "group.member_added": ("joined", ""),
    "group.member_removed": ("left", ""),
}
"""What happened in a person's words, and its colour; other types are shown as they are."""
_HIDDEN: Final = frozenset({"schemas", "groups", "meta"})
_PATH: Final = 32
"""Characters of an attribute's name; longer ones, with a URN, push their value aside."""
_ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_PATHS: Final = 6
"""Paths of a change that are shown."""
_TIME: Final = "%Y-%m-%d %H:%M:%S"


def local(text: object) -> str:
    """A time in this machine's zone; ``-`` where there is none."""
    found = moment(text)
    return "-" if found is None else found.astimezone().strftime(_TIME)


def show_users(console: Console, users: Sequence[Resource]) -> None:
    """Users as a table."""
    table = _table("USERNAME", "NAME", "ACTIVE", "EXTERNALID", "ID", "LAST CHANGED")
    for one in users:
        active = one.get("active")
        colour = "green" if active is True else "yellow"
        table.add_row(
            _cell(one.get("userName")),
            _cell(one.get("displayName")),
            Text("-" if active is None else "yes" if active else "no", colour),
            _cell(one.get("externalId")),
            _cell(one.get("id")),
            local((one.get("meta") or {}).get("lastModified")),
        )
    console.print(table)


def show_groups(console: Console, groups: Sequence[Resource]) -> None:
    """Groups as a table."""
    table = _table("NAME", "EXTERNALID", "ID", "LAST CHANGED")
    for one in groups:
        table.add_row(
            _cell(one.get("displayName")),
            _cell(one.get("externalId")),
            _cell(one.get("id")),
            local((one.get("meta") or {}).get("lastModified")),
        )
    console.print(table)


def show_person(console: Console, person: Person, names: Mapping[str, str]) -> None:
    """A user with attributes, groups and log; of somebody deleted, by whom and when, and the log."""
    if person.user is not None:
        user = person.user
        state = Text("active", "green") if user.get("active") is not False else Text("disabled", "yellow")
        console.print(Text.assemble((plain(user.get("userName")), "bold"), "  ", state))
        meta = user.get("meta") or {}
        times = [("created", local(meta.get("created"))), ("last changed", local(meta.get("lastModified")))]
        for path, value in [*attributes(user), *times]:
            line = Text.assemble((f"  {plain(path):<{_PATH}}", "dim"), "  ", plain(value))
            console.print(line, soft_wrap=True)
        _titled(console, "groups", len(person.groups))
        for group in person.groups:
            console.print(Text(f"  {plain(group.get('displayName'))}  "), Text(plain(group.get("id")), "dim"))
    else:
        console.print(_departed(person))
    if person.log.obstacle is not None:
        console.print(Text.assemble(("log: ", "bold"), (plain(person.log.obstacle), "yellow")))
        return
    _titled(console, "log", len(person.log.changes))
    show_log(console, person.log.changes, names)
    if not person.log.is_whole:
        console.print(Text("  there are older ones: --limit", "dim"))


def show_log(console: Console, changes: Sequence[Resource], names: Mapping[str, str]) -> None:
    """Changes, the newest last.

    Args:
        console: where.
        changes: the newest first, as the service sends them.
        names: of users and groups by id.
    """
    for change in reversed(changes):
        console.print(log_line(change, names), soft_wrap=True)


def log_line(change: Resource, names: Mapping[str, str]) -> Text:
    """When, what, whom it happened to, and by which credential."""
    kind = str(change.get("type"))
    word, colour = _WORDS.get(kind, (plain(kind), ""))
    line = Text.assemble((local(change.get("at")), "dim"), "  ", (f"{word:<14}", colour), "  ")
    whom = _called(change.get("resourceId"), names, change.get("externalId"))
    if change.get("member") is not None:
        line.append(_called(change["member"], names, None), "bold").append(f" {word} ").append(whom, "bold")
    else:
        line.append(whom, "bold")
    paths = change.get("paths")
    if isinstance(paths, list) and paths:
        more = f" and {len(paths) - _PATHS} more" if len(paths) > _PATHS else ""
        line.append(f"  {plain(', '.join(map(_short, paths[:_PATHS])))}{more}")
    return line.append(f"  by {plain(by(change))}", "dim")


def by(change: Resource) -> str:
    """Who made a change: ScimToken and id of the credential."""
    actor = change.get("actor") or {}
    return (
        " ".join(str(one) for one in (actor.get("scimToken"), actor.get("credential")) if one)
        or "nobody known"
    )


def attributes(user: Resource) -> Iterator[tuple[str, str]]:
    """Attributes as Entra's mappings name them, each with its value as it was sent."""
    for name, value in user.items():
        if name in _HIDDEN:
            continue
        if name.startswith("urn:") and isinstance(value, Mapping):
            yield from _flat(value, f"{name}:")
        else:
            yield from _flat({name: value}, "")


def _flat(found: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif isinstance(value, list):
            for entry in value:
                if not isinstance(entry, Mapping):
                    yield f"{before}{name}", _text(entry)
                    continue
                rest = {key: inner for key, inner in entry.items() if key not in {"type", "primary"}}
                kind = f'[type eq "{entry["type"]}"]' if "type" in entry else ""
                yield from _flat(rest, f"{before}{name}{kind}.")
        else:
            yield f"{before}{name}", _text(value)


def _text(value: object) -> str:
    """Booleans as JSON has them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _departed(person: Person) -> Text:
    gone, newest = person.deletion, person.log.changes[0]
    whom = person.about.external_id or person.about.id
    name = Text.assemble((plain(whom), "bold"), "  ")
    if gone is None:
        last = plain(newest.get("type"))
        return name.append(f"is not there; the last that is known of them was {last}", "yellow")
    line = name.append("deleted", "red").append(f" at {local(gone.get('at'))} by {plain(by(gone))}")
    external, resource = gone.get("externalId"), gone.get("resourceId")
    if whom != resource:
        return line.append(f", id {plain(resource)}")
    return line.append(f", externalId {plain(external)}") if external else line


def _called(resource_id: object, names: Mapping[str, str], external: object) -> str:
    """A name, or what there is in its place."""
    name = names.get(str(resource_id))
    if name:
        return plain(name)
    return plain(f"externalId {external}" if external else resource_id)


def _short(path: object) -> str:
    """A path without the URN that everybody knows."""
    return str(path).removeprefix(f"{_ENTERPRISE}:")


def _titled(console: Console, title: str, number: int) -> None:
    console.print(Text(f"{title} ({number})" if number else f"{title}: none", "bold"))


def _cell(value: object) -> Text:
    return Text("-" if value is None else plain(value))


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    return table
