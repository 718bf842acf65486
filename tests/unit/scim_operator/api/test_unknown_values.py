"""A spec with values that a newer CRD took: which fields they are, and what this version takes there."""

from typing import Any

import pytest

from scim_operator.api.scimtoken import ScimToken, SpecNotUnderstood
from scim_operator.api.unknown_values import impossible_durations


def read(spec: Any) -> ScimToken:
    return ScimToken.from_object({"metadata": {"name": "entra", "namespace": "hr"}, "spec": spec})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"matching": "shoeSize"}, "spec.matching (should be 'workEmail', 'userName' or 'externalId')"),
        ({"suspend": "Rotation"}, "spec.suspend (should be a valid boolean"),
        ({"lifetime": "1y"}, "spec.lifetime (string should match pattern"),
        ({"lifetime": 90}, "spec.lifetime (should be a valid string)"),
        ({"lifetime": "9999d"}, "spec.lifetime (should be from 1m to 3650d)"),
        ({"lifetime": "1d", "rotateBefore": "1d"}, "spec.rotateBefore (should be at most half of lifetime)"),
        ({"rateLimit": {"burst": 5}}, "spec.rateLimit.burst (should be greater than or equal to 25)"),
        ({"rateLimit": "much"}, "spec.rateLimit (should be an object)"),
        ({"secret": {"labels": {"team": 7}}}, "spec.secret.labels.team (should be a valid string)"),
        ({"customFields": [{"name": "a", "type": "Money"}]}, "spec.customFields[0].type (should be 'Any'"),
        ({"customFields": {"a": "Any"}}, "spec.customFields (should be a valid tuple)"),
        ("everything", "spec (should be an object)"),
        ([], "spec (should be an object)"),
    ],
)
def test_each_field_that_is_not_understood_is_named_with_what_is_taken_there(
    spec: Any, expected: str
) -> None:
    token = read(spec)
    assert token.spec is None
    assert len(token.not_understood) == 1
    assert token.not_understood[0].startswith(expected)


def test_all_fields_are_named_once_and_no_value_is_repeated() -> None:
    token = read(
        {"matching": "hunter2", "groups": "hunter2", "secret": {"annotations": {"key": ["hunter2"]}}}
    )
    assert [item.split(" ")[0] for item in token.not_understood] == [
        "spec.groups",
        "spec.matching",
        "spec.secret.annotations.key",
    ]
    assert "hunter2" not in str(token.not_understood)


def test_what_is_asked_of_a_spec_that_is_not_understood_is_refused_and_never_guessed() -> None:
    with pytest.raises(SpecNotUnderstood, match=r"spec\.groups"):
        _ = read({"groups": "ReadOnly"}).lifetime


def test_durations_that_can_be_kept_to_are_no_problem() -> None:
    assert impossible_durations("60s", "59s") == ()
    assert impossible_durations("3650d", None) == ()
