"""People and their log in a terminal: what others wrote is text, and times are this machine's."""

import io
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from kubectl_scim.people import About, Log, Person
from kubectl_scim.people_view import (
    attributes,
    by,
    local,
    log_line,
    show_groups,
    show_log,
    show_person,
    show_users,
)
from support.played_directory import change, user


@pytest.fixture(autouse=True)
def in_berlin() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CET-1"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def shown(show: Any, *arguments: Any) -> str:
    """Without colours, so that whatever controls a terminal came from others."""
    file = io.StringIO()
    console = Console(file=file, width=200, markup=False, highlight=False, emoji=False, color_system=None)
    show(console, *arguments)
    return file.getvalue()


def test_users_are_a_table() -> None:
    people = [
        user("1", "ada@example.com"),
        user("2", "bob", active=False, displayName=None, externalId=None, meta={}),
    ]
    lines = shown(show_users, people).splitlines()
    assert lines[0].split() == ["USERNAME", "NAME", "ACTIVE", "EXTERNALID", "ID", "LAST", "CHANGED"]
    assert lines[1].split() == ["ada@example.com", "Ada", "yes", "e-1", "1", "2026-11-30", "10:00:00"]
    assert lines[2].split() == ["bob", "-", "no", "-", "2", "-"]


def test_groups_are_a_table() -> None:
    group = {"id": "1", "displayName": "R&D [team]", "externalId": "e"}
    assert shown(show_groups, [group]).splitlines()[1].split() == ["R&D", "[team]", "e", "1", "-"]


def test_attributes_are_named_as_entra_maps_them_and_have_what_was_sent() -> None:
    person = user(
        "1", "ada",
        phoneNumbers=[{"type": "mobile", "value": "+49 (30) 1"}, {"value": "7"}],
        tags=["a", "b"],
        **{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D", "manager": {"value": "9"}}},
    )  # fmt: skip
    person["name"] = {"givenName": "Ada"}
    found = list(attributes(person))
    assert ("active", "true") in found
    assert ("name.givenName", "Ada") in found
    assert ('emails[type eq "work"].value', "ada") in found
    assert ('phoneNumbers[type eq "mobile"].value', "+49 (30) 1") in found
    assert ("phoneNumbers.value", "7") in found
    assert [value for path, value in found if path == "tags"] == ["a", "b"]
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert (f"{urn}:department", "R&D") in found
    assert (f"{urn}:manager.value", "9") in found
    assert not any(path.startswith("schemas") for path, _ in found)


def test_a_person_has_attributes_groups_and_log() -> None:
    log = Log([change("2", "user.deactivated", "1"), change("1", "user.created", "1")], is_whole=False)
    person = Person(
        About(id="1"), user("1", "ada@example.com"), [{"id": "g", "displayName": "Engineers"}], log
    )
    text = shown(show_person, person, {"1": "ada@example.com"})
    assert text.startswith("ada@example.com  active\n  id                                1\n")
    assert "last changed                      2026-11-30 10:00:00" in text
    assert "groups (1)" in text
    assert "Engineers" in text
    log_part = text.partition("log (2)")[2]
    assert 0 < log_part.index("created") < log_part.index("disabled"), "the newest last"
    assert "--limit" in text


def test_who_was_deleted_is_told_with_when_and_by_whom() -> None:
    log = Log([change("2", "user.deleted", "1"), change("1", "user.created", "1")], is_whole=True)
    text = shown(show_person, Person(About(id="1"), None, (), log), {})
    assert text.splitlines()[0] == "1  deleted at 2026-11-30 10:00:00 by team/entra t1, externalId e-1"
    assert "--limit" not in text
    by_external = Person(About("1", "e-1"), None, (), log)
    assert shown(show_person, by_external, {}).startswith(
        "e-1  deleted at 2026-11-30 10:00:00 by team/entra t1, id 1\n"
    )
    without = Person(
        About(id="1"), user("1", "ada"), (), Log((), is_whole=True, obstacle="it takes a port-forward")
    )
    assert "log: it takes a port-forward" in shown(show_person, without, {})
    rest = Log([change("1", "user.created", "1")], is_whole=False)
    assert "the last that is known of them was user.created" in shown(
        show_person, Person(About(external_id="e-1"), None, (), rest), {}
    )


@pytest.mark.parametrize(
    ("what", "names", "line"),
    [
        (change("1", "user.deactivated", "1", paths=["active"]), {"1": "ada"}, "disabled        ada  active  by team/entra t1"),
        (change("1", "user.deleted", "1"), {"1": ""}, "deleted         externalId e-1  by team/entra t1"),
        (change("1", "user.created", "1", externalId=None), {}, "created         1  by team/entra t1"),
        (change("1", "group.member_added", "g", member="1"), {"1": "ada", "g": "R&D"}, "joined          ada joined R&D  by team/entra t1"),
        (change("1", "user.frozen", "1", actor={}), {"1": "ada"}, "user.frozen     ada  by nobody known"),
        (
            change("1", "user.updated", "1", paths=[*"abcdef", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"]),
            {"1": "ada"},
            "changed         ada  a, b, c, d, e, f and 1 more  by team/entra t1",
        ),
        (
            change("1", "user.updated", "1", paths=["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"]),
            {"1": "ada"},
            "changed         ada  department  by team/entra t1",
        ),
    ],
)  # fmt: skip
def test_a_line_of_the_log_says_what_happened_to_whom_and_by_what(
    what: dict[str, Any], names: dict[str, str], line: str
) -> None:
    assert log_line(what, names).plain == f"2026-11-30 10:00:00  {line}"


def test_what_others_wrote_moves_no_cursor() -> None:
    evil = "\x1b[31m\x1b]0;title\x07<script>[bold]x[/bold]\r\n"
    person = user("1", evil, displayName=evil, externalId=evil, nickName=evil, **{evil: {evil: evil}})
    log = Log(
        [
            change(
                "1", evil, evil, externalId=evil, paths=[evil], actor={"credential": evil, "scimToken": evil}
            )
        ],
        is_whole=True,
    )
    deleted = Log([{**log.changes[0], "type": "user.deleted"}], is_whole=True)
    whole = Person(About(id="1"), person, [{"id": evil, "displayName": evil}], log)
    text = "".join(
        (
            shown(show_users, [person]),
            shown(show_groups, [{"id": evil, "displayName": evil, "externalId": evil}]),
            shown(show_person, whole, {evil: evil}),
            shown(show_person, Person(About(external_id=evil), None, (), log), {}),
            shown(show_log, log.changes, {}),
            shown(show_person, Person(About(external_id=evil), None, (), deleted), {}),
        )
    )
    assert not set(text) & {"\x1b", "\x07", "\r"}
    assert "[bold]x[/bold]" in text
    assert "<script>" in text


def test_a_time_is_this_machines_and_its_absence_is_told() -> None:
    assert local("2026-11-30T23:30:00.5Z") == "2026-12-01 00:30:00"
    assert local(None) == "-"
    assert by({"actor": {"credential": "t1", "scimToken": None}}) == "t1"
