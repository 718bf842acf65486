"""From stored text to answers: splicing, projection, lists, entity tags."""

import json

import pytest

from scim_api.core.errors import ScimError, not_found, uniqueness
from scim_api.core.render import etag, list_response, project, read_etag, render
from scim_api.core.users import create_user
from support.scim_core import ENT, profile_of, resource

TENANT = profile_of()
BASE = "https://scim.example.com/scim/v2"
USER = resource(
    create_user(
        TENANT,
        {
            "userName": "ada",
            "name": {"givenName": "A", "familyName": "L"},
            "emails": [{"type": "work", "value": "a@x"}],
            ENT: {"department": "D", "manager": "m"},
        },
    )
)
TEXT = render(USER, "User", BASE)


def test_id_and_meta_are_spliced_into_the_stored_body() -> None:
    document = json.loads(TEXT)
    assert document["id"] == USER.id
    assert document["meta"] == {
        "resourceType": "User",
        "created": USER.created,
        "lastModified": USER.modified,
        "location": f"{BASE}/Users/{USER.id}",
        "version": 'W/"1"',
    }
    assert {k: v for k, v in document.items() if k not in {"id", "meta"}} == json.loads(USER.doc)


def test_a_base_url_is_escaped_as_json() -> None:
    assert (
        json.loads(render(USER, "User", 'https://x/"\\'))["meta"]["location"]
        == f'https://x/"\\/Users/{USER.id}'
    )


@pytest.mark.parametrize(
    ("attributes", "kept"),
    [
        ("userName", {"userName"}),
        (" USERNAME , nothing", {"userName"}),
        ("meta", {"meta"}),
        ("nothing", set()),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName", {"userName"}),
        (ENT, {ENT}),
    ],
)
def test_attributes_names_what_is_returned_beside_id_and_schemas(attributes: str, kept: set[str]) -> None:
    assert json.loads(project(TENANT, TEXT, attributes, None)).keys() == {"id", "schemas"} | kept


def test_sub_attributes_are_projected() -> None:
    chosen = json.loads(project(TENANT, TEXT, f"name.givenName,emails.value,{ENT}:manager.value", None))
    assert chosen["name"] == {"givenName": "A"}
    assert chosen["emails"] == [{"value": "a@x"}]
    assert chosen[ENT] == {"manager": {"value": "m"}}


def test_excluded_attributes_leave_the_rest() -> None:
    whole = json.loads(TEXT)
    rest = json.loads(
        project(
            TENANT, json.loads(TEXT), None, f"id,schemas,emails,name.givenName,{ENT}:department,meta.version"
        )
    )
    assert rest["name"] == {"familyName": "L"}
    assert rest[ENT] == {"manager": {"value": "m"}}
    assert "version" not in rest["meta"]
    assert rest.keys() == whole.keys() - {"emails"}


def test_without_projection_the_text_is_returned_as_it_is() -> None:
    assert project(TENANT, TEXT, None, "") is TEXT


def test_both_parameters_at_once_are_refused() -> None:
    with pytest.raises(ScimError) as refusal:
        project(TENANT, TEXT, "userName", "emails")
    assert (refusal.value.status, refusal.value.scim_type) == (400, "invalidValue")


def test_an_empty_list_has_resources_and_echoes_start_index() -> None:
    assert json.loads(list_response([], 7, 100)) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 7,
        "startIndex": 100,
        "itemsPerPage": 0,
        "Resources": [],
    }


def test_a_list_holds_the_rendered_resources() -> None:
    assert json.loads(list_response([TEXT, TEXT], 2, 1))["Resources"] == [json.loads(TEXT)] * 2


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (etag(12), 12),
        ('"12"', 12),
        ("*", "*"),
        ('"other", W/"3"', 3),
        ('"other"', None),
        ("", None),
        ('W/"1" x', None),
    ],
)
def test_entity_tags_are_read_back(header: str, version: int | str | None) -> None:
    assert read_etag(header) == version


def test_error_bodies_are_scim_errors() -> None:
    assert json.loads(uniqueness("userName").body()) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "409",
        "scimType": "uniqueness",
        "detail": uniqueness("userName").detail,
    }
    assert "scimType" not in json.loads(not_found("User", "x\ud800\n" + "y" * 500).body())
    assert len(not_found("User", "y" * 500).detail) < 200
