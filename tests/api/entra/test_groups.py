"""Groups, from every heading of Entra's facts: created bare, read bare, members in both dialects."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import pytest_asyncio

from api.conftest import Scim
from scim_api.http.public import public_app
from support.conversation import (
    ENTRA_GROUP,
    GROUP,
    Conversation,
    expect,
    listed,
    op,
    raw_request,
    refusal,
)
from support.shared_scim import SHARED

pytestmark = SHARED
Person = Callable[..., dict[str, Any]]
BARE = {"excludedAttributes": "members"}


@pytest_asyncio.fixture(loop_scope="module")
async def people(contoso: Conversation, person: Person) -> list[str]:
    """The ids of four users."""
    return [(await contoso.create(person(name)))["id"] for name in ("ada", "bob", "cy", "dee")]


# -- how Entra behaves ------------------------------------------------------------------------------
async def test_groups_are_created_without_members(contoso: Conversation) -> None:
    body = {
        "schemas": [GROUP, ENTRA_GROUP],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "Sales",
        "meta": {"resourceType": "Group"},
    }
    answer = await contoso.send("POST", "/Groups", body)
    made = expect(answer, 201)
    assert answer.headers["location"] == made["meta"]["location"]
    assert made["meta"]["location"].endswith(f"/Groups/{made['id']}")
    assert answer.headers["etag"] == made["meta"]["version"]
    assert (made["displayName"], made["externalId"]) == ("Sales", body["externalId"])
    assert made["schemas"] == [GROUP]
    assert made["meta"]["resourceType"] == "Group"
    assert not made.get("members")


async def test_a_group_is_found_by_display_name_and_external_id_in_any_case_of_attributes(
    contoso: Conversation,
) -> None:
    made = await contoso.create_group("Sales", externalId="g-1")
    await contoso.create_group("Marketing", externalId="g-2")
    for text in (
        'displayName eq "Sales"',
        'DISPLAYNAME eq "sales"',
        'externalId eq "g-1"',
        'displayName eq "Sales" and externalId eq "g-1"',
        f'{GROUP}:displayName eq "Sales"',
    ):
        assert [group["id"] for group in await contoso.find(text, "/Groups")] == [made["id"]], text
    assert await contoso.find('externalId eq "G-1"', "/Groups") == []
    assert await contoso.find(f'displayName eq "{uuid.uuid4()}"', "/Groups") == []


async def test_groups_are_read_with_excluded_attributes_members(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", *people)
    whole = await contoso.get(made["id"], "/Groups")
    bare = {key: value for key, value in whole.items() if key != "members"}
    assert len(whole["members"]) == 4
    assert await contoso.get(made["id"], "/Groups", "?excludedAttributes=members") == bare
    assert await contoso.get(made["id"], "/Groups", "?ExcludedAttributes=MEMBERS") == bare
    assert await contoso.find('displayName eq "Sales"', "/Groups", **BARE) == [bare]
    assert listed(await contoso.send("GET", "/Groups", params=BARE)) == [bare]


async def test_members_are_returned_with_value_reference_and_type(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", people[0])
    user = await contoso.get(people[0])
    (member,) = (await contoso.get(made["id"], "/Groups"))["members"]
    assert member["value"] == people[0]
    assert member["$ref"] == user["meta"]["location"]
    assert member["type"] == "User"


async def test_the_reference_check_asks_for_an_id_and_a_member(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", people[0])
    other = await contoso.create_group("Marketing", people[1])
    for member, found in ((people[0], [made["id"]]), (people[1], []), (str(uuid.uuid4()), [])):
        text = f'id eq "{made["id"]}" and members[value eq "{member}"]'
        assert [group["id"] for group in await contoso.find(text, "/Groups")] == found
        assert [group["id"] for group in await contoso.find(text, "/Groups", **BARE)] == found
        dotted = f'id eq "{made["id"]}" and members.value eq "{member}"'
        assert [group["id"] for group in await contoso.find(dotted, "/Groups")] == found
    everywhere = await contoso.find(f'members[value eq "{people[1]}"]', "/Groups")
    assert [group["id"] for group in everywhere] == [other["id"]]


async def test_display_name_is_unique(contoso: Conversation) -> None:
    made = await contoso.create_group("Sales")
    other = await contoso.create_group("Marketing")
    for name in ("Sales", "SALES"):
        again = await contoso.send("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
        assert "displayName" in refusal(again, 409, "uniqueness")
    taken = await contoso.patched(f"/Groups/{other['id']}", op("Replace", "displayName", "Sales"))
    refusal(taken, 409, "uniqueness")
    assert await contoso.get(made["id"], "/Groups") == made
    assert await contoso.get(other["id"], "/Groups") == other


async def test_a_group_is_deleted_with_204_and_its_name_is_free_again(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", *people)
    await contoso.delete(f"/Groups/{made['id']}")
    refusal(await contoso.send("GET", f"/Groups/{made['id']}"), 404)
    refusal(await contoso.send("DELETE", f"/Groups/{made['id']}"), 404)
    assert await contoso.find('displayName eq "Sales"', "/Groups") == []
    assert (await contoso.create_group("Sales"))["id"] != made["id"]
    assert len(listed(await contoso.send("GET", "/Users"))) == 4, "the people stay"


async def test_a_disabled_user_keeps_its_memberships(contoso: Conversation, people: list[str]) -> None:
    made = await contoso.create_group("Sales", *people)
    await contoso.patch(people[0], op("Replace", "active", "False"))
    assert await contoso.members(made["id"]) == set(people)
    await contoso.patch(people[0], op("Replace", "active", "True"))
    assert await contoso.members(made["id"]) == set(people)


async def test_a_deleted_user_leaves_its_groups(contoso: Conversation, people: list[str]) -> None:
    sales = await contoso.create_group("Sales", *people)
    marketing = await contoso.create_group("Marketing", people[0])
    await contoso.delete(f"/Users/{people[0]}")
    assert await contoso.members(sales["id"]) == set(people[1:])
    assert await contoso.members(marketing["id"]) == set()
    assert await contoso.find(f'members[value eq "{people[0]}"]', "/Groups") == []
    now = await contoso.get(sales["id"], "/Groups")
    assert now["meta"]["version"] != sales["meta"]["version"]


# -- PATCH, two dialects ----------------------------------------------------------------------------
@pytest.mark.parametrize("flag", ["", "?aadOptscim062020"])
async def test_a_group_patch_is_answered_204_without_a_body(
    contoso: Conversation, people: list[str], flag: str
) -> None:
    made = await contoso.create_group("Sales")
    for operation in (
        op("Add", "members", [{"value": people[0]}]),
        op("Replace", "displayName", "Vertrieb"),
        op("Remove", "members", [{"value": people[0]}]),
        op("Remove", "members", [{"value": people[0]}]),
    ):
        answer = await contoso.patched(f"/Groups/{made['id']}{flag}", operation)
        assert (answer.status_code, answer.content) == (204, b""), answer.text
    assert (await contoso.get(made["id"], "/Groups"))["displayName"] == "Vertrieb"


@pytest.mark.parametrize("ref", [{}, {"$ref": None}, {"$ref": "https://scim.test/x"}, {"display": "Ada"}])
async def test_members_are_added_one_or_several_at_a_time_with_or_without_a_reference(
    contoso: Conversation, people: list[str], ref: dict[str, Any]
) -> None:
    made = await contoso.create_group("Sales")
    await contoso.patch_group(made["id"], op("Add", "members", [{**ref, "value": people[0]}]))
    assert await contoso.members(made["id"]) == {people[0]}
    several = [{**ref, "value": one} for one in people]
    await contoso.patch_group(made["id"], op("Add", "members", several))
    assert await contoso.members(made["id"]) == set(people)


@pytest.mark.parametrize("ref", [{}, {"$ref": None}])
@pytest.mark.parametrize("kind", ["Remove", "remove"])
async def test_members_are_removed_by_a_value_list_and_only_those_named(
    contoso: Conversation, people: list[str], kind: str, ref: dict[str, Any]
) -> None:
    made = await contoso.create_group("Sales", *people)
    await contoso.patch_group(made["id"], op(kind, "members", [{**ref, "value": people[0]}]))
    assert await contoso.members(made["id"]) == set(people[1:])
    several = [{**ref, "value": one} for one in people[1:3]]
    await contoso.patch_group(made["id"], op(kind, "members", several))
    assert await contoso.members(made["id"]) == {people[3]}


async def test_removing_somebody_who_is_no_member_changes_nothing_and_succeeds(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", *people[:2])
    for one in (people[3], str(uuid.uuid4())):
        await contoso.patch_group(made["id"], op("Remove", "members", [{"value": one}]))
        await contoso.patch_group(made["id"], op("remove", f'members[value eq "{one}"]'))
    assert await contoso.get(made["id"], "/Groups") == made | {
        "members": (await contoso.get(made["id"], "/Groups"))["members"]
    }
    assert await contoso.members(made["id"]) == set(people[:2])


async def test_with_the_flag_a_member_is_removed_by_a_filter_in_the_path(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", *people)
    await contoso.patch_group(made["id"], op("remove", f'members[value eq "{people[0]}"]'))
    assert await contoso.members(made["id"]) == set(people[1:])
    await contoso.patch_group(
        made["id"], *(op("remove", f'members[value eq "{one}"]') for one in people[1:3])
    )
    assert await contoso.members(made["id"]) == {people[3]}


async def test_with_the_flag_a_value_object_without_a_path_carries_names_and_members(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", people[0])
    await contoso.patch_group(
        made["id"],
        {"op": "replace", "value": {"displayName": "Vertrieb", "externalId": "g-9"}},
        {"op": "add", "value": {"members": [{"value": people[1]}]}},
    )
    now = await contoso.get(made["id"], "/Groups")
    assert (now["displayName"], now["externalId"]) == ("Vertrieb", "g-9")
    assert await contoso.members(made["id"]) == set(people[:2])


async def test_replacing_the_members_leaves_exactly_the_new_ones(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", *people[:2])
    await contoso.patch_group(made["id"], op("Replace", "members", [{"value": one} for one in people[1:]]))
    assert await contoso.members(made["id"]) == set(people[1:])
    await contoso.patch_group(made["id"], op("Replace", "members", []))
    assert await contoso.members(made["id"]) == set()


async def test_a_member_that_does_not_exist_is_refused_and_nothing_changes(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", people[0])
    nobody = str(uuid.uuid4())
    answer = await contoso.patched(
        f"/Groups/{made['id']}", op("Add", "members", [{"value": people[1]}, {"value": nobody}])
    )
    assert nobody in refusal(answer, 400, "invalidValue")
    assert await contoso.members(made["id"]) == {people[0]}


async def test_adding_a_member_twice_keeps_it_once_and_the_version(
    contoso: Conversation, people: list[str]
) -> None:
    made = await contoso.create_group("Sales", people[0])
    before = await contoso.get(made["id"], "/Groups")
    for _ in range(2):
        await contoso.patch_group(made["id"], op("Add", "members", [{"value": people[0]}]))
    assert await contoso.get(made["id"], "/Groups") == before


@pytest.mark.parametrize("empty", ["", None])
async def test_an_attribute_of_a_group_is_cleared_by_an_empty_string_and_null(
    contoso: Conversation, empty: Any
) -> None:
    made = await contoso.create_group("Sales", externalId="g-1")
    for _ in range(2):
        await contoso.patch_group(made["id"], op("Replace", "externalId", empty))
        assert "externalId" not in await contoso.get(made["id"], "/Groups")


# -- easy to miss -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "noise",
    [
        {"schemas": [GROUP, ENTRA_GROUP]},
        {"schemas": [ENTRA_GROUP]},
        {"schemas": [GROUP, "urn:example:unknown"], "urn:example:unknown": {"a": 1}},
        {"members": []},
        {"members": None, "externalId": None},
        {"roles": [], "unknown": {"x": [1, None]}},
        {"meta": {"resourceType": "Group"}},
        {ENTRA_GROUP: {"description": "x"}},
    ],
)
async def test_no_noise_in_a_groups_body_is_a_reason_to_refuse(
    contoso: Conversation, noise: dict[str, Any]
) -> None:
    made = await contoso.create({"schemas": [GROUP], "displayName": "Sales", **noise}, "/Groups")
    assert made["displayName"] == "Sales"
    assert "null" not in (await contoso.send("GET", f"/Groups/{made['id']}")).text


async def test_the_schemas_list_external_id_and_members_on_group(contoso: Conversation) -> None:
    schemas = {item["id"]: item for item in listed(await contoso.send("GET", "/Schemas"))}
    attributes = {item["name"]: item for item in schemas[GROUP]["attributes"]}
    assert {"displayName", "externalId", "members"} <= set(attributes)
    assert attributes["displayName"]["required"] is True
    assert attributes["externalId"]["caseExact"] is True
    types = listed(await contoso.send("GET", "/ResourceTypes"))
    assert {kind["name"]: kind["endpoint"] for kind in types}["Group"] == "/Groups"


@pytest.mark.parametrize(
    "name", ["Sales (EMEA) and friends", "a@b (c)", ") or (", 'the "A" team', "50% + x & y", "a  b"]
)
async def test_group_filters_contain_parentheses_and_spaces_inside_the_quotes(
    scim: Scim, contoso: Conversation, name: str
) -> None:
    made = await contoso.create_group(name)
    await contoso.create_group("Other")
    escaped = name.replace('"', '\\"')
    raw = "".join(f"%{ord(c):02X}" if c in ' "%+&\\' else c for c in escaped)
    target = f"/Groups?filter=displayName%20eq%20%22{raw}%22&excludedAttributes=members"
    (found,) = listed(await raw_request(public_app(scim.service), "GET", target, contoso.headers))
    assert (found["id"], found["displayName"]) == (made["id"], name)


async def test_lists_of_groups_are_paged_exactly_and_in_a_stable_order(contoso: Conversation) -> None:
    ids = [(await contoso.create_group(f"g{number:02}"))["id"] for number in range(7)]
    seen: list[str] = []
    for start in (1, 4, 7, 10):
        body = expect(await contoso.send("GET", f"/Groups?startIndex={start}&count=3"), 200)
        assert (body["totalResults"], body["startIndex"]) == (7, start)
        seen += [group["id"] for group in body["Resources"]]
    assert seen == ids


async def test_twenty_five_conversations_about_one_group_lose_no_member(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create_group("Sales")
    users = await asyncio.gather(*(contoso.create(person(f"p{number}")) for number in range(25)))
    ids = [user["id"] for user in users]
    await asyncio.gather(
        *(contoso.patch_group(made["id"], op("Add", "members", [{"value": one}])) for one in ids)
    )
    assert await contoso.members(made["id"]) == set(ids)
    await asyncio.gather(
        *(contoso.patch_group(made["id"], op("Remove", "members", [{"value": one}])) for one in ids[::2])
    )
    assert await contoso.members(made["id"]) == set(ids[1::2])


async def test_paths_and_flags_vary_for_groups_too(contoso: Conversation, people: list[str]) -> None:
    made = await contoso.create_group("Sales")
    for path in (f"/groups/{made['id']}/", f"/GROUPS/{made['id']}?aadOptscim062020"):
        answer = await contoso.patched(path, op("Add", "members", [{"value": people[0]}]))
        assert answer.status_code == 204, path
        assert expect(await contoso.send("GET", path), 200)["displayName"] == "Sales"
    assert await contoso.members(made["id"]) == {people[0]}


async def test_a_group_may_be_a_member_of_a_group(contoso: Conversation, people: list[str]) -> None:
    inner = await contoso.create_group("Inner", people[0])
    outer = await contoso.create_group("Outer", inner["id"], people[1])
    members = {item["value"]: item["type"] for item in (await contoso.get(outer["id"], "/Groups"))["members"]}
    assert members == {inner["id"]: "Group", people[1]: "User"}
    await contoso.delete(f"/Groups/{inner['id']}")
    assert await contoso.members(outer["id"]) == {people[1]}
