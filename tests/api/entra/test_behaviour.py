"""How Entra behaves: URLs, filters, lists, media types, cycles, retries and load."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from api.conftest import Scim
from scim_api.http.public import public_app
from support.conversation import (
    ENTERPRISE,
    MEDIA_TYPE,
    USER,
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
FLAGS = ("?aadOptscim062020", "?aadOptscim062020=", "?AzureAdScimPatch2017", "?unknown=1&aadOptscim062020")


@pytest.mark.parametrize("flag", FLAGS)
async def test_the_tenant_url_may_carry_a_flag_that_every_request_then_has(
    contoso: Conversation, person: Person, flag: str
) -> None:
    made = expect(await contoso.send("POST", f"/Users{flag}", person("ada")), 201)
    path = f"/Users/{made['id']}{flag}"
    assert expect(await contoso.send("GET", path), 200) == made
    assert (await contoso.patched(path, op("Replace", "title", "Boss"))).status_code == 200
    assert expect(await contoso.send("GET", path), 200)["title"] == "Boss"
    query = f'{flag}&filter={WORK_EMAIL} eq "ada@contoso.com"'
    assert [user["id"] for user in listed(await contoso.send("GET", f"/Users{query}"))] == [made["id"]]
    assert (await contoso.send("DELETE", path)).status_code == 204


async def test_paths_arrive_in_other_case_and_with_a_trailing_slash(
    scim: Scim, contoso: Conversation, person: Person
) -> None:
    app = public_app(scim.service)
    made = await contoso.create(person("ada"))
    for target in ("/users", "/USERS/", "/Users//", f"/uSERS/{made['id']}", f"/Users/{made['id']}/"):
        answer = await raw_request(app, "GET", target, contoso.headers)
        assert answer.status_code == 200, target
        assert made in (answer.json(), *answer.json().get("Resources", ())), target
    for target in ("/schemas", "/Schemas/", "/serviceproviderconfig", "/RESOURCETYPES/"):
        assert (await raw_request(app, "GET", target, contoso.headers)).status_code == 200, target
    renamed = await contoso.patched(f"/USERS/{made['id']}/", op("Replace", "title", "Boss"))
    assert renamed.json()["title"] == "Boss"


@pytest.mark.parametrize("attribute", ["workEmail", "userName", "externalId"])
async def test_test_connection_finds_nobody_and_answers_200_with_each_matching_attribute(
    connect: Connect, attribute: str
) -> None:
    tenant = await connect(matching=attribute)
    path = WORK_EMAIL if attribute == "workEmail" else attribute
    answer = await tenant.send("GET", "/Users", params={"filter": f'{path} eq "{uuid.uuid4()}"'})
    body = expect(answer, 200)
    assert body["Resources"] == []
    assert (body["totalResults"], body["itemsPerPage"], body["startIndex"]) == (0, 0, 1)


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "ada@contoso.com"',
        'USERNAME eq "ADA@contoso.com"',
        'emails[type eq "work"].value eq "ada@contoso.com"',
        'Emails[Type Eq "work"].Value EQ "ada@contoso.com"',
        'externalId eq "ext-ada"',
        'externalid eq "ext-ada"',
        'userName eq "ada@contoso.com" and externalId eq "ext-ada"',
        'id eq "{id}" and manager eq "{boss}"',
        f'id eq "{{id}}" and {ENTERPRISE}:manager eq "{{boss}}"',
    ],
)
async def test_filters_are_equalities_on_matching_attributes_in_any_case(
    contoso: Conversation, person: Person, text: str
) -> None:
    boss = await contoso.create(person("boss"))
    ada = await contoso.create(person("ada"))
    await contoso.patch(ada["id"], op("Add", "manager", boss["id"]))
    text = text.format(id=ada["id"], boss=boss["id"])
    assert [user["id"] for user in await contoso.find(text)] == [ada["id"]]


async def test_a_reference_that_is_not_there_is_found_by_nobody(
    contoso: Conversation, person: Person
) -> None:
    ada, bob = await contoso.create(person("ada")), await contoso.create(person("bob"))
    await contoso.patch(ada["id"], op("Add", "manager", bob["id"]))
    assert await contoso.find(f'id eq "{ada["id"]}" and manager eq "{ada["id"]}"') == []
    assert await contoso.find(f'id eq "{bob["id"]}" and manager eq "{bob["id"]}"') == []


async def test_a_list_is_a_list_response_also_with_zero_results(
    contoso: Conversation, person: Person
) -> None:
    assert listed(await contoso.send("GET", "/Users")) == []
    made = [await contoso.create(person(name)) for name in ("ada", "bob")]
    assert listed(await contoso.send("GET", "/Users")) == made


async def test_every_answer_is_scim_json_and_requests_come_as_either_type(
    contoso: Conversation, person: Person
) -> None:
    kinds = (
        MEDIA_TYPE,
        "application/json",
        "application/scim+json; charset=utf-8",
        "application/json; charset=UTF-8",
    )
    for number, kind in enumerate(kinds):
        body = person(f"p{number}")
        made = expect(await contoso.send("POST", "/Users", body, headers={"content-type": kind}), 201)
        answers = [
            await contoso.send("GET", f"/Users/{made['id']}"),
            await contoso.send("POST", "/Users", body, headers={"content-type": kind}),
            await contoso.send("GET", "/Users?filter=nonsense"),
            await contoso.send("GET", f"/Users/{uuid.uuid4()}"),
            await contoso.send("GET", "/nowhere"),
            await contoso.client.get("/Users"),
        ]
        assert [answer.status_code for answer in answers] == [200, 409, 400, 404, 404, 401]
        assert {answer.headers["content-type"] for answer in answers} == {MEDIA_TYPE}


async def test_a_disabled_user_is_found_by_filter_and_by_id_with_active_until_it_is_deleted(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    await contoso.patch(made["id"], op("Replace", "active", "False"))
    assert (await contoso.get(made["id"]))["active"] is False
    found = await contoso.find(f'{WORK_EMAIL} eq "ada@contoso.com"')
    assert [(user["id"], user["active"]) for user in found] == [(made["id"], False)]
    await contoso.delete(f"/Users/{made['id']}")
    assert await contoso.find(f'{WORK_EMAIL} eq "ada@contoso.com"') == []


async def test_an_initial_cycle_queries_then_creates_or_patches_then_reads_with_managers_last(
    contoso: Conversation, person: Person
) -> None:
    known = await contoso.create(person("ada", title="Old"))
    ids = []
    for name in ("ada", "bob"):
        found = await contoso.find(f'{WORK_EMAIL} eq "{name}@contoso.com"')
        if found:
            await contoso.patch(found[0]["id"], op("Replace", "title", "Engineer"))
        else:
            found = [await contoso.create(person(name))]
        ids.append((await contoso.get(found[0]["id"]))["id"])
    assert ids[0] == known["id"]
    for employee, manager in (ids, reversed(ids)):
        await contoso.patch(employee, op("Add", f"{ENTERPRISE}:manager", manager))
    users = listed(await contoso.send("GET", "/Users"))
    assert [user["title"] for user in users] == ["Engineer", "Engineer"]
    assert [user[ENTERPRISE]["manager"]["value"] for user in users] == [ids[1], ids[0]]


async def test_an_incremental_cycle_reads_and_patches_only_what_changed(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    assert await contoso.get(made["id"]) == made
    now = await contoso.patch(made["id"], op("Replace", "displayName", "Ada Lovelace"))
    untouched = {key: value for key, value in now.items() if key not in {"displayName", "meta"}}
    assert untouched == {key: value for key, value in made.items() if key not in {"displayName", "meta"}}


async def test_values_are_stored_and_returned_as_sent(contoso: Conversation, person: Person) -> None:
    sent = {
        "displayName": "  two  spaces and a tab\t ",
        "phoneNumbers": [
            {"type": "work", "value": "+49 (0)30 / 12-34 ext. 5"},
            {"type": "mobile", "value": "tel:+1-201-555-0123;ext=9"},
            {"type": "fax", "value": "n/a"},
        ],
        "emails": [{"type": "work", "value": "Ada.LOVELACE@Contoso.COM", "primary": True}],
        "userName": "ADA@Contoso.com",
        "preferredLanguage": "de-DE, en;q=0.7",
        "locale": "tr-TR",
        "timezone": "Europe/Berlin",
        "profileUrl": "HTTP://Example.com/%7Eada",
    }
    made = await contoso.create(person("ada", **sent))
    read = await contoso.get(made["id"])
    assert {name: read[name] for name in sent} == sent
    patched = await contoso.patch(
        made["id"], op("Replace", 'phoneNumbers[type eq "mobile"].value', " 0170 / 12 34 ")
    )
    assert patched["phoneNumbers"][1] == {"type": "mobile", "value": " 0170 / 12 34 "}


async def test_a_post_that_arrives_twice_is_a_conflict_and_does_not_touch_the_first(
    contoso: Conversation, person: Person
) -> None:
    made = await contoso.create(person("ada"))
    again = await contoso.send("POST", "/Users", person("ada", title="Other", active=False))
    refusal(again, 409, "uniqueness")
    assert await contoso.get(made["id"]) == made
    assert len(await contoso.find(f'{WORK_EMAIL} eq "ada@contoso.com"')) == 1


async def test_twenty_five_requests_a_second_are_let_through_with_the_least_rate_limit(
    connect: Connect, person: Person
) -> None:
    tenant = await connect(rateLimit={"requestsPerSecond": 25, "burst": 25})
    answers = await asyncio.gather(*(tenant.send("GET", "/Users") for _ in range(25)))
    assert {answer.status_code for answer in answers} == {200}


async def test_a_burst_of_creates_in_parallel_makes_each_user_once(
    contoso: Conversation, person: Person
) -> None:
    bodies = [person(f"p{number % 20}") for number in range(60)]
    answers = await asyncio.gather(*(contoso.send("POST", "/Users", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [409] * 40
    assert len(listed(await contoso.send("GET", "/Users"))) == 20


async def test_twenty_five_conversations_run_in_parallel(contoso: Conversation, person: Person) -> None:
    async def conversation(number: int) -> None:
        name = f"p{number}"
        assert await contoso.find(f'{WORK_EMAIL} eq "{name}@contoso.com"') == []
        made = await contoso.create(person(name))
        assert await contoso.get(made["id"]) == made
        now = await contoso.patch(
            made["id"], op("Replace", "title", name), op("Replace", "name.givenName", f"G{number}")
        )
        assert (now["title"], now["name"]["givenName"]) == (name, f"G{number}")
        assert now["userName"] == f"{name}@contoso.com"
        await contoso.patch(made["id"], op("Replace", "active", "False"))
        if number % 5 == 0:
            await contoso.delete(f"/Users/{made['id']}")

    await asyncio.gather(*(conversation(number) for number in range(25)))
    left = listed(await contoso.send("GET", "/Users"))
    assert sorted(user["title"] for user in left) == sorted(f"p{n}" for n in range(25) if n % 5)
    assert {user["active"] for user in left} == {False}


async def test_more_than_the_rate_limit_answers_429_with_retry_after_and_never_401(
    connect: Connect, person: Person
) -> None:
    tenant = await connect(rateLimit={"requestsPerSecond": 25, "burst": 25})
    answers = await asyncio.gather(*(tenant.send("GET", "/Users") for _ in range(200)))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    refusal(refused, 429)


async def test_the_schemas_endpoint_answers_for_discovery(contoso: Conversation) -> None:
    found = {schema["id"] for schema in listed(await contoso.send("GET", "/Schemas"))}
    assert {USER, ENTERPRISE} <= found
