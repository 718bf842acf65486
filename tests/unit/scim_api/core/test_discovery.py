"""/Schemas and its companions, as Entra's attribute discovery reads them."""

import json
from collections.abc import Iterator
from typing import Any

from scim2_models import Schema, ServiceProviderConfig
from scim2_server.utils import load_default_schemas

from scim_api.admin_models import Matching, TenantSettings
from scim_api.core import discovery
from scim_api.core.limits import MAX_RESULTS
from scim_api.core.profile import profile
from scim_api.core.schema import CORE_USER, ENTERPRISE, ENTERPRISE_USER, USER_FIELDS, Field
from support.scim_core import CUSTOM, CUSTOM_FIELDS, profile_of

TENANT = profile_of()
BASE = "https://scim.example.com/scim/v2"


def schemas(tenant: Any = TENANT) -> dict[str, dict[str, Any]]:
    """The published schemas by URN."""
    return {content["id"]: content for content in json.loads(discovery.schemas(tenant, BASE))["Resources"]}


def attributes(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The attributes of a schema or of a complex attribute, by name."""
    listed = content.get("attributes") or content["subAttributes"]
    return {attribute["name"]: attribute for attribute in listed}


def nodes(value: Any) -> Iterator[Any]:
    """All values of a JSON tree."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from nodes(child)


def test_schemas_lists_users_and_their_extensions_and_no_group() -> None:
    content = json.loads(discovery.schemas(TENANT, BASE))
    assert schemas().keys() == {CORE_USER, ENTERPRISE_USER, CUSTOM}
    assert content["totalResults"] == content["itemsPerPage"] == 3
    assert "Group" not in {content["name"] for content in schemas().values()}


def test_schemas_has_no_nulls() -> None:
    assert None not in list(nodes(json.loads(discovery.schemas(TENANT, BASE))))


def test_external_id_is_listed_on_user() -> None:
    assert attributes(schemas()[CORE_USER])["externalId"]["caseExact"] is True


def test_types_of_emails_phones_and_addresses_are_canonical_values() -> None:
    user = attributes(schemas()[CORE_USER])
    for name, values in {
        "emails": ["work", "home", "other"],
        "phoneNumbers": ["work", "home", "mobile", "fax", "pager", "other"],
        "addresses": ["work", "home", "other"],
    }.items():
        assert attributes(user[name])["type"]["canonicalValues"] == values


def test_custom_fields_are_published_with_their_types() -> None:
    published = attributes(schemas()[CUSTOM])
    assert published.keys() == {field.name for field in CUSTOM_FIELDS}
    assert {name: published[name]["type"] for name in ("postalCode", "remote", "floor", "share", "hiredAt")} == {
        "postalCode": "string", "remote": "boolean", "floor": "integer", "share": "decimal", "hiredAt": "dateTime",
    }  # fmt: skip
    assert published["skills"]["multiValued"] is True


def test_without_custom_fields_their_schema_is_absent() -> None:
    plain = profile(TenantSettings(), "plain")
    assert CUSTOM not in schemas(plain)
    assert CUSTOM not in discovery.resource_types(plain, BASE).decode()
    assert discovery.schema(plain, BASE, CUSTOM) is None


def test_emails_are_required_where_users_match_by_them() -> None:
    for matching in Matching:
        user = attributes(schemas(profile_of(matching))[CORE_USER])
        assert user["emails"]["required"] is (matching is Matching.WORK_EMAIL)
        assert user["externalId"]["required"] is (matching is Matching.EXTERNAL_ID)
        assert user["userName"]["required"] is True


def test_the_library_can_read_what_is_published() -> None:
    for content in schemas().values():
        Schema.model_validate(content)
    config = json.loads(discovery.service_provider_config(TENANT, BASE, documentation_uri="https://x/"))
    assert ServiceProviderConfig.model_validate(config).documentation_uri


def test_one_schema_and_one_resource_type_are_found_in_any_case() -> None:
    assert json.loads(discovery.schema(TENANT, BASE, CORE_USER.upper()) or b"{}") == schemas()[CORE_USER]
    assert json.loads(discovery.resource_type(TENANT, BASE, "USER") or b"{}")["endpoint"] == "/Users"
    assert discovery.resource_type(TENANT, BASE, "Group") is None


def test_the_service_provider_config_tells_what_is_served() -> None:
    config = json.loads(discovery.service_provider_config(TENANT, BASE))
    served = {name for name, part in config.items() if isinstance(part, dict) and part.get("supported")}
    assert served == {"patch", "filter", "etag"}
    assert config["filter"]["maxResults"] == MAX_RESULTS
    assert "documentationUri" not in config


def characteristics(field: Field) -> dict[str, Any]:
    """What the table and the library's schema must agree on."""
    return {
        "type": field.type,
        "multi_valued": field.multi_valued,
        "case_exact": field.case_exact,
        "mutability": field.mutability,
        "sub": {sub.name: characteristics(sub) for sub in field.listed},
    }


def library_characteristics(attribute: Any) -> dict[str, Any]:
    """The same of an attribute of scim2-server's default schemas."""
    return {
        "type": attribute.type.value,
        "multi_valued": bool(attribute.multi_valued),
        "case_exact": bool(attribute.case_exact),
        "mutability": attribute.mutability.value,
        "sub": {sub.name: library_characteristics(sub) for sub in attribute.sub_attributes or ()},
    }


def test_the_attribute_table_is_that_of_rfc_7643() -> None:
    defaults = load_default_schemas()
    for urn, fields in ((CORE_USER, USER_FIELDS), (ENTERPRISE_USER, ENTERPRISE.listed)):
        ours = {field.name: characteristics(field) for field in fields if field.name != "externalId"}
        theirs = {a.name: library_characteristics(a) for a in defaults[urn].attributes or ()}
        assert ours == theirs
