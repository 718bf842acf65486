"""PATCH operations that lack, null, empty or misplace each of their parts, for users and for groups."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hypothesis import strategies as st

from support.nearly_right import mostly
from support.patch_model import CUSTOM, ENTERPRISE, NULLS, Place, Places
from support.patch_model_groups import ADA, BOB, INNER, NOBODY, PLACES_OF_GROUPS, SELF
from support.patch_model_users import PLACES_OF_USERS

Strategy = st.SearchStrategy[Any]

nulls = st.sampled_from(NULLS)
_empty = st.builds(lambda make: make(), st.sampled_from([list, dict]))
_scalars = st.sampled_from(["x", "A", "n@x", "True", "false", "3", 5, True, False])
_leaves = st.one_of(nulls, _scalars, st.builds(list))
_cases = st.sampled_from([str, str, str.lower, str.upper])


def _in_case(path: str, case: Callable[[str], str]) -> str:
    """A path in some case, but for brackets: what these describe is stored as it is written."""
    head, bracket, tail = path.partition("[")
    return case(head) + bracket + tail


def _objects(fields: Mapping[str, Strategy]) -> Strategy:
    """Objects with some of the names, each in some case."""
    return st.builds(
        lambda case, chosen: {case(name): value for name, value in chosen.items()},
        _cases,
        st.fixed_dictionaries({}, optional=dict(fields)),
    )


def _arrays(one: Strategy) -> Strategy:
    """Arrays of one, of several, and of an array."""
    return st.one_of(one.map(lambda item: [item]), st.lists(one, max_size=3), one.map(lambda item: [[item]]))


# -- values -----------------------------------------------------------------------------------------
_entries = _objects(
    {
        "value": mostly(st.sampled_from(["a@x", "n@x", "h@x", "reader"]), _leaves, 3),
        "type": mostly(st.sampled_from(["work", "home", "Work"]), _leaves, 6),
        "primary": mostly(st.booleans(), _leaves, 4),
        "display": _leaves,
        "unknown": _leaves,
    }
)
_names_of_people = _objects({"givenName": _leaves, "familyName": _leaves, "unknown": _leaves})
_managers = _objects(
    {
        "value": mostly(st.just("m2"), _leaves, 2),
        "$ref": st.one_of(st.sampled_from(["https://x/Users/m3", "/", "m4"]), nulls, st.just(5)),
        "displayName": _scalars,
    }
)
_extensions = _objects({"department": _leaves, "manager": st.one_of(_leaves, _managers), "schemas": _leaves})
_one = st.one_of(_leaves, _empty, _entries, _names_of_people, _managers, _extensions)
values = st.one_of(_one, _one, _arrays(_one))

_members = st.one_of(
    st.sampled_from([ADA, BOB, INNER, ADA.upper(), NOBODY, SELF, "bogus"]), st.sampled_from([ADA, BOB, INNER])
)
_member_entries = _objects(
    {
        "value": mostly(_members, _leaves, 3),
        "$ref": st.one_of(_members.map("https://x/Users/{}".format), nulls, st.sampled_from(["/", 5])),
        "display": _leaves,
    }
)
_member = st.one_of(_members.map(lambda one: {"value": one}), _members, _member_entries, _leaves, _empty)
member_values = st.one_of(
    _member, st.lists(_members.map(lambda one: {"value": one}), max_size=3), _arrays(_member)
)

_simple: Final[Mapping[str, Strategy]] = {
    "string": mostly(st.sampled_from(["x", "A", "n@x", "home"]), _leaves, 3),
    "boolean": mostly(st.sampled_from([True, False, "True", "false"]), _leaves, 3),
    "integer": mostly(st.sampled_from([5, "3"]), _leaves, 3),
}
_fitting: Final[Mapping[str, Strategy]] = {
    "complex": _names_of_people,
    "multi": st.one_of(_entries, st.lists(_entries, max_size=2)),
    "plain": st.one_of(_simple["string"], st.lists(_simple["string"], max_size=2)),
    "reference": st.one_of(_managers, st.sampled_from(["m5"]), _managers.map(lambda one: [one])),
    "extension": _extensions,
}


def _user_value(place: Place) -> Strategy:
    """What a place takes, most of the time."""
    if place.kind == "simple" or place.sub is not None:
        return mostly(_simple[place.type], values, 4)
    return mostly(_fitting.get(place.kind, values), values, 4)


def _group_value(place: Place) -> Strategy:
    return mostly(_simple["string"] if place.kind == "simple" else member_values, member_values, 4)


_VALUES: Final[tuple[Any, ...]] = (None, "", [], {}, 5, "n@x", ADA, BOB)
ODD_VALUES: Final[tuple[Any, ...]] = (
    None, "", [], {}, [None], [""], [[]], [{}], [[None]], 5, True, "True", "x", "3", ["x"], ["x", "y"], [["x"]],
    *({"value": inner} for inner in _VALUES),
    *([{"value": inner}] for inner in _VALUES),
    *({"$ref": inner} for inner in (*_VALUES, "/", "https://x/Users/m7", f"https://x/Users/{BOB}")),
    {"value": None, "$ref": "m8"}, {"type": "work"}, {"type": "work", "value": "w@x"}, {"primary": True},
    [{"value": "p@x", "primary": "True"}], [{"value": "p", "primary": True}, {"value": "q", "primary": True}],
    {"unknown": 1}, {"displayName": "x"}, {"display": "x"}, [{"display": "x"}],
    *({"givenName": inner} for inner in _VALUES),
    *({"department": inner} for inner in _VALUES), {"manager": {}}, {"manager": None}, {"skills": []},
    [{"value": ADA}, {}], [{"value": BOB}, None], [ADA, ""], [ADA, {"value": INNER}], [SELF], NOBODY, ADA, INNER,
)  # fmt: skip
"""Values that say little or nothing, are of a wrong type, or stand deeper than they should."""

# -- operations -------------------------------------------------------------------------------------
_WRONG_OPS: Final = [None, "", " add", "move", 5, True, ["add"], {"op": "add"}]
_WRONG_PATHS: Final = ["shoeSize", "name.nick", "emails[type eq", "emails[].value", 5, True, ["title"], {}]
_ops = mostly(
    st.sampled_from(["add", "Add", "replace", "Replace", "REPLACE", "remove", "Remove"]),
    st.sampled_from(_WRONG_OPS),
    25,
)


def _operations(places: Places, value_of: Callable[[Place], Strategy]) -> Strategy:
    """Operations, whole or with a part that is missing, empty or in the wrong place."""
    aimed = st.sampled_from(sorted(places.by_path)).flatmap(
        lambda path: st.tuples(st.builds(_in_case, st.just(path), _cases), value_of(places.by_path[path]))
    )
    astray = st.tuples(st.sampled_from([*_WRONG_PATHS, None, "", " "]), values)
    whole = st.builds(
        lambda op, target: {"op": op, "path": target[0], "value": target[1]}, _ops, mostly(aimed, astray, 15)
    )
    lost = st.tuples(st.sampled_from(["", " ", "shoeSize"]), values)
    objects = st.lists(mostly(aimed, lost, 30), max_size=3).map(dict)
    pathless = st.fixed_dictionaries(
        {
            "op": _ops,
            "value": mostly(st.one_of(objects, objects.map(lambda value: {places.core: value})), values, 8),
        },
        optional={"path": st.sampled_from([None, "", " ", places.core])},
    )
    lacking = st.builds(_without, whole, st.sampled_from(["op", "path", "value", "value"]))
    misplaced = st.builds(_misplaced, whole, st.sampled_from(["values", "path", "beside", "op", "within"]))
    spelling = st.builds(lambda one, case: {case(k): v for k, v in one.items()}, whole, _cases)
    none = st.one_of(st.sampled_from([None, "add", 5]), whole.map(lambda one: [one]))
    broken = st.one_of(lacking, lacking, misplaced, mostly(misplaced, none, 5))
    right = st.one_of(whole, whole, whole, pathless, spelling)
    return mostly(right, broken, 5).filter(lambda one: is_decided_here(one, places.core))


def _without(operation: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in operation.items() if key != name}


def _misplaced(operation: dict[str, Any], where: str) -> dict[str, Any]:
    """The value where it does not belong."""
    rest, value = _without(operation, "value"), operation["value"]
    match where:
        case "values":
            return {**rest, "values": value}
        case "path":
            return {"op": rest["op"], "value": rest["path"], "path": value}
        case "beside":
            name = rest["path"] if isinstance(rest["path"], str) and rest["path"].lower() != "op" else "title"
            return {"op": rest["op"], name: value}
        case "op":
            return {"op": rest["op"], "path": rest["op"], "value": value}
    return {"op": rest["op"], "value": {"path": rest["path"], "value": value}}


def is_decided_here(operation: Any, core: str) -> bool:
    """Not a list of exactly one object without a path, which stands for that object."""
    if not isinstance(operation, dict):
        return True
    parts = {name.lower(): part for name, part in operation.items()}
    path, value = parts.get("path"), parts.get("value")
    pathless = path is None or (isinstance(path, str) and path.strip().lower() in {"", core.lower()})
    return not (pathless and isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict))


user_patches = st.lists(_operations(PLACES_OF_USERS, _user_value), min_size=1, max_size=3)
group_patches = st.lists(_operations(PLACES_OF_GROUPS, _group_value), min_size=1, max_size=3)

FULL_USER: Final = {
    "userName": "ada",
    "active": False,
    "displayName": "Ada",
    "title": "T",
    "externalId": "e",
    "name": {"givenName": "G", "familyName": "F"},
    "emails": [
        {"value": "a@x", "type": "work", "primary": True},
        {"value": "h@x", "type": "home", "display": "H"},
    ],
    "roles": [{"value": "reader", "primary": True}, {"value": "A"}],
    ENTERPRISE: {"department": "D", "manager": {"value": "m1"}},
    CUSTOM: {"floor": 3, "skills": ["a", "b"]},
}
_required = {name: st.just(FULL_USER[name]) for name in ("userName", "active")}
_optional = {name: st.just(value) for name, value in FULL_USER.items() if name not in _required}
_emails = st.sampled_from(
    [[{"value": "a@x", "type": "work"}], [{"value": "h@x", "type": "home", "display": "H"}]]
)
users = st.one_of(
    st.just(FULL_USER),
    st.fixed_dictionaries(_required, optional=_optional),
    st.fixed_dictionaries(_required | {"active": st.booleans()}, optional=_optional | {"emails": _emails}),
)
"""Users as they are stored."""
memberships = st.sets(st.sampled_from([ADA, BOB, INNER]))


# -- what must not be lost --------------------------------------------------------------------------
def may_remove(operation: Any) -> bool:
    """Whether an operation says that something goes: a Remove, a Replace with a value, explicit null or ""."""
    if not isinstance(operation, dict):
        return False
    parts = {name.lower(): part for name, part in operation.items()}
    op = str(parts.get("op")).lower()
    return op == "remove" or (op == "replace" and "value" in parts) or _holds_null(parts.get("value", 0))


def _holds_null(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_null(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_null(item) for item in value)
    return value in NULLS


def losses(before: Any, after: Any, where: str = "") -> list[str]:
    """What was there and is not any more; that a value became another one is no loss."""
    if isinstance(before, dict):
        if not isinstance(after, dict):
            return [where]
        return [
            lost
            for name, item in before.items()
            for lost in (
                losses(item, after[name], f"{where}.{name}") if name in after else [f"{where}.{name}"]
            )
        ]
    if isinstance(before, list):
        if not isinstance(after, list) or len(after) < len(before):
            return [where]
        if not all(isinstance(one, dict) for one in before):
            return [f"{where}[{one}]" for one in before if one not in after]
        return [
            lost
            for number, one in enumerate(before)
            for lost in losses(one, after[number], f"{where}[{number}]")
        ]
    return []
