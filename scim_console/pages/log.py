"""What happened in a tenant: the newest first, older ones by a button, and what happens now by itself."""

import dataclasses
import threading
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from starlette.responses import StreamingResponse

from scim_console import attributes, changes
from scim_console.changes import Named, Sentence, Wanted
from scim_console.live import event, stream
from scim_console.model import (
    Denied,
    Directory,
    HistoryPage,
    HistoryQuery,
    Missing,
    ResourcePage,
    Unreachable,
)
from scim_console.pages.people import place
from scim_console.pages.token import Namespace
from scim_console.rendering import Console, Part, Shared, Trouble, attempt, trouble_of
from scim_console.search import exact_group_filters, group_filters, literal, person_filters, user_filters

router = APIRouter(prefix="/tokens/{namespace}/{name}")
ROWS: Final = 30
"""Changes on a page: the name of each is looked up."""
CHOICES: Final = 8
"""People and groups who are offered when several are meant."""
MISSED: Final = 100
"""Changes that a page is told at most when its stream begins."""
SHORT_PAGES: Final = 8
"""Asked for at most to fill one page: each looks at so many rows, and may find none."""


def _wanted(
    who: str = "", kind: str = "", credential: str = "", period: str = "", since: str = "", until: str = ""
) -> Wanted:
    return Wanted(who.strip(), kind, credential.strip(), period, since.strip(), until.strip())


Asked = Annotated[Wanted, Depends(_wanted)]


@dataclasses.dataclass(frozen=True, slots=True)
class _Listed:
    """A page of the log."""

    rows: Sequence[Sentence]
    next: str | None
    about: Sequence[Named]
    """Whom it is about, when somebody was asked for."""


@router.get("/log")
def page(console: Shared, namespace: Namespace, name: str, wanted: Asked, after: str = "") -> HTMLResponse:
    """The page, with what is looked for."""
    token = attempt(lambda: console.source.token(namespace, name)).value
    return console.page(
        "log.html",
        section="tokens",
        namespace=namespace,
        name=name,
        kinds=changes.KINDS,
        periods=changes.PERIODS,
        credentials=[one.id for one in reversed(token.credentials)] if token else [],
        **_listed(console, namespace, name, wanted, after),
    )


@router.get("/parts/log")
def part(console: Shared, namespace: Namespace, name: str, wanted: Asked, after: str = "") -> HTMLResponse:
    """What a search changes, or the next older ones."""
    return console.page("parts/log.html", **_listed(console, namespace, name, wanted, after))


@router.get("/log/live")
async def live(
    request: Request, console: Shared, namespace: Namespace, name: str, wanted: Asked, seen: str = ""
) -> StreamingResponse:
    """An ``item`` for each change that comes, and for those that came after the one that a page has ``seen``."""
    seen = request.headers.get("last-event-id") or seen
    return stream(_events(console, namespace, name, wanted, seen))


def _listed(console: Console, namespace: str, name: str, wanted: Wanted, after: str) -> dict[str, Any]:
    def read() -> _Listed:
        with console.source.directory(namespace, name) as directory:
            about = _about(directory, wanted.who)
            if wanted.who and len(about) != 1:
                return _Listed((), None, about)
            page = _page(directory, _query(console, wanted, about, after))
            return _Listed(_sentences(directory, page.changes), page.next, about)

    found: Part[_Listed] = _attempt(read)
    listed = found.value or _Listed((), None, ())
    here = place(namespace, name)
    return {
        "here": here,
        "wanted": wanted,
        "trouble": found.trouble,
        "rows": listed.rows,
        "about": listed.about,
        "after": after,
        "older": f"?{wanted.query(after=listed.next)}" if listed.next else None,
        "mark": zlib.crc32((listed.next or "").encode()),
    }


def _attempt(read: Any) -> Part[_Listed]:
    """As ``attempt``; what was typed wrong is told as it is."""
    try:
        return Part(read())
    except ValueError as error:
        return Part(None, Trouble("Not understood", str(error)))
    except Exception as error:  # noqa: BLE001 (told on the page)
        return Part(None, trouble_of(error))


def _query(console: Console, wanted: Wanted, about: Sequence[Named], after: str = "") -> HistoryQuery:
    return HistoryQuery(
        about=about[0].id if about else None,
        credential=wanted.credential or None,
        types=wanted.types,
        since=wanted.begin(console.now()),
        until=wanted.end(),
        after=after or None,
        limit=ROWS,
    )


def _page(directory: Directory, query: HistoryQuery) -> HistoryPage:
    """A page that has something, unless there is nothing or too much to look through."""
    found: list[Mapping[str, Any]] = []
    for _ in range(SHORT_PAGES):
        page = directory.history(query)
        found += page.changes
        query = dataclasses.replace(query, after=page.next, limit=max(1, ROWS - len(found)))
        if page.next is None or len(found) >= ROWS:
            break
    return HistoryPage(found, query.after)


def _about(directory: Directory, who: str) -> Sequence[Named]:
    """Who is meant: by a whole id, externalId, userName or e-mail; one who was deleted; else whoever has it in the name."""
    if not who:
        return ()
    exact = [("user", one) for one in person_filters(who)] + [
        ("group", one) for one in exact_group_filters(who)
    ]
    for kind, one in exact:
        found = _ask(directory, kind)(one, 1, 1).resources
        if found:
            return (_named(kind, found[0]),)
    return _deleted(directory, who) or [
        _named(kind, one)
        for kind, wanted in (("user", user_filters(who)), ("group", group_filters(who)))
        for one in _ask(directory, kind)(wanted[-1], 1, CHOICES).resources
    ]


def _ask(directory: Directory, kind: str) -> Callable[[str | None, int, int], ResourcePage]:
    return directory.users if kind == "user" else directory.groups


def _deleted(directory: Directory, who: str) -> Sequence[Named]:
    """Somebody by the id or externalId that their changes have."""
    for change in directory.history(HistoryQuery(about=who, limit=1)).changes:
        for kind, identity in changes.subjects(change):
            if identity == who:
                return (Named(kind, who, who, exists=False),)
    for change in directory.history(HistoryQuery(external_id=who, limit=1)).changes:
        kind, identity = changes.subjects(change)[-1]
        return (Named(kind, identity, who, exists=False),)
    return ()


def _named(kind: str, resource: Mapping[str, Any]) -> Named:
    return Named(
        "group" if kind == "group" else "user",
        str(resource.get("id", "")),
        attributes.name_of(resource),
        exists=True,
    )


def _sentences(directory: Directory, found: Sequence[Mapping[str, Any]]) -> Sequence[Sentence]:
    """As the page tells them, with the names of those who are still there."""
    names: dict[str, Named] = {}
    for kind, identity in dict.fromkeys(pair for one in found for pair in changes.subjects(one)):
        for resource in _ask(directory, kind)(f"id eq {literal(identity)}", 1, 1).resources:
            names[identity] = _named(kind, resource)
    return [changes.sentence(one, names) for one in found]


async def _events(
    console: Console, namespace: str, name: str, wanted: Wanted, seen: str
) -> AsyncIterator[str]:
    try:
        async for row in console.streams.items(
            lambda stop: _follow(console, namespace, name, wanted, seen, stop)
        ):
            item = console.render("parts/change.html", here=place(namespace, name), row=row, is_new=True)
            yield event("item", item, row.id)
    except (Denied, Missing, Unreachable, ValueError) as error:
        yield event("item", console.render("parts/change_trouble.html", trouble=trouble_of(error)))
    yield event("end")


def _follow(
    console: Console, namespace: str, name: str, wanted: Wanted, seen: str, stop: threading.Event
) -> Iterator[Sentence]:
    """What came after ``seen``, then what comes: the oldest first, each once."""
    with console.source.directory(namespace, name) as directory:
        about = _about(directory, wanted.who)
        if wanted.who and len(about) != 1:
            return
        coming = directory.follow(stop)
        query = dataclasses.replace(_query(console, wanted, about), limit=MISSED)
        missed = []
        for change in directory.history(query).changes:
            if change.get("id") == seen:
                break
            missed.append(change)
        told = {seen, *(one.get("id") for one in missed)}
        yield from _sentences(directory, missed[::-1])
        for change in coming:
            if change.get("id") not in told and _is_wanted(change, query):
                yield from _sentences(directory, (change,))


def _is_wanted(change: Mapping[str, Any], query: HistoryQuery) -> bool:
    """Whether a change that has just come is one of those that are looked for."""
    actor = change.get("actor")
    by = actor.get("credential") if isinstance(actor, Mapping) else None
    return (
        query.until is None
        and (query.about is None or query.about in {identity for _, identity in changes.subjects(change)})
        and (query.credential is None or query.credential == by)
        and (not query.types or change.get("type") in query.types)
    )
