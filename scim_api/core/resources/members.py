"""How a request names members of a group: in every shape that clients send, as ids in canonical form."""

import re
from typing import Literal

from scim_api.core.errors import ScimError, described, invalid_path, invalid_value, quoted
from scim_api.core.model import MemberChange
from scim_api.core.predicate import AttributePath, Comparison, Predicate
from scim_api.core.types import Json

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def read_members(value: Json) -> tuple[str, ...]:
    """The ids that ``members`` names: a list of objects, of ids, or one of either.

    Args:
        value: as sent; null, "" and empty entries name nobody. ``type`` and ``display`` are noise, and
            ``$ref`` counts where ``value`` is missing.

    Raises:
        ScimError: 400 invalidValue for what is no id.
    """
    return _member_ids(value, removing=False)


def _member_ids(value: Json, *, removing: bool) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [value]
    ids = (_member_id(entry, removing=removing) for entry in entries)
    return tuple(dict.fromkeys(member_id for member_id in ids if member_id is not None))


def _member_id(entry: Json, *, removing: bool) -> str | None:
    named = entry
    if isinstance(entry, dict):
        subs = {name.lower(): item for name, item in entry.items()}
        named = subs.get("value")
        if named is None or named == "":
            reference = subs.get("$ref")
            named = reference.rstrip("/").rpartition("/")[2] if isinstance(reference, str) else reference
        if (named is None or named == "") and set(subs) - {"value", "$ref"}:
            raise invalid_value(
                'An entry of members has no "value"; send {"value": "<id of a user or group>"}.'
            )
    if named is None or named == "":
        return None
    if not isinstance(named, str):
        raise invalid_value(
            f"members.value takes the id of a user or group, but {described(named)} was sent."
        )
    canonical = named.lower()
    if _ID.fullmatch(canonical) is None and not removing:
        raise unknown_members((named,))
    return canonical


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


def read_member_changes(
    op: Literal["add", "remove", "replace"], value: Json, *, path: str, chosen: Predicate | None
) -> tuple[MemberChange, ...]:
    """The steps of one PATCH operation on ``members``.

    A Remove without brackets and without a value removes everybody, as does a Replace by nothing. A list
    names those it names, so that an empty one removes nobody; so does one of members who are not in the
    group, or not there at all any more. An Add of nothing adds nobody.

    Args:
        op: what the operation does.
        value: as sent.
        path: as sent, for messages.
        chosen: the predicate between the brackets of the path, or None.

    Raises:
        ScimError: 400 invalidValue for what names no member; invalidPath for an Add with brackets.
    """
    empty = value is None or value == ""
    if chosen is not None:
        ids = _id_compared(chosen)
        gone = MemberChange("remove", ids=ids) if ids else MemberChange("remove", selected_by=chosen)
        if op == "remove" or empty:
            return (gone,)
        if op == "add":
            raise invalid_path(f'{quoted(path)} selects members to remove; add some with the path "members".')
        return gone, MemberChange("add", read_members(value))
    if op == "remove":
        if empty:
            return (MemberChange("replace"),)
        ids = _member_ids(value, removing=True)
        return (MemberChange("remove", ids),) if ids else ()
    ids = read_members(value)
    if op == "replace":
        return (MemberChange("replace", ids),)
    return (MemberChange("add", ids),) if ids else ()


def _id_compared(chosen: Predicate) -> tuple[str, ...]:
    """The one id that ``members[value eq "…"]`` means; none for other predicates."""
    match chosen:
        case Comparison(AttributePath(path=("value",)), "eq", str(value)):
            return (value,)
    return ()
