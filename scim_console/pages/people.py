"""The people of one tenant: users and groups to search, and each of them with what happened to it."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from scim_console import attributes
from scim_console.model import Directory, Missing, ResourcePage
from scim_console.pages.token import Namespace
from scim_console.rendering import Console, Shared, attempt, path_of, trouble_of
from scim_console.search import group_filters, literal, user_filters

router = APIRouter(prefix="/tokens/{namespace}/{name}")
ROWS: Final = 50
"""People on a page."""
Kind = Literal["users", "groups"]


def place(namespace: str, name: str) -> str:
    """Address of a token's pages, without a slash at the end."""
    return f"/tokens/{path_of(namespace, name)}"


@router.get("/users")
def users(console: Shared, namespace: Namespace, name: str, q: str = "", start: int = 1) -> HTMLResponse:
    """Users, and a field to find them by."""
    return _list_page(console, "users", namespace, name, q, start)


@router.get("/groups")
def groups(console: Shared, namespace: Namespace, name: str, q: str = "", start: int = 1) -> HTMLResponse:
    """Groups likewise."""
    return _list_page(console, "groups", namespace, name, q, start)


@router.get("/parts/users")
def users_part(console: Shared, namespace: Namespace, name: str, q: str = "", start: int = 1) -> HTMLResponse:
    """What a search changes."""
    return console.page("parts/people.html", **_found(console, "users", namespace, name, q, start))


@router.get("/parts/groups")
def groups_part(
    console: Shared, namespace: Namespace, name: str, q: str = "", start: int = 1
) -> HTMLResponse:
    """Likewise."""
    return console.page("parts/people.html", **_found(console, "groups", namespace, name, q, start))


@router.get("/users/{identity}")
def user(console: Shared, namespace: Namespace, name: str, identity: str) -> HTMLResponse:
    """One user: attributes, groups, and the log."""

    def read(directory: Directory) -> tuple[Mapping[str, Any], ResourcePage]:
        # SCIM sends a user's groups only where they are asked for.
        return directory.user(identity), directory.groups(f"members.value eq {literal(identity)}", 1, ROWS)

    return _one(console, "user", namespace, name, identity, read)


@router.get("/groups/{identity}")
def group(console: Shared, namespace: Namespace, name: str, identity: str, start: int = 1) -> HTMLResponse:
    """One group: attributes, a page of its members, and the log. The members are not read here: there may be many."""

    def read(directory: Directory) -> tuple[Mapping[str, Any], ResourcePage]:
        found = directory.groups(f"id eq {literal(identity)}", 1, 1).resources
        if not found:
            raise Missing(f"There is no group with the id {identity}; the log may know one that was deleted.")
        return found[0], ResourcePage(0, ())

    return _one(console, "group", namespace, name, identity, read, start)


@router.get("/groups/{identity}/members")
def members(console: Shared, namespace: Namespace, name: str, identity: str, start: int = 1) -> HTMLResponse:
    """The page of a group at a page of its members."""
    return group(console, namespace, name, identity, start)


@router.get("/parts/groups/{identity}/members")
def members_part(
    console: Shared, namespace: Namespace, name: str, identity: str, start: int = 1
) -> HTMLResponse:
    """A page of the users in a group, by name; and the groups in it."""
    here, start = place(namespace, name), max(start, 1)
    quoted = literal(identity)

    def read() -> tuple[ResourcePage, Sequence[Mapping[str, Any]]]:
        with console.source.directory(namespace, name) as directory:
            people = directory.users(f"groups.value eq {quoted}", start, ROWS)
            nested: Sequence[Mapping[str, Any]] = ()
            if directory.groups(f'id eq {quoted} and members[type eq "Group"]', 1, 1).total:
                nested = [one for one in directory.group(identity)["members"] if one.get("type") == "Group"]
            return people, nested

    found = attempt(read)
    page, nested = found.value or (ResourcePage(0, ()), ())
    return console.page(
        "parts/members.html",
        here=here,
        trouble=found.trouble,
        people=[_row(one) for one in page.resources],
        nested=nested,
        **_paging(page, start, f"{here}/groups/{quote(identity, safe='')}/members", {}),
    )


def _list_page(console: Console, kind: Kind, namespace: str, name: str, q: str, start: int) -> HTMLResponse:
    return console.page("people.html", section="tokens", **_found(console, kind, namespace, name, q, start))


def _found(console: Console, kind: Kind, namespace: str, name: str, q: str, start: int) -> dict[str, Any]:
    here, start = place(namespace, name), max(start, 1)

    def read() -> ResourcePage:
        with console.source.directory(namespace, name) as directory:
            return _first(
                directory.users if kind == "users" else directory.groups,
                user_filters(q) if kind == "users" else group_filters(q),
                start,
            )

    found = attempt(read)
    page = found.value or ResourcePage(0, ())
    return {
        "kind": kind,
        "here": here,
        "namespace": namespace,
        "name": name,
        "q": q,
        "trouble": found.trouble,
        "people": [_row(one) for one in page.resources],
        **_paging(page, start, f"{here}/{kind}", {"q": q} if q else {}),
    }


def _first(
    ask: Callable[[str | None, int, int], ResourcePage], filters: Sequence[str | None], start: int
) -> ResourcePage:
    """What the first filter finds that finds anybody."""
    page = ResourcePage(0, ())
    for one in filters:
        page = ask(one, start, ROWS)
        if page.total:
            break
    return page


def _row(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What a list shows."""
    external = resource.get("externalId")
    return {
        "id": str(resource.get("id", "")),
        "name": attributes.name_of(resource),
        "user_name": resource.get("userName"),
        "email": attributes.email_of(resource),
        "external_id": external if isinstance(external, str) else "",
        "is_active": resource.get("active") is not False,
    }


def _paging(page: ResourcePage, start: int, address: str, query: Mapping[str, str]) -> dict[str, Any]:
    def at(index: int) -> str:
        return f"{address}?{urlencode({**query, 'start': index})}"

    last = start + len(page.resources) - 1
    return {
        "total": page.total,
        "first": start,
        "last": last,
        "previous": at(max(1, start - ROWS)) if start > 1 else None,
        "following": at(start + ROWS) if last < page.total and page.resources else None,
    }


def _one(
    console: Console,
    kind: Literal["user", "group"],
    namespace: str,
    name: str,
    identity: str,
    read: Callable[[Directory], tuple[Mapping[str, Any], ResourcePage]],
    start: int = 1,
) -> HTMLResponse:
    context: dict[str, Any] = {
        "section": "tokens",
        "here": place(namespace, name),
        "namespace": namespace,
        "name": name,
    }
    try:
        with console.source.directory(namespace, name) as directory:
            document, groups = read(directory)
    except Exception as error:  # noqa: BLE001 (told on the page)
        status = 404 if isinstance(error, Missing) else 200
        return console.page(
            "gone.html", status, trouble=trouble_of(error), kind=kind, identity=identity, **context
        )
    return console.page(
        "person.html",
        kind=kind,
        one=_row(document),
        identity=identity,
        start=start,
        sections=attributes.sections(document),
        groups=[_row(one) for one in groups.resources],
        group_count=groups.total,
        created=_time(document, "created"),
        modified=_time(document, "lastModified"),
        raw=json.dumps(document, indent=2, ensure_ascii=False),
        **context,
    )


def _time(document: Mapping[str, Any], name: str) -> datetime | None:
    """One of ``meta``; None where it has none."""
    meta = document.get("meta")
    try:
        return datetime.fromisoformat(meta[name]) if isinstance(meta, Mapping) else None
    except (KeyError, TypeError, ValueError):
        return None
