"""Every detail shows the name and the value as they were sent, in JSON's spelling and not in Python's."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.core.errors import ScimError
from scim_api.core.filter.parser import parse_filter
from scim_api.core.filter.resolver import sort_attribute
from scim_api.core.limits import MAX_QUOTED
from scim_api.core.messages.bulk import InvalidOperation, read_bulk
from scim_api.core.messages.search_request import read_query, read_search
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.groups import create_group
from scim_api.core.resources.users import create_user
from support.scim_core import CUSTOM, ENT, profile_of

TENANT = profile_of()
ABSENT: Final = object()
Send = Callable[[Any], object]


def but_absent(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not ABSENT}


def user(name: str) -> Send:
    return lambda value: create_user(TENANT, {"userName": "ada", name: value})


def custom(name: str) -> Send:
    return lambda value: create_user(TENANT, {"userName": "ada", CUSTOM: {name: value}})


def patched(name: str) -> Send:
    return lambda value: read_patch(TENANT, {"Operations": [{"op": "replace", "path": name, "value": value}]})


def patch(name: str) -> Send:
    operation = {"op": "replace", "path": "title", "value": "x"}
    return lambda value: read_patch(TENANT, {"Operations": [but_absent(**{**operation, name: value})]})


def bulk(name: str) -> Send:
    operation: dict[str, Any] = {"method": "POST", "path": "/Users", "bulkId": "a", "data": {}}

    def send(value: Any) -> None:
        [read] = read_bulk({"Operations": [but_absent(**{**operation, name: value})]}).operations
        if isinstance(read, InvalidOperation):
            raise read.error

    return send


def compared(name: str, op: str = "eq") -> Send:
    return lambda value: parse_filter(TENANT, "User", f"{name} {op} {json.dumps(value)}")


SENT: Final[dict[str, tuple[str, Send]]] = {
    "title": ("title", user("title")),
    "active": ("active", user("active")),
    "an entry": ("emails", lambda value: create_user(TENANT, {"userName": "ada", "emails": [value]})),
    "a sub-attribute": ("name.givenName", lambda v: create_user(TENANT, {"userName": "a", "name": {"givenName": v}})),
    "an extension": (ENT, user(ENT)),
    "manager": ("manager", lambda value: create_user(TENANT, {"userName": "ada", ENT: {"manager": value}})),
    "integer": ("floor", custom("floor")),
    "decimal": ("share", custom("share")),
    "boolean": ("remote", custom("remote")),
    "moment": ("hiredAt", custom("hiredAt")),
    "schemas": ("schemas", user("schemas")),
    "a member": ("members", lambda v: create_group(TENANT, {"displayName": "x", "members": [{"value": v}]})),
    "patched title": ("title", patched("title")),
    "patched active": ("active", patched("active")),
    "patched name": ("name", patched("name")),
    "patched integer": ("floor", patched(f"{CUSTOM}:floor")),
    "op": ('"op"', patch("op")),
    "path": ("path", patch("path")),
    "operations": ("Operations", lambda value: read_patch(TENANT, but_absent(Operations=value))),
    "operation": ("Operations", lambda value: read_patch(TENANT, {"Operations": [value]})),
    "value without path": ("value", lambda v: read_patch(TENANT, {"Operations": [but_absent(op="Add", value=v)]})),
    "schemas of a PATCH": ("schemas", lambda v: read_patch(TENANT, {"schemas": v, "Operations": []})),
    "bulk method": ("method", bulk("method")),
    "bulk path": ("path", bulk("path")),
    "bulkId": ("bulkId", bulk("bulkId")),
    "bulk data": ("data", bulk("data")),
    "bulk version": ("version", bulk("version")),
    "bulk operations": ("Operations", lambda value: read_bulk(but_absent(Operations=value))),
    "failOnErrors": ("failOnErrors", lambda value: read_bulk({"Operations": [], "failOnErrors": value})),
    **{
        name: (name, lambda value, name=name: read_search({name: value}))  # type: ignore[misc]
        for name in ("attributes", "filter", "sortBy", "sortOrder", "startIndex", "count", "cursor")
    },
    "filter title": ("title", compared("title")),
    "filter active": ("active", compared("active")),
    "filter id": ("id", compared("id")),
    "filter created": ("meta.created", compared("meta.created", "gt")),
    "filter integer": ("floor", compared(f"{CUSTOM}:floor")),
    "filter by substring": ("title", compared("title", "co")),
    "filter by order": ("remote", compared(f"{CUSTOM}:remote", "gt")),
}  # fmt: skip
NO_VALUE: Final = {"filter by order"}
"""What is refused whatever the value is."""
values = st.one_of(
    st.just(ABSENT),
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(-1e6, 1e6).map(lambda number: round(number, 3)),
    st.sampled_from(["", " ", "7", "true", "null", "None", "True", "x" * 300, 'a"b', "nope", "ÄÖ", "a\tb"]),
    st.sampled_from([[], {}, [1], {"a": 1}, ["x", "y"]]),
)


def spellings(value: Any) -> set[str]:
    """What a sentence may call a value."""
    if value is ABSENT:
        return {"missing"}
    if isinstance(value, str):
        cut = value[:MAX_QUOTED] + ("…" if len(value) > MAX_QUOTED else "")
        return {'"' + "".join(c if c.isprintable() else "\ufffd" for c in cut) + '"'}
    if isinstance(value, dict):
        return {"an object", json.dumps(value, separators=(",", ":"))}
    if isinstance(value, list):  # the array around a single value is taken off
        return {"an array", json.dumps(value, separators=(",", ":"))} | (
            spellings(value[0]) if len(value) == 1 else set()
        )
    return {json.dumps(value)}


def refusal(send: Send, value: Any) -> str | None:
    try:
        send(value)
    except ScimError as error:
        return error.detail
    return None


@pytest.mark.parametrize("name", SENT)
@settings(max_examples=60, deadline=None)
@given(value=values)
def test_a_refused_value_is_shown_as_it_was_sent(name: str, value: Any) -> None:
    called, send = SENT[name]
    if not is_about_the_value_itself(name, value):
        return
    detail = refusal(send, value)
    if detail is None:
        return
    assert called in detail, (value, detail)
    if "missing or empty" in detail or 'has no "value"' in detail or name in NO_VALUE:
        return
    assert any(spelling in detail for spelling in spellings(value)), (value, detail)
    if not isinstance(value, str):
        assert not re.search(r"\b(None|True|False)\b", detail), (value, detail)
        if value is not ABSENT:
            assert f'"{json.dumps(value)}"' not in detail, (value, detail)


def is_about_the_value_itself(name: str, value: Any) -> bool:
    """Whether a refusal of the value is one of this part, and not of what is in it or of what is left then."""
    if value is ABSENT:
        return name in {"op", "operations", "value without path", "bulkId", "bulk operations"} | {
            f"bulk {part}" for part in ("method", "path", "data")
        }
    if isinstance(value, list | dict):  # no literal of a filter; or what is in it is refused by its own name
        return not name.startswith("filter ") and name not in {
            "operation",
            "operations",
            "value without path",
        }
    return name != "path" or not (value is None or str(value).isspace() or value == "")


@pytest.mark.parametrize(
    ("send", "said"),
    [
        (lambda: read_patch(TENANT, {"Operations": [{"path": "title"}]}), '"op" is missing;'),
        (lambda: read_patch(TENANT, {"Operations": [{"op": None}]}), '"op" is null;'),
        (lambda: read_patch(TENANT, {"Operations": [{"op": True}]}), '"op" is true;'),
        (lambda: create_user(TENANT, {"userName": 7}), "userName takes a string, but 7 was sent."),
        (lambda: create_user(TENANT, {"userName": "7", "active": "7"}), 'but "7" was sent.'),
        (lambda: create_user(TENANT, {"userName": True}), "but true was sent."),
        (lambda: read_search({"count": True}), "count is true, which"),
        (lambda: read_search({"count": 1.5}), "count is 1.5, which"),
        (lambda: read_query({"count": "1.5"}), 'count is "1.5", which'),
        (lambda: read_query({"sortorder": "UP"}), 'sortOrder is "UP";'),
        (lambda: sort_attribute(TENANT.user, "nope"), 'sortBy: "nope" is no attribute of User'),
        (lambda: sort_attribute(TENANT.user, "nope.Sub"), '"nope.Sub" is no attribute'),
        (lambda: sort_attribute(TENANT.user, "Name.nope"), 'name has no sub-attribute "nope"'),
        (lambda: sort_attribute(TENANT.user, "META.version"), '"META.version" has no order'),
        (lambda: sort_attribute(TENANT.group, "MEMBERS.value"), '"MEMBERS.value" has no order'),
        (lambda: parse_filter(TENANT, "User", "NOPE.x eq 1"), '"NOPE.x" is no attribute'),
    ],
)  # fmt: skip
def test_details_name_what_was_sent(send: Callable[[], object], said: str) -> None:
    with pytest.raises(ScimError) as refused:
        send()
    assert said in refused.value.detail
