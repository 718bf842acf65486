"""Both dialects of PATCH become the same canonical operations."""

from typing import Any

import pytest

from scim_api.contract.urns import PATCH_OP
from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_GROUP_OPERATIONS, MAX_PATCH_CHANGES, MAX_USER_OPERATIONS, MAX_VALUES
from scim_api.core.model import MemberChange
from scim_api.core.patch.request import read_patch
from scim_api.core.types import ResourceKind
from support.scim_core import CUSTOM, ENT, profile_of

TENANT = profile_of()
CORE = TENANT.user.urn
Step = tuple[str, str, Any]


def steps(*operations: Any, kind: ResourceKind = "User") -> list[Step]:
    read = read_patch(TENANT, {"schemas": [PATCH_OP], "Operations": list(operations)}, kind)
    return [(str(one.op), one.target.path, one.value) for one in read]


def one(op: str, path: str | None, value: Any = None) -> list[Step]:
    return steps({"op": op, "value": value} | ({} if path is None else {"path": path}))


def refusal(*operations: Any, kind: ResourceKind = "User") -> ScimError:
    with pytest.raises(ScimError) as refused:
        steps(*operations, kind=kind)
    return refused.value


@pytest.mark.parametrize("op", ["add", "Add", "ADD", "replace", "Replace"])
def test_a_value_object_says_what_as_many_paths_say(op: str) -> None:
    value = {"title": "x", "name.givenName": "Ada", "active": "False"}
    assert one(op, None, value) == [step for path, item in value.items() for step in one(op, path, item)]
    assert one(op, "", value) == one(op, " ", value) == one(op, None, value)
    assert one(op, CORE, value) == one(op, None, {CORE: value}) == one(op, None, value)


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(
    "path", ["title", "name", "name.givenName", f"{ENT}:manager", 'emails[type eq "work"].value']
)
@pytest.mark.parametrize("op", ["add", "replace"])
def test_nothing_as_a_value_removes(op: str, path: str, nothing: Any) -> None:
    [(done, _, value)] = one(op, path, nothing)
    assert (done, value) == ("remove", None)


@pytest.mark.parametrize(
    ("op", "path", "value", "expected"),
    [
        ("replace", "emails", [], [("remove", "emails", None)]),
        ("add", "emails", [], []),
        ("add", "emails", None, [("remove", "emails", None)]),
        ("remove", "emails", [], [("remove", "emails", [])]),
        ("remove", "emails", None, [("remove", "emails", None)]),
        ("remove", "emails", {"value": "a"}, [("remove", "emails", [{"value": "a"}])]),
        ("add", "emails", {"value": "a"}, [("add", "emails", [{"value": "a"}])]),
        ("replace", "emails", [{"type": "work"}], [("remove", "emails", None)]),
        ("add", "emails", [{"type": "work"}], []),
        ("replace", "name", {}, [("remove", "name", None)]),
        ("add", "name", {}, []),
        ("add", "name", [], []),
        ("replace", "name", [], [("remove", "name", None)]),
        ("add", "title", [], []),
        ("add", "name.givenName", [], []),
        ("replace", "name.givenName", [], [("remove", "name.givenName", None)]),
        ("replace", "name", [{"givenName": "a"}], [("replace", "name.givenName", "a")]),
        ("replace", "name", {"GIVENNAME": "a", "x": 1}, [("replace", "name.givenName", "a")]),
        ("replace", "title", ["x"], [("replace", "title", "x")]),
        ("replace", "title", [{"VALUE": "x"}], [("replace", "title", "x")]),
        ("replace", "title", [], [("remove", "title", None)]),
        ("remove", "title", "whatever", [("remove", "title", None)]),
        ("add", f"{ENT}:manager", "7", [("replace", f"{ENT}:manager", {"value": "7"})]),
        ("add", f"{ENT}:manager.value", "7", [("replace", f"{ENT}:manager", {"value": "7"})]),
        ("add", f"{ENT}:manager.$ref", "x/7", [("replace", f"{ENT}:manager", {"value": "7"})]),
        ("remove", f"{ENT}:manager", "7", [("remove", f"{ENT}:manager", None)]),
        ("add", f"{ENT}:manager", [{"VALUE": "7"}], [("replace", f"{ENT}:manager", {"value": "7"})]),
        ("add", f"{ENT}:manager", {"value": ""}, [("remove", f"{ENT}:manager", None)]),
        ("add", f"{ENT}:manager", {"$ref": None}, [("remove", f"{ENT}:manager", None)]),
        ("add", f"{ENT}:manager", {"displayName": "x"}, []),
        ("replace", f"{ENT}:manager", {"displayName": "x"}, []),
        ("add", f"{ENT}:manager", [], []),
        ("add", f"{ENT}:manager", [{}], []),
        ("replace", f"{ENT}:manager", {}, [("remove", f"{ENT}:manager", None)]),
        ("add", ENT, {"DEPARTMENT": "x", "schemas": []}, [("add", f"{ENT}:department", "x")]),
        ("replace", 'emails[type eq "work"]', [{"value": "a"}], [("replace", "emails", {"value": "a"})]),
        ("replace", 'emails[type eq "work"]', {}, [("remove", "emails", None)]),
        ("add", 'emails[type eq "work"]', {}, []),
        ("add", 'emails[type eq "work"]', [], []),
        ("replace", 'emails[type eq "work"]', [], [("remove", "emails", None)]),
        ("add", 'emails[type eq "work"].value', [], []),
        ("remove", 'emails[type eq "work"].value', "x", [("remove", "emails.value", None)]),
        ("add", f'{CUSTOM}:skills[value eq "a"]', "b", [("add", f"{CUSTOM}:skills", ["b"])]),
        ("replace", f'{CUSTOM}:skills[value eq "a"]', "b", [("replace", f"{CUSTOM}:skills", "b")]),
        ("add", "password", "x", []),
        ("remove", "schemas", None, []),
    ],
)
def test_each_shape_becomes_its_canonical_operation(
    op: str, path: str, value: Any, expected: list[Step]
) -> None:
    assert one(op, path, value) == expected


@pytest.mark.parametrize(
    "path",
    [
        "title",
        "active",
        "name.givenName",
        "emails",
        'emails[type eq "work"]',
        ENT,
        "password",
        "id",
        CORE,
        "",
        None,
    ],
)
@pytest.mark.parametrize("op", ["add", "Replace"])
def test_a_value_that_is_absent_is_refused_and_says_where(op: str, path: str | None) -> None:
    error = refusal({"op": op} if path is None else {"op": op, "path": path})
    assert (error.status, error.scim_type) == (400, "invalidValue")
    assert (path or 'without "path"') in error.detail
    assert refusal({"op": op, "path": path, "values": "x"}).scim_type == "invalidValue"


def test_a_path_that_names_nothing_is_refused_before_a_value_is_missed() -> None:
    assert refusal({"op": "add", "path": "shoeSize"}).scim_type == "invalidPath"


@pytest.mark.parametrize("value", [None, ""])
def test_an_extension_that_is_removed_or_emptied_loses_each_attribute(value: Any) -> None:
    gone = [("remove", field.path, None) for field in TENANT.user.names[ENT].sub_attributes]
    assert one("remove", ENT, {"department": "x"}) == one("replace", ENT, value) == gone


def test_what_is_read_only_is_refused_by_path_and_ignored_within_an_object() -> None:
    for path in ("id", "meta.created", "groups"):
        assert refusal({"op": "replace", "path": path, "value": "x"}).scim_type == "mutability"
        assert one("replace", None, {path: "x", "title": "y"}) == [("replace", "title", "y")]
        assert one("replace", None, {CORE: {path: "x"}}) == []
    manager = f"{ENT}:manager.displayName"
    assert refusal({"op": "replace", "path": manager, "value": "x"}).scim_type == "mutability"
    assert one("replace", None, {manager: "x"}) == []


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("x", "invalidSyntax"),
        ({}, "invalidSyntax"),
        ({"op": "move", "path": "title"}, "invalidSyntax"),
        ({"op": 1, "path": "title"}, "invalidSyntax"),
        ({"op": "add", "path": 1, "value": "x"}, "invalidPath"),
        ({"op": "add", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "value": {" ": 1}}, "invalidPath"),
        ({"op": "add", "value": {CORE: "x"}}, "invalidSyntax"),
        ({"op": "add", "value": {CORE: {CORE: {}}}}, "invalidPath"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "remove", "value": {"title": "x"}}, "noTarget"),
        ({"op": "add", "path": ENT, "value": ["x"]}, "invalidValue"),
        ({"op": "add", "path": ENT, "value": {"x": 1}}, "invalidPath"),
        ({"op": "add", "path": CUSTOM, "value": {"x": 1}}, "invalidPath"),
        ({"op": "add", "path": "name", "value": "x"}, "invalidValue"),
        ({"op": "add", "path": "title", "value": ["a", "b"]}, "invalidValue"),
        ({"op": "add", "path": "name", "value": [[]]}, "invalidValue"),
        ({"op": "replace", "path": "manager", "value": [[]]}, "invalidValue"),
        ({"op": "replace", "path": "manager", "value": {"$ref": "/"}}, "invalidValue"),
        ({"op": "replace", "path": 'emails[type eq "work"]', "value": [[]]}, "invalidValue"),
        ({"op": "add", "path": 'emails[type eq "work"]', "value": "x"}, "invalidValue"),
    ],
)
def test_what_has_no_meaning_is_refused(operation: Any, kind: str) -> None:
    error = refusal(operation)
    assert (error.status, error.scim_type) == (400, kind)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({"Operations": [{"op": "remove", "path": "title"}]}, True),
        ({"OPERATIONS": [{"OP": "remove", "PATH": "title"}], "SCHEMAS": [PATCH_OP.upper()]}, True),
        ({"schemas": ["urn:x"], "Operations": [{"op": "remove", "path": "title"}]}, False),
        ({"schemas": PATCH_OP, "Operations": [{"op": "remove", "path": "title"}]}, False),
        ({"schemas": {PATCH_OP: 1}, "Operations": [{"op": "remove", "path": "title"}]}, False),
        ({"schemas": 5, "Operations": [{"op": "remove", "path": "title"}]}, False),
        ({"schemas": [], "Operations": [{"op": "remove", "path": "title"}]}, True),
        ({"schemas": [PATCH_OP], "Operations": None}, False),
        ({"schemas": [PATCH_OP], "Operations": {}}, False),
        ({"schemas": [PATCH_OP]}, False),
    ],
)
def test_a_body_has_operations_and_the_right_schema_or_none(body: dict[str, Any], read: bool) -> None:
    if read:
        assert len(read_patch(TENANT, body)) == 1
        return
    with pytest.raises(ScimError) as refused:
        read_patch(TENANT, body)
    assert refused.value.scim_type == "invalidSyntax"


def test_no_operations_are_nothing_to_do() -> None:
    assert read_patch(TENANT, {"schemas": [PATCH_OP], "Operations": []}) == ()


@pytest.mark.parametrize(("kind", "most"), [("User", MAX_USER_OPERATIONS), ("Group", MAX_GROUP_OPERATIONS)])
def test_a_request_has_so_many_operations_at_most(kind: ResourceKind, most: int) -> None:
    operation = {"op": "replace", "path": "displayName", "value": "x"}
    assert len(steps(*[operation] * most, kind=kind)) == most
    error = refusal(*[operation] * (most + 1), kind=kind)
    assert (error.status, f"has {most + 1} operations" in error.detail) == (413, True)


def test_a_request_changes_so_many_attributes_at_most() -> None:
    value = {"title": "x", "nickName": "y", "locale": "z", "timezone": "t"}
    assert len(steps(*[{"op": "add", "value": value}] * (MAX_PATCH_CHANGES // 4))) == MAX_PATCH_CHANGES
    more = value | {"displayName": "d"}
    assert refusal(*[{"op": "add", "value": more}] * (MAX_PATCH_CHANGES // 5 + 1)).status == 413


def test_a_remove_names_so_many_entries_at_most() -> None:
    assert len(one("remove", "emails", [{"value": "a"}] * MAX_VALUES)[0][2]) == MAX_VALUES
    more = {"op": "remove", "path": "emails", "value": [{"value": "a"}] * (MAX_VALUES + 1)}
    assert refusal(more).scim_type == "invalidValue"


def test_members_become_steps_of_a_change() -> None:
    ada = "0a0a0a0a-0000-4000-8000-00000000000a"
    add = {"op": "Add", "path": "members", "value": [{"value": ada}]}
    assert steps(add, kind="Group") == [("add", "members", MemberChange("add", (ada,)))]
    remove = {"op": "Remove", "path": f'members[value eq "{ada}"]'}
    assert steps(remove, kind="Group") == [("remove", "members", MemberChange("remove", (ada,)))]
    within = {"op": "Replace", "path": f'members[value eq "{ada}"].type', "value": "User"}
    assert refusal(within, kind="Group").scim_type == "mutability"


def test_as_many_operations_on_a_group_as_there_may_be_may_change_two_attributes_each_and_no_more() -> None:
    both = {"op": "add", "value": {"displayName": "x", "externalId": "y"}}
    assert len(steps(*[both] * MAX_GROUP_OPERATIONS, kind="Group")) == 2 * MAX_GROUP_OPERATIONS
    member = {"members": [{"value": "0a0a0a0a-0000-4000-8000-00000000000a"}]}
    three = {"op": "add", "value": {"displayName": "x", "externalId": "y"} | member}
    error = refusal(*[both] * (MAX_GROUP_OPERATIONS - 1), three, kind="Group")
    assert (error.status, f"more than {2 * MAX_GROUP_OPERATIONS}" in error.detail) == (413, True)


def test_a_refusal_says_what_is_wrong_with_the_shape() -> None:
    with pytest.raises(ScimError, match="an array of them"):
        read_patch(TENANT, {"schemas": [PATCH_OP], "Operations": {"op": "remove", "path": "title"}})
    assert "empty key" in refusal({"op": "add", "value": {" ": 1}}).detail
