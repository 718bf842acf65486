"""Bodies and PATCHes of groups: what is kept, which steps the members take, what is refused."""

import json
from typing import Any

import pytest

from scim_api.contract.admin import TenantSettings
from scim_api.contract.urns import CORE_GROUP, PATCH_OP
from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_GROUP_OPERATIONS, MAX_INDEX_KEY
from scim_api.core.model import MemberChange, Resource, ResourceWrite
from scim_api.core.patch.groups import patch_group
from scim_api.core.patch.request import read_patch
from scim_api.core.predicate import matches
from scim_api.core.resources.groups import create_group, replace_group
from scim_api.core.schema.tenant_schema import compile_tenant_schema
from scim_api.core.values.normal_form import KEY_FORM, KEY_FORM_NAME
from support.scim_core import profile_of

TENANT = profile_of()
GROUP = "00000000-0000-4000-8000-0000000000aa"
ADA = "00000000-0000-4000-8000-000000000001"
BOB = "00000000-0000-4000-8000-000000000002"
MOMENT = "2026-11-23T14:00:00.123456Z"
ADSCIM = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"


def stored(**attributes: Any) -> Resource:
    """A group as a store returns it."""
    made = create_group(TENANT, {"displayName": "Staff", **attributes})
    return Resource(GROUP, 1, MOMENT, MOMENT, made.doc, 7, "Group")


def patched(*operations: dict[str, Any], current: Resource | None = None) -> ResourceWrite | None:
    """What a PATCH makes of a group."""
    body = {"schemas": [PATCH_OP], "Operations": list(operations)}
    return patch_group(TENANT, current or stored(), read_patch(TENANT, body, "Group"))


def steps(*operations: dict[str, Any]) -> tuple[MemberChange, ...]:
    """The steps that a PATCH takes on the members."""
    made = patched(*operations)
    return made.members if made is not None else ()


def refusal(*operations: dict[str, Any]) -> ScimError:
    """The error that a PATCH gets."""
    with pytest.raises(ScimError) as caught:
        patched(*operations)
    return caught.value


def test_a_group_is_stored_without_its_members_and_without_noise() -> None:
    made = create_group(
        TENANT,
        {
            "schemas": [CORE_GROUP, ADSCIM],
            "externalId": "E-1",
            "displayName": "R&D (All)",
            "members": [
                {"value": ADA.upper(), "$ref": None, "type": "User", "display": "Ada"},
                BOB,
            ],
            "meta": {"resourceType": "Group"},
            "unknown": 1,
        },
    )
    assert json.loads(made.doc) == {"schemas": [CORE_GROUP], "externalId": "E-1", "displayName": "R&D (All)"}
    assert (made.name_key, made.external_key, made.match_key) == ("r&d (all)", "E-1", None)
    assert made.members == (MemberChange("add", (ADA, BOB)),)
    assert json.loads(made.normal_form) == {
        "schemas": [CORE_GROUP],
        "externalid": "E-1",
        "displayname": "r&d (all)",
        KEY_FORM_NAME: KEY_FORM,
    }


@pytest.mark.parametrize("members", [None, "", [], ...])
def test_a_group_may_be_created_without_members(members: object) -> None:
    body = {"displayName": "Staff", "members": members}
    made = create_group(TENANT, {name: value for name, value in body.items() if value is not ...})
    assert made.members == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "displayName is missing"),
        ({"displayName": ""}, "displayName is missing"),
        ({"displayName": 5}, "displayName takes a string"),
        ({"displayName": "x" * (MAX_INDEX_KEY + 1)}, "Shorten it"),
        ({"displayName": "x", "members": ["bob"]}, '"bob"'),
        ({"displayName": "x", "members": [{"type": "User"}]}, 'no "value"'),
        ({"displayName": "x", "members": [{"value": 5}]}, "takes the id"),
        ({"displayName": "x", "members": [ADA, {}]}, "Entry 2 of members"),
        ({"displayName": "x", "members": [], "Members": []}, "sent twice"),
    ],
)
def test_a_body_that_makes_no_group_is_refused_with_the_remedy(body: dict[str, Any], said: str) -> None:
    with pytest.raises(ScimError, match=said) as caught:
        create_group(TENANT, body)
    assert (caught.value.status, caught.value.scim_type) == (400, "invalidValue")


def test_a_replaced_group_has_the_members_that_are_named_and_no_others() -> None:
    current = stored()
    assert replace_group(TENANT, current, {"displayName": "x", "members": [ADA]}).members == (
        MemberChange("replace", (ADA,)),
    )
    assert replace_group(TENANT, current, {"displayName": "x"}).members == (MemberChange("replace"),)
    with pytest.raises(ScimError, match="the group itself"):
        replace_group(TENANT, current, {"displayName": "x", "members": [GROUP]})


@pytest.mark.parametrize(
    "value",
    [ADA, [ADA], {"value": ADA}, [{"value": ADA, "$ref": None}], [{"$ref": f"https://x/Users/{ADA}"}]],
)
@pytest.mark.parametrize("op", ["Add", "add"])
def test_members_are_added_in_every_shape(op: str, value: object) -> None:
    assert steps({"op": op, "path": "members", "value": value}) == (MemberChange("add", (ADA,)),)
    assert steps({"op": op, "value": {"members": value}}) == (MemberChange("add", (ADA,)),)


@pytest.mark.parametrize("value", [None, "", []])
def test_adding_nothing_adds_nobody_and_removes_nobody(value: object) -> None:
    assert patched({"op": "Add", "path": "members", "value": value}) is None


def test_a_value_list_removes_only_those_it_names() -> None:
    remove = {"op": "Remove", "path": "members"}
    assert steps({**remove, "value": [{"value": ADA}, {"value": BOB}]}) == (
        MemberChange("remove", (ADA, BOB)),
    )
    assert steps({**remove, "value": [{"value": "gone"}]}) == (MemberChange("remove", ("gone",)),)
    assert patched({**remove, "value": []}) is None
    assert steps(remove) == (MemberChange("replace"),)


def test_brackets_remove_the_member_they_name() -> None:
    assert steps({"op": "remove", "path": f'members[value eq "{ADA.upper()}"]'}) == (
        MemberChange("remove", (ADA,)),
    )
    [step] = steps({"op": "remove", "path": 'members[type eq "Group"]'})
    assert step.selected_by is not None
    assert matches(step.selected_by, {"value": ADA, "type": "group"})
    assert not matches(step.selected_by, {"value": ADA, "type": "user"})


def test_a_replace_with_brackets_exchanges_one_member_for_another() -> None:
    path = f'MEMBERS[value eq "{ADA}"]'
    assert steps({"op": "replace", "path": path, "value": {"value": BOB}}) == (
        MemberChange("remove", (ADA,), required_path=path),
        MemberChange("add", (BOB,)),
    )


def test_replace_sets_the_members_and_replace_by_nothing_clears_them() -> None:
    replace = {"op": "Replace", "path": "members"}
    assert steps({**replace, "value": [{"value": ADA}]}) == (MemberChange("replace", (ADA,)),)
    nothing: tuple[object, ...] = (None, "", [])
    for empty in nothing:
        assert steps({**replace, "value": empty}) == (MemberChange("replace"),)


def test_steps_keep_the_order_of_their_operations() -> None:
    made = patched(
        {"op": "Remove", "path": "members", "value": [{"value": ADA}]},
        {"op": "Replace", "value": {"id": GROUP, "displayName": "Renamed"}},
        {"op": "Add", "path": "members", "value": [{"value": BOB}]},
    )
    assert made is not None
    assert json.loads(made.doc)["displayName"] == "Renamed"
    assert made.members == (MemberChange("remove", (ADA,)), MemberChange("add", (BOB,)))


@pytest.mark.parametrize(
    ("operation", "scim_type", "said"),
    [
        ({"op": "add", "path": "members", "value": [{"value": GROUP}]}, "invalidValue", "the group itself"),
        ({"op": "add", "path": "members", "value": [{"value": "bob"}]}, "invalidValue", '"bob"'),
        ({"op": "add", "path": "members", "value": 5}, "invalidValue", "takes the id"),
        ({"op": "replace", "path": "members.value", "value": BOB}, "mutability", "members.value"),
        (
            {"op": "replace", "path": f'members[value eq "{ADA}"].value', "value": BOB},
            "mutability",
            "remove the member and add another",
        ),
        ({"op": "add", "path": f'members[value eq "{ADA}"]', "value": BOB}, "invalidPath", 'path "members"'),
        ({"op": "remove", "path": 'members[display eq "x"]'}, "invalidFilter", "display"),
        ({"op": "remove", "path": "displayName"}, "mutability", "displayName cannot be cleared"),
        (
            {"op": "replace", "path": "displayName", "value": ""},
            "mutability",
            "displayName cannot be cleared",
        ),
        ({"op": "replace", "path": "title", "value": "x"}, "invalidPath", "no attribute of Group"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_remedy(
    operation: dict[str, Any], scim_type: str, said: str
) -> None:
    error = refusal(operation)
    assert (error.status, error.scim_type) == (400, scim_type)
    assert said in error.detail


def test_a_group_patch_may_hold_an_operation_for_each_of_a_thousand_members() -> None:
    one = {"op": "add", "path": "members", "value": [{"value": ADA}]}
    assert len(steps(*[one] * MAX_GROUP_OPERATIONS)) == MAX_GROUP_OPERATIONS
    assert refusal(*[one] * (MAX_GROUP_OPERATIONS + 1)).status == 413


def test_a_tenant_without_groups_has_neither_their_table_nor_the_groups_of_users() -> None:
    without = compile_tenant_schema(TenantSettings(groups="Disabled"), "test-without-groups")
    assert set(without.tables) == {"User"}
    assert without.user.find("groups") is None
    assert without.all_types.find("members") is None
    assert TENANT.all_types.find("members") is not None
    assert TENANT.user.find("groups") is not None
