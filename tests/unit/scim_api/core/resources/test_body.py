"""Bodies of any resource type: how they are read, and what is computed from them."""

import json
from typing import Any

import pytest

from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_BODY, MAX_INDEX_KEY
from scim_api.core.resources.body import (
    check_primaries,
    count_primaries,
    index_key,
    read_body,
    serialize_body,
    undeclared_custom_field,
    with_schemas,
)
from support.scim_core import CUSTOM, ENT, profile_of

PROFILE = profile_of()
CORE = PROFILE.user.urn


def refusal(body: dict[str, Any]) -> ScimError:
    with pytest.raises(ScimError) as refused:
        read_body(PROFILE.user, body)
    return refused.value


def test_attributes_are_kept_under_the_names_of_the_schema() -> None:
    sent = {"USERNAME": "ada", f"{CORE}:title": "x", "department": "R&D", f"{CUSTOM}:floor": "3"}
    assert read_body(PROFILE.user, sent) == {
        "userName": "ada", "title": "x", ENT: {"department": "R&D"}, CUSTOM: {"floor": 3},
    }  # fmt: skip


@pytest.mark.parametrize("name", ["id", "meta", "schemas", "groups", "password", "unknown"])
def test_what_is_not_the_clients_to_write_is_left_out(name: str) -> None:
    assert read_body(PROFILE.user, {name: [], "userName": "ada"}) == {"userName": "ada"}


def test_members_are_no_part_of_a_groups_body() -> None:
    assert read_body(PROFILE.group, {"displayName": "x", "members": [{"value": "y"}]}) == {"displayName": "x"}


@pytest.mark.parametrize(
    "body",
    [
        {"title": "a", "TITLE": "b"},
        {"department": "a", ENT: {"department": "b"}},
        {f"{CUSTOM}:floor": 1, CUSTOM: {"FLOOR": 2}},
    ],
)
def test_an_attribute_that_comes_twice_is_refused(body: dict[str, Any]) -> None:
    assert "sent twice" in refusal(body).detail


@pytest.mark.parametrize(
    "body", [{CUSTOM: {"other": 1}}, {f"{CUSTOM}:other": 1}, {f"{CUSTOM.upper()}:other": 1}]
)
def test_an_undeclared_custom_field_is_refused_with_what_to_add(body: dict[str, Any]) -> None:
    error = refusal(body)
    assert (error.scim_type, error.detail) == ("invalidValue", undeclared_custom_field("other"))
    assert "{name: other, type: Any}" in error.detail


def test_an_unknown_attribute_of_another_extension_is_noise() -> None:
    assert read_body(PROFILE.user, {ENT: {"other": 1}, "urn:x:y": {"a": 1}}) == {}
    assert read_body(PROFILE.user, {ENT: None, CUSTOM: ""}) == {}
    assert "JSON object" in refusal({ENT: "x"}).detail


def test_schemas_must_be_an_array_and_may_hold_anything() -> None:
    error = refusal({"schemas": CORE})
    assert (error.scim_type, CORE in error.detail) == ("invalidSyntax", True)
    assert read_body(PROFILE.user, {"schemas": ["urn:unknown"]}) == {}


def test_the_stored_schemas_say_what_is_present() -> None:
    doc = with_schemas(PROFILE.user, {"userName": "ada", CUSTOM: {"floor": 1}})
    assert list(doc) == ["schemas", "userName", CUSTOM]
    assert doc["schemas"] == [CORE, CUSTOM]


def test_a_body_is_stored_up_to_its_limit_and_not_beyond() -> None:
    rest = len('{"a":""}')
    assert json.loads(serialize_body({"a": "x" * (MAX_BODY - rest)}))
    with pytest.raises(ScimError) as refused:
        serialize_body({"a": "x" * (MAX_BODY - rest + 1)})
    assert (refused.value.status, f"{MAX_BODY + 1} bytes" in refused.value.detail) == (413, True)


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
def test_an_indexed_value_is_measured_in_bytes(letter: str) -> None:
    most = MAX_INDEX_KEY // len(letter.encode())
    assert index_key("userName", letter * most, case_exact=True) == letter * most
    with pytest.raises(ScimError, match="userName is"):
        index_key("userName", letter * (most + 1), case_exact=True)
    assert index_key("userName", "ADA", case_exact=False) == "ada"


def test_only_true_makes_an_entry_the_preferred_one_and_one_may_be() -> None:
    entries = [{"primary": True}, {"primary": False}, {"primary": 1}, {}, "primary"]
    assert count_primaries(entries) == 1
    check_primaries(PROFILE.user, {"emails": entries, "title": "x"})
    with pytest.raises(ScimError, match="emails has more than one entry with primary true"):
        check_primaries(PROFILE.user, {"emails": [{"primary": True}, {"primary": True}]})
