"""From rows to records."""

import dataclasses

import pytest

from scim_api.contract.admin import CustomField, Matching, RateLimit, TenantSettings
from scim_api.core.model import GroupReference, Member, Resource
from scim_api.store.change_log import Actor
from scim_api.store.errors import VersionMismatch
from scim_api.store.protocol import Page
from scim_api.store.serialized import SerializedPage
from scim_api.store.sql.rows import (
    check_version,
    comparable_settings,
    conflict_attribute,
    parse_settings,
    settings_hash,
    settings_text,
    to_access,
    to_groups_by_member,
    to_members,
    to_page,
    to_serialized_page,
)

EARLY, LATE = "1970-01-01T00:00:10.000000Z", "1970-01-01T00:00:20.000000Z"
ADA = Resource("id-a", 1, EARLY, LATE, "{}", 7, "User")


@pytest.mark.parametrize(
    ("expires", "retires", "ends"), [(LATE, None, 20.0), (LATE, EARLY, 10.0), (EARLY, LATE, 10.0)]
)
def test_a_credential_ends_by_expiry_or_retirement_whichever_is_first(
    expires: str, retires: str | None, ends: float
) -> None:
    access = to_access(
        (
            "c1",
            memoryview(b"digest"),
            expires,
            retires,
            3,
            settings_text(TenantSettings()),
            "hash",
            "a/b",
            "ReadWrite",
        )
    )
    assert (access.credential, access.digest, access.ends_at) == ("c1", b"digest", ends)
    assert (access.tenant, access.settings, access.settings_hash) == (3, TenantSettings(), "hash")
    assert (access.actor, access.is_read_only) == (Actor("c1", "a/b"), False)


def test_a_page_has_the_total_of_its_first_row() -> None:
    assert to_page([(9, *dataclasses.astuple(ADA))]) == Page(9, [ADA])


def test_the_row_of_an_empty_page_is_its_total_alone() -> None:
    assert to_page([(9, *(None,) * 7)]) == Page(9, [])


def test_of_no_text_nothing_is_known_not_even_the_total() -> None:
    assert to_serialized_page([]) is None
    assert to_serialized_page([(2, b"a"), (2, b"b")]) == SerializedPage(2, [b"a", b"b"])


def test_groups_are_gathered_by_member_in_their_order() -> None:
    rows = [
        (1, "g1", '{"displayName":"A"}'),
        (1, "g2", '{"displayName":"B"}'),
        (2, "g1", '{"displayName":"A"}'),
    ]
    assert to_groups_by_member(rows) == {
        1: [GroupReference("g1", "A"), GroupReference("g2", "B")], 2: [GroupReference("g1", "A")],
    }  # fmt: skip
    assert to_members([(1, "a", "User"), (2, "b", "Group")]) == [
        Member(1, "a", "User"),
        Member(2, "b", "Group"),
    ]


def test_stored_settings_are_read_again_and_what_is_newer_is_ignored() -> None:
    settings = TenantSettings(matching=Matching.USER_NAME, custom_fields=(CustomField(name="a"),))
    assert parse_settings(settings_text(settings)) == settings
    assert parse_settings('{"matching":"userName","newer":1}').matching is Matching.USER_NAME


def test_the_order_of_custom_fields_makes_no_other_settings() -> None:
    one, other = CustomField(name="a"), CustomField(name="b", type="Integer")
    forward, backward = TenantSettings(custom_fields=(one, other)), TenantSettings(custom_fields=(other, one))
    assert comparable_settings(forward) == comparable_settings(backward)
    assert settings_hash(forward) == settings_hash(backward)


@pytest.mark.parametrize(
    "settings",
    [
        TenantSettings(matching=Matching.USER_NAME),
        TenantSettings(groups="Disabled"),
        TenantSettings(custom_fields=(CustomField(name="a"),)),
        TenantSettings(rate_limit=RateLimit(burst=101)),
        TenantSettings(deletion_policy="Delete"),
    ],
)
def test_settings_that_differ_have_another_hash(settings: TenantSettings) -> None:
    assert settings_hash(settings) != settings_hash(TenantSettings())


def test_an_expected_version_is_held_to_and_none_is_not() -> None:
    check_version(3, None)
    check_version(3, 3)
    for expected in (0, 2, 4):
        with pytest.raises(VersionMismatch, match=f"at version 3, not {expected}"):
            check_version(3, expected)


@pytest.mark.parametrize(
    ("matching", "attribute"),
    [(Matching.WORK_EMAIL, "emails"), (Matching.USER_NAME, "userName"), (Matching.EXTERNAL_ID, "externalId")],
)
def test_a_conflict_names_the_name_first_and_the_matching_attribute_otherwise(
    matching: Matching, attribute: str
) -> None:
    settings = settings_text(TenantSettings(matching=matching))
    assert conflict_attribute("User", settings, name_is_taken=False) == attribute
    assert conflict_attribute("User", settings, name_is_taken=True) == "userName"
    assert conflict_attribute("Group", settings, name_is_taken=False) == "displayName"
