"""POST and PUT bodies of users: what is kept, what is noise, what is refused. What Entra sends."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import CustomField, Matching, TenantSettings
from scim_api.core.errors import ScimError
from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.limits import MAX_INDEX_KEY, MAX_VALUES
from scim_api.core.model import ResourceWrite
from scim_api.core.patch.apply import patch_user
from scim_api.core.patch.request import read_patch
from scim_api.core.predicate import matches
from scim_api.core.resources.users import create_user, replace_user
from scim_api.core.schema.tenant_schema import TenantSchema, compile_tenant_schema
from support.scim_core import CUSTOM, ENT, json_values, names, profile_of, resource

TENANT = profile_of()
BY_EMAIL = profile_of(Matching.WORK_EMAIL)
WORK = {"type": "work", "value": "Ada@Example.com"}
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


def created(**attributes: Any) -> dict[str, Any]:
    """The stored body of a user with a userName and these attributes."""
    result: dict[str, Any] = json.loads(create_user(TENANT, {"userName": "ada", **attributes}).doc)
    return result


def refusal(body: dict[str, Any], tenant: Any = TENANT) -> ScimError:
    """The error that a body gets."""
    with pytest.raises(ScimError) as caught:
        create_user(tenant, body)
    return caught.value


def test_values_are_stored_exactly_as_sent() -> None:
    sent = {
        "displayName": "  Zoë\u0301  ",
        "phoneNumbers": [{"type": "work", "value": "tel:+1 (555) 0"}],
        "emails": [{"type": "Work", "value": "NOT an address"}],
        "profileUrl": "HTTP://Example.com/%7Ea",
        "name": {"givenName": "İ", "familyName": "ΣΑΣ"},
        "x509Certificates": [{"value": "not base64!"}],
    }
    doc = created(**sent)
    assert {name: doc[name] for name in sent} == sent


def test_the_stored_text_begins_with_schemas_and_has_neither_id_nor_meta() -> None:
    prepared = create_user(TENANT, {"id": "x", "meta": {"resourceType": "User"}, "userName": "ada"})
    assert prepared.doc == f'{{"schemas":["{CORE}"],"userName":"ada","active":true}}'


@pytest.mark.parametrize("sent", ["True", "true", "TRUE", True])
def test_active_arrives_as_a_boolean_or_as_a_string(sent: object) -> None:
    assert created(active=sent)["active"] is True
    assert created(active="False")["active"] is False


@pytest.mark.parametrize("sent", [None, ""])
def test_active_is_true_when_a_new_user_does_not_say(sent: object) -> None:
    assert created()["active"] is True
    assert created(active=sent)["active"] is True


@pytest.mark.parametrize(
    "noise",
    [
        {"roles": []},
        {"title": None},
        {"title": ""},
        {"name": {}},
        {"name": {"givenName": None, "familyName": ""}},
        {"emails": [None, {}, {"type": "work"}, {"type": "work", "value": ""}]},
        {"unknown": {"deep": [1]}},
        {"password": "secret"},
        {"groups": [{"value": "g"}]},
        {"meta": {"resourceType": "User"}},
        {"schemas": ["http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"]},
        {ENT: None},
        {ENT: {"manager": "", "unknown": 1}},
        {ENT: {"manager": {"displayName": "read-only"}}},
        {CUSTOM: {"postalCode": None}},
        {"urn:example:unknown:2.0:User": {"a": 1}},
    ],
)
def test_noise_in_a_body_is_tolerated_and_not_kept(noise: dict[str, Any]) -> None:
    assert created(**noise) == created()


def test_schemas_are_computed_from_what_is_present() -> None:
    assert created(schemas=[])["schemas"] == [CORE]
    doc = created(schemas=[CORE], **{ENT.upper(): {"DEPARTMENT": "R&D"}, CUSTOM: {"floor": 3}})
    assert doc["schemas"] == [CORE, ENT, CUSTOM]
    assert doc[ENT] == {"department": "R&D"}


@pytest.mark.parametrize(
    "manager",
    [
        {ENT: {"manager": "m1"}},
        {ENT: {"manager": {"value": "m1", "$ref": "../Users/m1", "displayName": "M"}}},
        {ENT: {"manager": [{"$ref": "https://x/scim/v2/Users/m1", "value": "m1"}]}},
        {ENT: {"manager": {"$ref": "https://x/scim/v2/Users/m1"}}},
        {f"{ENT}:manager": "m1"},
        {"manager": "m1"},
    ],
)
def test_a_manager_in_any_shape_is_stored_as_its_value(manager: dict[str, Any]) -> None:
    assert created(**manager)[ENT] == {"manager": {"value": "m1"}}


def test_attribute_names_are_case_insensitive_and_stored_as_the_schema_spells_them() -> None:
    assert created(DISPLAYNAME="A", NAME={"GIVENNAME": "B"}) == created(
        displayName="A", name={"givenName": "B"}
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"title": 5}, "title takes a string"),
        ({"active": "yes"}, "active takes true or false"),
        ({"emails": {"value": "x"}}, "emails takes an array"),
        ({"emails": ["x"]}, "emails takes a JSON object"),
        ({"name": "Ada"}, "name takes a JSON object"),
        ({"name": {"givenName": ["x"]}}, "name.givenName takes a string"),
        ({"title": "a", "TITLE": "b"}, "title is sent twice"),
        ({"manager": "a", ENT: {"manager": "b"}}, "manager is sent twice"),
        ({ENT: "x"}, "takes a JSON object"),
        ({ENT: {"manager": ["a", "b"]}}, "one id"),
        ({"emails": [{"value": "a", "primary": True}, {"value": "b", "primary": "True"}]}, "primary"),
        ({"emails": [{"value": str(i)} for i in range(MAX_VALUES + 1)]}, "at most"),
        ({CUSTOM: {"undeclared": None}}, 'custom field "undeclared" is not declared'),
        ({f"{CUSTOM}:undeclared": "x"}, "spec.customFields"),
        ({CUSTOM: {"floor": "third"}}, "floor takes an integer"),
        ({CUSTOM: {"floor": 2**63}}, "64 bits"),
        ({CUSTOM: {"share": True}}, "share takes a number"),
        ({CUSTOM: {"hiredAt": "yesterday"}}, "2026-01-23T04:56:22Z"),
        ({CUSTOM: {"postalCode": {"a": 1}}}, "single string"),
        ({CUSTOM: {"skills": "python"}}, "an array"),
        ({"externalId": "x" * (MAX_INDEX_KEY + 1)}, "externalId is 2049 bytes"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name(body: dict[str, Any], said: str) -> None:
    error = refusal({"userName": "ada", **body})
    assert (error.status, error.scim_type) == (400, "invalidValue")
    assert said in error.detail


@pytest.mark.parametrize("name", [None, "", "absent"])
def test_a_user_needs_a_user_name(name: str | None) -> None:
    error = refusal({} if name == "absent" else {"userName": name})
    assert (error.status, error.scim_type) == (400, "invalidValue")
    assert error.detail.startswith("userName is missing")


def test_a_user_name_of_12_kb_is_refused_with_the_limit() -> None:
    error = refusal({"userName": "é" * 6000})
    assert error.status == 400
    assert "userName is 12000 bytes long" in error.detail
    assert str(MAX_INDEX_KEY) in error.detail


@pytest.mark.parametrize(
    "emails",
    [None, [], [{"type": "work", "value": ""}], [{"type": "home", "value": "a@b"}], [{"value": "a@b"}]],
)
def test_without_a_work_email_a_tenant_that_matches_on_it_answers_422(emails: object) -> None:
    for error in (refusal({"userName": "ada", "emails": emails}, BY_EMAIL),):
        assert error.status == 422
        assert 'emails[type eq "work"].value is missing' in error.detail
    created(emails=emails)


def test_with_external_id_matching_it_is_required() -> None:
    error = refusal({"userName": "ada"}, profile_of(Matching.EXTERNAL_ID))
    assert error.status == 422
    assert error.detail.startswith("externalId is missing")


@pytest.mark.parametrize(
    ("matching", "key"),
    [(Matching.WORK_EMAIL, "b@x"), (Matching.USER_NAME, "ada"), (Matching.EXTERNAL_ID, "E1")],
)
def test_the_match_key_is_the_comparable_matching_attribute(matching: Matching, key: str) -> None:
    emails = [
        {"type": "work", "value": "A@x"},
        {"type": "WORK", "value": "B@X", "primary": True},
        {"type": "work", "value": "a@X"},
        {"type": "home", "value": "h@x"},
    ]
    body = {"userName": "Ada", "externalId": "E1", "emails": emails}
    prepared = create_user(profile_of(matching), body)
    assert prepared.match_key == key
    assert (prepared.name_key, prepared.external_key) == ("ada", "E1")
    assert prepared.email_keys == ("b@x", "a@x")


def test_keys_hold_the_comparable_form() -> None:
    prepared = create_user(
        TENANT,
        {
            "userName": "ÀDA",
            "externalId": "ExAct",
            "emails": [WORK],
            CUSTOM: {"hiredAt": "1970-01-01T00:00:01+01:00", "remote": "True", "floor": "7", "share": 0.5},
        },
    )
    keys = json.loads(prepared.normal_form)
    assert keys["username"] == "àda"
    assert keys["externalid"] == "ExAct"
    assert keys["emails"] == [{"type": "work", "value": "ada@example.com"}]
    assert keys[CUSTOM.lower()] == {"hiredat": -3599_000000, "remote": True, "floor": 7, "share": 0.5}


def test_put_replaces_everything_but_leaves_active_when_it_is_not_mentioned() -> None:
    current = resource(create_user(TENANT, {"userName": "ada", "title": "x", "active": False}))
    doc = json.loads(replace_user(TENANT, current, {"userName": "bea", "id": "other"}).doc)
    assert doc == {"schemas": [CORE], "userName": "bea", "active": False}


def test_put_twice_is_as_once() -> None:
    body = {"userName": "ada", "emails": [WORK], "active": "False"}
    once = replace_user(TENANT, resource(create_user(TENANT, {"userName": "ada"})), body)
    again = replace_user(TENANT, resource(once), body)
    assert (once.same_body, again.same_body, again.doc) == (False, True, once.doc)


def check_valid(prepared: ResourceWrite) -> None:
    """Invariants of everything that is ever stored."""
    assert prepared.doc.startswith('{"schemas":')
    doc = json.loads(prepared.doc)
    assert doc["userName"]
    assert "password" not in doc
    json.loads(prepared.normal_form)
    for value in doc.values():
        assert value not in (None, "", [], {})
        if isinstance(value, list):
            assert sum(1 for e in value if isinstance(e, dict) and e.get("primary") is True) <= 1


@settings(max_examples=200)
@given(st.dictionaries(names, json_values, max_size=6))
def test_any_json_object_is_stored_validly_or_refused_with_a_scim_error(body: dict[str, Any]) -> None:
    try:
        prepared = create_user(TENANT, {"userName": "ada", **body})
    except ScimError as error:
        assert error.status in {400, 413, 422}
        assert json.loads(error.body())["detail"]
    else:
        check_valid(prepared)
        assert create_user(TENANT, json.loads(prepared.doc)) == prepared


def with_fields(*fields: CustomField) -> TenantSchema:
    """The tenant after its custom fields were declared anew."""
    settings_now = TenantSettings(matching=Matching.USER_NAME, custom_fields=fields)
    return compile_tenant_schema(settings_now, f"test-{fields}")


def test_a_custom_field_that_is_no_longer_declared_keeps_its_value_through_put_and_patch() -> None:
    before = with_fields(CustomField(name="badge"), CustomField(name="floor", type="Integer"))
    after = with_fields(CustomField(name="floor", type="Integer"))
    made = create_user(before, {"userName": "ada", CUSTOM: {"badge": "B-7", "floor": 3}})

    put = replace_user(after, resource(made), {"userName": "ada", CUSTOM: {"floor": 4}})
    cleared = replace_user(after, resource(put), {"userName": "ada"})
    patch = {"Operations": [{"op": "remove", "path": CUSTOM}]}
    patched = patch_user(after, resource(put), read_patch(after, patch))

    assert json.loads(put.doc)[CUSTOM] == {"badge": "B-7", "floor": 4}
    assert json.loads(cleared.doc)[CUSTOM] == {"badge": "B-7"}
    assert patched is not None
    assert json.loads(patched.doc)[CUSTOM] == {"badge": "B-7"}


def test_a_value_written_while_its_field_was_not_declared_is_found_once_it_is_again() -> None:
    field = CustomField(name="badge")
    made = create_user(with_fields(field), {"userName": "ada", CUSTOM: {"badge": "B-7"}})
    put = replace_user(with_fields(), resource(made), {"userName": "ada"})

    found = parse_filter(with_fields(field), "User", f'{CUSTOM}:badge eq "b-7"')

    assert not isinstance(found, IndexedLookup)
    assert matches(found, json.loads(put.normal_form))


def test_a_field_declared_in_another_spelling_is_the_same_field() -> None:
    made = create_user(with_fields(CustomField(name="badge")), {"userName": "ada", CUSTOM: {"badge": "B-7"}})
    renamed = with_fields(CustomField(name="Badge"))
    put = replace_user(renamed, resource(made), {"userName": "ada", CUSTOM: {"Badge": "B-8"}})
    assert json.loads(put.doc)[CUSTOM] == {"Badge": "B-8"}
