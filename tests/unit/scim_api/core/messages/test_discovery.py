"""/Schemas and its companions, as Entra's attribute discovery reads them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from scim2_models import Context, ListResponse, ResourceType, Schema, ServiceProviderConfig
from scim2_server.utils import load_default_schemas

from scim_api.contract.admin import Matching, TenantSettings
from scim_api.contract.urns import CORE_GROUP, CORE_USER, ENTERPRISE_USER
from scim_api.core.limits import DEFAULT_RESULTS, MAX_BODY, MAX_BULK_OPERATIONS, MAX_RESULTS
from scim_api.core.messages import discovery
from scim_api.core.schema.attributes import ENTERPRISE_EXTENSION, USER_ATTRIBUTES, Attribute
from scim_api.core.schema.tenant_schema import compile_tenant_schema
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


WITHOUT_GROUPS = compile_tenant_schema(TenantSettings(groups="Disabled"), "without groups")


def test_schemas_lists_users_their_extensions_and_groups() -> None:
    content = json.loads(discovery.schemas(TENANT, BASE))
    assert schemas().keys() == {CORE_USER, ENTERPRISE_USER, CUSTOM, CORE_GROUP}
    assert content["totalResults"] == content["itemsPerPage"] == 4


def test_without_groups_nothing_speaks_of_them() -> None:
    assert schemas(WITHOUT_GROUPS).keys() == {CORE_USER, ENTERPRISE_USER}
    assert "groups" not in attributes(schemas(WITHOUT_GROUPS)[CORE_USER])
    assert discovery.schema(WITHOUT_GROUPS, BASE, CORE_GROUP) is None
    assert discovery.resource_type(WITHOUT_GROUPS, BASE, "Group") is None
    types = json.loads(discovery.resource_types(WITHOUT_GROUPS, BASE))["Resources"]
    assert [content["name"] for content in types] == ["User"]


def test_the_resource_types_are_users_and_groups() -> None:
    user, group = json.loads(discovery.resource_types(TENANT, BASE))["Resources"]
    assert (user["name"], user["endpoint"], user["schema"]) == ("User", "/Users", CORE_USER)
    assert (group["name"], group["endpoint"], group["schema"]) == ("Group", "/Groups", CORE_GROUP)
    assert [one["schema"] for one in user["schemaExtensions"]] == [ENTERPRISE_USER, CUSTOM]
    assert group["schemaExtensions"] == []


def test_characteristics_that_clients_act_on_are_told() -> None:
    user, group = attributes(schemas()[CORE_USER]), attributes(schemas()[CORE_GROUP])
    assert user["password"]["returned"] == "never"
    assert user["password"]["mutability"] == "writeOnly"
    assert (user["groups"]["returned"], user["groups"]["mutability"]) == ("request", "readOnly")
    assert user["userName"]["uniqueness"] == group["displayName"]["uniqueness"] == "server"
    assert attributes(group["members"])["value"]["mutability"] == "immutable"
    assert group["externalId"]["caseExact"] is True


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
    plain = compile_tenant_schema(TenantSettings(), "plain")
    assert CUSTOM not in schemas(plain)
    assert CUSTOM not in discovery.resource_types(plain, BASE).decode()
    assert discovery.schema(plain, BASE, CUSTOM) is None


def test_emails_are_required_where_users_match_by_them() -> None:
    for matching in Matching:
        user = attributes(schemas(profile_of(matching))[CORE_USER])
        assert user["emails"]["required"] is (matching is Matching.WORK_EMAIL)
        assert user["externalId"]["required"] is (matching is Matching.EXTERNAL_ID)
        assert user["userName"]["required"] is True


def test_what_is_unique_in_a_tenant_is_published_as_unique_and_nothing_else() -> None:
    expected = {
        Matching.WORK_EMAIL: {"userName", "emails.value", "displayName"},
        Matching.USER_NAME: {"userName", "displayName"},
        Matching.EXTERNAL_ID: {"userName", "externalId", "displayName"},
    }
    for matching in Matching:
        published = schemas(profile_of(matching))
        unique = {
            name
            for content in published.values()
            for top in content["attributes"]
            for name, one in [
                (top["name"], top),
                *((f"{top['name']}.{sub['name']}", sub) for sub in top.get("subAttributes", ())),
            ]
            if one.get("uniqueness") == "server"
        }
        assert unique == expected[matching]
        group = attributes(published[CORE_GROUP])
        assert group["externalId"]["uniqueness"] == "none"
        assert group["displayName"]["uniqueness"] == "server"


def holds(read: Any, published: Any) -> bool:
    """Whether the library understood every name and value; its own defaults may be there, too."""
    if isinstance(published, dict):
        return all(value == [] or holds(read.get(name), value) for name, value in published.items())
    if isinstance(published, list) and published and isinstance(published[0], dict):
        return len(read) == len(published) and all(map(holds, read, published))
    return bool(read == published)


@pytest.mark.parametrize("tenant", [TENANT, WITHOUT_GROUPS], ids=["whole", "without groups"])
def test_all_answers_are_valid_by_the_schemas_of_the_rfc(tenant: Any) -> None:
    answer = Context.RESOURCE_QUERY_RESPONSE
    listed = json.loads(discovery.schemas(tenant, BASE))
    found = ListResponse[Schema].model_validate(listed, scim_ctx=answer)
    assert found.total_results == len(listed["Resources"])
    types = json.loads(discovery.resource_types(tenant, BASE))
    ListResponse[ResourceType].model_validate(types, scim_ctx=answer)
    for content in listed["Resources"]:
        assert holds(Schema.model_validate(content, scim_ctx=answer).model_dump(scim_ctx=answer), content)
    for content in types["Resources"]:
        assert holds(
            ResourceType.model_validate(content, scim_ctx=answer).model_dump(scim_ctx=answer), content
        )
    config = json.loads(discovery.service_provider_config(tenant, BASE, documentation_uri="https://x/"))
    assert holds(
        ServiceProviderConfig.model_validate(config, scim_ctx=answer).model_dump(scim_ctx=answer), config
    )


def test_all_names_are_spelt_as_in_the_rfc() -> None:
    for body in (
        discovery.schemas(TENANT, BASE),
        discovery.resource_types(TENANT, BASE),
        discovery.service_provider_config(TENANT, BASE, documentation_uri="https://x/"),
    ):
        names = {name for node in nodes(json.loads(body)) if isinstance(node, dict) for name in node}
        assert all(name[0].islower() and name.isalnum() for name in names - {"Resources"})


def test_one_schema_and_one_resource_type_are_found_in_any_case() -> None:
    assert json.loads(discovery.schema(TENANT, BASE, CORE_USER.upper()) or b"{}") == schemas()[CORE_USER]
    assert json.loads(discovery.resource_type(TENANT, BASE, "USER") or b"{}")["endpoint"] == "/Users"
    assert json.loads(discovery.resource_type(TENANT, BASE, "group") or b"{}")["endpoint"] == "/Groups"
    assert discovery.resource_type(TENANT, BASE, "Device") is None


def test_the_service_provider_config_tells_what_is_served() -> None:
    config = json.loads(discovery.service_provider_config(TENANT, BASE))
    served = {name for name, part in config.items() if isinstance(part, dict) and part.get("supported")}
    assert served == {"patch", "bulk", "filter", "sort", "etag"}
    assert config["bulk"]["maxOperations"] == MAX_BULK_OPERATIONS
    assert config["bulk"]["maxPayloadSize"] == MAX_BODY
    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": DEFAULT_RESULTS,
        "maxPageSize": MAX_RESULTS,
    }
    assert config["filter"]["maxResults"] == MAX_RESULTS
    assert "documentationUri" not in config


def characteristics(field: Attribute) -> dict[str, Any]:
    """What the table and the library's schema must agree on."""
    return {
        "type": field.type,
        "multi_valued": field.multi_valued,
        "case_exact": field.case_exact,
        "mutability": field.mutability,
        "sub": {sub.name: characteristics(sub) for sub in field.sub_attributes},
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
    for urn, fields in ((CORE_USER, USER_ATTRIBUTES), (ENTERPRISE_USER, ENTERPRISE_EXTENSION.sub_attributes)):
        ours = {field.name: characteristics(field) for field in fields if field.name != "externalId"}
        theirs = {a.name: library_characteristics(a) for a in defaults[urn].attributes or ()}
        assert ours == theirs
