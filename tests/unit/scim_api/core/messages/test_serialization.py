"""From stored text to answers: splicing, projection, lists, entity tags."""

import json
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.core.errors import not_found, uniqueness
from scim_api.core.messages.serialization import (
    MANAGER,
    etag,
    list_response_head,
    parse_etags,
    serialize_member,
    serialize_resource,
    splice_groups,
)
from scim_api.core.model import GroupReference, Member
from scim_api.core.resources.users import create_user
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
TEXT = serialize_resource(USER, BASE)


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
    assert document[ENT]["manager"].pop("$ref") == f"{BASE}/Users/m"
    assert {k: v for k, v in document.items() if k not in {"id", "meta"}} == json.loads(USER.doc)


@given(value=st.text(max_size=12) | st.sampled_from(['"}', "\\", '\\"}', MANAGER, "a/b?c#d%", "\ud7ff"]))
def test_a_managers_address_is_that_of_the_id_whatever_the_id_is(value: str) -> None:
    body = {
        "userName": "ada",
        "title": MANAGER + value,
        ENT: {"manager": value, "department": MANAGER},
    }
    user = resource(create_user(TENANT, body))
    document = json.loads(serialize_resource(user, 'https://x/"'))
    found = document[ENT].pop("manager", None)
    if not value:
        assert found is None
        return
    assert found["value"] == value
    head, _, tail = found["$ref"].rpartition("/")
    assert (head, unquote(tail)) == ('https://x/"/Users', value)
    assert tail.isascii()
    assert (document["title"], document[ENT]["department"]) == (MANAGER + value, MANAGER)


def test_a_base_url_is_escaped_as_json() -> None:
    assert (
        json.loads(serialize_resource(USER, 'https://x/"\\'))["meta"]["location"]
        == f'https://x/"\\/Users/{USER.id}'
    )


def test_a_user_without_groups_has_no_such_attribute() -> None:
    assert splice_groups(TEXT, (), BASE) == TEXT


def test_groups_of_a_user_are_spliced_in() -> None:
    document = json.loads(splice_groups(TEXT, (GroupReference("g1", 'The "A"\\ Team'),), BASE))
    assert document["groups"] == [
        {"value": "g1", "$ref": f"{BASE}/Groups/g1", "display": 'The "A"\\ Team', "type": "direct"}
    ]
    assert document["userName"] == "ada"


def test_a_member_is_named_by_id_address_and_type() -> None:
    assert json.loads(serialize_member(Member(7, "g1", "Group"), BASE)) == {
        "value": "g1",
        "$ref": f"{BASE}/Groups/g1",
        "type": "Group",
    }


def test_an_empty_list_has_resources_and_echoes_start_index() -> None:
    assert json.loads(list_response_head(7, 0, start_index=100) + "]}") == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 7,
        "startIndex": 100,
        "itemsPerPage": 0,
        "Resources": [],
    }


def test_a_page_by_cursor_has_no_start_index() -> None:
    page = json.loads(f"{list_response_head(7, 2, next_cursor='abc')}{TEXT},{TEXT}]}}")
    assert page["nextCursor"] == "abc"
    assert "startIndex" not in page
    assert page["Resources"] == [json.loads(TEXT)] * 2


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        (etag(12), {12}),
        ('"12"', {12}),
        ("12", {12}),
        ("*", "*"),
        ('"other", W/"3", "4"', {3, 4}),
        ('"other"', set()),
        ('"a,3"', set()),
        ("", set()),
        ('W/"1" x', set()),
        ('W/"' + "9" * 30 + '"', set()),
    ],
)
def test_entity_tags_are_read_back(header: str, versions: set[int] | str) -> None:
    assert parse_etags(header) == versions


def test_error_bodies_are_scim_errors() -> None:
    assert json.loads(uniqueness("userName").body()) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "409",
        "scimType": "uniqueness",
        "detail": uniqueness("userName").detail,
    }
    assert "scimType" not in json.loads(not_found("User", "x\ud800\n" + "y" * 500).body())
    assert len(not_found("User", "y" * 500).detail) < 200
