"""PATCH of users: what holds of any operations."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import Matching
from scim_api.core.errors import ScimError
from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.users import create_user
from support.scim_core import (
    ENT,
    json_values,
    names,
    patched,
    profile_of,
    resource,
    words,
)

TENANT = profile_of()
BY_EMAIL = profile_of(Matching.WORK_EMAIL)
WORK = 'emails[type eq "work"].value'
EMAILS = [{"type": "work", "value": "a@x", "primary": True}, {"type": "home", "value": "h@x"}]
ADA = create_user(TENANT, {"userName": "ada", "title": "T", "name": {"givenName": "G"}, "emails": EMAILS})
BARE = create_user(TENANT, {"userName": "ada"})


def replace(path: str, value: Any, op: str = "Replace") -> dict[str, Any]:
    """An operation as Entra writes it without the flag."""
    return {"op": op, "path": path, "value": value}


def values(value: dict[str, Any]) -> dict[str, Any]:
    """An operation as Entra writes it with the flag."""
    return {"op": "replace", "value": value}


def refusal(*operations: dict[str, Any], tenant: Any = TENANT, user: Any = ADA) -> ScimError:
    """The error that operations get."""
    with pytest.raises(ScimError) as caught:
        patched(tenant, user, *operations)
    return caught.value


operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "Replace", "remove"])}, optional={"path": names, "value": json_values}
)


@settings(max_examples=200)
@given(st.lists(operations, min_size=1, max_size=4))
def test_any_patch_leaves_a_valid_user_or_gets_a_scim_error(sent: list[dict[str, Any]]) -> None:
    try:
        changed = patch_user(TENANT, resource(ADA), read_patch(TENANT, {"Operations": sent}))
    except ScimError as error:
        assert error.status in {400, 413}
        assert json.loads(error.body())["detail"]
        return
    if changed is not None:
        doc = json.loads(changed.doc)
        again = create_user(TENANT, doc)
        assert json.loads(again.doc) == doc | {"active": doc.get("active", True)}


simple_paths = st.sampled_from(
    [
        "displayName",
        "name.familyName",
        WORK,
        f"{ENT}:department",
        f"{ENT}:manager",
        'phoneNumbers[type eq "mobile"].value',
    ]
)


@settings(max_examples=100)
@given(simple_paths, words)
def test_replace_is_idempotent(path: str, value: str) -> None:
    assert patched(TENANT, ADA, replace(path, value)) == patched(TENANT, ADA, *[replace(path, value)] * 2)


@settings(max_examples=100)
@given(simple_paths, words)
def test_adding_and_then_removing_restores_a_user_that_had_no_value(path: str, value: str) -> None:
    operations = [replace(path, value, "Add"), {"op": "Remove", "path": path}]
    assert patched(TENANT, BARE, *operations) == json.loads(BARE.doc)


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["work", "home", "other"]), st.booleans(), words), max_size=6))
def test_at_most_one_entry_is_primary_whatever_the_order(entries: list[tuple[str, bool, str]]) -> None:
    sent = [
        {"op": "add", "path": "emails", "value": {"type": t, "value": v, "primary": p}} for t, p, v in entries
    ]
    doc = patched(TENANT, ADA, *sent, replace("title", "x"))
    assert sum(1 for entry in doc["emails"] if entry.get("primary")) == 1
