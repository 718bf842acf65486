"""A person as Entra's mapping sends them, and what of it is found in a resource."""

from typing import Any

import pytest

from entra_standin.dialects import ENTERPRISE_SCHEMA, MANAGER, USER_SCHEMA, Value
from entra_standin.directory import Person, six_people
from entra_standin.mapping import (
    DEPARTMENT,
    WORK_EMAIL,
    Matching,
    attributes,
    changes_between,
    create_body,
    differences,
    value_at,
)

ADA, _GRACE, EDSGER, _KATHERINE, KONRAD, _RADIA = six_people()


def test_six_people_differ_in_all_that_identifies_and_their_managers_are_among_them() -> None:
    people = six_people()
    keys = {person.key for person in people}
    assert len(keys) == len({p.mail for p in people}) == len({p.user_principal_name for p in people}) == 6
    assert {person.manager for person in people if person.manager} <= keys


def test_a_create_carries_the_six_mapped_attributes_and_entras_noise() -> None:
    assert create_body(ADA) == {
        "schemas": [USER_SCHEMA, ENTERPRISE_SCHEMA],
        "externalId": "ada",
        "userName": "ada@contoso.example",
        "active": True,
        "displayName": "Ada Lovelace",
        "name": {"givenName": "Ada", "familyName": "Lovelace", "formatted": None},
        "title": "Analyst",
        "emails": [{"type": "work", "value": "ada@contoso.example", "primary": True}],
        "addresses": [{"type": "work", "country": "GB"}],
        "phoneNumbers": None,
        "roles": [],
        "meta": {"resourceType": "User"},
        ENTERPRISE_SCHEMA: {"department": "Engines"},
    }


def test_what_a_person_does_not_have_is_sent_as_null() -> None:
    body = create_body(Person("x", "x@contoso.example", None, "X"))
    assert body["emails"] is body["addresses"] is body["title"] is None
    assert create_body(EDSGER)["title"] is None


def test_what_is_empty_is_sent_as_it_is() -> None:
    body = create_body(Person("x", "x@contoso.example", "", "X", country=""))
    assert body["emails"] == [{"type": "work", "value": "", "primary": True}]
    assert body["addresses"] == [{"type": "work", "country": ""}]


@pytest.mark.parametrize("resource", [{}, {"title": None}])
def test_a_value_cleared_by_an_empty_string_must_be_absent_or_null(resource: dict[str, Any]) -> None:
    assert differences(resource, {"title": ""}) == {}


def test_a_soft_deleted_person_is_created_inactive() -> None:
    assert create_body(KONRAD)["active"] is False


@pytest.mark.parametrize("person", six_people(), ids=lambda person: person.key)
def test_a_create_holds_every_mapped_attribute_at_its_path(person: Person) -> None:
    assert differences(create_body(person), attributes(person)) == {}


@pytest.mark.parametrize(
    ("matching", "path", "value"),
    [
        (Matching.WORK_EMAIL, WORK_EMAIL, "m@contoso.example"),
        (Matching.USER_NAME, "userName", "u@contoso.example"),
        (Matching.EXTERNAL_ID, "externalId", "k"),
    ],
)
def test_each_matching_has_its_path_and_its_value(matching: Matching, path: str, value: str) -> None:
    assert matching.path == path
    assert matching.value_of(Person("k", "u@contoso.example", "m@contoso.example", "X")) == value


def test_only_what_changed_is_sent() -> None:
    before: dict[str, Value] = {"title": "Analyst", "active": True, "displayName": "A"}
    after: dict[str, Value] = {"title": None, "active": True}
    assert changes_between(before, after) == {"title": None}


@pytest.mark.parametrize(
    ("resource", "path", "value"),
    [
        ({"title": "x"}, "title", "x"),
        ({}, "title", None),
        ({"name": {"givenName": "x"}}, "name.givenName", "x"),
        ({"name": None}, "name.givenName", None),
        ({"name": "x"}, "name.givenName", None),
        ({"emails": [{"type": "home", "value": "h"}, {"type": "work", "value": "w"}]}, WORK_EMAIL, "w"),
        ({"emails": [{"type": "home", "value": "h"}]}, WORK_EMAIL, None),
        ({"emails": {"type": "work"}}, WORK_EMAIL, None),
        ({"emails": ["work"]}, WORK_EMAIL, None),
        ({ENTERPRISE_SCHEMA: {"department": "x"}}, DEPARTMENT, "x"),
        ({ENTERPRISE_SCHEMA: None}, DEPARTMENT, None),
        ({ENTERPRISE_SCHEMA: {"manager": {"value": "id"}}}, MANAGER, "id"),
        ({ENTERPRISE_SCHEMA: {"manager": {}}}, MANAGER, None),
    ],
)
def test_the_value_at_a_path(resource: dict[str, Any], path: str, value: object) -> None:
    assert value_at(resource, path) == value


@pytest.mark.parametrize(
    ("found", "wanted"), [(1, True), ("False", False), ("", None), ("", ""), ("ada", "Ada")]
)
def test_a_value_of_another_type_or_spelling_is_a_difference(found: Any, wanted: Any) -> None:
    assert differences({"title": found}, {"title": wanted}) == {"title": wanted}
