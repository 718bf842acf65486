"""The tables of attributes hold what the RFC's schemas say."""

from scim_api.core.schema.attributes import (
    COMMON_ATTRIBUTES,
    ENTERPRISE_EXTENSION,
    GROUP_ATTRIBUTES,
    USER_ATTRIBUTES,
    Attribute,
    by_name,
    complex_attribute,
    extension_attribute,
)
from support.scim_core import ENT

USER = by_name(USER_ATTRIBUTES)


def test_an_attribute_is_found_as_spelt_and_in_lower_case() -> None:
    field = Attribute("userName")
    assert by_name([field]) == {"userName": field, "username": field}


def test_sub_attributes_come_once_each_in_the_order_of_the_table() -> None:
    assert [sub.name for sub in USER["emails"].sub_attributes] == ["value", "display", "type", "primary"]


def test_a_sub_attribute_knows_its_full_name() -> None:
    made = complex_attribute(Attribute("a"), Attribute("B"))
    assert (made.type, made.path, made.sub_attributes[0].path) == ("complex", "a", "a.B")
    assert made.sub_attributes_by_name["b"] is made.sub_attributes_by_name["B"]


def test_an_extension_gives_its_urn_to_all_below_it() -> None:
    made = extension_attribute("urn:x", "", [complex_attribute(Attribute("a"), Attribute("b"))])
    inner = made.sub_attributes_by_name["a"]
    assert (made.is_extension, made.type, made.urn, made.path) == (True, "complex", None, "urn:x")
    assert (inner.urn, inner.path, inner.sub_attributes[0].path) == ("urn:x", "urn:x:a", "urn:x:a.b")


def test_only_a_manager_is_kept_as_a_bare_id() -> None:
    references = [field.name for field in ENTERPRISE_EXTENSION.sub_attributes if field.is_reference]
    assert references == ["manager"]
    assert not any(field.is_reference for field in USER_ATTRIBUTES + GROUP_ATTRIBUTES)
    assert ENTERPRISE_EXTENSION.name == ENT


def test_memberships_are_rows_of_their_own() -> None:
    fields = USER_ATTRIBUTES + GROUP_ATTRIBUTES
    assert [field.name for field in fields if field.is_membership] == ["groups", "members"]


def test_a_name_is_required_and_unique_and_ids_keep_their_case() -> None:
    for fields, name in ((USER_ATTRIBUTES, "userName"), (GROUP_ATTRIBUTES, "displayName")):
        unique = [field.name for field in fields if field.uniqueness == "server"]
        required = [field.name for field in fields if field.required]
        assert unique == required == [name]
        assert by_name(fields)["externalId"].case_exact
        assert not by_name(fields)[name].case_exact


def test_the_servers_attributes_cannot_be_written() -> None:
    assert {field.mutability for field in COMMON_ATTRIBUTES} == {"readOnly"}
    assert {sub.mutability for field in COMMON_ATTRIBUTES for sub in field.sub_attributes} == {"readOnly"}
    assert (USER["password"].mutability, USER["password"].returned) == ("writeOnly", "never")
