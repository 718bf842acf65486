"""The model of PATCH on groups: ``patch_model`` says what it is written from."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Final

from support.patch_model import NULLS, Place, Places, Refusal, Refused, attempt, perform, single

CORE_GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
SELF: Final = "00000000-0000-4000-8000-000000000001"
ADA: Final = "0a0a0a0a-0000-4000-8000-00000000000a"
BOB: Final = "0b0b0b0b-0000-4000-8000-00000000000b"
INNER: Final = "0c0c0c0c-0000-4000-8000-00000000000c"
NOBODY: Final = "0d0d0d0d-0000-4000-8000-00000000000d"
THERE: Final = {ADA: "user", BOB: "user", INNER: "group", SELF: "group"}
"""The resources of the tenant, and their types; a test over HTTP writes its own ids in the place of these."""


@dataclasses.dataclass
class Group:
    """A group as it is read."""

    attributes: dict[str, str]
    members: set[str]


def _member(selects: Callable[[str], bool], sub: str | None = None) -> Place:
    return Place("multi", "members", sub=sub, selects=selects)


_BRACKETS: Final[dict[str, Callable[[str], bool]]] = {
    **{f'[value eq "{one}"]': lambda member, one=one: member == one for one in (ADA, BOB, NOBODY)},  # type: ignore[misc]
    '[value eq "bogus"]': lambda member: False,
    '[type eq "User"]': lambda member: THERE[member] == "user",
    '[type eq "group"]': lambda member: THERE[member] == "group",
    f'[value eq "{ADA}" or value eq "{BOB}"]': lambda member: member in {ADA, BOB},
}
GROUP_PLACES: Final[dict[str, Place]] = {
    **{name: Place("simple", name) for name in ("displayName", "externalId", f"{CORE_GROUP}:displayName")},
    **{name: Place("multi", "members") for name in ("members", f"{CORE_GROUP}:members")},
    **{f"members{text}": _member(selects) for text, selects in _BRACKETS.items()},
    "members.value": Place("multi", "members", sub="value"),
    f'members[value eq "{ADA}"].value': _member(lambda member: member == ADA, "value"),
    CORE_GROUP: Place("core"),
    "id": Place("readOnly"),
    "schemas": Place("ignored"),
}
PLACES_OF_GROUPS: Final = Places(GROUP_PLACES, CORE_GROUP)


def patch_group(group: Group, operations: list[Any]) -> Group | Refused:
    """The group after all operations, or why there is none; ``group`` stays as it is."""
    after, refusals = Group(dict(group.attributes), set(group.members)), set[str]()
    for operation in operations:
        refusals |= perform(
            operation, PLACES_OF_GROUPS, lambda place, op, value: _write(after, place, op, value)
        )
    if "displayName" not in after.attributes:
        refusals.add("mutability")
    return Refused(frozenset(refusals)) if refusals else after


def _write(group: Group, place: Place, op: str, value: Any) -> None:
    if place.kind == "readOnly" or place.sub is not None:
        raise Refusal("mutability")  # RFC 7643 section 4.2: members.value is immutable
    if place.kind == "ignored":
        return
    if place.kind == "simple":
        name = place.name.rpartition(":")[2]
        text = single(op, "string", value)
        if text is None:
            group.attributes.pop(name, None)
        elif text is not ...:
            group.attributes[name] = text
    elif place.selects is None:
        _write_members(group, op, value)
    else:
        _write_selected(group, place.selects, op, value)


def _write_members(group: Group, op: str, value: Any) -> None:
    if op == "remove":  # Entra: with a value, the members that it names
        group.members -= group.members if value in NULLS else set(_named(value, removing=True))
        return
    named = [] if value in NULLS else _named(value)
    group.members |= set(named)
    if op == "replace":
        group.members &= set(named)


def _write_selected(group: Group, selects: Callable[[str], bool], op: str, value: Any) -> None:
    """3.5.2.1 knows no Add to members that brackets select; 3.5.2.3: a Replace that selects none fails."""
    if op == "add":
        raise Refusal("invalidPath")
    chosen = {member for member in group.members if selects(member)}
    named: list[str] = []
    if op == "replace":
        refusals = set() if chosen else {"noTarget"}
        refusals |= attempt(lambda: named.extend([] if value in NULLS else _named(value)))
        if refusals:
            raise Refusal(*refusals)
    group.members -= chosen
    group.members |= set(named)


def _named(value: Any, *, removing: bool = False) -> list[str]:
    """The ids that a value names; each entry names one, but in a Remove, where nothing removes nobody."""
    named: list[str] = []
    for entry in value if isinstance(value, list) else [value]:
        subs = (
            {name.lower(): item for name, item in entry.items()}
            if isinstance(entry, dict)
            else {"value": entry}
        )
        one = subs.get("value")
        if one in NULLS and isinstance(subs.get("$ref"), str):
            one = subs["$ref"].rstrip("/").rpartition("/")[2]
        elif one in NULLS:
            one = subs.get("$ref")
        if one in NULLS:
            if removing and subs.keys() <= {"value", "$ref"}:
                continue
            raise Refusal("invalidValue")
        if not isinstance(one, str):
            raise Refusal("invalidValue")
        one = one.lower()
        is_id = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one)
        if not removing and (not is_id or one == SELF or one not in THERE):
            raise Refusal("invalidValue")
        named.append(one)
    return named
