"""The model of PATCH on users: ``patch_model`` says what it is written from."""

import copy
from collections.abc import Callable
from typing import Any, Final

from support.patch_model import (
    CORE,
    CUSTOM,
    ENTERPRISE,
    NULLS,
    Doc,
    Place,
    Places,
    Refusal,
    Refused,
    Type,
    attempt,
    clears,
    low,
    one_of,
    perform,
    single,
    typed,
)  # fmt: skip

NAME: Final[dict[str, Type]] = {"givenName": "string", "familyName": "string"}
ENTRY: Final[dict[str, Type]] = {
    "value": "string",
    "display": "string",
    "type": "string",
    "primary": "boolean",
}


def is_true(name: str, value: Any) -> Callable[[Any], bool]:
    """``name eq value`` of an entry, without case."""
    return lambda entry: low(entry.get(name)) == low(value)


def _entries(attribute: str) -> dict[str, Place]:
    """The paths to a multi-valued attribute."""
    work, primary = is_true("type", "work"), is_true("primary", True)
    both = {"type": "work", "primary": True}
    brackets: dict[str, tuple[Callable[[Any], bool], Any]] = {
        "": (lambda _: True, {}),
        '[type eq "work"]': (work, {"type": "work"}),
        '[type eq "home"]': (is_true("type", "home"), {"type": "home"}),
        "[primary eq true]": (primary, {"primary": True}),
        '[type eq "work" and primary eq true]': (lambda entry: work(entry) and primary(entry), both),
        '[value sw "a"]': (lambda entry: entry.get("value", "").lower().startswith("a"), None),
    }
    places = {attribute: Place("multi", attribute)}
    for text, (selects, template) in brackets.items():
        if text:
            places[attribute + text] = Place("multi", attribute, selects=selects, template=template)
        for sub, kind in ENTRY.items():
            places[f"{attribute}{text}.{sub}"] = Place("multi", attribute, None, kind, sub, selects, template)
    return places


PLACES: Final[dict[str, Place]] = {
    **{name: Place("simple", name) for name in ("userName", "displayName", "title", "externalId")},
    "active": Place("simple", "active", type="boolean"),
    "name": Place("complex", "name"),
    **{f"name.{sub}": Place("complex", "name", sub=sub) for sub in NAME},
    **_entries("emails"),
    **_entries("roles"),
    "department": Place("simple", "department", ENTERPRISE),
    f"{ENTERPRISE}:department": Place("simple", "department", ENTERPRISE),
    **{f"{prefix}manager": Place("reference", "manager", ENTERPRISE) for prefix in ("", f"{ENTERPRISE}:")},
    f"{ENTERPRISE}:manager.value": Place("reference", "manager", ENTERPRISE, sub="value"),
    "manager.$ref": Place("reference", "manager", ENTERPRISE, sub="$ref"),
    "manager.displayName": Place("readOnly"),
    f"{CUSTOM}:floor": Place("simple", "floor", CUSTOM, "integer"),
    f"{CUSTOM}:skills": Place("plain", "skills", CUSTOM),
    f'{CUSTOM}:skills[value eq "a"]': Place("plain", "skills", CUSTOM, selects=lambda one: one.lower() == "a"),
    ENTERPRISE: Place("extension", ENTERPRISE),
    CUSTOM: Place("extension", CUSTOM),
    CORE: Place("core"),
    **{f"{CORE}:{name}": Place("simple", name) for name in ("title", "displayName")},
    **{name: Place("readOnly") for name in ("id", "meta", "meta.created", "groups")},
    **{name: Place("ignored") for name in ("password", "schemas")},
}  # fmt: skip
_INSIDE: Final = {
    ENTERPRISE: {"department": "department", "manager": "manager"},
    CUSTOM: {"floor": f"{CUSTOM}:floor", "skills": f"{CUSTOM}:skills"},
}


def patch_user(user: Doc, operations: list[Any], *, by_work_email: bool = False) -> Doc | Refused:
    """The user after all operations, or why there is none.

    Args:
        user: without ``schemas``, ``id`` and ``meta``; stays as it is.
        operations: as sent.
        by_work_email: whether the tenant matches users by their work e-mail.
    """
    doc, refusals = copy.deepcopy(user), set[str]()
    for operation in operations:
        refusals |= perform(operation, PLACES_OF_USERS, lambda place, op, value: write(doc, place, op, value))
    if refusals:
        return Refused(frozenset(refusals))
    for attribute in ("emails", "roles"):  # an entry that has nothing but its type is none (docs/scim.md)
        keep(doc, attribute, [one for one in doc.get(attribute, []) if one.keys() - {"type", "primary"}])
    lacks_email = not any(low(one.get("type")) == "work" and "value" in one for one in doc.get("emails", []))
    if doc != user and ("userName" not in doc or (by_work_email and lacks_email)):
        return Refused(frozenset({"mutability"}))
    return doc


PLACES_OF_USERS: Final = Places(PLACES, CORE)


def write(doc: Doc, place: Place, op: str, value: Any) -> None:
    """What an operation does at one place of a user."""
    match place.kind:
        case "readOnly":
            raise Refusal("mutability")
        case "extension":
            _write_extension(doc, place.name, op, value)
            return
        case "ignored" | "core":
            return
    holder = doc if place.extension is None else doc.setdefault(place.extension, {})
    try:
        _WRITERS[place.kind](holder, place, op, value)
    finally:
        if place.extension is not None and not holder:
            del doc[place.extension]


def _write_extension(doc: Doc, urn: str, op: str, value: Any) -> None:
    value = one_of(value)
    if op == "remove" or value in NULLS:
        doc.pop(urn, None)
        return
    if not isinstance(value, dict):
        raise Refusal("invalidValue")
    refusals = set[str]()
    for name, item in value.items():
        if name.lower() in _INSIDE[urn]:
            place = PLACES[_INSIDE[urn][name.lower()]]
            refusals |= attempt(lambda place=place, item=item: write(doc, place, op, item))  # type: ignore[misc]
        elif name.lower() != "schemas":
            refusals.add("invalidPath")
    if refusals:
        raise Refusal(*refusals)


def put(holder: Doc, name: str, value: Any) -> None:
    """A single value; a user keeps its ``active`` whatever is said, so that nobody is enabled by omission."""
    if value is None and name != "active":
        holder.pop(name, None)
    elif value is not None and value is not ...:
        holder[name] = value


def keep(holder: Doc, name: str, value: Any) -> None:
    """A value that is not there when it is empty (RFC 7643 section 2.5)."""
    holder.pop(name, None)
    if value:
        holder[name] = value


# -- each kind of attribute -------------------------------------------------------------------------
def _write_simple(holder: Doc, place: Place, op: str, value: Any) -> None:
    read_value = single(op, place.type, value)
    if place.name == "active" and place.extension is None and read_value is None:
        return
    put(holder, place.name, read_value)


def _write_complex(holder: Doc, place: Place, op: str, value: Any) -> None:
    now = dict(holder.get(place.name, {}))
    if place.sub is not None:
        put(now, place.sub, single(op, "string", value))
    else:
        value = one_of(value)
        nothing = clears(op, value)
        if nothing is None:
            return
        if nothing:
            now = {}
        elif not isinstance(value, dict):
            raise Refusal("invalidValue")
        else:  # 3.5.2.3: what is named is replaced, what is not stays
            for name, item in value.items():
                sub = {known.lower(): known for known in NAME}.get(name.lower())
                if sub is not None:
                    put(now, sub, single(op, "string", item))
    keep(holder, place.name, now)


def _write_reference(holder: Doc, place: Place, op: str, value: Any) -> None:
    """Entra: a manager as a string, an object or one object in an array; kept as ``{"value": id}``."""
    value = one_of(value) if place.sub is None else {place.sub: value}
    nothing = clears(op, value)
    if nothing is None:
        return
    if not nothing:
        named = {"value": value}
        if isinstance(value, dict):
            named = {name.lower(): item for name, item in value.items() if name.lower() in {"value", "$ref"}}
            if not named:
                return
        value = named.get("value")
        if value in NULLS:
            value = named.get("$ref")
            if isinstance(value, str) and value:
                value = value.rstrip("/").rpartition("/")[2] or 0  # an address without an id is none
        if value not in NULLS and not isinstance(value, str):
            raise Refusal("invalidValue")
    put(holder, place.name, None if nothing or value in NULLS else {"value": value})


def _read_entry(value: Any) -> Doc:
    if not isinstance(value, dict):
        raise Refusal("invalidValue")
    subs = {name.lower(): item for name, item in value.items()}
    return {sub: typed(ENTRY[sub], subs[sub]) for sub in ENTRY if subs.get(sub) not in NULLS}


def _write_multi(holder: Doc, place: Place, op: str, value: Any) -> None:
    now: list[Doc] = list(holder.get(place.name, []))
    written: list[Doc] = []
    if place.sub is None and place.selects is None:
        now, written = _write_all(now, op, value)
    else:
        now, written = _write_some(now, place, op, value)
    if (
        sum(one.get("primary") is True for one in written)
        > 1
        < sum(one.get("primary") is True for one in now)
    ):
        raise Refusal("invalidValue")  # RFC 7643 section 2.4: true once at most
    if any(one.get("primary") is True for one in written):  # 3.5.2: the one before is no longer
        now = [
            one
            if one.get("primary") is not True or any(one is new for new in written)
            else {**one, "primary": False}
            for one in now
        ]
    keep(holder, place.name, now)


def _write_all(now: list[Doc], op: str, value: Any) -> tuple[list[Doc], list[Doc]]:
    """The whole attribute: the entries afterwards, and those that were written."""
    if value in NULLS:
        return [], []
    items = value if isinstance(value, list) else [value]
    if op == "remove":  # Entra: with a value, the entries that it names
        return [one for one in now if not any(_names(item, one) for item in items)], []
    entries = [_read_entry(item) for item in items if item not in NULLS]
    entries = [one for one in entries if one.keys() - {"type", "primary"}]
    if op == "replace":
        return entries, entries
    fresh = [one for one in entries if not any(_same(one, other) for other in now)]  # 3.5.2.1: no duplicates
    return now + fresh, fresh


def _names(item: Any, entry: Doc) -> bool:
    if not isinstance(item, dict):
        return isinstance(item, str) and item != "" and low(entry.get("value")) == low(item)
    subs = {name.lower(): part for name, part in item.items()}
    said = {sub: subs[sub] for sub in ("value", "type", "primary") if subs.get(sub) not in (None, "", [])}
    return bool(said) and all(low(entry.get(sub)) == low(part) for sub, part in said.items())


def _same(one: Doc, other: Doc) -> bool:
    return {name: low(item) for name, item in one.items()} == {
        name: low(item) for name, item in other.items()
    }


def _write_some(now: list[Doc], place: Place, op: str, value: Any) -> tuple[list[Doc], list[Doc]]:
    """Entries that brackets select, or a sub-attribute of them."""
    selects = place.selects or (lambda _: True)
    change: Any
    if place.sub is not None:
        change = single(op, place.type, value)
        change = change if change is None or change is ... else {place.sub: change}
    else:
        value = one_of(value)
        nothing = clears(op, value)
        change = ... if nothing is None else None if nothing else _read_entry(value)
        if change == {}:
            change = ... if op == "add" else None
    if change is ...:
        return now, []
    if change is None and place.sub is None:
        return [one for one in now if not selects(one)], []
    if change is None:
        cut = [{k: v for k, v in one.items() if k != place.sub} if selects(one) else one for one in now]
        return [one for one in cut if one], []
    if not any(selects(one) for one in now):
        if place.template is None:
            raise Refusal("noTarget")  # 3.5.2.3
        now = [*now, place.template]  # Entra: what the brackets describe is created
        chosen = [False] * (len(now) - 1) + [True]
    else:
        chosen = [selects(one) for one in now]
    after, written = [], []
    for one, is_chosen in zip(now, chosen, strict=True):
        if is_chosen:
            keeps = one if op == "add" or place.sub is not None else place.template or {}
            one = {**keeps, **change}
            written.append(one)
        after.append(one)
    return after, written


def _write_plain(holder: Doc, place: Place, op: str, value: Any) -> None:
    """A multi-valued attribute of plain strings."""
    now: list[str] = list(holder.get(place.name, []))
    if place.selects is not None:
        value = one_of(value)
        nothing = (
            True if op == "remove" or value in NULLS else (op != "add" or None) if value == [] else False
        )
        others = [one for one in now if not place.selects(one)]
        if nothing:
            now = others
        elif nothing is False and op == "add":  # beside what is there: an Add takes nothing away
            new = typed("string", value)
            now += [new] if new.lower() not in {one.lower() for one in now} else []
        elif nothing is False:
            new = typed("string", value)
            now = [new if place.selects(one) else one for one in now] if now != others else [*now, new]
    elif value in NULLS:
        now = []
    else:
        items = value if isinstance(value, list) else [value]
        if op == "remove":
            now = [one for one in now if not any(low(one) == low(item) for item in items)]
        else:
            read_items = [typed("string", item) for item in items if item not in NULLS]
            present = {one.lower() for one in now}
            now = (
                read_items
                if op == "replace"
                else now + [one for one in read_items if one.lower() not in present]
            )
    keep(holder, place.name, now)


_WRITERS: Final[dict[str, Callable[[Doc, Place, str, Any], None]]] = {
    "simple": _write_simple,
    "complex": _write_complex,
    "reference": _write_reference,
    "multi": _write_multi,
    "plain": _write_plain,
}
