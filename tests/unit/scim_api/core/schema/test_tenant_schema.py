"""A tenant's settings as tables of attributes."""

import pytest

from scim_api.contract.admin import CustomField, Matching, TenantSettings
from scim_api.contract.urns import CORE_GROUP, CORE_USER
from scim_api.core.schema import tenant_schema
from scim_api.core.schema.tenant_schema import TenantSchema, compile_tenant_schema
from support.scim_core import CUSTOM, ENT


def compiled(**settings: object) -> TenantSchema:
    made = TenantSettings.model_validate(settings)
    return compile_tenant_schema(made, made.model_dump_json())


@pytest.mark.parametrize(
    "name",
    [
        "department",
        "DEPARTMENT",
        f"{ENT}:department",
        f"{ENT}:department".upper(),
        f"{ENT.lower()}:Department",
    ],
)
def test_an_attribute_of_the_enterprise_extension_has_short_and_long_names(name: str) -> None:
    found = compiled().user.find(name)
    assert found is not None
    assert found.path == f"{ENT}:department"


def test_a_core_attribute_is_found_below_the_core_urn() -> None:
    profile = compiled()
    assert profile.user.find(f"{CORE_USER}:userName") is profile.user.find("username")
    assert profile.group.find(f"{CORE_GROUP}:members") is profile.group.find("Members")
    assert profile.user.find(f"{CORE_GROUP}:members") is None


def test_a_custom_field_is_found_by_its_full_name_alone() -> None:
    profile = compiled(customFields=[{"name": "postalCode", "type": "Integer", "multiValued": True}])
    found = profile.user.find(f"{CUSTOM}:POSTALCODE")
    assert found is not None
    assert (found.type, found.multi_valued, found.urn) == ("integer", True, CUSTOM)
    assert profile.user.find("postalCode") is None
    assert profile.group.find(f"{CUSTOM}:postalCode") is None


@pytest.mark.parametrize("kind", ["Any", "String", "Boolean", "Integer", "Decimal", "DateTime"])
def test_each_type_of_a_custom_field_is_one_of_the_schema(kind: str) -> None:
    found = compiled(customFields=[{"name": "x", "type": kind}]).user.find(f"{CUSTOM}:x")
    assert found is not None
    assert found.type == kind[0].lower() + kind[1:]


@pytest.mark.parametrize(
    ("matching", "required"),
    [
        (Matching.WORK_EMAIL, {"userName", "emails"}),
        (Matching.EXTERNAL_ID, {"userName", "externalId"}),
        (Matching.USER_NAME, {"userName"}),
    ],
)
def test_the_matching_attribute_is_required(matching: Matching, required: set[str]) -> None:
    profile = compiled(matching=matching)
    assert {field.name for field in profile.user.attributes if field.required} == required
    assert profile.matching is matching


def test_without_groups_there_is_no_trace_of_them() -> None:
    profile = compiled(groups="Disabled")
    assert set(profile.tables) == {"User"}
    assert profile.user.find("groups") is None
    assert profile.all_types.find("members") is None
    with pytest.raises(KeyError):
        _ = profile.group


def test_across_all_types_the_attributes_of_users_come_first() -> None:
    profile = compiled()
    assert profile.all_types.find("displayName") is profile.user.find("displayName")
    assert profile.all_types.find("members") is profile.group.find("members")
    assert (profile.all_types.kind, profile.all_types.urn) == (None, "")


def test_the_order_of_custom_fields_means_nothing() -> None:
    first, second = CustomField(name="a"), CustomField(name="b")
    one = compile_tenant_schema(TenantSettings(custom_fields=(first, second)), "order-1")
    other = compile_tenant_schema(TenantSettings(custom_fields=(second, first)), "order-2")
    assert one.user is other.user


def test_settings_are_compiled_once_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant_schema, "_CACHED", 2)
    kept = [compile_tenant_schema(TenantSettings(), f"kept-{n}") for n in range(3)]
    assert compile_tenant_schema(TenantSettings(), "kept-2") is kept[2]
    assert compile_tenant_schema(TenantSettings(), "kept-1") is kept[1]
    assert compile_tenant_schema(TenantSettings(), "kept-0") is not kept[0]
