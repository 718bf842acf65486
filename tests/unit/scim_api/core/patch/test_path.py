"""What the path of a PATCH operation means."""

import pytest

import scim_api.core.filter.grammar  # noqa: F401 - in a second, before the first path needs it
from scim_api.core.errors import ScimError
from scim_api.core.limits import MAX_PATH, MAX_PATH_TERMS
from scim_api.core.patch.path import ROOT, Target, resolve_path
from scim_api.core.predicate import AttributePath, Comparison, LogicalExpression
from support.scim_core import CUSTOM, ENT, profile_of

TABLE = profile_of().user
WORK = Comparison(AttributePath(("type",), "string"), "eq", "work")


def target(path: str) -> Target:
    found = resolve_path(TABLE, path)
    assert found is not None
    return found


def refusal(path: str) -> ScimError:
    with pytest.raises(ScimError) as refused:
        resolve_path(TABLE, path)
    assert refused.value.status == 400
    return refused.value


@pytest.mark.parametrize(
    ("path", "field", "sub"),
    [
        ("title", "title", None),
        (" TITLE ", "title", None),
        (f"{TABLE.urn}:title", "title", None),
        ("name.GIVENNAME", "name", "givenName"),
        ("emails.value", "emails", "value"),
        ("department", "department", None),
        (f"{ENT}:department", "department", None),
        (f"{ENT}:manager.value", "manager", "value"),
        (f"{CUSTOM}:floor", "floor", None),
        (ENT, ENT, None),
    ],
)
def test_a_plain_path_names_an_attribute_or_its_sub_attribute(path: str, field: str, sub: str | None) -> None:
    found = target(path)
    assert (found.attribute.name, found.sub_attribute and found.sub_attribute.name, found.selection) == (
        field,
        sub,
        None,
    )


def test_the_core_schema_is_the_resource_as_a_whole() -> None:
    assert resolve_path(TABLE, TABLE.urn.upper()) is ROOT


@pytest.mark.parametrize(
    ("path", "sub", "template"),
    [
        ('emails[type eq "work"].value', "value", {"type": "work"}),
        ('EMAILS[ TYPE EQ "work" ]', None, {"type": "work"}),
        ('emails[type eq "Work"].value', "value", {"type": "Work"}),
        ('emails[type eq "\\u0077ork"]', None, {"type": "work"}),
        ('emails[type eq "work" and primary eq true].value', "value", {"type": "work", "primary": True}),
        ("emails[primary eq TRUE].value", "value", {"primary": True}),
        ('emails[primary eq "True"].value', "value", {"primary": True}),
        ('emails[type eq ""].value', "value", None),
        ("emails[type eq null].value", "value", None),
        ('emails[type ne "work"].value', "value", None),
        ('emails[type eq "work" or type eq "home"].value', "value", None),
        ('emails[type eq "work" and value sw "a"].value', "value", None),
        (f'{CUSTOM}:skills[value eq "B"]', None, "B"),
    ],
)
def test_brackets_that_ask_for_equality_describe_the_entry_to_create(
    path: str, sub: str | None, template: object
) -> None:
    found = target(path)
    assert found.selection is not None
    assert (found.sub_attribute and found.sub_attribute.name, found.selection.template) == (sub, template)


def test_brackets_compare_without_regard_to_case() -> None:
    for path in ('emails[type eq "WORK"]', 'emails[(type eq "WORK")]'):
        selection = target(path).selection
        assert selection is not None
        assert selection.predicate == WORK
    both = target('emails[type eq "work" and primary eq true]').selection
    assert both is not None
    assert isinstance(both.predicate, LogicalExpression)
    assert (both.predicate.op, both.predicate.terms[0]) == ("and", WORK)


def test_a_read_only_sub_attribute_describes_no_entry() -> None:
    selection = target('groups[value eq "x"]').selection
    assert selection is not None
    assert selection.template is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("unknown", "invalidPath"),
        ("name.unknown", "invalidPath"),
        ("unknown.value", "invalidPath"),
        (f"{ENT}.department", "invalidPath"),
        ('unknown[type eq "work"]', "invalidPath"),
        ('title[value eq "x"]', "invalidPath"),
        ('emails[type eq "work"].unknown', "invalidPath"),
        ('emails[type eq "work"', "invalidPath"),
        ('emails[type eq "\\x"]', "invalidPath"),
        ('emails[unknown eq "work"]', "invalidFilter"),
        ('emails[primary eq "maybe"]', "invalidFilter"),
        ("tit\x00le", "invalidPath"),
        ("\ud800", "invalidPath"),
    ],
)
def test_a_path_that_names_nothing_is_refused(path: str, kind: str) -> None:
    assert refusal(path).scim_type == kind


def test_an_undeclared_custom_field_is_refused_with_what_to_add() -> None:
    assert "{name: other, type: Any}" in refusal(f"{CUSTOM}:other").detail
    assert "spec.customFields" not in refusal("other").detail


def test_a_path_is_read_up_to_its_limit() -> None:
    assert target("title" + " " * (MAX_PATH - 5)).attribute.name == "title"
    assert f"{MAX_PATH + 1} characters" in refusal("title" + " " * (MAX_PATH - 4)).detail


def test_brackets_hold_so_many_comparisons_at_most() -> None:
    terms = [f'value eq "{n}"' for n in range(MAX_PATH_TERMS + 1)]
    assert target(f"emails[{' or '.join(terms[:-1])}]").selection is not None
    assert refusal(f"emails[{' or '.join(terms)}]").scim_type == "invalidFilter"


def test_a_target_is_named_as_narrowly_as_it_is_meant() -> None:
    assert (target("name.givenName").path, target("name").path) == ("name.givenName", "name")
