"""What the log says of a write: by what is stored before and after, whatever was sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.groups import patch_group
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.changes import changed_paths, group_changes, user_changes
from scim_api.core.resources.groups import create_group, replace_group
from scim_api.core.resources.users import create_user, replace_user
from support.scim_core import profile_of, resource

TENANT = profile_of()
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ADA: dict[str, Any] = {
    "userName": "ada", "active": True, "displayName": "Ada", "name": {"givenName": "Ada", "familyName": "L"},
    "emails": [{"type": "work", "value": "ada@example.com"}], ENTERPRISE: {"department": "R&D"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ({"displayName": "Countess"}, ["displayName"]),
        ({"title": "Countess"}, ["title"]),
        ({"name": {"givenName": "Ada", "familyName": "Lovelace"}}, ["name.familyName"]),
        ({"name": None}, ["name.givenName", "name.familyName"]),
        ({"emails": [{"type": "work", "value": "l@example.com"}]}, ["emails"]),
        ({ENTERPRISE: {"department": "Math", "costCenter": "1"}}, [f"{ENTERPRISE}:department", f"{ENTERPRISE}:costCenter"]),
        ({}, []),
    ],
    ids=["replaced", "new", "part of a complex one", "complex one gone", "several values", "extension", "nothing"],
)  # fmt: skip
def test_a_path_goes_down_to_the_sub_attribute_and_takes_several_values_as_a_whole(
    change: dict[str, Any], paths: list[str]
) -> None:
    after = {name: value for name, value in {**ADA, **change}.items() if value is not None}
    assert changed_paths(ADA, after) == paths


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [(True, False, "deactivated"), (False, True, "activated"), (None, False, "deactivated")],
    ids=["disabled", "enabled", "never said before"],
)
def test_being_enabled_or_disabled_is_a_change_of_its_own(
    before: bool | None, after: bool, what: str
) -> None:
    stored = {name: value for name, value in {**ADA, "active": before}.items() if value is not None}

    alone = user_changes(stored, {**ADA, "active": after})
    with_more = user_changes(stored, {**ADA, "active": after, "title": "x"})

    assert [(one.what, json.loads(one.paths)) for one in alone] == [(what, ["active"])]
    assert [(one.what, json.loads(one.paths)) for one in with_more] == [
        ("updated", ["title"]),
        (what, ["active"]),
    ]


def test_a_put_and_a_patch_with_one_outcome_say_the_same() -> None:
    stored = resource(create_user(TENANT, ADA))
    operations = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [
            {"op": "Replace", "path": "active", "value": "False"},
            {"op": "Add", "path": "name.familyName", "value": "Lovelace"},
        ],
    }
    put = replace_user(
        TENANT, stored, {**ADA, "active": False, "name": {"givenName": "Ada", "familyName": "Lovelace"}}
    )
    patch = patch_user(TENANT, stored, read_patch(TENANT, operations, "User"))

    assert patch is not None
    assert patch.changes == put.changes
    assert [one.what for one in put.changes] == ["updated", "deactivated"]


def test_of_a_group_members_are_no_path() -> None:
    staff = resource(create_group(TENANT, {"displayName": "staff"}))
    member = "00000000-0000-4000-8000-000000000002"
    operations = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [
            {"op": "add", "path": "members", "value": [{"value": member}]},
            {"op": "replace", "path": "displayName", "value": "people"},
        ],
    }
    put = replace_group(TENANT, staff, {"displayName": "people", "members": [{"value": member}]})
    patch = patch_group(TENANT, staff, read_patch(TENANT, operations, "Group"))

    assert patch is not None
    assert patch.changes == put.changes == group_changes({"displayName": "a"}, {"displayName": "b"})
    assert json.loads(put.changes[0].paths) == ["displayName"]


_VALUES = st.one_of(
    st.text(max_size=3), st.booleans(), st.lists(st.dictionaries(st.sampled_from("vt"), st.text(max_size=2)), max_size=2)
)  # fmt: skip
_BODIES = st.dictionaries(
    st.sampled_from(["a", "b", "active", "urn:x"]),
    st.one_of(_VALUES, st.dictionaries(st.sampled_from("xy"), _VALUES, max_size=2)),
)


@given(_BODIES, _BODIES)
def test_there_are_no_paths_exactly_when_nothing_differs(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    def without_empty(body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if value != {}}

    before, after = without_empty(before), without_empty(after)
    assert bool(changed_paths(before, after)) == (before != after)
