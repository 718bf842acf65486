"""Entra's conversation about users, line by line, on both databases."""

import uuid
from typing import Any

import pytest

from api.conftest import BASE, Scim
from support.user_calls import CUSTOM, ENTERPRISE, Person, create, find, ops


@pytest.mark.parametrize("attribute", ["userName", "externalId", 'emails[type eq "work"].value', "USERNAME"])
async def test_test_connection_answers_200_with_an_empty_list(
    scim: Scim, entra: dict[str, str], attribute: str
) -> None:
    answer = await scim.client.get(
        "/Users", params={"filter": f'{attribute} eq "{uuid.uuid4()}"'}, headers=entra
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/scim+json"
    assert answer.json() == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 0,
        "itemsPerPage": 0,
        "startIndex": 1,
        "Resources": [],
    }


async def test_a_created_user_has_all_that_was_sent_and_can_be_read_back(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    answer = await scim.client.post("/Users", json=person("ada"), headers=entra)
    assert answer.status_code == 201
    body = answer.json()
    assert answer.headers["location"] == body["meta"]["location"] == f"{BASE}/Users/{body['id']}"
    assert answer.headers["etag"] == body["meta"]["version"]
    assert body["meta"]["resourceType"] == "User"
    for name in (
        "userName",
        "externalId",
        "active",
        "displayName",
        "emails",
        "name",
        "title",
        "addresses",
        ENTERPRISE,
    ):
        assert body[name] == person("ada")[name]
    assert "roles" not in body
    read = await scim.client.get(f"/Users/{body['id']}", headers=entra)
    assert read.status_code == 200
    assert read.json() == body
    assert read.headers["content-type"] == "application/scim+json"


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "ADA@contoso.com"',
        'USERNAME EQ "ada@contoso.com"',
        'emails[type eq "work"].value eq "Ada@Contoso.com"',
        'externalId eq "ext-ada"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@contoso.com"',
        'userName eq "ada@contoso.com" and active eq true',
        'emails.value co "ADA@"',
        "title pr",
        'name.familyName sw "te"',
    ],
)
async def test_a_user_is_found_by_entras_filters_in_any_case(
    scim: Scim, entra: dict[str, str], person: Person, text: str
) -> None:
    made = await create(scim, entra, person("ada"))
    await create(scim, entra, person("bob", title=..., name=..., active=False))
    assert [user["id"] for user in await find(scim, entra, text)] == [made["id"]]


async def test_external_id_is_compared_exactly(scim: Scim, entra: dict[str, str], person: Person) -> None:
    await create(scim, entra, person("ada"))
    assert await find(scim, entra, 'externalId eq "EXT-ADA"') == []


async def test_a_post_that_arrives_twice_is_409_and_the_first_stays(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = await create(scim, entra, person("ada"))
    again = await scim.client.post("/Users", json=person("ada", displayName="Other"), headers=entra)
    assert again.status_code == 409
    assert again.json()["scimType"] == "uniqueness"
    assert (await scim.client.get(f"/Users/{made['id']}", headers=entra)).json() == made


async def test_the_same_work_email_is_409_with_matching_work_email(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    await create(scim, entra, person("ada"))
    other = await scim.client.post(
        "/Users", json=person("eve", emails=person("ada")["emails"]), headers=entra
    )
    assert other.status_code == 409
    assert "email" in other.json()["detail"].lower()


@pytest.mark.parametrize("matching", ["userName", "externalId"])
async def test_several_users_may_share_a_work_email_with_another_matching(
    scim: Scim, person: Person, matching: str
) -> None:
    headers = await scim.connect("m", tenant="m", matching=matching)
    await create(scim, headers, person("ada"))
    await create(scim, headers, person("eve", emails=person("ada")["emails"]))
    assert len(await find(scim, headers, 'emails[type eq "work"].value eq "ada@contoso.com"')) == 2


@pytest.mark.parametrize(
    "emails", [..., [], None, [{"type": "work", "value": ""}], [{"type": "home", "value": "a@b.c"}]]
)
async def test_a_post_without_a_work_email_is_422_and_names_it(
    scim: Scim, entra: dict[str, str], person: Person, emails: Any
) -> None:
    answer = await scim.client.post("/Users", json=person("ada", emails=emails), headers=entra)
    assert answer.status_code == 422
    assert "email" in answer.json()["detail"].lower()


async def test_a_disabled_user_is_still_found_and_keeps_its_id(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = await create(scim, entra, person("ada"))
    await scim.client.patch(
        f"/Users/{made['id']}", json=ops({"op": "Replace", "path": "active", "value": False}), headers=entra
    )
    found = await find(scim, entra, 'userName eq "ada@contoso.com"')
    assert [(user["id"], user["active"]) for user in found] == [(made["id"], False)]


async def test_a_deleted_user_is_gone_and_can_come_again(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = await create(scim, entra, person("ada"))
    gone = await scim.client.delete(f"/Users/{made['id']}", headers=entra)
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await scim.client.delete(f"/Users/{made['id']}", headers=entra)).status_code == 404
    assert (await scim.client.get(f"/Users/{made['id']}", headers=entra)).status_code == 404
    assert await find(scim, entra, 'userName eq "ada@contoso.com"') == []
    again = await create(scim, entra, person("ada"))
    assert again["id"] != made["id"]


async def test_put_replaces_the_whole_user(scim: Scim, entra: dict[str, str], person: Person) -> None:
    made = await create(scim, entra, person("ada"))
    answer = await scim.client.put(
        f"/Users/{made['id']}", json=person("ada", title=..., addresses=...), headers=entra
    )
    assert answer.status_code == 200
    assert answer.json()["id"] == made["id"]
    assert "title" not in answer.json()
    assert "addresses" not in answer.json()


async def test_values_come_back_as_they_were_sent(scim: Scim, entra: dict[str, str], person: Person) -> None:
    odd = person(
        "ada",
        displayName="  İstanbul ﬁ e\u0301 🦊 مرحبا ß ",
        phoneNumbers=[{"type": "work", "value": "+49 (0) 30/12 ext.5"}],
        profileUrl="HTTP://Example.com/%7Ea",
    )
    made = await create(scim, entra, odd)
    for name in ("displayName", "phoneNumbers", "profileUrl"):
        assert made[name] == odd[name]


async def test_paths_may_vary_in_case_and_end_with_a_slash(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = await create(scim, entra, person("ada"))
    for path in (
        f"/scim/v2/users/{made['id']}",
        f"/SCIM/V2/USERS/{made['id']}/",
        f"/scim/v2//Users/{made['id'].upper()}",
    ):
        answer = await scim.client.get(
            f"https://scim.test{path}", headers={**entra, "content-type": "application/json"}
        )
        assert answer.status_code == 200, path
        assert answer.json() == made


async def test_pages_are_stable_and_exact(scim: Scim, entra: dict[str, str], person: Person) -> None:
    ids = [(await create(scim, entra, person(f"p{number:02}")))["id"] for number in range(7)]
    seen: list[str] = []
    for start in (1, 4, 7):
        body = (await scim.client.get(f"/Users?startIndex={start}&count=3", headers=entra)).json()
        assert (body["totalResults"], body["startIndex"]) == (7, start)
        seen += [user["id"] for user in body["Resources"]]
    assert seen == ids


async def test_an_etag_guards_against_lost_updates(scim: Scim, entra: dict[str, str], person: Person) -> None:
    made = await create(scim, entra, person("ada"))
    path, version = f"/Users/{made['id']}", made["meta"]["version"]
    assert (await scim.client.get(path, headers={**entra, "if-none-match": version})).status_code == 304
    body = ops({"op": "Replace", "path": "title", "value": "Boss"})
    assert (
        await scim.client.patch(path, json=body, headers={**entra, "if-match": version})
    ).status_code == 200
    late = await scim.client.patch(path, json=body, headers={**entra, "if-match": version})
    assert late.status_code == 412
    assert (await scim.client.delete(path, headers={**entra, "if-match": version})).status_code == 412
    assert (await scim.client.delete(path, headers={**entra, "if-match": "*"})).status_code == 204


async def test_attributes_and_excluded_attributes_choose_what_is_returned(
    scim: Scim, entra: dict[str, str], person: Person
) -> None:
    made = await create(scim, entra, person("ada"))
    only = (
        await scim.client.get(f"/Users/{made['id']}?attributes=userName,name.givenName", headers=entra)
    ).json()
    assert set(only) - {"schemas", "meta"} == {"id", "userName", "name"}
    assert only["name"] == {"givenName": "Ada"}
    without = (await scim.client.get("/Users?excludedAttributes=emails,TITLE", headers=entra)).json()[
        "Resources"
    ][0]
    assert {"emails", "title"} & set(without) == set()
    assert without["userName"] == "ada@contoso.com"


async def test_a_custom_field_is_kept_and_an_undeclared_one_refused_with_the_remedy(
    scim: Scim, person: Person
) -> None:
    headers = await scim.connect("c", tenant="c", customFields=[{"name": "postalCode"}])
    made = await create(scim, headers, person("ada", **{CUSTOM: {"postalCode": "12345"}}))
    assert made[CUSTOM] == {"postalCode": "12345"}
    refused = await scim.client.post(
        "/Users", json=person("eve", **{CUSTOM: {"shoeSize": "44"}}), headers=headers
    )
    assert refused.status_code == 400
    assert "shoeSize" in refused.json()["detail"]
    assert "customFields" in refused.json()["detail"]
    patched = await scim.client.patch(
        f"/Users/{made['id']}",
        json=ops({"op": "Add", "path": f"{CUSTOM}:postalCode", "value": "9"}),
        headers=headers,
    )
    assert patched.json()[CUSTOM] == {"postalCode": "9"}


async def test_discovery_tells_the_truth_about_the_tenant(scim: Scim) -> None:
    headers = await scim.connect("d", tenant="d", customFields=[{"name": "postalCode"}])
    schemas = (await scim.client.get("/Schemas", headers=headers)).json()
    by_id = {schema["id"]: schema for schema in schemas["Resources"]}
    assert {"urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE, CUSTOM} <= set(by_id)
    user = {item["name"]: item for item in by_id["urn:ietf:params:scim:schemas:core:2.0:User"]["attributes"]}
    assert "externalId" in user
    assert user["emails"]["required"] is True
    kinds = next(item for item in user["emails"]["subAttributes"] if item["name"] == "type")
    assert "work" in kinds["canonicalValues"]
    assert [item["name"] for item in by_id[CUSTOM]["attributes"]] == ["postalCode"]
    config = (await scim.client.get("/ServiceProviderConfig", headers=headers)).json()
    assert config["patch"]["supported"] is True
    assert config["bulk"]["supported"] is True
    types = (await scim.client.get("/ResourceTypes", headers=headers)).json()
    assert [item["name"] for item in types["Resources"]] == ["User", "Group"]
    assert "null" not in (await scim.client.get("/Schemas", headers=headers)).text
