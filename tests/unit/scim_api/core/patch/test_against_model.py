"""PATCHes that lack, null, empty or misplace each part, judged by a model of RFC 7644 section 3.5.2."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import Matching
from scim_api.core.errors import ScimError
from scim_api.core.model import MemberChange, ResourceWrite
from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.groups import patch_group
from scim_api.core.patch.request import read_patch
from scim_api.core.predicate import matches
from scim_api.core.resources.groups import create_group
from scim_api.core.resources.users import create_user
from support import patch_grammar, patch_model_groups, patch_model_users
from support.patch_grammar import FULL_USER, ODD_VALUES, is_decided_here, losses, may_remove
from support.patch_model import Places, Refused
from support.patch_model_groups import ADA, BOB, INNER, PLACES_OF_GROUPS, THERE, Group
from support.patch_model_users import PLACES_OF_USERS
from support.scim_core import profile_of, resource

TENANT = profile_of()
BY_EMAIL = profile_of(Matching.WORK_EMAIL)
Doc = dict[str, Any]
Operations = list[Any]
MANY = settings(max_examples=400, deadline=None)


def user_after(user: Doc, operations: Operations, *, by_work_email: bool) -> Doc | str:
    """The user that the core makes of it, or the scimType of its refusal."""
    tenant = BY_EMAIL if by_work_email else TENANT
    current = create_user(TENANT, user)
    try:
        after = patch_user(tenant, resource(current), read_patch(tenant, {"Operations": operations}))
    except ScimError as error:
        assert error.status == 400
        return str(error.scim_type)
    return {name: value for name, value in json.loads((after or current).doc).items() if name != "schemas"}


def members_after(members: set[str], changes: tuple[MemberChange, ...]) -> set[str] | str:
    """What a store does with the steps of a group."""
    now = set(members)
    for change in changes:
        if change.op != "remove" and not set(change.ids) <= THERE.keys():
            return "invalidValue"
        gone = now & set(change.ids)
        if change.selected_by is not None:
            gone = {one for one in now if matches(change.selected_by, {"value": one, "type": THERE[one]})}
        match change.op:
            case "add":
                now |= set(change.ids)
            case "replace":
                now = set(change.ids)
            case "remove" if gone or change.required_path is None:
                now -= gone
            case "remove":
                return "noTarget"
    return now


def group_after(group: Group, operations: Operations) -> Group | str:
    """The group that the core makes of it, or the scimType of the refusal."""
    current = create_group(TENANT, dict(group.attributes))
    try:
        made = patch_group(TENANT, resource(current), read_patch(TENANT, {"Operations": operations}, "Group"))
    except ScimError as error:
        assert error.status == 400
        return str(error.scim_type)
    after: ResourceWrite = made or current
    members = members_after(group.members, after.members)
    attributes = {name: value for name, value in json.loads(after.doc).items() if name != "schemas"}
    return members if isinstance(members, str) else Group(attributes, members)


def check_user(user: Doc, operations: Operations, *, by_work_email: bool = False) -> None:
    expected = patch_model_users.patch_user(user, operations, by_work_email=by_work_email)
    after = user_after(user, operations, by_work_email=by_work_email)
    if isinstance(expected, Refused):
        assert after in expected.scim_types, operations
        return
    assert after == expected, operations
    assert isinstance(expected["active"], bool)
    assert any(may_remove(one) for one in operations) or losses(user, after) == []


def check_group(members: set[str], operations: Operations) -> None:
    group = Group({"displayName": "Staff", "externalId": "g"}, members)
    expected = patch_model_groups.patch_group(group, operations)
    after = group_after(group, operations)
    if isinstance(expected, Refused):
        assert after in expected.scim_types, operations
        return
    assert after == expected, operations
    assert any(may_remove(one) for one in operations) or expected.members >= members


def operations_at(places: Places, op: str) -> Iterator[Operations]:
    """Each odd value at each place, with a path and without; and none at all."""
    for path in places.by_path:
        yield [{"op": op, "path": path}]
        for value in ODD_VALUES:
            with_path = {"op": op, "path": path, "value": value}
            if is_decided_here(with_path, places.core):
                yield [with_path]
            yield [{"op": op, "value": {path: value}}]


@pytest.mark.parametrize("op", ["add", "Replace", "remove"])
@pytest.mark.parametrize("user", [FULL_USER, {"userName": "ada", "active": True}], ids=["full", "bare"])
def test_every_odd_value_at_every_place_of_a_user_does_what_the_model_says(user: Doc, op: str) -> None:
    for operations in operations_at(PLACES_OF_USERS, op):
        check_user(user, operations)


@pytest.mark.parametrize("op", ["Add", "replace", "remove"])
@pytest.mark.parametrize("members", [{ADA, INNER}, {ADA, BOB}, set()], ids=["two", "users", "nobody"])
def test_every_odd_value_at_every_place_of_a_group_does_what_the_model_says(
    members: set[str], op: str
) -> None:
    for operations in operations_at(PLACES_OF_GROUPS, op):
        check_group(members, operations)


@MANY
@given(patch_grammar.users, patch_grammar.user_patches, st.booleans())
def test_a_user_becomes_what_the_model_says(user: Doc, operations: Operations, by_work_email: bool) -> None:
    by_work_email &= any(one.get("type") == "work" for one in user.get("emails", []))
    check_user(user, operations, by_work_email=by_work_email)


@MANY
@given(patch_grammar.memberships, patch_grammar.group_patches)
@example({ADA}, [{"op": "add", "path": f'members[value eq "{ADA}"]', "value": None}])
@example({ADA}, [{"op": "replace", "path": 'members[value eq "bogus"]', "value": {"value": BOB}}])
def test_a_group_becomes_what_the_model_says(members: set[str], operations: Operations) -> None:
    check_group(members, operations)


@MANY
@given(
    patch_grammar.users, patch_grammar.user_patches.map(lambda sent: [o for o in sent if not may_remove(o)])
)
def test_a_user_loses_nothing_by_what_does_not_say_so(user: Doc, operations: Operations) -> None:
    if operations:
        after = user_after(user, operations, by_work_email=False)
        assert isinstance(after, str) or losses(user, after) == []


@MANY
@given(
    patch_grammar.memberships,
    patch_grammar.group_patches.map(lambda sent: [o for o in sent if not may_remove(o)]),
)
def test_a_group_loses_nobody_by_what_does_not_say_so(members: set[str], operations: Operations) -> None:
    group = Group({"displayName": "Staff", "externalId": "g"}, members)
    if operations:
        after = group_after(group, operations)
        assert isinstance(after, str) or (
            after.members >= members and after.attributes.keys() == group.attributes.keys()
        )
