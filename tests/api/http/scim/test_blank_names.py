"""A name of nothing but white space is none: what is required is missing."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from api.conftest import Scim
from api.test_bad_input import refused
from scim_api.core.resources import body as bodies
from support.user_calls import create, ops

Person = Callable[..., dict[str, Any]]
Headers = dict[str, str]
BLANKS: Final = (" ", "\t\n ", "\u00a0", "\u3000\u2003", "\u2028", "\u0085", "\u1680\u205f\u202f")


def mail(value: str) -> list[dict[str, Any]]:
    return [{"type": "work", "value": value}]


@pytest.mark.parametrize("blank", BLANKS)
async def test_a_user_name_or_group_name_of_blanks_is_refused_on_every_way(
    scim: Scim, entra: Headers, person: Person, blank: str
) -> None:
    user = await create(scim, entra, person("ada"))
    group = (await scim.client.post("/Groups", json={"displayName": "Staff"}, headers=entra)).json()
    for kind, made, name, body in (
        ("/Users", user, "userName", person("eve", userName=blank)),
        ("/Groups", group, "displayName", {"displayName": blank}),
    ):
        path = f"{kind}/{made['id']}"
        changes: list[dict[str, Any]] = [
            {"op": "replace", "path": name, "value": blank},
            {"op": "Add", "path": name, "value": blank},
            {"op": "replace", "value": {name: blank}},
        ]
        operations = [
            {"method": "POST", "path": kind, "bulkId": "a", "data": body},
            {"method": "PUT", "path": path, "data": body},
            *({"method": "PATCH", "path": path, "data": ops(change)} for change in changes),
        ]
        answers = [
            await scim.client.post(kind, json=body, headers=entra),
            await scim.client.put(path, json=body, headers=entra),
            *[await scim.client.patch(path, json=ops(change), headers=entra) for change in changes],
        ]
        for answer in answers:
            assert name in refused(answer, 400)
        bulk = await scim.client.post("/Bulk", json={"Operations": operations}, headers=entra)
        results = bulk.json()["Operations"]
        assert [result["status"] for result in results] == ["400"] * len(operations)
        assert all(name in result["response"]["detail"] for result in results)
        assert (await scim.client.get(path, headers=entra)).json() == made
        assert (await scim.client.get(f"{kind}?count=0", headers=entra)).json()["totalResults"] == 1


async def test_a_matching_attribute_of_blanks_is_missing(scim: Scim, person: Person) -> None:
    for matching, more in (
        ("workEmail", {"emails": mail(" \u3000")}),
        ("externalId", {"externalId": "\u00a0"}),
    ):
        headers = await scim.connect(matching, tenant=matching.lower(), matching=matching)
        made = await create(scim, headers, person("ada"))
        path, [(name, value)] = f"/Users/{made['id']}", more.items()
        refused(await scim.client.post("/Users", json=person("eve", **more), headers=headers), 422)
        refused(await scim.client.put(path, json=person("ada", **more), headers=headers), 422)
        change = ops({"op": "replace", "path": name, "value": value})
        refused(await scim.client.patch(path, json=change, headers=headers), 400, "mutability")
        assert (await scim.client.get(path, headers=headers)).json() == made
        both = person("ada", emails=[*mail(" "), *mail("ada@contoso.com")])
        if matching == "workEmail":
            assert (await scim.client.put(path, json=both, headers=headers)).status_code == 200


async def test_a_blank_within_a_name_and_in_what_is_not_required_is_kept(
    scim: Scim, entra: Headers, person: Person
) -> None:
    made = await create(scim, entra, person("ada", userName=" a b ", displayName=" ", externalId="\u3000"))
    assert (made["userName"], made["displayName"], made["externalId"]) == (" a b ", " ", "\u3000")


async def test_whoever_was_let_in_with_a_blank_name_can_be_changed_and_be_given_one(
    scim: Scim, entra: Headers, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:  # as the release before did it
        before.setattr("scim_api.core.resources.users.is_missing", lambda value, _=None: value is None)
        before.setattr("scim_api.core.resources.groups.is_missing", lambda value, _=None: value is None)
        user = await create(scim, entra, person("ada", userName=" ", emails=mail("\t")))
        group = (await scim.client.post("/Groups", json={"displayName": " "}, headers=entra)).json()
    assert bodies.is_missing(" ")
    for path, name, status in (
        (f"/Users/{user['id']}", "userName", 200),
        (f"/Groups/{group['id']}", "displayName", 204),
    ):
        off = ops({"op": "replace", "path": "externalId", "value": "other"})
        assert (await scim.client.patch(path, json=off, headers=entra)).status_code == status
        still = ops({"op": "replace", "path": name, "value": "  "})
        refused(await scim.client.patch(path, json=still, headers=entra), 400, "mutability")
        gone = ops({"op": "remove", "path": name})
        refused(await scim.client.patch(path, json=gone, headers=entra), 400, "mutability")
        named = ops({"op": "replace", "path": name, "value": "Ada"})
        assert (await scim.client.patch(path, json=named, headers=entra)).status_code == status
        assert (await scim.client.get(path, headers=entra)).json()[name] == "Ada"
