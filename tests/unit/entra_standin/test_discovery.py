"""/Schemas, and what Entra could not discover in it."""

from collections.abc import Callable
from typing import Any

import pytest

from entra_standin.__main__ import play
from entra_standin.client import EntraClient
from entra_standin.dialects import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA
from entra_standin.discovery import attribute_paths, discover
from entra_standin.errors import Finding, Rejected
from unit.entra_standin.faulty_service import Service, attribute, error, instead


def test_a_right_service_is_discovered(client: EntraClient) -> None:
    assert discover(client) == {USER_SCHEMA, ENTERPRISE_SCHEMA, GROUP_SCHEMA}


def test_the_group_schema_may_be_absent(client: EntraClient, service: Service) -> None:
    service.schemas.pop()
    assert discover(client) == {USER_SCHEMA, ENTERPRISE_SCHEMA}


def test_a_multi_valued_attribute_is_known_by_each_canonical_type() -> None:
    types = {**attribute("type"), "canonicalValues": ["work", "home"]}
    emails = {**attribute("emails"), "subAttributes": [attribute("value"), types]}
    assert attribute_paths([emails]) == {
        "emails", "emails.value", "emails.type", 'emails[type eq "work"].value', 'emails[type eq "work"].type',
        'emails[type eq "home"].value', 'emails[type eq "home"].type',
    }  # fmt: skip


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    """Forget an attribute."""
    return lambda schema: schema["attributes"].remove(attribute(name))


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (0, without("externalId"), "externalId can't be discovered"),
        (0, lambda schema: schema.update(id="other"), "is missing"),
        (0, lambda schema: schema.update(attributes=None), "has no attributes"),
        (0, lambda schema: schema["attributes"][0].update(type=None), "userName does not say type"),
        (0, lambda schema: schema["attributes"][0].update(uniqueness=None), "uniqueness of userName is null"),
        (
            0,
            lambda schema: schema["attributes"][0].update(case_exact=True),
            "case_exact of userName is not camel",
        ),
        (0, lambda schema: schema["attributes"][0].pop("name"), "has no name"),
        (1, without("manager"), "manager can't be discovered"),
        (2, without("members"), "members can't be discovered"),
    ],
)
def test_what_entra_can_not_read_is_a_finding(
    client: EntraClient, service: Service, number: int, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    change(service.schemas[number])
    with pytest.raises(Finding, match=message):
        discover(client)


def test_a_refused_discovery_ends_the_play(client: EntraClient, service: Service) -> None:
    service.fault = lambda request, answer: (
        error(403, detail="no schemas for you") if request.url.path.endswith("/Schemas") else answer
    )
    with pytest.raises(Rejected):
        discover(client)
    told: list[str] = []
    assert not play(client, told.append)
    assert told[-1].startswith("discovery: GET /Schemas answered 403")
    service.fault = instead("GET", lambda: error(500))
    assert not play(client, told.append)
