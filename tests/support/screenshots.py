"""The pictures of the documentation: the console over a played company, as Chromium shows it."""

import contextlib
import socket
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvicorn
from playwright.sync_api import Browser, Page, expect

from scim_console.access import Access
from scim_console.app import create_app
from scim_console.model import Problem, Source
from support.browser import running_browser
from support.played_people import PlayedPeople, change, user
from support.played_source import NOW, PlayedSource, world

PICTURES: Final = Path(__file__).resolve().parents[2] / "docs/pictures"
MOST_BYTES: Final = 150_000
HERE: Final = "/tokens/identity/entra"
_ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_ACTIVE, _OLD = "fb8c8bfa672c14f3", "e9bc3f5c781a9144"
_NAMES: Final = (
    "Ada Lovelace", "Grace Hopper", "Katherine Johnson", "Dorothy Vaughan", "Radia Perlman", "Edsger Dijkstra",
    "Alan Turing", "Barbara Liskov", "Donald Knuth",
)  # fmt: skip


_GROUPS: Final = {"g-1": "Engineers", "g-2": "Engine Reading Group"}


def _people() -> list[dict[str, Any]]:
    return [_person(number, name) for number, name in enumerate(_NAMES, 1)]


def _person(number: int, name: str) -> dict[str, Any]:
    given, family = name.split()
    address = f"{given}.{family}@contoso.example".lower()
    return user(
        _id(f"u-{number}"),
        name,
        externalId=f"{given[0]}{family}".lower(),
        userName=address,
        title="Principal Engineer",
        emails=[{"type": "work", "primary": True, "value": address}],
        phoneNumbers=[{"type": "work", "value": f"+49 221 555 01{number:02}"}],
        addresses=[{"type": "work", "locality": "Köln", "postalCode": "50667", "country": "DE"}],
        **{
            "name": {"givenName": given, "familyName": family},
            _ENTERPRISE: {
                "department": "Analytical Engines",
                "employeeNumber": f"10{number:03}",
                "manager": {"value": _id("u-2"), "displayName": "Grace Hopper"},
            },
        },
    )


def _log() -> list[dict[str, Any]]:
    """A morning, the newest first."""
    told: list[tuple[int, str, str, dict[str, Any]]] = [
        (1, "user.deactivated", "u-7", {}),
        (1, "group.member_removed", "g-1", {"member": _id("u-7")}),
        (6, "user.updated", "u-3", {"paths": ["title", f"{_ENTERPRISE}:department"]}),
        (14, "group.member_added", "g-2", {"member": _id("u-1")}),
        (14, "group.member_added", "g-2", {"member": _id("u-5")}),
        (15, "group.created", "g-2", {}),
        (47, "user.created", "u-9", {}),
        (47, "user.created", "u-8", {}),
        (95, "user.deleted", "u-77", {"externalId": "cbabbage"}),
        (130, "user.updated", "u-1", {"paths": ["phoneNumbers", 'addresses[type eq "work"].locality']}),
        (131, "user.activated", "u-4", {}),
        (26 * 60, "group.member_added", "g-1", {"member": _id("u-1")}),
        (49 * 60, "user.created", "u-1", {}),
    ]  # fmt: skip
    return [
        change(
            100 - number,
            kind,
            resourceId=_id(resource),
            at=(NOW - timedelta(minutes=minutes)).isoformat(),
            actor={"credential": _ACTIVE if minutes < 60 else _OLD, "scimToken": "identity/entra"},
            **more,
        )
        for number, (minutes, kind, resource, more) in enumerate(told)
    ]


def company() -> PlayedSource:
    """Some ScimTokens, and the people of one of them."""
    source, people, everybody = world(), PlayedPeople(), _people()
    source.place = "production · all namespaces"
    assert not isinstance(source.all, Exception)
    source.all = [replace(one, problems=[_next(problem) for problem in one.problems]) for one in source.all]
    groups = [{"id": _id(key), "displayName": name} for key, name in _GROUPS.items()]
    people.found = {None: everybody}
    people.found |= {f'id eq "{one["id"]}"': [one] for one in everybody}
    people.found_groups = {f'id eq "{one["id"]}"': [one] for one in groups}
    people.found_groups[f'members.value eq "{_id("u-1")}"'] = groups
    people.past = [*_log()]
    source.people = {"entra": people}
    return source


def _next(one: Problem) -> Problem:
    return replace(one, command="kubectl scim status staging -n identity") if one.severity == "error" else one


def _id(key: str) -> str:
    """A UUID, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, key))


@contextlib.contextmanager
def served(source: Source, now: datetime) -> Iterator[str]:
    """The address that opens a console in this process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        access = Access(listener.getsockname()[1])
        app = create_app(source, access, lambda: now)
        server = uvicorn.Server(uvicorn.Config(app.asgi, log_level="warning", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            yield access.url
        finally:
            app.close()
            server.should_exit = True
            thread.join(20)


def _opened(browser: Browser, address: str) -> Page:
    page = browser.new_context(
        viewport={"width": 1200, "height": 760},
        color_scheme="light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    ).new_page()
    page.clock.set_fixed_time(NOW)
    page.goto(address)
    return page


def pages() -> Mapping[str, str]:
    """Each picture, and the page on it."""
    return {"tokens": "/", "user": f"{HERE}/users/{_id('u-1')}", "log": f"{HERE}/log"}


def write(directory: Path) -> list[Path]:
    """Write each picture; their files."""
    directory.mkdir(parents=True, exist_ok=True)
    with served(company(), NOW) as address, running_browser() as browser:
        page = _opened(browser, address)
        for name, path in pages().items():
            page.goto(address.partition("/open")[0] + path)
            expect(page.locator("[aria-busy]")).to_have_count(0)
            page.screenshot(path=directory / f"console-{name}.png")
    return [directory / f"console-{name}.png" for name in pages()]


if __name__ == "__main__":
    for picture in write(PICTURES):
        size = picture.stat().st_size
        print(f"{picture.name}: {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            sys.exit(f"more than {MOST_BYTES // 1000} kB")
