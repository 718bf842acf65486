"""SCIM errors: the body, and what of a client's value is in it."""

import json

import pytest

from scim_api.contract.urns import ERROR
from scim_api.core import errors
from scim_api.core.errors import ScimError, described, quoted, told
from scim_api.core.limits import MAX_QUOTED


def test_a_body_says_status_keyword_and_detail() -> None:
    body = json.loads(ScimError(400, "Wrong.", "invalidValue").body())
    assert body == {"schemas": [ERROR], "status": "400", "scimType": "invalidValue", "detail": "Wrong."}


def test_without_a_keyword_there_is_no_scim_type() -> None:
    assert json.loads(ScimError(404, "Gone.").body()) == {
        "schemas": [ERROR],
        "status": "404",
        "detail": "Gone.",
    }


def test_a_detail_that_is_no_valid_text_is_answered_all_the_same() -> None:
    assert json.loads(ScimError(400, "a\ud800b").body())["detail"] == "a?b"


def test_a_quotation_is_cut_after_so_many_characters() -> None:
    assert quoted("x" * MAX_QUOTED) == '"' + "x" * MAX_QUOTED + '"'
    assert quoted("x" * (MAX_QUOTED + 1)) == '"' + "x" * MAX_QUOTED + '…"'


def test_a_quotation_stays_on_one_line() -> None:
    assert quoted("a\nb\x00c\u202ed é") == '"a\ufffdb\ufffdc\ufffdd é"'


def test_what_is_no_string_is_quoted_as_json_has_it() -> None:
    for value, text in (
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (1.5, "1.5"),
        (2**70, str(2**70)),
        ("7", '"7"'),
    ):
        assert quoted(value) == described(value) == text
    assert quoted({"a": ["é", None]}) == '{"a":["é",null]}'
    assert quoted(["x" * 200]) == '["' + "x" * (MAX_QUOTED - 2) + "…"


def test_objects_and_arrays_are_described_without_what_is_in_them() -> None:
    assert (described({"a": 1}), described([1])) == ("an object", "an array")


def test_what_is_missing_is_told_from_what_is_null() -> None:
    values: dict[str, object] = {"a": None, "b": "", "c": {}}
    assert [told(values, name) for name in "abcd"] == ["null", '""', "an object", "missing"]


@pytest.mark.parametrize(
    ("made", "status", "scim_type"),
    [
        (errors.invalid_syntax("x"), 400, "invalidSyntax"),
        (errors.invalid_value("x"), 400, "invalidValue"),
        (errors.invalid_filter("x"), 400, "invalidFilter"),
        (errors.invalid_path("x"), 400, "invalidPath"),
        (errors.no_target("x"), 400, "noTarget"),
        (errors.mutability("x"), 400, "mutability"),
        (errors.too_many("x"), 400, "tooMany"),
        (errors.too_large("x"), 413, None),
        (errors.unprocessable("x"), 422, "invalidValue"),
        (errors.not_found("User", "x"), 404, None),
        (errors.uniqueness("userName"), 409, "uniqueness"),
    ],
)
def test_each_error_has_the_status_and_keyword_of_the_rfc(
    made: ScimError, status: int, scim_type: str | None
) -> None:
    assert (made.status, made.scim_type) == (status, scim_type)
    assert made.args == (made.detail,)


def test_a_taken_value_is_named_as_an_attribute_mapping_names_it() -> None:
    assert 'Another resource of this tenant already has this work e-mail (emails[type eq "work"].value).' in (
        errors.uniqueness("emails").detail
    )
    assert (
        "Another group of this tenant already has this displayName."
        in errors.uniqueness("displayName").detail
    )
