"""PATCH, two dialects: without the flag, and with ``aadOptscim062020``; users."""

from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import BASE
from entra_standin.mapping import value_at
from support.conversation import (
    ENTERPRISE,
    USER,
    WORK_COUNTRY,
    WORK_EMAIL,
    Conversation,
    op,
    refusal,
)
from support.shared_scim import SHARED

pytestmark = SHARED
Person = Callable[..., dict[str, Any]]
DEPARTMENT = f"{ENTERPRISE}:department"
MANAGER = f"{ENTERPRISE}:manager"
FLAG = "?aadOptscim062020"


# -- without the flag -------------------------------------------------------------------------------
@pytest.mark.parametrize("write", [str, str.lower, str.upper, str.swapcase])
async def test_operations_are_capitalised_or_in_any_other_case(
    contoso: Conversation, person: Person, write: Callable[[str], str]
) -> None:
    made = await contoso.create(person("ada", nickName=...))
    now = await contoso.patch(
        made["id"],
        op(write("Add"), "nickName", "Countess"),
        op(write("Replace"), "displayName", "Ada L."),
        op(write("Remove"), "title"),
    )
    assert (now["nickName"], now["displayName"]) == ("Countess", "Ada L.")
    assert "title" not in now


@pytest.mark.parametrize(
    ("value", "stored"),
    [("False", False), ("True", True), ("false", False), ("true", True), (False, False), (True, True)],
)
async def test_booleans_come_as_strings_and_are_kept_as_booleans(
    contoso: Conversation, person: Person, value: Any, stored: bool
) -> None:
    for number, kind in enumerate(("Replace", "Add", "replace")):
        made = await contoso.create(person(f"p{number}", active=not stored))
        now = await contoso.patch(made["id"], op(kind, "active", value))
        assert now["active"] is stored, kind


async def test_a_boolean_as_a_string_is_taken_in_a_create_too(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada", active="False"))
    assert made["active"] is False


@pytest.mark.parametrize("kind", ["Add", "Replace"])
async def test_one_operation_for_each_attribute_with_a_path(
    contoso: Conversation, person: Person, kind: str
) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(
        made["id"],
        op(kind, "displayName", "Ada L."),
        op(kind, "name.givenName", "Augusta"),
        op(kind, WORK_EMAIL, "augusta@contoso.com"),
        op(kind, WORK_COUNTRY, "GB"),
        op(kind, DEPARTMENT, "Engines"),
        op(kind, f"{USER}:title", "Countess"),
    )
    assert now["displayName"] == "Ada L."
    assert now["name"] == {"formatted": "Ada", "familyName": "Test", "givenName": "Augusta"}
    assert now["emails"] == [{"type": "work", "value": "augusta@contoso.com", "primary": True}]
    assert now["addresses"] == [{"type": "work", "country": "GB"}]
    assert now[ENTERPRISE] == {"department": "Engines"}
    assert now["title"] == "Countess"


@pytest.mark.parametrize("kind", ["Add", "Replace"])
@pytest.mark.parametrize(
    ("path", "value", "attribute", "stored"),
    [
        (WORK_EMAIL, "a@b.c", "emails", [{"type": "work", "value": "a@b.c"}]),
        (WORK_COUNTRY, "DE", "addresses", [{"type": "work", "country": "DE"}]),
        ('phoneNumbers[type eq "mobile"].value', "1", "phoneNumbers", [{"type": "mobile", "value": "1"}]),
        ('roles[primary eq "True"].value', "boss", "roles", [{"primary": True, "value": "boss"}]),
    ],
)
async def test_a_path_filter_that_matches_no_entry_creates_it(
    by_name: Conversation, person: Person, kind: str, path: str, value: str, attribute: str, stored: Any
) -> None:
    made = await by_name.create(person("ada", emails=..., addresses=...))
    now = await by_name.patch(made["id"], op(kind, path, value))
    assert now[attribute] == stored


async def test_a_path_filter_that_matches_no_entry_leaves_the_others_alone(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(made["id"], op("Add", 'emails[type eq "home"].value', "ada@home.example"))
    assert now["emails"] == [*made["emails"], {"type": "home", "value": "ada@home.example"}]


@pytest.mark.parametrize("shape", ["string", "array", "array without $ref", "object"])
@pytest.mark.parametrize(("path", "kind"), [("manager", "Add"), (MANAGER, "Add"), (MANAGER, "Replace")])
async def test_a_manager_is_set_in_every_shape_and_returned_as_a_value(
    contoso: Conversation, person: Person, path: str, kind: str, shape: str
) -> None:
    boss = await contoso.create(person("boss"))
    made = await contoso.create(person("ada"))
    reference = {"$ref": boss["meta"]["location"], "value": boss["id"]}
    value: Any = {
        "string": boss["id"],
        "array": [reference],
        "array without $ref": [{"value": boss["id"]}],
        "object": reference,
    }[shape]
    now = await contoso.patch(made["id"], op(kind, path, value))
    assert now[ENTERPRISE]["manager"]["value"] == boss["id"]
    assert now[ENTERPRISE]["department"] == "R&D"
    (found,) = await contoso.find(f'id eq "{made["id"]}" and manager eq "{boss["id"]}"')
    assert found[ENTERPRISE]["manager"]["value"] == boss["id"]


@pytest.mark.parametrize(
    "removal",
    [("Remove",), ("Replace", ""), ("Replace", None), ("Remove", ""), ("Replace", [{"value": ""}])],
)
async def test_a_manager_is_removed_by_remove_or_by_replace_with_nothing(
    contoso: Conversation, person: Person, removal: tuple[Any, ...]
) -> None:
    made = await contoso.create(person("ada"))
    for path in ("manager", MANAGER):
        await contoso.patch(made["id"], op("Add", path, "somebody"))
        assert len(await contoso.find(f'id eq "{made["id"]}" and manager eq "somebody"')) == 1
        kind, *value = removal
        now = await contoso.patch(made["id"], op(kind, path, *value))
        assert now[ENTERPRISE] == {"department": "R&D"}
        assert await contoso.find(f'id eq "{made["id"]}" and manager eq "somebody"') == []


# -- with aadOptscim062020 --------------------------------------------------------------------------
async def test_several_attributes_come_in_one_operation_with_dotted_and_urn_keys(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(
        made["id"],
        {
            "op": "replace",
            "value": {
                "displayName": "Ada L.",
                "name.givenName": "Augusta",
                "active": False,
                DEPARTMENT: "Engines",
                f"{ENTERPRISE}:employeeNumber": "7",
                MANAGER: "boss",
            },
        },
        query=FLAG,
    )
    assert now["displayName"] == "Ada L."
    assert now["name"] == {"formatted": "Ada", "familyName": "Test", "givenName": "Augusta"}
    assert now["active"] is False
    assert now[ENTERPRISE] == {
        "department": "Engines",
        "employeeNumber": "7",
        "manager": {"value": "boss", "$ref": f"{BASE}/Users/boss"},
    }


async def test_an_operation_without_a_path_may_add_as_well(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada", title=..., name=...))
    now = await contoso.patch(
        made["id"], {"op": "add", "value": {"title": "Boss", "name.familyName": "L", "nickName": "A"}}
    )
    assert (now["title"], now["nickName"], now["name"]) == ("Boss", "A", {"familyName": "L"})


async def test_bracketed_keys_of_a_value_object_are_kept(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada", addresses=...))
    now = await contoso.patch(
        made["id"],
        {"op": "replace", "value": {WORK_EMAIL: "new@contoso.com", WORK_COUNTRY: "FR", "title": "X"}},
        query=FLAG,
    )
    assert now["emails"] == [{"type": "work", "value": "new@contoso.com", "primary": True}]
    assert now["addresses"] == [{"type": "work", "country": "FR"}]
    assert now["title"] == "X"


async def test_an_extension_as_a_nested_object_is_merged(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(
        made["id"], {"op": "replace", "value": {ENTERPRISE: {"costCenter": "42"}, "title": "X"}}
    )
    assert now[ENTERPRISE]["costCenter"] == "42"
    assert now["title"] == "X"


async def test_lower_case_operations_with_real_booleans_and_paths_work_with_the_flag(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(
        made["id"],
        op("replace", "active", False),
        op("replace", WORK_COUNTRY, "FR"),
        op("remove", "title"),
        op("remove", f"{ENTERPRISE}:department"),
        query=FLAG,
    )
    assert now["active"] is False
    assert now["addresses"] == [{"type": "work", "country": "FR"}]
    assert "title" not in now
    assert ENTERPRISE not in now
    assert ENTERPRISE not in now["schemas"]


# -- both -------------------------------------------------------------------------------------------
async def test_a_patch_of_a_user_is_answered_200_with_the_resource_or_204(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    answer = await contoso.patched(f"/Users/{made['id']}", op("Replace", "title", "X"))
    assert answer.status_code in {200, 204}
    if answer.status_code == 200:
        assert answer.json() == await contoso.get(made["id"])
        assert answer.headers["etag"] == answer.json()["meta"]["version"]


OPTIONAL = [
    "title",
    "displayName",
    "name.givenName",
    "name.formatted",
    WORK_COUNTRY,
    DEPARTMENT,
    "externalId",
    'phoneNumbers[type eq "work"].value',
]


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("kind", ["Replace", "Add"])
async def test_empty_strings_and_nulls_clear_an_attribute(
    contoso: Conversation, person: Person, empty: Any, kind: str
) -> None:
    made = await contoso.create(person("ada", phoneNumbers=[{"type": "work", "value": "1"}]))
    for path in OPTIONAL:
        assert value_at(made, path) is not None, path
        now = await contoso.patch(made["id"], op(kind, path, empty))
        assert value_at(now, path) is None, path
        assert nothing_empty_in(now), path


async def test_empty_strings_and_nulls_clear_attributes_of_a_value_object(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(
        made["id"],
        {"op": "replace", "value": {"title": "", "displayName": None, DEPARTMENT: "", "name.givenName": ""}},
        query=FLAG,
    )
    assert {"title", "displayName", ENTERPRISE} & set(now) == set()
    assert now["name"] == {"formatted": "Ada", "familyName": "Test"}


def nothing_empty_in(value: Any) -> bool:
    """No null, empty string, list or object anywhere below."""
    if isinstance(value, dict):
        return bool(value) and all(nothing_empty_in(item) for item in value.values())
    if isinstance(value, list):
        return bool(value) and all(nothing_empty_in(item) for item in value)
    return value is not None and value != ""


@pytest.mark.parametrize(
    "body",
    [
        {"roles": []},
        {"nickName": None, "phoneNumbers": None, "addresses": None, "name": None, ENTERPRISE: None},
        {"meta": {"resourceType": "User"}},
        {"title": "", "name": {"givenName": "", "familyName": None}},
        {"groups": [], "entitlements": [], "x509Certificates": []},
        {"id": "chosen-by-the-client"},
    ],
)
async def test_create_bodies_carry_noise_that_is_tolerated_and_not_kept(
    contoso: Conversation, person: Person, body: dict[str, Any]
) -> None:
    made = await contoso.create(person("ada", **body))
    assert nothing_empty_in(made)
    assert made["meta"]["resourceType"] == "User"
    assert made["id"] != "chosen-by-the-client"
    assert await contoso.get(made["id"]) == made


async def test_a_patch_takes_effect_as_a_whole_or_not_at_all(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada"))
    answer = await contoso.patched(
        f"/Users/{made['id']}", op("Replace", "title", "Boss"), op("Replace", "noSuchAttribute.x", "1")
    )
    refusal(answer, 400, "invalidPath")
    assert await contoso.get(made["id"]) == made
