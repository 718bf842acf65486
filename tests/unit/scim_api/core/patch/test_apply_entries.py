"""What a PATCH does to single entries of multi-valued attributes, and to what an earlier release let in."""

import dataclasses
import json
from typing import Any

import pytest

from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_VALUES
from scim_api.core.model import ResourceWrite
from scim_api.core.resources.users import create_user
from support.scim_core import CUSTOM, patched, profile_of

TENANT = profile_of()
EMAILS: list[dict[str, Any]] = [
    {"type": "work", "value": "a@x", "primary": True},
    {"type": "home", "value": "h@x"},
]
ADA = create_user(TENANT, {"userName": "ada", "emails": EMAILS, CUSTOM: {"skills": ["a", "b"]}})


def stored(**changes: Any) -> ResourceWrite:
    """Ada with attributes that would not be let in today."""
    return dataclasses.replace(ADA, doc=json.dumps(json.loads(ADA.doc) | changes))


def test_an_add_to_a_selected_entry_keeps_the_parts_that_it_does_not_name() -> None:
    display = {"op": "add", "path": 'emails[type eq "work"]', "value": {"display": "A", "primary": False}}
    assert patched(TENANT, ADA, display)["emails"] == [
        {"type": "work", "value": "a@x", "primary": False, "display": "A"},
        EMAILS[1],
    ]


def test_adding_an_entry_that_is_there_with_its_parts_in_another_order_changes_nothing() -> None:
    for parts in (EMAILS[1], dict(reversed(EMAILS[1].items()))):
        doc = patched(TENANT, ADA, {"op": "add", "path": "emails", "value": [parts]})
        assert doc["emails"] == EMAILS


@pytest.mark.parametrize("nothing", ["", 5, 0, True, None, ["a@x"], [["a@x"]]])
def test_a_remove_takes_away_no_email_for_what_cannot_be_the_value_of_one(nothing: Any) -> None:
    emails = [*EMAILS, {"type": "other", "value": ""}]
    doc = patched(TENANT, stored(emails=emails), {"op": "remove", "path": "emails", "value": [nothing]})
    assert doc["emails"] == emails


@pytest.mark.parametrize("nothing", [{"value": "a"}, {}, ["a"], None])
def test_a_remove_takes_away_no_plain_value_for_what_is_none(nothing: Any) -> None:
    doc = patched(TENANT, ADA, {"op": "remove", "path": f"{CUSTOM}:skills", "value": [nothing, "b"]})
    assert doc[CUSTOM] == {"skills": ["a"]}


def test_what_was_let_in_once_is_no_reason_to_refuse_another_change() -> None:
    doc = patched(TENANT, stored(userName=" "), {"op": "add", "path": "title", "value": "T"})
    assert (doc["userName"], doc["title"]) == (" ", "T")


def test_a_remove_may_name_an_entry_by_its_value_alone() -> None:
    doc = patched(TENANT, ADA, {"op": "remove", "path": "emails", "value": ["A@x"]})
    assert doc["emails"] == [EMAILS[1]]


def test_an_attribute_has_so_many_entries_at_most() -> None:
    most = [{"value": f"{number}@x"} for number in range(MAX_VALUES - len(EMAILS))]
    doc = patched(TENANT, ADA, {"op": "add", "path": "emails", "value": most})
    assert len(doc["emails"]) == MAX_VALUES
    with pytest.raises(ScimError, match=f"would have {MAX_VALUES + 1} values") as refused:
        patched(TENANT, ADA, {"op": "add", "path": "emails", "value": [*most, {"value": "more@x"}]})
    assert refused.value.scim_type == "invalidValue"
