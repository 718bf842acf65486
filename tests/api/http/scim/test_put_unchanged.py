"""A PUT of what is stored already: no new version, no new time, no line in the log of changes."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from api.conftest import Scim
from scim_api.contract.admin import PutConnection, TenantSettings
from scim_api.store.postgres.store import PostgresStore
from support.change_rows import change_rows
from support.user_calls import CUSTOM, ENTERPRISE, create, find, ops

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
BODY: Final[dict[str, Any]] = {
    "phoneNumbers": [{"type": "work", "value": "+49 30"}, {"type": "mobile", "value": "+49 170"}],
    CUSTOM: {"badge": "B-7", "floor": 3, "remote": True},
    ENTERPRISE: {"department": "R&D", "manager": {"value": "boss"}},
}
FIELDS: Final = [
    {"name": "badge"},
    {"name": "floor", "type": "Integer"},
    {"name": "remote", "type": "Boolean"},
]


def reversed_order(value: Any) -> Any:
    """The same JSON with the names of every object in another order."""
    if isinstance(value, dict):
        return {name: reversed_order(value[name]) for name in reversed(value)}
    return [reversed_order(item) for item in value] if isinstance(value, list) else value


async def changes_nothing(scim: Scim, headers: Headers, path: str, body: dict[str, Any]) -> None:
    before, log = (await scim.client.get(path, headers=headers)).json(), await change_rows(scim.service.store)
    answer = await scim.client.put(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json() == before
    assert answer.headers["etag"] == before["meta"]["version"]
    assert (await scim.client.get(path, headers=headers)).json() == before
    assert await change_rows(scim.service.store) == log


async def changes(scim: Scim, headers: Headers, path: str, body: dict[str, Any]) -> dict[str, Any]:
    before, log = (await scim.client.get(path, headers=headers)).json(), await change_rows(scim.service.store)
    answer = await scim.client.put(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    after: dict[str, Any] = answer.json()
    assert after["meta"]["version"] != before["meta"]["version"]
    assert len(await change_rows(scim.service.store)) > len(log)
    assert (await scim.client.get(path, headers=headers)).json() == after
    return after


async def test_a_user_put_as_stored_stays_as_it_is(scim: Scim, person: Person) -> None:
    headers = await scim.connect(customFields=FIELDS)
    sent = person("ada", **BODY)
    made = await create(scim, headers, sent)
    path = f"/Users/{made['id']}"
    for body in (
        sent,
        made,
        reversed_order(sent),
        reversed_order(made),
        {**made, "id": "other", "meta": {"version": 'W/"99"', "lastModified": "2000-01-01T00:00:00Z"}},
        {**sent, "schemas": [], "groups": [{"value": "x"}], "password": "secret", "shoeSize": 44},
        {name: value for name, value in sent.items() if name not in {"schemas", "active", "meta"}},
        {**sent, "active": "True", ENTERPRISE: {"department": "R&D", "manager": "boss"}},
        {**sent, "nickName": "", "roles": [], CUSTOM: {"badge": "B-7", "floor": "3", "remote": "true"}},
    ):
        await changes_nothing(scim, headers, path, body)


@pytest.mark.parametrize("unseen", [False, True])
async def test_a_user_put_otherwise_is_changed(scim: Scim, person: Person, unseen: bool) -> None:
    headers = await scim.connect(customFields=FIELDS)
    made = await create(scim, headers, person("ada", **BODY))
    path = f"/Users/{made['id']}"
    custom = {"badge": "B-7", "floor": 3, "remote": True}
    for more in (
        {"title": "Other"}, {"title": ...}, {"displayName": "ADA"}, {"userName": "ADA@contoso.com"}, {"active": False},
        {"phoneNumbers": BODY["phoneNumbers"][:1]}, {CUSTOM: {**custom, "badge": "b-7"}}, {CUSTOM: ...},
        {CUSTOM: {**custom, "badge": True}}, {CUSTOM: {**custom, "badge": 1}}, {ENTERPRISE: {"department": "R&D"}},
    ):  # fmt: skip
        body = person("ada", **{**BODY, **more})
        if unseen and isinstance(scim.service.store, PostgresStore):  # as after a restart
            scim.service.store._resource_cache._resources.clear()
        await changes(scim, headers, path, body)
        await changes_nothing(scim, headers, path, body)


async def test_a_put_as_stored_still_keeps_its_conditions(scim: Scim, entra: Headers, person: Person) -> None:
    made = await create(scim, entra, person("ada"))
    path, tag = f"/Users/{made['id']}", made["meta"]["version"]
    for headers, status in (
        ({"if-match": tag}, 200),
        ({"if-match": 'W/"7"'}, 412),
        ({"if-none-match": "*"}, 412),
    ):
        answer = await scim.client.put(path, json=made, headers={**entra, **headers})
        assert answer.status_code == status


async def test_a_put_of_what_was_stored_before_another_change_is_a_change(
    scim: Scim, entra: Headers, person: Person
) -> None:
    made = await create(scim, entra, person("ada"))
    path = f"/Users/{made['id']}"
    change = ops({"op": "replace", "path": "title", "value": "Boss"})
    assert (await scim.client.patch(path, json=change, headers=entra)).status_code == 200
    assert (await changes(scim, entra, path, person("ada")))["title"] == "Engineer"


async def test_a_group_put_as_stored_stays_as_it_is_whatever_the_order_of_its_members(
    scim: Scim, entra: Headers, person: Person
) -> None:
    ids = [(await create(scim, entra, person(name)))["id"] for name in ("ada", "bob", "eve")]
    members = [{"value": one} for one in ids]
    sent = {"displayName": "Staff", "externalId": "g-1", "members": members}
    made = (await scim.client.post("/Groups", json=sent, headers=entra)).json()
    path = f"/Groups/{made['id']}"
    for body in (
        sent,
        made,
        reversed_order(made),
        {**sent, "members": members[::-1]},
        {**sent, "members": [*members, members[0], {"value": ids[1].upper(), "display": "Bob"}]},
        {**sent, "schemas": ["urn:x"], "id": "other", "meta": {}, "unknown": 1},
    ):
        await changes_nothing(scim, entra, path, body)
    for body in (
        {**sent, "members": members[:2]},
        sent,
        {**sent, "displayName": "STAFF"},
        {"displayName": "Staff", "members": members},
        {"displayName": "Staff"},
    ):
        await changes(scim, entra, path, body)
    await changes_nothing(scim, entra, path, {"displayName": "Staff", "members": []})


async def test_bulk_puts_as_a_single_request_does(scim: Scim, entra: Headers, person: Person) -> None:
    made = await create(scim, entra, person("ada"))
    log = await change_rows(scim.service.store)
    operation = {"method": "PUT", "path": f"/Users/{made['id']}", "data": made}
    answer = await scim.client.post("/Bulk", json={"Operations": [operation]}, headers=entra)
    [result] = answer.json()["Operations"]
    assert (result["status"], result["version"]) == ("200", made["meta"]["version"])
    assert await change_rows(scim.service.store) == log


async def test_after_a_change_of_a_fields_type_a_put_makes_the_stored_value_one_of_the_new_type(
    scim: Scim, person: Person
) -> None:
    headers = await scim.connect(customFields=[{"name": "hired", "type": "Any"}])
    body = person("ada", **{CUSTOM: {"hired": "2024-01-01T00:00:00Z"}})
    made = await create(scim, headers, body)
    present = await scim.service.store.connection("demo", "entra")
    settings = TenantSettings.model_validate({"customFields": [{"name": "hired", "type": "DateTime"}]})
    state = PutConnection(tenant="contoso", settings=settings, credentials=present.credentials)
    await scim.service.store.put_connection("demo", "entra", state, if_match=present.revision)
    scim.service.authenticator.invalidate()
    later = f'{CUSTOM}:hired gt "2023-01-01T00:00:00Z"'
    assert await find(scim, headers, later) == []
    await changes(scim, headers, f"/Users/{made['id']}", body)
    assert [user["id"] for user in await find(scim, headers, later)] == [made["id"]]
    await changes_nothing(scim, headers, f"/Users/{made['id']}", body)
