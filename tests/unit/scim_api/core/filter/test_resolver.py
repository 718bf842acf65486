"""Names in filters, and values in their normal form."""

from typing import Any

import pytest

from scim_api.contract.admin import CustomField, TenantSettings
from scim_api.core.errors import ScimError
from scim_api.core.filter.resolver import (
    comparison,
    entry_comparison,
    entry_presence,
    multi_valued_attribute,
    normal_form_path,
    presence,
    sort_attribute,
)
from scim_api.core.predicate import AttributePath, Comparison, Constant, Predicate, Present
from scim_api.core.schema.tenant_schema import AttributeTable, compile_tenant_schema
from scim_api.core.types import Operator
from support.scim_core import CUSTOM, ENT, profile_of

PROFILE = profile_of()
USER, GROUP, ALL = PROFILE.user, PROFILE.group, PROFILE.all_types


def compared(
    name: str, op: Operator, operand: Any, sub: str | None = None, table: AttributeTable = USER
) -> Predicate:
    return comparison(table, name, sub, op, operand)


def refusal(
    name: str, op: Operator, operand: Any, sub: str | None = None, table: AttributeTable = USER
) -> str:
    with pytest.raises(ScimError) as refused:
        comparison(table, name, sub, op, operand)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")
    return refused.value.detail


@pytest.mark.parametrize(
    ("name", "sub", "attribute"),
    [
        ("USERNAME", None, AttributePath(("username",), "string")),
        ("name", "GivenName", AttributePath(("name", "givenname"), "string")),
        ("emails", None, AttributePath(("emails",), "string", multi_valued=True, sub_attribute="value")),
        ("emails", "type", AttributePath(("emails",), "string", multi_valued=True, sub_attribute="type")),
        ("department", None, AttributePath((ENT.lower(), "department"), "string")),
        ("manager", None, AttributePath((ENT.lower(), "manager", "value"), "string")),
        ("schemas", None, AttributePath(("schemas",), "reference", multi_valued=True)),
        (f"{CUSTOM}:skills", None, AttributePath((CUSTOM.lower(), "skills"), "string", multi_valued=True)),
    ],
)
def test_a_name_is_a_place_in_the_normal_form(name: str, sub: str | None, attribute: AttributePath) -> None:
    assert compared(name, "eq", "x", sub) == Comparison(attribute, "eq", "x")
    if not (sub is None and name in {"emails", "manager"}):
        assert presence(USER, name, sub) == Present(attribute)


@pytest.mark.parametrize(
    ("name", "op", "operand", "key"),
    [
        ("userName", "eq", "ADA", "ada"),
        ("externalId", "co", "ADA", "ADA"),
        ("active", "eq", "True", True),
        ("active", "ne", None, None),
        ("title", "gt", None, None),
        (f"{CUSTOM}:floor", "ge", "3", 3),
        (f"{CUSTOM}:hiredAt", "lt", "1970-01-01T00:00:01Z", 1_000_000),
        (f"{CUSTOM}:postalCode", "sw", "DE", "de"),
        (f"{CUSTOM}:postalCode", "eq", 3, 3),
        ("profileUrl", "ew", "X", "X"),
    ],
)
def test_an_operand_is_read_as_its_attribute_is(name: str, op: Operator, operand: Any, key: Any) -> None:
    found = compared(name, op, operand)
    assert isinstance(found, Comparison)
    assert (found.op, found.operand) == (op, key)


@pytest.mark.parametrize(
    ("name", "sub", "op", "operand", "said"),
    [
        ("unknown", None, "eq", "x", "no attribute of User"),
        ("password", None, "eq", "x", "no attribute of User"),
        (ENT, None, "eq", "x", "no attribute of User"),
        ("name", None, "eq", "x", "complex"),
        ("name", "unknown", "eq", "x", "no sub-attribute"),
        ("groups", "display", "eq", "x", "groups.value"),
        ("groups", "$ref", "eq", "x", "groups.value"),
        ("active", None, "gt", True, "has no order"),
        ("active", None, "le", True, "has no order"),
        ("x509Certificates", None, "lt", "x", "has no order"),
        ("active", None, "co", "t", "compares text"),
        (f"{CUSTOM}:hiredAt", None, "sw", "1970", "compares text"),
        ("title", None, "co", 7, "compares text"),
        ("title", None, "ew", None, "compares text"),
        ("title", None, "eq", 7, "takes a string"),
        ("title", None, "eq", "\x00", "cannot be stored"),
        ("active", None, "eq", "maybe", "takes true or false"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_its_reason(
    name: str, sub: str | None, op: Operator, operand: Any, said: str
) -> None:
    assert said in refusal(name, op, operand, sub)


def test_across_all_types_an_unknown_name_is_one_of_no_resource() -> None:
    assert "no attribute of any resource" in refusal("unknown", "eq", "x", table=ALL)


def test_ids_types_and_moments_are_columns() -> None:
    assert compared("ID", "eq", "Ab") == Comparison(AttributePath((), "string", column="id"), "eq", "Ab")
    kind = AttributePath((), "string", column="kind")
    assert compared("meta", "eq", "User", "RESOURCETYPE") == Comparison(kind, "eq", "User")
    moment = "2024-01-01T00:00:00.000000Z"
    for sub, column in (("created", "created"), ("lastModified", "modified")):
        found = compared("meta", "gt", "2024-01-01T01:00:00+01:00", sub)
        assert found == Comparison(AttributePath((), "string", column=column), "gt", moment)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "sub", "op", "operand"),
    [
        ("id", None, "eq", None),
        ("id", None, "eq", 7),
        ("meta", None, "eq", "x"),
        ("meta", "version", "eq", "x"),
        ("meta", "created", "eq", "yesterday"),
        ("meta", "created", "eq", None),
        ("meta", "created", "sw", "2024-01-01T00:00:00Z"),
        ("meta", "created", "eq", "0001-01-01T00:00:00+14:00"),
        ("meta", "unknown", "eq", "x"),
    ],
)
def test_a_column_takes_what_it_holds(name: str, sub: str | None, op: Operator, operand: Any) -> None:
    refusal(name, op, operand, sub)


def test_the_servers_attributes_are_always_present() -> None:
    assert presence(USER, "id", None) == presence(USER, "meta", "created") == Constant(True)
    with pytest.raises(ScimError):
        presence(USER, "meta", "unknown")


def test_brackets_are_for_attributes_with_entries() -> None:
    assert multi_valued_attribute(USER, "EMAILS").name == "emails"
    for name in ("title", "schemas", "name", "unknown"):
        with pytest.raises(ScimError):
            multi_valued_attribute(USER, name)


def test_within_brackets_an_entry_is_the_root() -> None:
    emails, skills = USER.names["emails"], USER.names[f"{CUSTOM}:skills"]
    assert entry_comparison(emails, "TYPE", "eq", "Work") == Comparison(
        AttributePath(("type",), "string"), "eq", "work"
    )
    assert entry_comparison(skills, "Value", "eq", "A") == Comparison(AttributePath((), "string"), "eq", "a")
    assert entry_presence(emails, "display") == Present(AttributePath(("display",), "string"))
    with pytest.raises(ScimError, match="plain values"):
        entry_presence(skills, "type")
    with pytest.raises(ScimError, match=r"members\.value"):
        entry_presence(GROUP.names["members"], "$ref")
    assert entry_presence(GROUP.names["members"], "type") == Present(AttributePath(("type",), "string"))
    assert entry_presence(USER.names["photos"], "display") == Present(AttributePath(("display",), "string"))


def test_an_extensions_attributes_are_below_its_urn() -> None:
    assert normal_form_path(USER.names["title"]) == ("title",)
    assert normal_form_path(USER.names["department"]) == (ENT.lower(), "department")


@pytest.mark.parametrize(
    ("path", "attribute"),
    [
        ("userName", AttributePath(("username",), "string")),
        ("name.familyName", AttributePath(("name", "familyname"), "string")),
        ("name", AttributePath(("name", "formatted"), "string")),
        ("emails", AttributePath(("emails",), "string", multi_valued=True, sub_attribute="value")),
        ("addresses", AttributePath(("addresses",), "string", multi_valued=True, sub_attribute="formatted")),
        (f"{ENT}:manager", AttributePath((ENT.lower(), "manager", "value"), "string")),
        ("id", AttributePath((), "string", column="id")),
        ("meta.created", AttributePath((), "string", column="created")),
        ("META.lastmodified", AttributePath((), "string", column="modified")),
        ("meta.resourceType", AttributePath((), "string", column="kind")),
    ],
)
def test_a_list_is_sorted_by_a_value(path: str, attribute: AttributePath) -> None:
    assert sort_attribute(USER, path) == attribute


@pytest.mark.parametrize(
    "path", ["", "unknown", "name.unknown", "meta", "meta.version", "groups", "groups.value", "schemas", ENT]
)
def test_a_sort_by_what_has_no_order_is_refused(path: str) -> None:
    with pytest.raises(ScimError) as refused:
        sort_attribute(USER, path)
    assert (refused.value.scim_type, refused.value.detail[:8]) == ("invalidPath", "sortBy: ")


def test_a_refusal_names_the_attribute_as_it_was_sent() -> None:
    assert '"TITLE"' in refusal("TITLE", "co", 7)
    assert '"name.givenname"' in refusal("name", "co", 7, "givenname")


@pytest.mark.parametrize("name", ["id", "meta"])
def test_a_custom_field_may_have_the_name_of_a_column(name: str) -> None:
    settings = TenantSettings(custom_fields=(CustomField(name=name, type="String"),))
    table = compile_tenant_schema(settings, f"column-{name}").user
    attribute = AttributePath((CUSTOM.lower(), name), "string")
    assert compared(f"{CUSTOM}:{name}", "eq", "X", table=table) == Comparison(attribute, "eq", "x")
    assert presence(table, f"{CUSTOM}:{name}", None) == Present(attribute)
