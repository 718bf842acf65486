"""Members of a group, in every shape that clients send."""

import dataclasses
import json
from typing import Any, Literal

import pytest

from scim_api.core.errors import ScimError
from scim_api.core.model import MemberChange
from scim_api.core.predicate import AttributePath, Comparison, Predicate
from scim_api.core.resources.members import (
    no_member_selected,
    read_member_changes,
    read_members,
    unknown_members,
)

ADA, BOB = "0a0a0a0a-0000-4000-8000-00000000000a", "0b0b0b0b-0000-4000-8000-00000000000b"
ID = AttributePath(("value",), "string")
TYPE = AttributePath(("type",), "string")
Op = Literal["add", "remove", "replace"]


def changes(op: Op, value: Any, chosen: Predicate | None = None) -> tuple[MemberChange, ...]:
    return read_member_changes(op, value, path="members", chosen=chosen)


@pytest.mark.parametrize(
    "value",
    [
        ADA,
        [ADA],
        [ADA.upper(), ADA],
        {"value": ADA},
        [{"VALUE": ADA, "display": "Ada", "type": "User"}],
        {"$ref": f"https://x/scim/v2/Users/{ADA}/"},
        {"value": "", "$ref": f"../Users/{ADA}"},
        {"value": ADA, "$ref": f"https://x/Users/{BOB}"},
    ],
)
def test_a_member_is_an_id_in_whatever_shape_it_comes(value: Any) -> None:
    assert read_members(value) == (ADA,)


@pytest.mark.parametrize("value", [None, "", []])
def test_no_members_are_null_an_empty_string_or_an_empty_list(value: Any) -> None:
    assert read_members(value) == ()


@pytest.mark.parametrize(
    "entry", [None, "", {}, {"value": None, "$ref": ""}, {"value": ""}, {"$ref": None}, {"$ref": "/"}]
)
def test_an_entry_that_names_nobody_is_refused_with_its_place_and_as_it_was_sent(entry: Any) -> None:
    for value in ([ADA, entry], [{"value": BOB}, entry, ADA], [ADA, entry, {}]):
        with pytest.raises(ScimError) as refused:
            read_members(value)
        assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
        sent = json.dumps(entry, separators=(",", ":"))
        assert f'Entry 2 of members, {sent}, has no "value"' in refused.value.detail


def test_a_remove_of_what_names_nobody_removes_nobody() -> None:
    assert changes("remove", [None, "", {}, {"value": None, "$ref": ""}, ADA]) == (
        MemberChange("remove", (ADA,)),
    )
    assert changes("remove", {}) == ()
    with pytest.raises(ScimError):
        changes("remove", [{"display": "Ada"}])


def test_members_keep_their_order_without_repetition() -> None:
    assert read_members([BOB, ADA, {"value": BOB}]) == (BOB, ADA)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"display": "Ada"}, 'has no "value"'),
        ({"value": "", "type": "User"}, 'has no "value"'),
        ({"value": 7}, "7 was sent"),
        ({"value": [ADA]}, "an array was sent"),
        ({"value": {"id": ADA}}, "an object was sent"),
        ([[ADA]], "an array was sent"),
        ("ada", 'names "ada"'),
        (f"{ADA}0", "no id of a user or group"),
    ],
)
def test_what_is_no_id_is_refused(value: Any, said: str) -> None:
    with pytest.raises(ScimError) as refused:
        read_members(value)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
    assert said in refused.value.detail


def test_three_unknown_members_are_shown_and_the_others_counted_as_others() -> None:
    assert '"a", "b", "c", which' in unknown_members(("a", "b", "c")).detail
    assert '"a", "b", "c" and others, which' in unknown_members(("a", "b", "c", "d")).detail


@pytest.mark.parametrize(
    ("op", "value", "steps"),
    [
        ("add", [ADA], (MemberChange("add", (ADA,)),)),
        ("add", [], ()),
        ("add", None, ()),
        ("replace", [ADA], (MemberChange("replace", (ADA,)),)),
        ("replace", None, (MemberChange("replace"),)),
        ("replace", [], (MemberChange("replace"),)),
        ("remove", None, (MemberChange("replace"),)),
        ("remove", "", (MemberChange("replace"),)),
        ("remove", [], ()),
        ("remove", [ADA], (MemberChange("remove", (ADA,)),)),
        ("remove", ["Nobody"], (MemberChange("remove", ("nobody",)),)),
    ],
)
def test_each_operation_becomes_the_steps_it_stands_for(op: Op, value: Any, steps: object) -> None:
    assert changes(op, value) == steps


@pytest.mark.parametrize(
    ("chosen", "gone"),
    [
        (Comparison(ID, "eq", ADA), MemberChange("remove", (ADA,))),
        (Comparison(ID, "ne", ADA), MemberChange("remove", selected_by=Comparison(ID, "ne", ADA))),
        (Comparison(TYPE, "eq", "user"), MemberChange("remove", selected_by=Comparison(TYPE, "eq", "user"))),
        (Comparison(ID, "eq", None), MemberChange("remove", selected_by=Comparison(ID, "eq", None))),
    ],
)
def test_brackets_select_who_is_removed(chosen: Predicate, gone: MemberChange) -> None:
    assert changes("remove", [BOB], chosen) == (gone,)
    gone = dataclasses.replace(gone, required_path="members")
    nothings: tuple[Any, ...] = (None, "", [])
    for nothing in nothings:
        assert changes("replace", nothing, chosen) == (gone,)
    assert changes("replace", [BOB], chosen) == (gone, MemberChange("add", (BOB,)))
    with pytest.raises(ScimError, match="Entry 1 of members"):
        changes("replace", {}, chosen)


@pytest.mark.parametrize("value", [[BOB], None, "", [], {}])
def test_nobody_can_be_added_to_a_selection(value: Any) -> None:
    with pytest.raises(ScimError) as refused:
        changes("add", value, Comparison(ID, "eq", ADA))
    assert refused.value.scim_type == "invalidPath"


def test_a_replace_that_selects_nobody_has_no_target() -> None:
    error = no_member_selected('members[value eq "bogus"]')
    assert (error.status, error.scim_type) == (400, "noTarget")
    assert error.detail.startswith('"members[value eq "bogus"]" selects no member')
