"""PATCH of users in both of Entra's dialects. What Entra sends, line by line."""

import json
from typing import Any

import pytest

from scim_api.contract.admin import Matching
from scim_api.contract.urns import PATCH_OP
from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_PATCH_CHANGES, MAX_USER_OPERATIONS, MAX_VALUES
from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.request import read_patch
from scim_api.core.resources.users import create_user
from support.scim_core import (
    CUSTOM,
    CUSTOM_FIELDS,
    ENT,
    patched,
    profile_of,
    resource,
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


# -- the dialects ---------------------------------------------------------------------------------
def test_both_dialects_have_the_same_effect() -> None:
    old = patched(
        TENANT,
        ADA,
        replace("displayName", "N"),
        replace("name.givenName", "G2"),
        replace(WORK, "n@x"),
        replace('addresses[type eq "work"].country', "DE"),
        replace(f"{ENT}:department", "D"),
        replace("active", "False"),
        replace("manager", "m1", "Add"),
    )
    new = patched(
        TENANT,
        ADA,
        values(
            {
                "displayName": "N",
                "name.givenName": "G2",
                WORK: "n@x",
                'addresses[type eq "work"].country': "DE",
                f"{ENT}:department": "D",
                "active": False,
                f"{ENT}:manager": "m1",
            }
        ),
    )
    assert new == old
    assert old["emails"][0] == {"type": "work", "value": "n@x", "primary": True}
    assert old["addresses"] == [{"type": "work", "country": "DE"}]
    assert old["active"] is False
    assert old[ENT] == {"department": "D", "manager": {"value": "m1"}}


def test_paths_operators_and_keys_are_read_in_any_case() -> None:
    body = {
        "SCHEMAS": [PATCH_OP.upper()],
        "operations": [
            {"OP": "REPLACE", "Path": "DISPLAYNAME", "Value": "N"},
            {"op": "aDD", "path": 'EMAILS[Type EQ "work"].Value', "value": "n@x"},
            {"op": "add", "path": f"{ENT.upper()}:MANAGER", "value": "m1"},
        ],
    }
    after = patch_user(TENANT, resource(ADA), read_patch(TENANT, body))
    assert after is not None
    doc = json.loads(after.doc)
    assert (doc["displayName"], doc["emails"][0]["value"], doc[ENT]["manager"]) == (
        "N",
        "n@x",
        {"value": "m1"},
    )


def test_a_value_object_may_hold_whole_extensions_and_the_core_schema() -> None:
    sent = {
        ENT: {"department": "D"},
        "urn:ietf:params:scim:schemas:core:2.0:User": {"title": "X"},
        "name": {"familyName": "F"},
    }
    doc = patched(TENANT, ADA, values(sent))
    assert (doc[ENT], doc["title"], doc["name"]) == (
        {"department": "D"},
        "X",
        {"givenName": "G", "familyName": "F"},
    )


def test_the_array_around_a_single_value_of_older_jobs_is_taken_off() -> None:
    doc = patched(
        TENANT, ADA, replace("displayName", [{"$ref": None, "value": "N"}]), replace("active", ["False"])
    )
    assert (doc["displayName"], doc["active"]) == ("N", False)


@pytest.mark.parametrize(
    "sent",
    ["m1", {"value": "m1"}, [{"$ref": "https://x/scim/v2/Users/m1", "value": "m1"}], [{"$ref": "/Users/m1"}]],
)
@pytest.mark.parametrize("path", ["manager", f"{ENT}:manager"])
def test_a_manager_in_any_shape_is_returned_as_its_value(path: str, sent: object) -> None:
    assert patched(TENANT, BARE, replace(path, sent, "Add"))[ENT] == {"manager": {"value": "m1"}}


@pytest.mark.parametrize("cleared", ["", None, [], {}, {"value": ""}, [{"value": None}]])
def test_a_manager_vanishes_with_an_empty_value_or_a_remove(cleared: object) -> None:
    managed = create_user(TENANT, {"userName": "ada", "manager": "m1"})
    without = patched(TENANT, managed, replace(f"{ENT}:manager", cleared))
    assert without == patched(TENANT, managed, {"op": "Remove", "path": "manager"})
    assert ENT not in without
    assert without["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:User"]


# -- clearing -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path", ["title", "name.givenName", "name", WORK, "emails", 'emails[type eq "home"]', f"{ENT}:department"]
)
@pytest.mark.parametrize("op", ["Replace", "Add"])
def test_an_attribute_is_cleared_with_an_empty_string_and_again_with_null(path: str, op: str) -> None:
    once = patched(TENANT, ADA, replace(path, "", op))
    twice = patched(
        TENANT, ADA, replace(path, "", op), replace(path, None, op), {"op": "remove", "path": path}
    )
    assert twice == once
    assert '""' not in json.dumps(once)


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize("kind", ["Add", "Replace", "Remove"])
@pytest.mark.parametrize("nothing", [None, "", [None]])
def test_nobody_is_enabled_or_disabled_by_clearing_the_flag(active: bool, kind: str, nothing: Any) -> None:
    user = create_user(TENANT, {"userName": "ada", "active": active})
    assert patched(TENANT, user, replace("active", nothing, kind), replace("title", "T"))["active"] is active
    assert (
        patch_user(TENANT, resource(user), read_patch(TENANT, {"Operations": [values({"active": nothing})]}))
        is None
    )


def test_a_value_added_to_a_selected_plain_value_stands_beside_it() -> None:
    user = create_user(TENANT, {"userName": "ada", CUSTOM: {"skills": ["a", "b"]}})
    path = f'{CUSTOM}:skills[value eq "A"]'
    assert patched(TENANT, user, replace(path, "c", "Add"))[CUSTOM]["skills"] == ["a", "b", "c"]
    assert patched(TENANT, user, replace(path, "B", "Add"))[CUSTOM]["skills"] == ["a", "b"]
    assert patched(TENANT, user, replace(path, "c"))[CUSTOM]["skills"] == ["c", "b"]


def test_clearing_a_work_email_leaves_no_husk() -> None:
    assert patched(TENANT, ADA, replace(WORK, ""))["emails"] == [{"type": "home", "value": "h@x"}]


def test_the_parts_of_an_entry_may_come_in_any_order() -> None:
    doc = patched(TENANT, BARE, replace('emails[type eq "work"].primary', "True"), replace(WORK, "n@x"))
    assert doc["emails"] == [{"type": "work", "primary": True, "value": "n@x"}]


def test_removing_with_a_value_list_removes_only_those_named() -> None:
    doc = patched(TENANT, ADA, {"op": "Remove", "path": "emails", "value": [{"value": "H@X", "$ref": None}]})
    assert doc["emails"] == EMAILS[:1]
    assert (
        patched(TENANT, ADA, {"op": "Remove", "path": "emails", "value": [{}, None, {"value": ""}]})["emails"]
        == EMAILS
    )


# -- what is required -----------------------------------------------------------------------------
@pytest.mark.parametrize("operation", [replace("userName", ""), {"op": "remove", "path": "userName"}])
def test_a_user_name_cannot_be_cleared(operation: dict[str, Any]) -> None:
    error = refusal(operation)
    assert (error.status, error.scim_type) == (400, "mutability")
    assert "userName" in error.detail


@pytest.mark.parametrize(
    "operation",
    [
        replace(WORK, ""),
        {"op": "remove", "path": "emails"},
        {"op": "remove", "path": 'emails[type eq "work"]'},
        replace('emails[type eq "work"].type', "home"),
    ],
)
def test_a_work_email_cannot_be_cleared_where_users_match_by_it(operation: dict[str, Any]) -> None:
    error = refusal(operation, tenant=BY_EMAIL)
    assert (error.status, error.scim_type) == (400, "mutability")
    assert WORK in error.detail
    patched(TENANT, ADA, operation)


def test_a_work_email_may_be_removed_and_added_in_one_patch() -> None:
    doc = patched(BY_EMAIL, ADA, {"op": "remove", "path": "emails"}, replace(WORK, "n@x", "Add"))
    assert doc["emails"] == [{"type": "work", "value": "n@x"}]


# -- refusals: nothing is dropped silently -----------------------------------------------------------
@pytest.mark.parametrize(
    ("operation", "scim_type", "said"),
    [
        (replace("shoeSize", "4"), "invalidPath", "shoeSize"),
        (replace("name.nick", "4"), "invalidPath", "name.nick"),
        (replace('emails[type eq "work"].x', "4"), "invalidPath", "emails"),
        (replace('name[type eq "work"]', "4"), "invalidPath", "name"),
        (replace("emails[", "4"), "invalidPath", "emails["),
        (replace('emails[type eq "work"', "4"), "invalidPath", "emails"),
        (replace('emails[shoe eq "work"]', "4"), "invalidFilter", "shoe"),
        (replace('emails[type eq "a"', "4"), "invalidPath", "column"),
        (replace('emails eq "x"', "4"), "invalidPath", "emails"),
        (replace("emails[" + " or ".join(["value pr"] * 9) + "]", ""), "invalidFilter", "more than 8 comparisons"),
        (replace("x" * 1025, ""), "invalidPath", "1025 characters"),
        (replace("urn:example:2.0:User:x", "4"), "invalidPath", "urn:example"),
        (replace(f"{CUSTOM}:undeclared", "4"), "invalidPath", "spec.customFields"),
        (values({"shoeSize": 4}), "invalidPath", "shoeSize"),
        (values({f"{CUSTOM}:undeclared": None}), "invalidPath", '"undeclared"'),
        (values({CUSTOM: {"undeclared": 1}}), "invalidPath", '"undeclared"'),
        (values({ENT: {"undeclared": 1}}), "invalidPath", '"undeclared"'),
        (replace("id", "x"), "mutability", "id"),
        (replace("meta.created", "x"), "mutability", "meta.created"),
        (replace("groups", []), "mutability", "groups"),
        (replace(f"{ENT}:manager.displayName", "x"), "mutability", "manager.displayName"),
        (replace("title", 4), "invalidValue", "title"),
        (replace("active", "yes"), "invalidValue", "active"),
        (replace("name", "Ada"), "invalidValue", "name"),
        (replace("emails", "x"), "invalidValue", "emails"),
        (replace(f"{CUSTOM}:floor", "third"), "invalidValue", "floor"),
        ({"op": "remove"}, "noTarget", "path"),
        ({"op": "move", "path": "title"}, "invalidSyntax", "move"),
        ({"path": "title"}, "invalidSyntax", "op"),
        ({"op": "add", "path": 5}, "invalidPath", "string"),
        ({"op": "add", "value": 5}, "invalidSyntax", "value"),
        (replace('emails[value co "z"].type', "x"), "noTarget", "emails"),
        (replace("emails", [{"value": "1", "primary": True}, {"value": "2", "primary": True}]), "invalidValue", "primary"),
        (replace("roles", [{"value": str(i)} for i in range(MAX_VALUES + 1)]), "invalidValue", "roles"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_with_its_reason(
    operation: dict[str, Any], scim_type: str, said: str
) -> None:
    error = refusal(operation)
    assert (error.status, error.scim_type) == (400, scim_type)
    assert said in error.detail


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Operations": None},
        {"Operations": {}},
        {"Operations": ["x"]},
        {"schemas": "x", "Operations": [values({"title": "X"})]},
        {"schemas": ["urn:other"], "Operations": [values({"title": "X"})]},
    ],
)
def test_a_body_of_another_shape_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ScimError) as caught:
        read_patch(TENANT, body)
    assert (caught.value.status, caught.value.scim_type) == (400, "invalidSyntax")


def test_too_many_operations_are_refused() -> None:
    assert refusal(*[values({"title": "X"})] * (MAX_USER_OPERATIONS + 1)).status == 413
    one_change_per_custom_field = {"op": "remove", "path": CUSTOM}
    count = MAX_PATCH_CHANGES // len(CUSTOM_FIELDS) + 1
    assert count <= MAX_USER_OPERATIONS
    assert refusal(*[one_change_per_custom_field] * count).status == 413


@pytest.mark.parametrize(
    "noise",
    [
        values({"id": "x", "meta": {"resourceType": "User"}, "schemas": [], "groups": [], "password": "x"}),
        replace("password", "secret"),
        replace("schemas", ["urn:x"], "Add"),
        values({"name": {"unknown": 1}}),
        values({"emails": []}) | {"op": "add"},
        {"op": "add", "path": "emails", "value": [{"type": "other"}]},
        {"op": "remove", "path": 'emails[type eq "other"]'},
        replace("title", "T"),
    ],
)
def test_noise_and_what_is_already_so_change_nothing(noise: dict[str, Any]) -> None:
    assert patch_user(TENANT, resource(ADA), read_patch(TENANT, {"Operations": [noise]})) is None


# -- multi-valued attributes ----------------------------------------------------------------------
def test_an_unmatched_path_filter_creates_the_entry() -> None:
    assert patched(TENANT, BARE, replace(WORK, "n@x"))["emails"] == [{"type": "work", "value": "n@x"}]
    created = patched(TENANT, BARE, replace('roles[type eq "T" and value eq "V"].display', "D"))
    assert created["roles"] == [{"type": "T", "value": "V", "display": "D"}]
    app_role = patched(TENANT, BARE, replace('roles[primary eq "True"].value', "Admin", "Add"))
    assert app_role["roles"] == [{"primary": True, "value": "Admin"}]


def test_types_in_path_filters_compare_without_case() -> None:
    assert patched(TENANT, ADA, replace('emails[type eq "WORK"].value', "n@x"))["emails"][0]["value"] == "n@x"


def test_a_filter_of_the_full_grammar_selects_entries() -> None:
    doc = patched(TENANT, ADA, replace('emails[not (type eq "work") and value sw "H@"].display', "D"))
    assert doc["emails"][1] == {"type": "home", "value": "h@x", "display": "D"}


def test_replacing_a_selected_entry_keeps_what_the_brackets_say() -> None:
    doc = patched(TENANT, ADA, replace('emails[type eq "work"]', {"value": "n@x"}))
    assert doc["emails"][0] == {"type": "work", "value": "n@x"}


def test_a_path_without_brackets_means_every_entry() -> None:
    doc = patched(TENANT, ADA, replace("emails.display", "D"))
    assert [entry["display"] for entry in doc["emails"]] == ["D", "D"]


def test_a_new_primary_entry_takes_it_from_the_old_one() -> None:
    doc = patched(
        TENANT, ADA, {"op": "add", "path": "emails", "value": [{"value": "n@x", "primary": "True"}]}
    )
    assert [entry.get("primary") for entry in doc["emails"]] == [False, None, True]
    doc = patched(TENANT, ADA, replace('emails[type eq "home"].primary', True))
    assert [entry["primary"] for entry in doc["emails"]] == [False, True]


def test_adding_an_entry_that_is_there_changes_nothing() -> None:
    assert (
        patched(TENANT, ADA, {"op": "add", "path": "emails", "value": [{"type": "HOME", "value": "H@X"}]})[
            "emails"
        ]
        == EMAILS
    )


def test_a_remove_with_too_many_names_is_refused() -> None:
    names_of_entries = [{"value": str(i)} for i in range(MAX_VALUES + 1)]
    error = refusal({"op": "remove", "path": "emails", "value": names_of_entries})
    assert (error.status, error.scim_type) == (400, "invalidValue")


def test_custom_fields_of_every_type_are_patched() -> None:
    doc = patched(
        TENANT,
        BARE,
        replace(f"{CUSTOM}:postalCode", "DE-1", "Add"),
        replace(f"{CUSTOM}:remote", "False", "Add"),
        replace(f"{CUSTOM}:floor", "3", "Add"),
        replace(f"{CUSTOM}:hiredAt", "2024-01-01T00:00:00+01:00", "Add"),
        replace(f"{CUSTOM}:skills", ["a", "b", ""], "Add"),
        replace(f"{CUSTOM}:skills", "c", "Add"),
        {"op": "remove", "path": f"{CUSTOM}:skills", "value": ["A"]},
        replace(f'{CUSTOM}:skills[value eq "b"]', "B2"),
    )
    assert doc[CUSTOM] == {
        "postalCode": "DE-1", "remote": False, "floor": 3, "hiredAt": "2024-01-01T00:00:00+01:00", "skills": ["B2", "c"],
    }  # fmt: skip


def test_of_several_new_entries_the_preferred_one_takes_it_from_the_old_one_and_keeps_it() -> None:
    new = [{"value": "c@x", "primary": True}, {"value": "d@x"}]
    doc = patched(TENANT, ADA, {"op": "add", "path": "emails", "value": new})
    assert [entry.get("primary") for entry in doc["emails"]] == [False, None, True, None]


def test_an_entry_that_brackets_select_without_describing_it_is_replaced_as_a_whole() -> None:
    doc = patched(TENANT, ADA, replace('emails[value sw "h"]', {"value": "n@x"}))
    assert doc["emails"] == [EMAILS[0], {"value": "n@x"}]


def test_a_remove_names_an_entry_whatever_name_it_gives_it() -> None:
    named = [{"value": "a@x", "type": "work", "display": "A"}]
    doc = patched(TENANT, ADA, {"op": "remove", "path": "emails", "value": named})
    assert doc["emails"] == [EMAILS[1]]
