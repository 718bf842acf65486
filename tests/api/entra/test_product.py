"""The product to reproduce, row by row, as far as SCIM shows it: users."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import BASE
from support.conversation import (
    CUSTOM,
    ENTERPRISE,
    WORK_COUNTRY,
    WORK_EMAIL,
    Conversation,
    expect,
    listed,
    op,
    refusal,
)
from support.shared_scim import SHARED, Connect

pytestmark = SHARED
Person = Callable[..., dict[str, Any]]


async def test_test_connection_answers_200_with_an_empty_list(contoso: Conversation, person: Person) -> None:
    await contoso.create(person("ada"))
    assert await contoso.find(f'{WORK_EMAIL} eq "{uuid.uuid4()}"') == []


async def test_users_are_created_updated_soft_deleted_restored_and_deleted(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    assert (await contoso.patch(made["id"], op("Replace", "title", "Boss")))["title"] == "Boss"
    assert (await contoso.patch(made["id"], op("Replace", "active", "False")))["active"] is False
    assert (await contoso.patch(made["id"], op("Replace", "active", "True")))["active"] is True
    await contoso.delete(f"/Users/{made['id']}")
    refusal(await contoso.send("GET", f"/Users/{made['id']}"), 404)


@pytest.mark.parametrize("active", [True, False, "True", "False", "true", "false"])
async def test_active_arrives_as_a_boolean_or_as_a_string_and_is_returned_as_a_boolean(
    contoso: Conversation, person: Person, active: Any
) -> None:
    made = await contoso.create(person("ada", active=active))
    assert made["active"] is (str(active).lower() == "true")


async def test_all_six_mapped_attributes_are_stored_changed_and_returned(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(
        made["id"],
        op("Replace", "userName", "augusta@contoso.com"),
        op("Replace", "active", "False"),
        op("Replace", WORK_EMAIL, "augusta@contoso.com"),
        op("Replace", WORK_COUNTRY, "GB"),
        op("Replace", "title", "Countess"),
        op("Replace", f"{ENTERPRISE}:department", "Engines"),
    )
    assert now["userName"] == "augusta@contoso.com"
    assert now["active"] is False
    assert now["emails"] == [{"type": "work", "value": "augusta@contoso.com", "primary": True}]
    assert now["addresses"] == [{"type": "work", "country": "GB"}]
    assert now["title"] == "Countess"
    assert now[ENTERPRISE] == {"department": "Engines"}
    assert [user["id"] for user in await contoso.find(f'{WORK_EMAIL} eq "augusta@contoso.com"')] == [
        made["id"]
    ]


async def test_the_rest_of_the_core_and_enterprise_user_schemas_is_stored_and_returned(
    contoso: Conversation, person: Person
) -> None:
    rest = {
        "name": {
            "formatted": "Ms. Ada B Lovelace, III", "familyName": "Lovelace", "givenName": "Ada",
            "middleName": "B", "honorificPrefix": "Ms.", "honorificSuffix": "III",
        },
        "nickName": "Ada", "profileUrl": "https://login.contoso.com/ada", "userType": "Employee",
        "preferredLanguage": "en-US", "locale": "en-US", "timezone": "America/Los_Angeles",
        "phoneNumbers": [{"value": "1", "type": "work"}, {"value": "2", "type": "mobile", "display": "x"}],
        "ims": [{"value": "someaimhandle", "type": "aim"}],
        "photos": [{"value": "https://photos.contoso.com/profilephoto/1/F", "type": "photo"}],
        "addresses": [
            {
                "type": "work", "streetAddress": "1 Way", "locality": "Hollywood", "region": "CA",
                "postalCode": "91608", "country": "US", "formatted": "1 Way\nHollywood", "primary": True,
            },
            {"type": "home", "country": "DE"},
        ],
        "entitlements": [{"value": "e"}],
        "roles": [{"value": "r", "display": "R", "type": "WindowsAzureActiveDirectoryRole", "primary": True}],
        "x509Certificates": [{"value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAw"}],
        ENTERPRISE: {
            "employeeNumber": "701984", "costCenter": "4130", "organization": "Universal",
            "division": "Theme Park", "department": "Tour",
            "manager": {"value": "boss", "$ref": f"{BASE}/Users/boss"},
        },
    }  # fmt: skip
    made = await contoso.create(person("ada", **rest))
    assert {name: made[name] for name in rest} == rest
    assert await contoso.get(made["id"]) == made


async def test_a_second_user_with_the_same_work_email_is_a_uniqueness_conflict(
    contoso: Conversation, person: Person
) -> None:
    await contoso.create(person("ada"))
    same_mail = person("bob", emails=person("ADA")["emails"])
    detail = refusal(await contoso.send("POST", "/Users", same_mail), 409, "uniqueness")
    assert "e-mail" in detail
    bob = await contoso.create(person("bob"))
    taken = await contoso.patched(f"/Users/{bob['id']}", op("Replace", WORK_EMAIL, "ada@contoso.com"))
    refusal(taken, 409, "uniqueness")
    assert await contoso.get(bob["id"]) == bob


@pytest.mark.parametrize(
    "emails",
    [
        ...,
        None,
        [],
        [{"type": "home", "value": "ada@home.example"}],
        [{"type": "work", "value": ""}],
        [{"type": "work", "value": None}],
    ],
)
async def test_a_user_without_a_work_email_is_unprocessable_with_a_detail_that_names_it(
    contoso: Conversation, person: Person, emails: Any
) -> None:
    answer = await contoso.send("POST", "/Users", person("ada", emails=emails))
    assert 'emails[type eq "work"].value' in refusal(answer, 422, "invalidValue")
    assert listed(await contoso.send("GET", "/Users")) == []


async def test_a_declared_custom_field_is_written_cleared_and_shown_in_the_schemas(
    connect: Connect, person: Person
) -> None:
    tenant = await connect(customFields=[{"name": "postalCode", "type": "Any"}])
    made = await tenant.create(person("ada", **{CUSTOM: {"postalCode": "12345"}}))
    assert made[CUSTOM] == {"postalCode": "12345"}
    assert CUSTOM in made["schemas"]
    now = await tenant.patch(made["id"], op("Replace", f"{CUSTOM}:postalCode", "9"))
    assert now[CUSTOM] == {"postalCode": "9"}
    now = await tenant.patch(made["id"], {"op": "replace", "value": {f"{CUSTOM}:postalCode": "10"}})
    assert now[CUSTOM] == {"postalCode": "10"}
    now = await tenant.patch(made["id"], op("Replace", f"{CUSTOM}:postalCode", ""))
    assert CUSTOM not in now
    schemas = {item["id"]: item for item in listed(await tenant.send("GET", "/Schemas"))}
    assert [item["name"] for item in schemas[CUSTOM]["attributes"]] == ["postalCode"]


async def test_an_undeclared_custom_field_is_refused_with_its_name_and_how_to_declare_it(
    connect: Connect, person: Person
) -> None:
    tenant = await connect(customFields=[{"name": "postalCode"}])
    made = await tenant.create(person("ada"))
    answers = [
        await tenant.send("POST", "/Users", person("bob", **{CUSTOM: {"shoeSize": "44"}})),
        await tenant.send("PUT", f"/Users/{made['id']}", person("ada", **{CUSTOM: {"shoeSize": "44"}})),
        await tenant.patched(f"/Users/{made['id']}", op("Add", f"{CUSTOM}:shoeSize", "44")),
        await tenant.patched(f"/Users/{made['id']}", {"op": "add", "value": {f"{CUSTOM}:shoeSize": "44"}}),
        await tenant.patched(f"/Users/{made['id']}", {"op": "add", "value": {CUSTOM: {"shoeSize": "44"}}}),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        detail = answer.json()["detail"]
        assert "shoeSize" in detail
        assert "spec.customFields" in detail
    assert await tenant.get(made["id"]) == made


async def test_a_restart_matches_the_existing_users_and_duplicates_none(
    contoso: Conversation, person: Person
) -> None:
    made = {name: await contoso.create(person(name)) for name in ("ada", "bob")}
    for name, user in made.items():
        (found,) = await contoso.find(f'{WORK_EMAIL} eq "{name}@contoso.com"')
        assert found == user
        now = await contoso.patch(user["id"], op("Replace", "displayName", name.title()))
        assert now == user, "a PATCH that changes nothing leaves the version as it was"
    assert listed(await contoso.send("GET", "/Users")) == list(made.values())


async def test_groups_disabled_answers_as_a_server_without_groups(connect: Connect, person: Person) -> None:
    tenant = await connect(groups="Disabled")
    made = await tenant.create(person("ada"))
    assert listed(await tenant.send("GET", "/Groups")) == [], "Test Connection was seen to ask for it"
    assert await tenant.find('displayName eq "x"', "/Groups") == []
    for method, path in (("POST", "/Groups"), ("GET", f"/Groups/{made['id']}")):
        body = {"displayName": "x"} if method == "POST" else None
        refusal(await tenant.send(method, path, body), 404)
    schemas = [schema["id"] for schema in listed(await tenant.send("GET", "/Schemas"))]
    assert not any(schema.endswith(":Group") for schema in schemas)
    types = listed(await tenant.send("GET", "/ResourceTypes"))
    assert [kind["name"] for kind in types] == ["User"]


async def test_provision_on_demand_is_a_query_a_write_and_a_read_of_one_user(
    contoso: Conversation, person: Person
) -> None:
    for title in ("First", "Second"):
        found = await contoso.find(f'{WORK_EMAIL} eq "ada@contoso.com"')
        if found:
            await contoso.patch(found[0]["id"], op("Replace", "title", title))
        else:
            found = [expect(await contoso.send("POST", "/Users", person("ada", title=title)), 201)]
        assert (await contoso.get(found[0]["id"]))["title"] == title
