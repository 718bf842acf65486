"""A PATCH of a group: its body, and the steps on its members."""

import json
from typing import Any

import pytest

from scim_api.contract.urns import PATCH_OP
from scim_api.core.errors import ScimError
from scim_api.core.model import MemberChange, ResourceWrite
from scim_api.core.patch.groups import patch_group
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.groups import create_group
from support.scim_core import profile_of, resource

TENANT = profile_of()
STAFF = resource(create_group(TENANT, {"displayName": "Staff", "externalId": "s"}))
ADA = "0a0a0a0a-0000-4000-8000-00000000000a"


def patched(*operations: dict[str, Any]) -> ResourceWrite | None:
    body = {"schemas": [PATCH_OP], "Operations": list(operations)}
    return patch_group(TENANT, STAFF, read_patch(TENANT, body, "Group"))


def test_a_new_name_is_stored_with_its_key() -> None:
    made = patched({"op": "replace", "path": "displayName", "value": "Crew"})
    assert made is not None
    assert (json.loads(made.doc)["displayName"], made.name_key, made.members) == ("Crew", "crew", ())


def test_steps_on_members_keep_their_order_and_leave_the_body_alone() -> None:
    made = patched(
        {"op": "remove", "path": "members"}, {"op": "add", "path": "members", "value": [{"value": ADA}]}
    )
    assert made is not None
    assert made.members == (MemberChange("replace"), MemberChange("add", (ADA,)))
    assert made.doc == STAFF.doc


def test_what_changes_nothing_is_no_change() -> None:
    assert patched({"op": "replace", "path": "displayName", "value": "Staff"}) is None
    assert patched({"op": "add", "path": "members", "value": []}) is None


def test_a_group_keeps_a_name() -> None:
    with pytest.raises(ScimError) as refused:
        patched({"op": "remove", "path": "displayName"})
    assert refused.value.scim_type == "mutability"


@pytest.mark.parametrize("op", ["add", "replace"])
def test_a_group_does_not_join_itself(op: str) -> None:
    with pytest.raises(ScimError) as refused:
        patched({"op": op, "path": "members", "value": [{"value": STAFF.id.upper()}]})
    assert refused.value.scim_type == "invalidValue"


def test_a_group_that_is_told_to_leave_itself_is_asked_for_nothing_impossible() -> None:
    made = patched({"op": "remove", "path": "members", "value": [{"value": STAFF.id}]})
    assert made is not None
    assert made.members == (MemberChange("remove", (STAFF.id,)),)
