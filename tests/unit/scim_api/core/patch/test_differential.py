"""The library is the oracle: scim2-server on canonical operations gives what ours gives.

Where Entra demands something else, the deviation has a name and a test of its own here.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.core.resources.users import create_user
from support.scim_core import ENT, library_patched, patched, profile_of, words

TENANT = profile_of()
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
KINDS = ["work", "home", "other"]

simple = st.sampled_from(
    ["title", "displayName", "name.givenName", "name.familyName", f"{ENT}:department", f"{ENT}:costCenter",
     f"{CORE}:nickName"]
)  # fmt: skip
selected = st.sampled_from(
    ['emails[type eq "work"].value', 'emails[type eq "home"].value', 'phoneNumbers[type eq "work"].value',
     'addresses[type eq "work"].country', 'addresses[type eq "home"].locality']
)  # fmt: skip
emails = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(KINDS), "value": words}), min_size=1, max_size=3,
    unique_by=lambda entry: entry["value"],
)  # fmt: skip
operations = st.one_of(
    st.builds(lambda op, path, value: {"op": op, "path": path, "value": value},
              st.sampled_from(["add", "replace"]), simple | selected, words),
    st.builds(lambda op, value: {"op": op, "path": "emails", "value": value},
              st.sampled_from(["add", "replace"]), emails),
    st.builds(lambda path: {"op": "remove", "path": path}, simple | st.sampled_from(
        ["emails", 'emails[type eq "work"]', "name", 'phoneNumbers[type eq "work"]'])),
    st.builds(lambda op, value: {"op": op, "path": "active", "value": value},
              st.sampled_from(["add", "replace"]), st.booleans()),
    st.builds(lambda kind, value: {"op": "replace", "path": f'emails[type eq "{kind}"]', "value": {"value": value}},
              st.sampled_from(KINDS), words),
    st.builds(lambda value: {"op": "replace", "value": {"title": value, "displayName": value}}, words),
)  # fmt: skip
bodies = st.fixed_dictionaries(
    {"schemas": st.just([CORE, ENT]), "userName": st.just("ada"), "active": st.booleans()},
    optional={"title": words, "name": st.fixed_dictionaries({"givenName": words}), "emails": emails,
              ENT: st.fixed_dictionaries({"department": words})},
)  # fmt: skip


def ours(body: dict[str, Any], sent: list[dict[str, Any]]) -> dict[str, Any]:
    """Our result without ``schemas``, which the library computes differently."""
    doc = patched(TENANT, create_user(TENANT, body), *sent)
    return {name: value for name, value in doc.items() if name != "schemas"}


def without_empty(doc: dict[str, Any]) -> dict[str, Any]:
    """The library keeps complex attributes and extensions whose last value was removed."""
    return {name: value for name, value in doc.items() if value not in ({}, [])}


@settings(max_examples=150, deadline=None)
@given(bodies, st.lists(operations, min_size=1, max_size=4))
def test_canonical_operations_have_the_effect_they_have_in_the_library(
    body: dict[str, Any], sent: list[dict[str, Any]]
) -> None:
    assert ours(body, sent) == without_empty(library_patched(body, sent))


BODY = {
    "schemas": [CORE, ENT],
    "userName": "ada",
    "active": True,
    "title": "T",
    "emails": [{"type": "work", "value": "a@x"}],
    "name": {"givenName": "G"},
}


@pytest.mark.parametrize(
    ("operation", "attribute", "wanted"),
    [
        pytest.param({"op": "replace", "path": "title", "value": ""}, "title", None, id="an empty string clears"),
        pytest.param({"op": "replace", "path": 'emails[type eq "work"].value', "value": None}, "emails", None, id="no husk is left"),
        pytest.param({"op": "remove", "path": 'emails[type eq "work"].value'}, "emails", None, id="no husk is left by a remove"),
        pytest.param({"op": "add", "path": "manager", "value": "m1"}, ENT, {"manager": {"value": "m1"}}, id="bare manager path"),
        pytest.param({"op": "add", "path": f"{ENT}:manager", "value": "m1"}, ENT, {"manager": {"value": "m1"}}, id="manager as a string"),
        pytest.param({"op": "replace", "value": {'emails[type eq "work"].value': "n@x"}}, "emails", [{"type": "work", "value": "n@x"}], id="bracketed key in a value object"),
    ],
)  # fmt: skip
def test_a_named_deviation_from_the_library(
    operation: dict[str, Any], attribute: str, wanted: object
) -> None:
    result = ours(BODY, [operation])
    assert result.get(attribute) == wanted
    try:
        theirs = library_patched(BODY, [operation]).get(attribute)
    except Exception as error:  # the library refuses, with an error of its own
        theirs = type(error)
    assert theirs != wanted, "the library does this now: the deviation can go"
