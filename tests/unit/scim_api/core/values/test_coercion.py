"""Values as they come, and what is kept of them."""

from typing import Any

import pytest

from scim_api.core.errors import ScimError
from scim_api.core.json_numbers import Number, comparable, dumps
from scim_api.core.limits import MAX_VALUES
from scim_api.core.schema.attributes import Attribute, complex_attribute
from scim_api.core.types import AttributeType
from scim_api.core.values.coercion import (
    coerce_entry,
    coerce_object,
    coerce_reference,
    coerce_scalar,
    coerce_value,
    is_empty_entry,
    names_reference,
)
from support.scim_core import CUSTOM, ENT, profile_of

TABLE = profile_of().user


def attribute(name: str) -> Attribute:
    found = TABLE.find(name)
    assert found is not None
    return found


def plain(kind: AttributeType) -> Attribute:
    return Attribute("x", kind, path="x")


def refusal(field: Attribute, value: Any) -> str:
    with pytest.raises(ScimError) as refused:
        coerce_value(field, value)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidValue")
    return refused.value.detail


@pytest.mark.parametrize(
    ("name", "value"), [("title", None), ("active", ""), ("emails", None), ("emails", []), ("name", {})]
)
def test_every_form_of_nothing_is_no_value(name: str, value: Any) -> None:
    assert coerce_value(attribute(name), value) is None


@pytest.mark.parametrize(
    ("kind", "sent", "kept"),
    [
        ("string", " a ", " a "),
        ("boolean", "True", True),
        ("boolean", "fAlse", False),
        ("boolean", True, True),
        ("integer", "+12", 12),
        ("integer", -(2**63), -(2**63)),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("decimal", "1.5", 1.5),
        ("decimal", "7", 7),
        ("decimal", 2**63 - 1, 2**63 - 1),
        ("dateTime", "2024-01-01T00:00:00+01:00", "2024-01-01T00:00:00+01:00"),
        ("any", "x", "x"),
        ("any", False, False),
        ("any", 1.5, 1.5),
        ("any", 2**63 - 1, 2**63 - 1),
    ],
)
def test_a_value_that_fits_is_kept_as_its_type_has_it(kind: AttributeType, sent: Any, kept: Any) -> None:
    read = coerce_value(plain(kind), sent)
    assert (read, type(read)) == (kept, type(kept))


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ("1.50", "1.50"),
        ("1e2", "1e2"),
        ("+1.10", "1.10"),
        ("-007.50", "-7.50"),
        ("000", "0"),
        ("0.0", "0.0"),
        ("+7", "7"),
        ("100000000000000000000", "100000000000000000000"),
        (Number("1.10"), "1.10"),
        (Number("100000000000000000000"), "100000000000000000000"),
    ],
)
def test_a_decimal_keeps_its_digits(sent: Any, text: str) -> None:
    read = coerce_value(plain("decimal"), sent)
    assert dumps(read).decode() == text
    assert comparable(float(read)) == float(text)


@pytest.mark.parametrize("kind", ["decimal", "any"])
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (
            Number("18446744073709551617"),
            "but 18446744073709551617 was sent, of which only 1.8446744073709552e+19",
        ),
        (2**64, "but 18446744073709551616 was sent, of which only"),
        (2**64 - 1, "but 18446744073709551615 was sent, of which only"),
        (Number("-9223372036854775809"), "but -9223372036854775809 was sent, of which only"),
        (
            Number("0.1234567890123456789"),
            "but 0.1234567890123456789 was sent, of which only 0.12345678901234568",
        ),
        (Number("1e400"), "but 1e400 was sent, which is too large"),
        (10**400, "was sent, which is too large"),
    ],
)
def test_a_number_that_would_be_rounded_is_refused_with_the_true_reason(
    kind: AttributeType, sent: Any, said: str
) -> None:
    detail = refusal(plain(kind), sent)
    assert detail.startswith("x takes integers of 64 bits and numbers of double precision")
    assert said in detail


def test_an_integer_beyond_64_bits_is_refused_as_it_was_sent() -> None:
    for sent in ("18446744073709551617", "-9223372036854775809", "1.0", "1e2"):
        assert f"an integer of at most 64 bits, but {sent} was sent" in refusal(
            plain("integer"), Number(sent)
        )
    assert dumps(coerce_value(plain("integer"), Number("-0"))) == b"-0"


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("string", 1),
        ("boolean", "yes"),
        ("boolean", 1),
        ("integer", True),
        ("integer", 1.0),
        ("integer", "1.0"),
        ("integer", 2**63),
        ("integer", -(2**63) - 1),
        ("integer", "12345678901234567890"),
        ("decimal", True),
        ("decimal", "1,5"),
        ("decimal", ".5"),
        ("decimal", "1e999"),
        ("decimal", 2**63),
        ("decimal", -(2**63) - 1),
        ("dateTime", "2024-02-30T00:00:00Z"),
        ("dateTime", 0),
        ("any", ["x"]),
        ("any", {"a": 1}),
        ("any", 2**63),
        ("any", float("inf")),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_attributes_name(kind: AttributeType, sent: Any) -> None:
    assert refusal(plain(kind), sent).startswith("x takes ")


def test_a_refusal_says_what_was_sent_without_repeating_objects_and_arrays() -> None:
    assert "but 7 was sent" in refusal(attribute("title"), 7)
    assert "but an object was sent" in refusal(attribute("title"), {"secret": 1})
    assert "but an array was sent" in refusal(attribute("title"), ["secret"])


def test_a_complex_value_keeps_what_the_schema_names_in_its_spelling() -> None:
    sent = {"GIVENNAME": "Ada", "familyName": "", "unknown": 1}
    assert coerce_object(attribute("name"), sent) == {"givenName": "Ada"}
    assert coerce_object(attribute("name"), {"unknown": 1}) is None
    assert "JSON object" in refusal(attribute("name"), "Ada")


def test_a_sub_attribute_under_two_spellings_is_refused() -> None:
    assert "two spellings" in refusal(attribute("name"), {"givenName": "a", "givenname": "b"})
    assert coerce_object(attribute("name"), {"givenName": "a", "givenname": ""}) == {"givenName": "a"}


def test_a_read_only_sub_attribute_is_left_out() -> None:
    field = complex_attribute(Attribute("x"), Attribute("kept"), Attribute("theirs", mutability="readOnly"))
    assert coerce_object(field, {"kept": "a", "theirs": "b"}) == {"kept": "a"}


def test_entries_with_nothing_but_their_purpose_are_left_out() -> None:
    emails = attribute("emails")
    assert coerce_value(emails, [{"type": "work", "primary": True}, {"value": "a@x"}, None, ""]) == [
        {"value": "a@x"}
    ]
    assert coerce_value(emails, [{"type": "work"}]) is None
    assert coerce_entry(emails, {"type": "home"}) is None
    assert coerce_entry(emails, "") is None
    assert is_empty_entry({}) is True
    assert is_empty_entry({"type": "work", "value": "a"}) is False
    assert is_empty_entry("work") is False


def test_a_multi_valued_attribute_takes_an_array_of_so_many_values_at_most() -> None:
    skills = attribute(f"{CUSTOM}:skills")
    assert len(coerce_value(skills, ["a"] * MAX_VALUES)) == MAX_VALUES
    assert f"has {MAX_VALUES + 1} values" in refusal(skills, ["a"] * (MAX_VALUES + 1))
    assert "an array of values" in refusal(skills, "a")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("42", {"value": "42"}),
        ({"VALUE": "42", "displayName": "Bob"}, {"value": "42"}),
        ({"value": "", "$ref": "https://x/Users/42/"}, {"value": "42"}),
        ({"value": "42", "$ref": "https://x/Users/7"}, {"value": "42"}),
        ([{"$ref": None, "value": "42"}], {"value": "42"}),
        ([], None),
        ({"value": None}, None),
        ("", None),
    ],
)
def test_a_manager_is_an_id_in_whatever_shape_it_comes(sent: Any, kept: Any) -> None:
    assert coerce_reference(attribute(f"{ENT}:manager"), sent) == kept


@pytest.mark.parametrize(
    "sent", [["1", "2"], 42, {"value": {"a": 1}}, {"$ref": "/"}, [{"value": None, "$ref": "//"}]]
)
def test_what_is_not_one_id_is_no_manager(sent: Any) -> None:
    assert refusal(attribute(f"{ENT}:manager"), sent).startswith(f"{ENT}:manager takes ")


def test_an_object_names_a_reference_by_its_value_or_its_address() -> None:
    assert all(names_reference({name: None}) for name in ("value", "VALUE", "$ref", "$REF"))
    assert not names_reference({"displayName": "Bob"})
    assert not names_reference({})


def test_a_filter_compares_with_one_plain_value() -> None:
    assert coerce_scalar(attribute("active"), "TRUE") is True
    with pytest.raises(ScimError):
        coerce_scalar(attribute("title"), None)
