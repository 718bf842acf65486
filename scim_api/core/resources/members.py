"""How a request names members of a group: in every shape that clients send, as ids in canonical form."""

import re
from typing import Literal

from scim_api.core.errors import ScimError, described, invalid_path, invalid_value, no_target, quoted
from scim_api.core.model import MemberChange
from scim_api.core.predicate import AttributePath, Comparison, Predicate
from scim_api.core.types import Json

_NAMING = frozenset({"value", "$ref"})
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class MemberIds(tuple[str, ...]):
    """Ids that were read from a long list of members already: in canonical form, without repetition."""

    __slots__ = ()


def id_or_entry(entry: Json) -> Json:
    """The id that an entry of ``members`` names, where it is in ``value``; else the entry. Both are read alike."""
    named = entry.get("value")
    if isinstance(named, str) and (len(entry) == 1 or sum(name.lower() == "value" for name in entry) == 1):
        canonical = named.lower()
        if _ID.fullmatch(canonical) is not None:
            return canonical
    return entry


def read_members(value: Json) -> tuple[str, ...]:
    """The ids that ``members`` names: a list of objects, of ids, or one of either.

    Args:
        value: as sent; null, "" and [] are no members. ``type`` and ``display`` are noise, and ``$ref``
            counts where ``value`` is missing.

    Raises:
        ScimError: 400 invalidValue for what is no id, and for an entry that names nobody.
    """
    if type(value) is MemberIds:
        return tuple(value)
    return () if value is None or value == "" else _member_ids(value, removing=False)


def _member_ids(value: Json, *, removing: bool) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    ids = (_member_id(entry, position, removing=removing) for position, entry in enumerate(entries, 1))
    return tuple(dict.fromkeys(member_id for member_id in ids if member_id is not None))


def _member_id(entry: Json, position: int, *, removing: bool) -> str | None:
    """The id that an entry names; None for an empty one in a Remove, which removes nobody."""
    named = entry
    if isinstance(entry, dict):
        subs = {name.lower(): item for name, item in entry.items()}
        named = subs.get("value")
        if named is None or named == "":
            reference = subs.get("$ref")
            named = reference.rstrip("/").rpartition("/")[2] if isinstance(reference, str) else reference
    if named is None or named == "":
        if removing and (not isinstance(entry, dict) or subs.keys() <= _NAMING):
            return None
        raise _names_nobody(entry, position)
    if not isinstance(named, str):
        raise invalid_value(
            f"members.value takes the id of a user or group, but {described(named)} was sent in entry {position}."
        )
    canonical = named.lower()
    if _ID.fullmatch(canonical) is None and not removing:
        raise unknown_members((named,))
    return canonical


def _names_nobody(entry: Json, position: int) -> ScimError:
    """An entry without an id: what it was meant to say is not known, so it is not left out in silence."""
    return invalid_value(
        f'Entry {position} of members, {quoted(entry)}, has no "value"; send'
        ' {"value": "<id of a user or group>"}, or leave the entry out.'
    )


def unknown_members(ids: tuple[str, ...]) -> ScimError:
    """The members named are no resources of the tenant.

    Args:
        ids: of which the first three are shown.
    """
    named = ", ".join(quoted(member_id) for member_id in ids[:3]) + (" and others" if len(ids) > 3 else "")
    return invalid_value(
        f"members names {named}, which is no id of a user or group of this tenant. Provision the member first,"
        " or take it out of the list; it may have been deleted."
    )


def no_member_selected(path: str) -> ScimError:
    """RFC 7644 section 3.5.2.3: a Replace whose brackets select nobody fails."""
    return no_target(
        f"{quoted(path)} selects no member of the group, so there is none to replace. Add members with the path"
        ' "members".'
    )


def read_member_changes(
    op: Literal["add", "remove", "replace"], value: Json, *, path: str, chosen: Predicate | None
) -> tuple[MemberChange, ...]:
    """The steps of one PATCH operation on ``members``.

    A Remove without brackets and without a value removes everybody, as does a Replace by nothing. A list
    names those it names, so that an empty one removes nobody; so does one of members who are not in the
    group, or not there at all any more. An Add of nothing adds nobody, and no Add removes anybody.

    Args:
        op: what the operation does.
        value: as sent.
        path: as sent.
        chosen: the predicate between the brackets of the path, or None.

    Raises:
        ScimError: 400 invalidValue for what names no member; invalidPath for an Add with brackets.
    """
    if chosen is not None:
        return _selected_changes(op, value, path, chosen)
    if op == "remove":
        if value is None or value == "":
            return (MemberChange("replace"),)
        ids = _member_ids(value, removing=True)
        return (MemberChange("remove", ids),) if ids else ()
    ids = read_members(value)
    if op == "replace":
        return (MemberChange("replace", ids),)
    return (MemberChange("add", ids),) if ids else ()


def _selected_changes(
    op: Literal["add", "remove", "replace"], value: Json, path: str, chosen: Predicate
) -> tuple[MemberChange, ...]:
    """The steps of an operation on the members between brackets."""
    if op == "add":
        raise invalid_path(f'{quoted(path)} selects members to remove; add some with the path "members".')
    ids = _id_compared(chosen)
    gone = MemberChange("remove", ids, None if ids else chosen, path if op == "replace" else None)
    fresh = read_members(value) if op == "replace" else ()
    return (gone, MemberChange("add", fresh)) if fresh else (gone,)


def _id_compared(chosen: Predicate) -> tuple[str, ...]:
    """The one id that ``members[value eq "…"]`` means; none for other predicates."""
    match chosen:
        case Comparison(AttributePath(path=("value",)), "eq", str(value)):
            return (value,)
    return ()
