"""/Schemas, attribute by attribute: what can be written is taken, and what is returned is returned."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import pytest

from api.conftest import Scim
from support.conversation import expect
from support.user_calls import CUSTOM, ops

Person = Callable[..., dict[str, Any]]
Json = dict[str, Any]
USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
FIELDS: Final = [
    {"name": f"{kind.lower()}{'s' if many else ''}", "type": kind, "multiValued": many}
    for kind in ("Any", "String", "Boolean", "Integer", "Decimal", "DateTime")
    for many in (False, True)
]
SAMPLES: Final[Mapping[str, Any]] = {
    "string": "some text", "boolean": True, "integer": 7, "decimal": 1.5, "dateTime": "2024-01-01T00:00:00Z",
    "reference": "https://elsewhere.test/x", "binary": "AAAA",
}  # fmt: skip


def sample(attribute: Json, ids: Mapping[str, str]) -> Any:
    """A value for the attribute, with everything in it that can be written."""
    if attribute["type"] != "complex":
        kinds = attribute.get("canonicalValues")
        value = kinds[0] if kinds else SAMPLES[attribute["type"]]
    elif {"value", "$ref"} <= {sub["name"] for sub in attribute["subAttributes"]}:
        value = {"value": ids["user"]}
    else:
        value = {
            sub["name"]: sample(sub, ids)
            for sub in attribute["subAttributes"]
            if sub["mutability"] != "readOnly"
        }
    return [value] if attribute["multiValued"] else value


def returned(attribute: Json, value: Any, where: str, *, asked: bool) -> Iterator[str]:
    """What is missing of an attribute that has a value."""
    if attribute["returned"] == "never":
        if value is not None:
            yield f"{where} is returned"
        return
    if attribute["returned"] == "request" and not asked:
        return
    if value is None:
        yield f"{where} is not returned"
        return
    for entry in value if attribute["multiValued"] else [value]:
        for sub in attribute.get("subAttributes", ()):
            yield from returned(sub, entry.get(sub["name"]), f"{where}.{sub['name']}", asked=asked)


async def walked(scim: Scim, headers: dict[str, str], person: Person) -> tuple[dict[str, Json], Json, Json]:
    """The schemas by id, and a user and a group that have every value which can be written."""
    listed = expect(await scim.client.get("/Schemas", headers=headers), 200)["Resources"]
    schemas = {schema["id"]: schema for schema in listed}
    boss = expect(await scim.client.post("/Users", json=person("boss"), headers=headers), 201)
    bodies: dict[str, Json] = {USER: {}, GROUP: {}}
    for urn, schema in schemas.items():
        values = {
            attribute["name"]: sample(attribute, {"user": boss["id"]})
            for attribute in schema["attributes"]
            if attribute["mutability"] != "readOnly"
        }
        if urn in bodies:
            bodies[urn] |= values
        else:
            bodies[USER][urn] = values
    user = expect(await scim.client.post("/Users", json=bodies[USER], headers=headers), 201)
    group = bodies[GROUP] | {"members": [{"value": user["id"]}]}
    made = expect(await scim.client.post("/Groups", json=group, headers=headers), 201)
    return schemas, user, made


@pytest.mark.parametrize("matching", ["workEmail", "userName", "externalId"])
async def test_everything_that_is_told_to_be_returned_is_returned(
    scim: Scim, person: Person, matching: str
) -> None:
    headers = await scim.connect(matching=matching, customFields=FIELDS)
    schemas, user, group = await walked(scim, headers, person)
    assert {"customUser", USER, GROUP} & set(schemas) == {USER, GROUP}
    assert len(schemas[CUSTOM]["attributes"]) == len(FIELDS)
    missing: list[str] = []
    for urn, schema in schemas.items():
        path = f"/Groups/{group['id']}" if urn == GROUP else f"/Users/{user['id']}"
        for attribute in schema["attributes"]:
            name = attribute["name"] if urn in {USER, GROUP} else f"{urn}:{attribute['name']}"
            whole = expect(await scim.client.get(path, headers=headers), 200)
            asked = expect(await scim.client.get(f"{path}?attributes={name}", headers=headers), 200)
            for resource, is_asked in ((whole, False), (asked, True)):
                holder = resource if urn in {USER, GROUP} else resource.get(urn, {})
                missing += returned(attribute, holder.get(attribute["name"]), name, asked=is_asked)
    assert missing == []


async def test_everything_that_is_told_to_be_writable_is_taken_by_its_path(
    scim: Scim, person: Person
) -> None:
    headers = await scim.connect(matching="userName", customFields=FIELDS)
    schemas, user, group = await walked(scim, headers, person)
    wrong: list[str] = []
    for urn, schema in schemas.items():
        path = f"/Groups/{group['id']}" if urn == GROUP else f"/Users/{user['id']}"
        for attribute in schema["attributes"]:
            name = attribute["name"] if urn in {USER, GROUP} else f"{urn}:{attribute['name']}"
            value = sample(attribute, {"user": user["id"]})
            change = ops({"op": "replace", "path": name, "value": value})
            answer = await scim.client.patch(path, json=change, headers=headers)
            taken = answer.status_code in {200, 204}
            if taken == (attribute["mutability"] == "readOnly"):
                wrong.append(f"{name}: {answer.status_code} {answer.text}")
    assert wrong == []
