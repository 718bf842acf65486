"""Easy to miss: discovery, matching, clearing, managers, noise, lists; users."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import Scim
from scim_api.http.public import public_app
from support.conversation import (
    CUSTOM,
    ENTERPRISE,
    USER,
    WORK_COUNTRY,
    WORK_EMAIL,
    Conversation,
    expect,
    listed,
    op,
    raw_request,
    refusal,
)
from support.shared_scim import SHARED, Connect

pytestmark = SHARED
Person = Callable[..., dict[str, Any]]
MANAGER = f"{ENTERPRISE}:manager"


async def attributes(tenant: Conversation, schema: str = USER) -> dict[str, dict[str, Any]]:
    """A schema's attributes by name, as /Schemas lists them."""
    schemas = {item["id"]: item for item in listed(await tenant.send("GET", "/Schemas"))}
    return {item["name"]: item for item in schemas[schema]["attributes"]}


async def test_the_schemas_list_external_id_on_user(contoso: Conversation) -> None:
    external_id = (await attributes(contoso))["externalId"]
    assert external_id["type"] == "string"
    assert external_id["caseExact"] is True
    assert external_id["mutability"] == "readWrite"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("emails", {"work", "home", "other"}),
        ("phoneNumbers", {"work", "home", "mobile", "fax", "pager", "other"}),
        ("addresses", {"work", "home", "other"}),
    ],
)
async def test_the_schemas_publish_the_types_of_emails_phone_numbers_and_addresses(
    contoso: Conversation, name: str, values: set[str]
) -> None:
    subs = {item["name"]: item for item in (await attributes(contoso))[name]["subAttributes"]}
    assert set(subs["type"]["canonicalValues"]) == values


async def test_the_schemas_have_camel_case_characteristics_and_no_nulls(contoso: Conversation) -> None:
    text = (await contoso.send("GET", "/Schemas")).text
    assert "null" not in text

    def names(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(names, value)) if value else set()
        if isinstance(value, dict):
            return set(value) | set().union(*map(names, value.values()))
        return set()

    characteristics = {"multiValued", "caseExact", "canonicalValues", "referenceTypes", "subAttributes"}
    found = names(json.loads(text))
    assert characteristics <= found
    assert not {name for name in found if name[0].isupper() or "_" in name} - {"Resources"}


@pytest.mark.parametrize("value", ["ada", "ada@", "not an address", "x" * 300, "ada@localhost", "+1 (2)"])
async def test_work_emails_phone_numbers_and_external_ids_are_free_strings(
    contoso: Conversation, person: Person, value: str
) -> None:
    body = person(
        "ada",
        emails=[{"type": "work", "value": value}],
        phoneNumbers=[{"type": "work", "value": value}],
        externalId=value,
    )
    made = await contoso.create(body)
    assert made["emails"][0]["value"] == made["phoneNumbers"][0]["value"] == made["externalId"] == value
    assert [user["id"] for user in await contoso.find(f'{WORK_EMAIL} eq "{value}"')] == [made["id"]]


async def test_a_filter_value_need_not_have_the_attributes_format(contoso: Conversation) -> None:
    assert await contoso.find(f'{WORK_EMAIL} eq "8f3c2a70-9d1e-4f1a-b1b0-0f5f4dd0a1a2"') == []


async def test_user_name_is_mutable(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada"))
    now = await contoso.patch(made["id"], op("Replace", "userName", "married@contoso.com"))
    assert (now["id"], now["userName"]) == (made["id"], "married@contoso.com")
    assert await contoso.find('userName eq "ada@contoso.com"') == []
    assert [user["id"] for user in await contoso.find('userName eq "married@contoso.com"')] == [made["id"]]


@pytest.mark.parametrize("matching", ["userName", "externalId"])
async def test_several_users_may_share_a_work_email_unless_it_is_matched_by(
    connect: Connect, person: Person, matching: str
) -> None:
    tenant = await connect(matching=matching)
    emails = [{"type": "work", "value": "desk@contoso.com"}]
    made = [await tenant.create(person(name, emails=emails)) for name in ("ada", "bob")]
    assert await tenant.find(f'{WORK_EMAIL} eq "DESK@contoso.com"') == made
    now = await tenant.patch(made[0]["id"], op("Replace", "title", "Boss"))
    assert now["emails"] == emails


CLEARABLE = ["title", "name.givenName", WORK_COUNTRY, f"{ENTERPRISE}:department", "displayName", MANAGER]


@pytest.mark.parametrize("order", [("", None), (None, ""), ("", ""), (None, None)])
async def test_an_attribute_is_cleared_with_an_empty_string_and_right_after_with_null(
    contoso: Conversation, person: Person, order: tuple[Any, Any]
) -> None:
    made = await contoso.create(person("ada"))
    await contoso.patch(made["id"], op("Add", MANAGER, "boss"))
    for value in order:
        await contoso.patch(made["id"], *(op("Replace", path, value) for path in CLEARABLE))
    held = await contoso.get(made["id"])
    assert {"title", "displayName", "addresses", ENTERPRISE} & set(held) == set()
    assert "givenName" not in held["name"]


@pytest.mark.parametrize("kind", ["Replace", "Add"])
@pytest.mark.parametrize("empty", ["", None])
async def test_clearing_the_work_email_twice_is_no_no_target(
    by_name: Conversation, person: Person, kind: str, empty: Any
) -> None:
    made = await by_name.create(person("ada"))
    for _ in range(2):
        now = await by_name.patch(made["id"], op(kind, WORK_EMAIL, empty))
        assert "emails" not in now, "no husk is left behind"


async def test_with_matching_work_email_it_is_required_and_cannot_be_cleared(
    contoso: Conversation, by_name: Conversation, person: Person
) -> None:
    assert (await attributes(contoso))["emails"]["required"] is True
    assert (await attributes(by_name))["emails"]["required"] is False
    made = await contoso.create(person("ada"))
    for operation in (
        op("Replace", WORK_EMAIL, ""),
        op("Replace", WORK_EMAIL, None),
        op("Remove", WORK_EMAIL),
        op("Remove", 'emails[type eq "work"]'),
        op("Remove", "emails"),
        op("Replace", "emails", []),
        {"op": "replace", "value": {WORK_EMAIL: ""}},
        {"op": "replace", "value": {"emails": None}},
    ):
        answer = await contoso.patched(f"/Users/{made['id']}", operation)
        assert "e-mail" in refusal(answer, 400, "mutability"), operation
    assert await contoso.get(made["id"]) == made


@pytest.mark.parametrize(
    "body",
    [
        {"manager": "boss"},
        {"manager": {"value": "boss"}},
        {"manager": {"value": "boss", "$ref": "https://scim.test/scim/v2/Users/boss"}},
        {"manager": [{"value": "boss", "$ref": None}]},
    ],
)
async def test_a_manager_in_a_create_body_is_stored_and_returned_as_a_value_in_lists_too(
    contoso: Conversation, person: Person, body: dict[str, Any]
) -> None:
    made = await contoso.create(person("ada", **{ENTERPRISE: body}))
    (in_list,) = listed(await contoso.send("GET", "/Users"))
    for user in (made, in_list, await contoso.get(made["id"])):
        assert user[ENTERPRISE]["manager"]["value"] == "boss"


@pytest.mark.parametrize("empty", ["", None, {}, {"value": ""}, {"value": None}, []])
async def test_an_empty_manager_in_a_create_body_leaves_no_object_behind(
    contoso: Conversation, person: Person, empty: Any
) -> None:
    made = await contoso.create(person("ada", **{ENTERPRISE: {"manager": empty, "department": "R&D"}}))
    assert made[ENTERPRISE] == {"department": "R&D"}


async def test_the_last_manager_vanishes_with_its_extension(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada", **{ENTERPRISE: {"manager": "boss"}}))
    now = await contoso.patch(made["id"], op("Replace", MANAGER, ""))
    assert ENTERPRISE not in now
    assert now["schemas"] == [USER]
    (in_list,) = listed(await contoso.send("GET", "/Users"))
    assert in_list == now


async def test_a_disabled_user_is_a_result_with_a_boolean_and_keeps_its_id_when_restored(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    for value, stored in (("False", False), ("True", True)):
        await contoso.patch(made["id"], op("Replace", "active", value))
        (found,) = await contoso.find('userName eq "ada@contoso.com"')
        assert (found["id"], found["active"]) == (made["id"], stored)
        assert found["active"] is stored


async def test_an_empty_list_has_resources_and_echoes_start_index_past_the_end(
    contoso: Conversation, person: Person
) -> None:
    for number in range(3):
        await contoso.create(person(f"p{number}"))
    for query, start in (
        ("startIndex=4", 4),
        ("startIndex=1000&count=5", 1000),
        ('startIndex=2&filter=userName eq "nobody"', 2),
        ("startIndex=2&count=0", 2),
    ):
        body = expect(await contoso.send("GET", f"/Users?{query}"), 200)
        assert body["Resources"] == [], query
        assert (body["startIndex"], body["itemsPerPage"]) == (start, 0), query
    assert expect(await contoso.send("GET", "/Users?startIndex=9"), 200)["totalResults"] == 3
    assert expect(await contoso.send("GET", "/Users?count=0"), 200)["totalResults"] == 3


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11, 50])
async def test_count_is_honoured_exactly_and_the_pages_make_the_whole(
    contoso: Conversation, person: Person, count: int
) -> None:
    ids = [(await contoso.create(person(f"p{number:02}")))["id"] for number in range(11)]
    seen: list[str] = []
    for start in range(1, 12, count):
        body = expect(await contoso.send("GET", f"/Users?startIndex={start}&count={count}"), 200)
        assert (body["totalResults"], body["startIndex"]) == (11, start)
        assert body["itemsPerPage"] == len(body["Resources"]) == min(count, 12 - start)
        seen += [user["id"] for user in body["Resources"]]
    assert seen == ids


async def test_the_order_is_stable_while_others_create_and_change(
    contoso: Conversation, person: Person
) -> None:
    ids = [(await contoso.create(person(f"p{number:02}")))["id"] for number in range(12)]

    async def page(start: int) -> list[str]:
        body = expect(await contoso.send("GET", f"/Users?startIndex={start}&count=3"), 200)
        return [user["id"] for user in body["Resources"]]

    seen: list[str] = []
    for start in (1, 4, 7, 10):
        others = [contoso.create(person(f"q{start}{number}")) for number in range(3)]
        changes = [contoso.patch(one, op("Replace", "title", f"T{start}")) for one in ids[::4]]
        found, *_ = await asyncio.gather(page(start), *others, *changes)
        seen += found
    assert seen == ids


async def test_the_rest_keeps_its_order_when_others_delete(contoso: Conversation, person: Person) -> None:
    ids = [(await contoso.create(person(f"p{number:02}")))["id"] for number in range(9)]
    await asyncio.gather(*(contoso.delete(f"/Users/{one}") for one in ids[::2]))
    assert [user["id"] for user in listed(await contoso.send("GET", "/Users"))] == ids[1::2]


@pytest.mark.parametrize(
    "noise",
    [
        {"unknownAttribute": "x", "unknownComplex": {"a": [1, {"b": None}]}},
        {"nickName": None, "emailsX": None, "externalId": None, ENTERPRISE: {"costCenter": None}},
        {"roles": []},
        {"schemas": [USER], ENTERPRISE: {"department": "R&D"}},
        {"schemas": [USER, "urn:example:unknown"], "urn:example:unknown": {"a": 1}},
        {"schemas": ...},
        {"meta": {"resourceType": "User", "created": "2020-01-01T00:00:00Z", "version": 'W/"9"'}},
        {"name": {"givenName": "Ada", "unknownPart": "x"}},
        {"password": "correct horse battery staple"},
    ],
)
async def test_no_noise_in_a_body_is_a_reason_to_refuse(
    contoso: Conversation, person: Person, noise: dict[str, Any]
) -> None:
    made = await contoso.create(person("ada", **noise))
    replaced = await contoso.send("PUT", f"/Users/{made['id']}", person("ada", **noise, title="Boss"))
    assert expect(replaced, 200)["title"] == "Boss"
    if ENTERPRISE in noise:
        assert ("department" in noise[ENTERPRISE]) == (ENTERPRISE in made)
        assert (ENTERPRISE in made["schemas"]) == (ENTERPRISE in made)
    assert "password" not in made


async def test_an_undeclared_custom_field_is_the_one_exception(contoso: Conversation, person: Person) -> None:
    answer = await contoso.send("POST", "/Users", person("ada", **{CUSTOM: {"badge": "7"}}))
    assert answer.status_code == 400
    assert "badge" in answer.json()["detail"]
    assert (await contoso.send("POST", "/Users", person("ada", **{CUSTOM: {}}))).status_code == 201


@pytest.mark.parametrize(
    "name",
    [
        "ada@contoso.com",
        "ada(admin)@contoso.com",
        "(((",
        ")@(",
        "a b (c) and d",
        "a' or 1 eq 1",
        'say "hi"',
        "back\\slash",
        "50%",
        "a+b&c=d#e?f/g;h,i",
        "[x].y:z",
    ],
)
async def test_special_characters_arrive_raw_in_the_url(
    scim: Scim, contoso: Conversation, person: Person, name: str
) -> None:
    made = await contoso.create(person("ada", userName=name))
    await contoso.create(person("bob"))
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    encoded = "".join(f"%{ord(c):02X}" if c in ' "%+&#\\?[]' else c for c in escaped)
    target = f"/Users?filter=userName%20eq%20%22{encoded}%22"
    answer = await raw_request(public_app(scim.service), "GET", target, contoso.headers)
    assert [user["id"] for user in listed(answer)] == [made["id"]]
    plus = await raw_request(public_app(scim.service), "GET", target.replace("%20", "+"), contoso.headers)
    assert listed(plus) == listed(answer)


async def test_a_get_may_carry_a_content_type(contoso: Conversation, person: Person) -> None:
    made = await contoso.create(person("ada"))
    for kind in ("application/scim+json", "application/json; charset=utf-8", "text/plain", "nonsense"):
        headers = {"content-type": kind}
        assert (await contoso.send("GET", f"/Users/{made['id']}", headers=headers)).status_code == 200
        assert (await contoso.send("GET", "/Users", headers=headers)).status_code == 200
        assert (await contoso.send("GET", "/Schemas", headers=headers)).status_code == 200
