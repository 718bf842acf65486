"""The normal form: what filters look at."""

import json
from typing import Any

from scim_api.core.values.normal_form import KEY_FORM, KEY_FORM_NAME, normal_form, normal_form_text
from support.scim_core import CUSTOM, ENT, profile_of

TABLE = profile_of().user


def form(**attributes: Any) -> dict[str, Any]:
    return normal_form(TABLE, attributes)


def test_names_are_in_lower_case_and_text_is_comparable() -> None:
    assert form(displayName="ADA É", externalId="AbC") == {
        "schemas": [], "displayname": "ada é", "externalid": "AbC",
    }  # fmt: skip


def test_sub_attributes_follow_their_own_rules_of_case() -> None:
    assert form(name={"givenName": "ADA", "familyName": "É"})["name"] == {
        "givenname": "ada",
        "familyname": "é",
    }
    photos = form(photos=[{"value": "https://x/É", "type": "Photo"}])["photos"]
    assert photos == [{"value": "https://x/É", "type": "photo"}]


def test_moments_are_microseconds_and_other_values_themselves() -> None:
    custom = {"hiredAt": "1970-01-01T01:00:01+01:00", "remote": True, "floor": 3, "share": 1.5}
    assert form(**{CUSTOM: custom}, active=False) == {
        "schemas": [], "active": False,
        CUSTOM.lower(): {"hiredat": 1_000_000, "remote": True, "floor": 3, "share": 1.5},
    }  # fmt: skip


def test_schemas_are_as_they_are_stored() -> None:
    assert form(schemas=["urn:A"])["schemas"] == ["urn:A"]


def test_what_is_empty_is_not_there() -> None:
    assert form(name={"unknown": 1}, emails=[], title="x") == {"schemas": [], "title": "x"}


def test_an_unknown_attribute_is_left_out_and_an_undeclared_custom_field_is_not() -> None:
    stored = {"unknown": "x", CUSTOM: {"wasDeclared": "X", "wasNumber": 3}, ENT: {"department": "R&D"}}
    assert form(**stored) == {
        "schemas": [], CUSTOM.lower(): {"wasdeclared": "x", "wasnumber": 3}, ENT.lower(): {"department": "r&d"},
    }  # fmt: skip


def test_each_entry_of_a_multi_valued_attribute_has_its_form() -> None:
    skills = {CUSTOM: {"skills": ["Python", "SQL"]}}
    assert form(**skills)[CUSTOM.lower()] == {"skills": ["python", "sql"]}


def test_the_text_is_the_form_in_json_and_says_of_which_form_its_keys_are() -> None:
    text = json.loads(normal_form_text(TABLE, {"title": "É"}))
    assert text == {"schemas": [], "title": "é", KEY_FORM_NAME: KEY_FORM}
    assert KEY_FORM_NAME not in TABLE.names
