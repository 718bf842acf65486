"""What Entra reads in /Schemas, and what it must find there."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import httpx

from entra_standin.checks import Answer
from entra_standin.client import EntraClient
from entra_standin.dialects import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA
from entra_standin.mapping import DEPARTMENT, WORK_COUNTRY, WORK_EMAIL

USER_PATHS: Final = (
    "userName", "externalId", "active", "displayName", "title", "name.givenName", "name.familyName", WORK_EMAIL,
    WORK_COUNTRY, 'phoneNumbers[type eq "mobile"].value',
)  # fmt: skip
ENTERPRISE_PATHS: Final = (DEPARTMENT.rpartition(":")[2], "manager")
GROUP_PATHS: Final = ("displayName", "externalId", "members")
_CHARACTERISTICS: Final = ("name", "type", "multiValued", "required", "mutability", "returned")
_CAMEL: Final = re.compile(r"[a-z$][A-Za-z0-9]*")


def discover(client: EntraClient) -> frozenset[str]:
    """Read /Schemas and judge it.

    Returns:
        The ids of the schemas; that of groups is absent when the service serves none.

    Raises:
        Finding: when a mapped attribute can't be discovered, or the form is not what Entra reads.
        Rejected: when the service refuses.
        Unreachable: when there is no answer.
    """
    answer = client.send("GET", "/Schemas")
    answer.expect([httpx.codes.OK])
    schemas = {str(item.get("id")): item for item in answer.listed() if isinstance(item, dict)}
    for urn, wanted in (
        (USER_SCHEMA, USER_PATHS),
        (ENTERPRISE_SCHEMA, ENTERPRISE_PATHS),
        (GROUP_SCHEMA, GROUP_PATHS),
    ):
        if urn in schemas:
            _judge(answer, schemas[urn], wanted)
        elif urn != GROUP_SCHEMA:
            answer.finding(f"the schema {urn} is missing")
    return frozenset(schemas)


def attribute_paths(attributes: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The attributes as paths: an entry of a multi-valued one for each of its canonical types."""
    found: set[str] = set()
    for attribute in attributes:
        name = attribute["name"]
        subs = {sub["name"]: sub for sub in attribute.get("subAttributes", ())}
        found |= {name, *(f"{name}.{sub}" for sub in subs)}
        for kind in subs.get("type", {}).get("canonicalValues", ()):
            found |= {f'{name}[type eq "{kind}"].{sub}' for sub in subs}
    return frozenset(found)


def _judge(answer: Answer, schema: Mapping[str, Any], wanted: Iterable[str]) -> None:
    attributes = schema.get("attributes")
    if not isinstance(attributes, list):
        answer.finding(f"the schema {schema.get('id')} has no attributes")
    _characteristics(answer, attributes)
    known = attribute_paths(attributes)
    for path in wanted:
        if path not in known:
            answer.finding(f"{path} can't be discovered in {schema.get('id')}")


def _characteristics(answer: Answer, attributes: Iterable[Any]) -> None:
    for attribute in attributes:
        if not isinstance(attribute, dict) or not isinstance(attribute.get("name"), str):
            answer.finding("an attribute of a schema has no name")
        for name in _CHARACTERISTICS:
            if attribute.get(name) is None:
                answer.finding(f"{attribute['name']} does not say {name}")
        for name, value in attribute.items():
            if value is None:
                answer.finding(f"{name} of {attribute['name']} is null")
            if not _CAMEL.fullmatch(name):
                answer.finding(f"{name} of {attribute['name']} is not camelCase")
        _characteristics(answer, attribute.get("subAttributes", ()))
