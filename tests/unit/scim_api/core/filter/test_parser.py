"""Filters: Entra's shapes by index, the rest resolved, mistakes named."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scim_api.core.errors import ScimError
from scim_api.core.filter import grammar
from scim_api.core.filter.parser import IndexedLookup, parse_filter
from scim_api.core.limits import MAX_FILTER, MAX_FILTER_TERMS
from scim_api.core.model import Lookup
from scim_api.core.predicate import AttributePath, Comparison, LogicalExpression, ValuePath, matches
from scim_api.core.resources.users import create_user
from scim_api.core.types import ResourceKind
from scim_api.core.values.normal_form import normal_form
from support.scim_core import CUSTOM, ENT, filters, library_matches, profile_of, users

TENANT = profile_of()
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.mark.parametrize(
    ("text", "by", "key"),
    [
        ('userName eq "Ada@X"', Lookup.NAME, "ada@x"),
        ('USERNAME EQ "Ada@X"', Lookup.NAME, "ada@x"),
        (f'{CORE}:userName eq "ÉA"', Lookup.NAME, "éa"),
        ('(userName eq "a")', Lookup.NAME, "a"),
        (r'userName eq "a\"b\\c\u00e9 (x)"', Lookup.NAME, 'a"b\\cé (x)'),
        ('externalId eq "ExAct"', Lookup.EXTERNAL, "ExAct"),
        ('id eq "A"', Lookup.ID, "A"),
        ('emails[type eq "work"].value eq "A@x"', Lookup.WORK_EMAIL, "a@x"),
        ('Emails[Type EQ "WORK"].Value Eq "A@x"', Lookup.WORK_EMAIL, "a@x"),
        ('emails[type eq "work" and value eq "A@x"]', Lookup.WORK_EMAIL, "a@x"),
        ('emails[value eq "A@x" and type eq "work"]', Lookup.WORK_EMAIL, "a@x"),
        (f'{CORE}:emails[type eq "work"].value eq "A@x"', Lookup.WORK_EMAIL, "a@x"),
        ('userName eq ""', Lookup.NAME, ""),
    ],
)
def test_entras_equality_filters_are_answered_by_an_index(text: str, by: Lookup, key: str) -> None:
    assert parse_filter(TENANT, "User", text) == IndexedLookup(by, key)


@pytest.mark.parametrize(
    "text",
    [
        'emails.value eq "a"',
        'emails[type eq "home"].value eq "a"',
        'userName ne "a"',
        'emails[type eq "work" or value eq "a"]',
        'title eq "a"',
        'userName eq "a" or title eq "b"',
        f'{ENT}:manager eq "B"',
    ],
)
def test_other_filters_are_expressions(text: str) -> None:
    assert not isinstance(parse_filter(TENANT, "User", text), IndexedLookup)


def test_a_reference_check_starts_from_the_id_and_finds_the_user_with_that_manager_only() -> None:
    body = {"userName": "ada", "manager": "B"}
    form = normal_form(TENANT.user, json.loads(create_user(TENANT, body).doc))
    for text, holds in (
        ('id eq "A" and manager eq "B"', True),
        ('manager eq "B" and id eq "A"', True),
        ('id eq "A" and manager eq "C"', False),
        (f'id eq "A" and {ENT}:manager.value eq "B"', True),
        ('id eq "A" and manager eq "B" and userName eq "bob"', False),
    ):
        found = parse_filter(TENANT, "User", text)
        assert isinstance(found, IndexedLookup)
        assert (found.by, found.key) == (Lookup.ID, "A")
        assert found.rest is not None
        assert matches(found.rest, form) is holds, text


def test_a_group_is_found_by_its_name_and_checked_for_a_member() -> None:
    assert parse_filter(TENANT, "Group", 'DisplayName eq "R&D (all)"') == IndexedLookup(
        Lookup.NAME, "r&d (all)"
    )
    assert parse_filter(TENANT, "Group", 'externalId eq "X"') == IndexedLookup(Lookup.EXTERNAL, "X")
    for text in ('id eq "G" and members[value eq "U"]', 'id eq "G" and members eq "U"'):
        found = parse_filter(TENANT, "Group", text)
        assert isinstance(found, IndexedLookup)
        assert (found.by, found.key) == (Lookup.ID, "G")
        assert found.rest is not None
        assert matches(found.rest, {"members": [{"value": "u", "type": "user"}]})
        assert not matches(found.rest, {"members": [{"value": "v", "type": "user"}]})


def test_across_all_types_an_attribute_of_either_can_be_named() -> None:
    for text in ('userName eq "ada"', 'displayName eq "ada"', 'members[value eq "U"]', "title pr"):
        assert not isinstance(parse_filter(TENANT, None, text), IndexedLookup)
    found = parse_filter(TENANT, None, 'meta.resourceType eq "User"')
    assert not isinstance(found, IndexedLookup)
    assert matches(found, {}, {"kind": "User"})
    assert not matches(found, {}, {"kind": "Group"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("userName eq", "column"),
        ("userName eq 'a'", "column"),
        ('userName eq "a', "cannot be read"),
        (r'userName eq "\x"', "cannot be read"),
        ('shoeSize eq "4"', "shoeSize"),
        ('emails[shoe eq "4"]', "shoe"),
        ('name.shoe eq "4"', "shoe"),
        (f'{CUSTOM}:undeclared eq "x"', "undeclared"),
        ('password eq "x"', "password"),
        ('name eq "x"', "complex"),
        ('name[givenName eq "x"]', "entries"),
        ("active gt true", "order"),
        ('active eq "yes"', "true or false"),
        ("userName eq 5", "string"),
        ("title co 5", "text"),
        (f'{CUSTOM}:floor sw "1"', "text"),
        (f'{CUSTOM}:hiredAt gt "yesterday"', "2026"),
        ('meta.version eq "1"', "meta.created"),
        ('meta.created gt "soon"', "moment"),
        ('userName eq "a\x00"', "NUL"),
        (r'userName eq "a\u0000"', "stored"),
        (r'userName eq "\ud800"', "stored"),
        ("userName eq 1" + "0" * 30, "string"),
        (f"{CUSTOM}:floor eq 1" + "0" * 30, "64 bits"),
        (f"{CUSTOM}:share eq 1e999", "cannot be read"),
        (" or ".join(["title pr"] * (MAX_FILTER_TERMS + 1)), "comparisons"),
        ("not (" * 20 + "title pr" + ")" * 20, "nests"),
        ("not (" * 300 + "title pr" + ")" * 300, "nests"),
        ("(" * 2000 + "title pr" + ")" * 1999, "cannot be read"),
        ('title eq "' + "x" * 10_000 + '"', str(MAX_FILTER)),
    ],
)
def test_a_filter_that_cannot_be_answered_is_refused_with_its_reason(text: str, said: str) -> None:
    with pytest.raises(ScimError) as refusal:
        parse_filter(TENANT, "User", text)
    assert (refusal.value.status, refusal.value.scim_type) == (400, "invalidFilter")
    assert said in refusal.value.detail


@settings(max_examples=200)
@given(st.text(alphabet='userNamil[]().:"\\ eqandort"pw<1é\x00\ud800', max_size=40) | st.text(max_size=30))
def test_any_text_is_a_filter_or_a_scim_error(text: str) -> None:
    try:
        parse_filter(TENANT, "User", text)
    except ScimError as error:
        assert error.scim_type == "invalidFilter"
        assert json.loads(error.body())


@settings(max_examples=150, deadline=None)
@given(st.lists(users, min_size=1, max_size=6), filters)
def test_predicates_match_what_the_library_matches(bodies: list[dict[str, Any]], text: str) -> None:
    parsed = parse_filter(TENANT, "User", text)
    if isinstance(parsed, IndexedLookup):
        return
    docs = [
        json.loads(create_user(TENANT, body | {"active": body.get("active", True)}).doc) for body in bodies
    ]
    found = {i for i, doc in enumerate(docs) if matches(parsed, normal_form(TENANT.user, doc))}
    assert found == library_matches(docs, text)


@pytest.mark.parametrize("kind", [None, "User"])
def test_entras_work_email_reads_as_brackets_do(kind: ResourceKind | None) -> None:
    text = 'emails[type eq "work"].value eq "A@x"'
    found = parse_filter(profile_of(), kind, text)
    if kind == "User":
        assert found == IndexedLookup(Lookup.WORK_EMAIL, "a@x")
        return
    terms = tuple(
        Comparison(AttributePath((name,), "string"), "eq", value)
        for name, value in (("type", "work"), ("value", "a@x"))
    )
    emails = AttributePath(("emails",), "complex", multi_valued=True)
    assert found == ValuePath(emails, LogicalExpression("and", terms))


def test_a_work_email_with_a_broken_escape_is_refused() -> None:
    with pytest.raises(ScimError) as refused:
        parse_filter(profile_of(), "User", 'emails[type eq "work"].value eq "\\x"')
    assert refused.value.scim_type == "invalidFilter"


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "Ada@X"',
        r'externalId eq "a\"b\u00e9"',
        'emails[type eq "work"].value eq "A@x"',
        r'emails[type eq "work"].value eq "\u00e9@x"',
    ],
)
def test_entras_filters_are_read_without_the_grammar_which_takes_long(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def refused(*_arguments: object) -> None:
        raise AssertionError("the grammar was asked")

    monkeypatch.setattr(grammar, "read_filter", refused)
    assert isinstance(parse_filter(TENANT, "User", text), IndexedLookup)


def test_a_work_entry_of_whatever_name_is_read_as_the_grammar_reads_it() -> None:
    names = {*TENANT.all_types.names, "unknown", "1a", "-", "a:b", "name.familyName", "emails.value", "$ref"}
    for text in (f'{name}[type eq "work"].value eq "A@x"' for name in names):
        plain = _answer(lambda text: grammar.read_filter(TENANT.all_types, text), text)
        assert _answer(lambda text: parse_filter(TENANT, None, text), text) == plain


def test_a_filter_of_the_greatest_length_is_read() -> None:
    text = 'userName eq "' + "a" * (MAX_FILTER - 14) + '"'
    assert len(text) == MAX_FILTER
    assert isinstance(parse_filter(TENANT, "User", text), IndexedLookup)
    with pytest.raises(ScimError, match=f"at most {MAX_FILTER}"):
        parse_filter(TENANT, "User", text + " ")


def _answer(read: Callable[[str], object], text: str) -> object:
    """What was read, or why it was refused."""
    try:
        return read(text)
    except ScimError as error:
        return error.scim_type, error.detail
