"""Microsoft's own validation of a SCIM endpoint, as far as it differs from what other files here send.

Twenty-five tests judge an endpoint for Entra's gallery; each below is named after the one that it plays. Those that
drive Entra itself are played by its requests. Credentials of OAuth and workload identities are tested elsewhere.
"""

from collections.abc import Callable
from typing import Any

import pytest

from entra_standin.mapping import value_at
from support.conversation import (
    ENTERPRISE,
    GROUP,
    USER,
    WORK_COUNTRY,
    WORK_EMAIL,
    Conversation,
    expect,
    listed,
    op,
    refusal,
)
from support.shared_scim import SHARED

pytestmark = SHARED
Person = Callable[..., dict[str, Any]]
MANAGER = f"{ENTERPRISE}:manager"
MAPPED = {
    USER: [
        "userName", "active", "displayName", "title", WORK_EMAIL, "preferredLanguage", "name.givenName",
        "name.familyName", "name.formatted", 'addresses[type eq "work"].formatted',
        'addresses[type eq "work"].streetAddress', 'addresses[type eq "work"].locality',
        'addresses[type eq "work"].region', 'addresses[type eq "work"].postalCode', WORK_COUNTRY,
        'phoneNumbers[type eq "work"].value', 'phoneNumbers[type eq "mobile"].value',
        'phoneNumbers[type eq "fax"].value', "externalId",
    ],
    ENTERPRISE: ["employeeNumber", "department", "manager"],
    GROUP: ["displayName", "externalId", "members"],
}  # fmt: skip
"""The attributes that Entra's default mappings name."""


def flattened(schema: dict[str, Any]) -> set[str]:
    """A schema's attributes as Entra's discovery names them, in lower case: by type where there are types."""
    found: set[str] = set()
    for attribute in schema["attributes"]:
        name = attribute["name"]
        subs = {sub["name"]: sub for sub in attribute.get("subAttributes", ())}
        types = subs.get("type", {}).get("canonicalValues", [])
        found.add(name)
        found |= {f"{name}.{sub}" for sub in subs}
        found |= {f'{name}[type eq "{kind}"].{sub}' for kind in types for sub in subs}
    return {name.lower() for name in found}


async def test_schema_discoverability_finds_every_mapped_attribute(contoso: Conversation) -> None:
    schemas = {item["id"]: item for item in listed(await contoso.send("GET", "/Schemas"))}
    for schema, names in MAPPED.items():
        assert {name.lower() for name in names} - flattened(schemas[schema]) == set()


async def test_scim_user_create_returns_an_id_and_the_user_name(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    assert made["id"]
    assert made["userName"] == "ada@contoso.com"


@pytest.mark.parametrize("flag", ["", "?aadOptscim062020"])
async def test_scim_user_update_patches_every_single_valued_attribute(
    contoso: Conversation, person: Person, flag: str
) -> None:
    made = await contoso.create(person("ada"))
    wanted = {
        path if schema == USER else f"{schema}:{path}": f"generated-{number}"
        for schema in (USER, ENTERPRISE)
        for number, path in enumerate(MAPPED[schema])
        if path not in {"active", "manager"}
    }
    operations = [op("Replace", path, value) for path, value in wanted.items()]
    if flag:
        operations = [{"op": "replace", "value": wanted}]
    now = await contoso.patch(made["id"], *operations, query=flag)
    assert {path: value_at(now, path) for path in wanted} == wanted


async def test_scim_null_update_clears_with_empty_strings_and_then_with_nulls(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(
        person("ada", phoneNumbers=[{"type": "work", "value": "1"}, {"type": "mobile", "value": "2"}])
    )
    optional = [path for path in MAPPED[USER] if path not in {"userName", "active", WORK_EMAIL}]
    optional += [f"{ENTERPRISE}:{path}" for path in MAPPED[ENTERPRISE]]
    for empty in ("", None):
        now = await contoso.patch(made["id"], *(op("Replace", path, empty) for path in optional))
        assert [path for path in optional if value_at(now, path)] == []
    assert {"userName", "active", "emails"} <= set(now)


async def test_scim_group_create_returns_an_id_and_the_display_name(contoso: Conversation) -> None:
    made = await contoso.create({"schemas": [GROUP], "displayName": "Sales", "externalId": "g"}, "/Groups")
    assert made["id"]
    assert made["displayName"] == "Sales"


async def test_scim_group_update_patches_every_single_valued_attribute(contoso: Conversation) -> None:
    made = await contoso.create_group("Sales", externalId="g")
    await contoso.patch_group(
        made["id"], op("Replace", "displayName", "generated-1"), op("Replace", "externalId", "generated-2")
    )
    now = await contoso.get(made["id"], "/Groups")
    assert (now["displayName"], now["externalId"]) == ("generated-1", "generated-2")


@pytest.mark.parametrize("kind", ["User", "Group"])
async def test_pagination_shows_the_expected_start_index_on_every_page(
    contoso: Conversation, person: Person, kind: str
) -> None:
    path = f"/{kind}s"
    for number in range(11):
        body = person(f"p{number}") if kind == "User" else {"displayName": f"g{number}"}
        await contoso.create(body, path)
    seen = []
    for page in range(4):
        body = expect(await contoso.send("GET", f"{path}?startIndex={page * 5 + 1}&count=5"), 200)
        assert body["startIndex"] == page * 5 + 1
        assert body["totalResults"] == 11
        seen.append(len(body["Resources"]))
    assert seen == [5, 5, 1, 0]


async def test_scim_update_manager_sets_changes_and_removes_it(contoso: Conversation, person: Person) -> None:
    made, *bosses = [await contoso.create(person(name)) for name in ("ada", "bob", "cy")]
    for kind, boss in zip(("Add", "Replace"), bosses, strict=True):
        now = await contoso.patch(made["id"], op(kind, MANAGER, boss["id"]))
        assert now[ENTERPRISE]["manager"] == {"value": boss["id"], "$ref": boss["meta"]["location"]}
    now = await contoso.patch(made["id"], op("Replace", MANAGER, ""))
    assert "manager" not in now.get(ENTERPRISE, {})


async def test_restore_user_creates_again_what_was_deprovisioned(
    contoso: Conversation, person: Person
) -> None:
    first = await contoso.create(person("ada"))
    await contoso.delete(f"/Users/{first['id']}")
    assert await contoso.find('userName eq "ada@contoso.com"') == []
    second = await contoso.create(person("ada"))
    assert [user["id"] for user in await contoso.find('userName eq "ada@contoso.com"')] == [second["id"]]


async def test_restore_group_creates_again_what_was_deprovisioned(contoso: Conversation) -> None:
    first = await contoso.create_group("Sales", externalId="g")
    await contoso.delete(f"/Groups/{first['id']}")
    second = await contoso.create_group("Sales", externalId="g")
    assert [group["id"] for group in await contoso.find('displayName eq "Sales"', "/Groups")] == [
        second["id"]
    ]


async def test_a_disabled_user_has_the_attribute_active_in_answers_to_get_and_filter(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(made["id"], op("replace", "active", False))
    assert now["active"] is False
    (found,) = listed(await contoso.send("GET", '/Users?filter=userName+eq+"ada%40contoso.com"'))
    assert found["active"] is False


async def test_a_create_with_the_user_name_in_another_case_is_a_duplicate(
    contoso: Conversation, person: Person
) -> None:
    await contoso.create(person("ada"))
    twin = person("ADA", emails=person("bob")["emails"])
    refusal(await contoso.send("POST", "/Users", twin), 409, "uniqueness")


async def test_several_operations_on_one_attribute_take_effect_in_order(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    mail = 'emails[type eq "work"]'
    now = await contoso.patch(
        made["id"],
        op("Replace", f"{mail}.value", "first@contoso.com"),
        op("Replace", f"{mail}.primary", "False"),
        op("Add", f"{mail}.value", "last@contoso.com"),
        op("Remove", "title"),
        op("Add", "title", "Boss"),
        op("Add", "name.formatted", "A"),
        op("Remove", "name.formatted"),
    )
    assert now["emails"] == [{"type": "work", "primary": False, "value": "last@contoso.com"}]
    assert now["title"] == "Boss"
    assert now["name"] == {"familyName": "Test", "givenName": "Ada"}


async def test_a_patch_may_replace_complex_and_multi_valued_attributes_as_a_whole(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    addresses = [
        {"type": "work", "locality": "Berlin", "primary": True},
        {"type": "home", "country": "FR"},
    ]
    now = await contoso.patch(
        made["id"],
        op("Replace", "addresses", addresses),
        op("Replace", "name", {"givenName": "Augusta", "familyName": "King"}),
        op("Add", "phoneNumbers", [{"type": "work", "value": "1"}]),
        op("Add", "phoneNumbers", [{"type": "mobile", "value": "2"}]),
    )
    assert now["addresses"] == addresses
    assert (now["name"]["givenName"], now["name"]["familyName"]) == ("Augusta", "King")
    assert now["phoneNumbers"] == [{"type": "work", "value": "1"}, {"type": "mobile", "value": "2"}]
