"""The bodies between operator and API: what they accept, and what is so when nothing is said."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from scim_api.contract.admin import (
    Connection,
    Credential,
    CustomField,
    Matching,
    PutConnection,
    RateLimit,
    TenantSettings,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CREDENTIAL = {"id": "c1", "digest": "a" * 64, "issuedAt": NOW, "expiresAt": NOW}
FIELD = {"name": "a"}


def is_valid(model: type[BaseModel], **content: Any) -> bool:
    try:
        model.model_validate(content)
    except ValidationError:
        return False
    return True


def test_settings_are_the_careful_ones_unless_they_say_otherwise() -> None:
    settings = TenantSettings.model_validate({"customFields": [FIELD]})
    assert (settings.matching, settings.groups, settings.deletion_policy) == (
        Matching.WORK_EMAIL, "Enabled", "Retain",
    )  # fmt: skip
    assert settings.rate_limit == RateLimit(requests_per_second=50, burst=100)
    assert settings.custom_fields == (CustomField(name="a", type="Any", multi_valued=False),)


def test_a_connection_that_says_nothing_has_no_users_and_is_not_being_purged() -> None:
    bare = Connection(namespace="n", name="x", exists=False, revision="0", now=NOW)
    assert (bare.resources, bare.purging, bare.credentials, bare.revoked) == (0, False, (), ())


@pytest.mark.parametrize("name", ["requestsPerSecond", "burst"])
@pytest.mark.parametrize(("value", "valid"), [(24, False), (25, True), (100_000, True), (100_001, False)])
def test_a_rate_has_bounds(name: str, value: int, valid: bool) -> None:
    assert is_valid(RateLimit, **{name: value}) is valid


@pytest.mark.parametrize(
    ("name", "valid"),
    [("a", True), ("A_1", True), ("a" * 64, True), ("a" * 65, False), ("1a", False), ("_a", False), ("a-b", False), ("", False)],
)  # fmt: skip
def test_a_custom_field_has_the_name_of_an_attribute(name: str, valid: bool) -> None:
    assert is_valid(CustomField, name=name) is valid


@pytest.mark.parametrize(
    ("tenant", "valid"),
    [("a", True), ("a.b-c", True), ("a" * 253, True), ("a" * 254, False), ("A", False), ("-a", False), ("a.", False), ("", False)],
)  # fmt: skip
def test_a_tenant_has_the_name_of_a_kubernetes_object(tenant: str, valid: bool) -> None:
    assert is_valid(PutConnection, tenant=tenant) is valid


def test_lists_have_bounds() -> None:
    assert is_valid(TenantSettings, customFields=[FIELD] * 100)
    assert not is_valid(TenantSettings, customFields=[FIELD] * 101)
    assert is_valid(PutConnection, tenant="a", credentials=[CREDENTIAL] * 16)
    assert not is_valid(PutConnection, tenant="a", credentials=[CREDENTIAL] * 17)


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"id": "x" * 64}, True),
        ({"id": "x" * 65}, False),
        ({"id": ""}, False),
        ({"id": "a/b"}, False),
        ({"digest": "a" * 63}, False),
        ({"digest": "A" * 64}, False),
        ({"kind": "Password"}, False),
    ],
)
def test_a_credential_has_an_id_and_a_digest(change: dict[str, str], valid: bool) -> None:
    assert is_valid(Credential, **(CREDENTIAL | change)) is valid


def test_what_a_newer_release_adds_is_ignored_and_nothing_changes_afterwards() -> None:
    settings = TenantSettings.model_validate({"newer": 1, "deletionPolicy": "Delete"})
    assert settings == TenantSettings(deletion_policy="Delete")
    with pytest.raises(ValidationError):
        settings.groups = "Disabled"  # type: ignore[misc]


def test_json_is_camel_case_and_both_spellings_are_read() -> None:
    assert RateLimit(requests_per_second=60).model_dump(by_alias=True) == {
        "requestsPerSecond": 60,
        "burst": 100,
    }
    assert RateLimit.model_validate({"requestsPerSecond": 60}) == RateLimit(requests_per_second=60)
