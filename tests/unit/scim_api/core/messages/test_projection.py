"""attributes and excludedAttributes on documents of users and groups."""

import dataclasses
import json

import pytest

from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_ATTRIBUTE_NAMES
from scim_api.core.messages.projection import projection
from scim_api.core.messages.serialization import serialize_resource, splice_groups
from scim_api.core.model import GroupReference
from scim_api.core.resources.users import create_user
from scim_api.core.schema.attributes import by_name
from scim_api.core.schema.tenant_schema import AttributeTable
from support.scim_core import CUSTOM, ENT, profile_of, resource

TENANT = profile_of()
BASE = "https://scim.example.com/scim/v2"
TABLE = TENANT.user
TEXT = splice_groups(
    serialize_resource(
        resource(
            create_user(
                TENANT,
                {
                    "userName": "ada",
                    "name": {"givenName": "A", "familyName": "L"},
                    "emails": [{"type": "work", "value": "a@x"}, {"value": "b@x"}],
                    ENT: {"department": "D", "manager": "m"},
                    f"{CUSTOM}:floor": 3,
                },
            )
        ),
        BASE,
    ),
    (GroupReference("g1", "G"),),
    BASE,
)
WHOLE = json.loads(TEXT)
GROUP = {"schemas": [], "id": "1", "displayName": "G", "members": [{"value": "a", "type": "User"}]}


def only(attributes: str, table: AttributeTable = TABLE) -> dict[str, object]:
    wanted = projection(table, attributes, None)
    assert wanted is not None
    chosen: dict[str, object] = json.loads(wanted.apply_text(TEXT))
    return chosen


def without(excluded: str, table: AttributeTable = TABLE) -> dict[str, object]:
    wanted = projection(table, None, excluded)
    assert wanted is not None
    chosen: dict[str, object] = json.loads(wanted.apply_text(TEXT))
    return chosen


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ("userName", {"userName"}),
        (" USERNAME , nothing", {"userName"}),
        ("meta", {"meta"}),
        ("nothing", set()),
        (",", set()),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName", {"userName"}),
        (ENT, {ENT}),
        (ENT.upper(), {ENT}),
        (f"{CUSTOM}:floor", {CUSTOM}),
        ("groups", {"groups"}),
        ("password", set()),
        ("name.nothing", set()),
    ],
)
def test_attributes_names_what_is_returned_beside_id_and_schemas(attributes: str, kept: set[str]) -> None:
    assert only(attributes) == {name: WHOLE[name] for name in {"id", "schemas"} | kept}


def test_sub_attributes_are_kept_alone() -> None:
    chosen = only(f"NAME.givenname,emails.type,{ENT}:manager.value,groups.value")
    assert chosen["name"] == {"givenName": "A"}
    assert chosen["emails"] == [{"type": "work"}]
    assert chosen[ENT] == {"manager": {"value": "m"}}
    assert chosen["groups"] == [{"value": "g1"}]


def test_an_attribute_named_whole_and_in_part_is_returned_whole() -> None:
    assert only("name.givenName,name") == only("name,name.givenName")
    assert only("name,name.givenName")["name"] == WHOLE["name"]


def test_an_attribute_without_anything_left_is_absent() -> None:
    assert "name" not in only("name.honorificPrefix")
    assert "name" not in without("name.givenName,name.familyName")


def test_excluded_attributes_leave_the_rest() -> None:
    rest = without(f"id,schemas,emails,name.givenName,{ENT}:department,meta.version")
    assert rest["name"] == {"familyName": "L"}
    assert rest[ENT] == {"manager": {"value": "m", "$ref": "https://scim.example.com/scim/v2/Users/m"}}
    assert rest.keys() == WHOLE.keys() - {"emails"}
    assert without("emails.type")["emails"] == [{"value": "a@x"}, {"value": "b@x"}]


def test_a_whole_extension_is_excluded_by_its_urn() -> None:
    assert without(ENT).keys() == WHOLE.keys() - {ENT}


def test_what_is_returned_always_stays_whatever_is_asked() -> None:
    fields = [
        dataclasses.replace(field, returned="always") if field.name == "userName" else field
        for field in TABLE.attributes
    ]
    table = dataclasses.replace(TABLE, names={**TABLE.names, **by_name(fields)})
    assert only("title", table).keys() == {"schemas", "id", "userName"}
    assert without("userName,id,title", table) == WHOLE


def test_groups_of_a_user_are_fetched_on_request_alone() -> None:
    def wants(attributes: str | None, excluded: str | None) -> bool:
        found = projection(TABLE, attributes, excluded)
        assert found is not None
        return found.wants("groups")

    assert wants("groups", None)
    assert wants("groups.display", None)
    assert not wants("userName", None)
    assert not wants(None, "title")
    assert not wants(None, "groups")


def test_members_of_a_group_are_fetched_unless_they_are_excluded() -> None:
    def wants(attributes: str | None, excluded: str | None) -> bool:
        found = projection(TENANT.group, attributes, excluded)
        assert found is not None
        return found.wants("members")

    assert wants(None, "displayName")
    assert wants(None, "members.$ref")
    assert wants("members.value", None)
    assert not wants(None, "MEMBERS")
    assert not wants("displayName", None)


def test_sub_attributes_of_members_are_projected() -> None:
    wanted = projection(TENANT.group, None, "members.type")
    assert wanted is not None
    assert wanted.apply(GROUP) == {**GROUP, "members": [{"value": "a"}]}


def test_text_without_members_is_not_read_to_leave_them_out() -> None:
    wanted = projection(TENANT.group, None, "members")
    text = '{"schemas":[],  "id":"1"}'
    assert wanted is not None
    assert wanted.apply_text(text) is text


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_parameters_there_is_nothing_to_project(nothing: str | None) -> None:
    assert projection(TABLE, nothing, nothing) is None


def test_both_parameters_at_once_are_refused() -> None:
    with pytest.raises(ScimError) as refusal:
        projection(TABLE, "userName", "emails")
    assert (refusal.value.status, refusal.value.scim_type) == (400, "invalidValue")


def test_names_past_the_limit_are_refused() -> None:
    with pytest.raises(ScimError) as refusal:
        projection(TABLE, "a" * (MAX_ATTRIBUTE_NAMES + 1), None)
    assert (refusal.value.status, refusal.value.scim_type) == (400, "invalidValue")
