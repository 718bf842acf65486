"""A user or group as rows to read, from what SCIM sends. Pure."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

ELSEWHERE: Final = frozenset({"schemas", "meta", "id", "groups", "members"})
"""What the page shows in places of its own."""
_LONG: Final = 40
"""Entries of one attribute that are shown; the document below has all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Value:
    """One value of an attribute."""

    text: str
    notes: tuple[str, ...] = ()
    """What is said of it, such as its type, and whether it is the primary one."""
    user: str | None = None
    """Id of the user that it leads to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """An attribute, by the path that a filter or a mapping names it with."""

    name: str
    values: Sequence[Value]
    left_out: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Section:
    """Attributes of one schema."""

    title: str
    """Empty: of the core schema."""
    schema: str
    rows: Sequence[Row]


def sections(document: Mapping[str, Any]) -> Sequence[Section]:
    """The core schema's first, then those of each extension, in the order in which they were sent."""
    core: list[Row] = []
    found = []
    for name, value in document.items():
        if name in ELSEWHERE:
            continue
        if name.startswith("urn:") and isinstance(value, Mapping):
            found.append(Section(_title(name), name, list(_rows("", value))))
        else:
            core += _rows("", {name: value})
    return [Section("", "", core), *found] if core else found


def _title(schema: str) -> str:
    """``Enterprise User`` of ``urn:…:extension:enterprise:2.0:User``; the whole where it has no such form."""
    match = re.fullmatch(r"urn:.*:extension:([^:]+)(?::[^:]+)?:([^:]+)", schema)
    return f"{match[1][:1].upper()}{match[1][1:]} {match[2]}" if match else schema


def _rows(prefix: str, value: Mapping[str, Any]) -> Iterator[Row]:
    for name, inner in value.items():
        path = f"{prefix}{name}"
        if isinstance(inner, list):
            shown = inner[:_LONG]
            yield Row(path, [_entry(one) for one in shown], len(inner) - len(shown))
        elif isinstance(inner, Mapping):
            if name == "manager" and isinstance(inner.get("value"), str):
                yield Row(path, [_manager(inner)])
            else:
                yield from _rows(f"{path}.", inner)
        else:
            yield Row(path, [Value(_text(inner))])


def _manager(value: Mapping[str, Any]) -> Value:
    name = value.get("displayName")
    return Value(name if isinstance(name, str) and name else value["value"], user=value["value"])


def _entry(entry: Any) -> Value:
    """An entry of a list: its value with what is said of it, or all that it has."""
    if not isinstance(entry, Mapping):
        return Value(_text(entry))
    notes: tuple[str, ...] = (entry["type"],) if isinstance(entry.get("type"), str) else ()
    if entry.get("primary") is True:
        notes += ("primary",)
    if "value" in entry:
        display = entry.get("display")
        if isinstance(display, str) and display and display != entry["value"]:
            notes += (display,)
        return Value(_text(entry["value"]), notes)
    if isinstance(entry.get("formatted"), str):
        return Value(entry["formatted"], notes)
    rest = [_text(one) for name, one in entry.items() if name not in {"type", "primary"}]
    return Value(", ".join(rest), notes)


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)


def name_of(document: Mapping[str, Any]) -> str:
    """What people call it: its display name, else its user name, else its id."""
    for attribute in ("displayName", "userName", "id"):
        value = document.get(attribute)
        if isinstance(value, str) and value.strip():
            return value
    return "(no name)"


def email_of(user: Mapping[str, Any]) -> str:
    """The primary e-mail, else the first one; empty without any."""
    emails = [one for one in _list(user.get("emails")) if isinstance(one, Mapping) and one.get("value")]
    first = next((one for one in emails if one.get("primary") is True), emails[0] if emails else None)
    return "" if first is None else str(first["value"])


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
