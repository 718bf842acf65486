"""/Schemas, /ResourceTypes and /ServiceProviderConfig (RFC 7643 sections 5 to 7), made from the attribute tables.

Entra's attribute discovery reads /Schemas: camelCase characteristics, no nulls, ``externalId`` on User,
the types of e-mails, phone numbers and addresses as canonicalValues, the tenant's custom fields. Group is
absent where the tenant has groups switched off. The schemas of Schema, ResourceType and
ServiceProviderConfig are not listed (RFC 7643 section 7 leaves that open): Entra would offer their
attributes for mapping.
"""

import functools
from typing import Any

import orjson

from scim_api.contract import urns
from scim_api.contract.urns import CUSTOM_USER, ENTERPRISE_USER
from scim_api.core.limits import DEFAULT_RESULTS, MAX_BODY, MAX_BULK_OPERATIONS, MAX_RESULTS
from scim_api.core.schema.attributes import Attribute
from scim_api.core.schema.tenant_schema import AttributeTable, TenantSchema

_CACHED = 256
_NAMES = {ENTERPRISE_USER: "EnterpriseUser", CUSTOM_USER: "CustomUser"}
_DESCRIPTIONS = {"User": "User Account", "Group": "Group"}
_PUBLISHED_TYPES = {"any": "string"}
"""Custom fields of type Any take a string, number or boolean; RFC 7643 has no name for that."""


@functools.lru_cache(maxsize=_CACHED)
def schemas(tenant_schema: TenantSchema, base_url: str) -> bytes:
    """All schemas of the tenant, as a ListResponse."""
    return _list(_schemas(tenant_schema, base_url))


@functools.lru_cache(maxsize=_CACHED)
def schema(tenant_schema: TenantSchema, base_url: str, urn: str) -> bytes | None:
    """One schema by its URN in any case; None when the tenant has no such schema."""
    for content in _schemas(tenant_schema, base_url):
        if content["id"].lower() == urn.lower():
            return orjson.dumps(content)
    return None


@functools.lru_cache(maxsize=_CACHED)
def resource_types(tenant_schema: TenantSchema, base_url: str) -> bytes:
    """All resource types, as a ListResponse."""
    return _list([_resource_type(table, base_url) for table in tenant_schema.tables.values()])


@functools.lru_cache(maxsize=_CACHED)
def resource_type(tenant_schema: TenantSchema, base_url: str, name: str) -> bytes | None:
    """One resource type by its name in any case; None when there is none."""
    for kind, table in tenant_schema.tables.items():
        if kind.lower() == name.lower():
            return orjson.dumps(_resource_type(table, base_url))
    return None


@functools.lru_cache(maxsize=_CACHED)
def service_provider_config(
    tenant_schema: TenantSchema, base_url: str, *, documentation_uri: str | None = None
) -> bytes:
    """What this service can do.

    Args:
        tenant_schema: the tenant's; the answer does not depend on it.
        base_url: of the SCIM service, without a slash at the end.
        documentation_uri: of pages for people, if there are any.
    """
    del tenant_schema
    content: dict[str, Any] = {"schemas": [urns.SERVICE_PROVIDER_CONFIG]}
    if documentation_uri:
        content["documentationUri"] = documentation_uri
    content |= {
        "patch": {"supported": True},
        "bulk": {
            "supported": True,
            "maxOperations": MAX_BULK_OPERATIONS,
            "maxPayloadSize": MAX_BODY,
        },
        "filter": {"supported": True, "maxResults": MAX_RESULTS},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_RESULTS,
            "maxPageSize": MAX_RESULTS,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Secret token",
                "description": "The token of the ScimToken's Secret in the Authorization header, as Bearer.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{base_url}/ServiceProviderConfig",
        },
    }
    return orjson.dumps(content)


def _list(resources: list[dict[str, Any]]) -> bytes:
    return orjson.dumps(
        {
            "schemas": [urns.LIST_RESPONSE],
            "totalResults": len(resources),
            "startIndex": 1,
            "itemsPerPage": len(resources),
            "Resources": resources,
        }
    )


def _schemas(tenant_schema: TenantSchema, base_url: str) -> list[dict[str, Any]]:
    parts: list[tuple[str, str, str, tuple[Attribute, ...]]] = []
    for kind, table in tenant_schema.tables.items():
        parts.append((table.urn, kind, _DESCRIPTIONS[kind], table.attributes))
        for container in table.extensions:
            if container.sub_attributes:
                parts.append(
                    (container.name, _NAMES[container.name], container.description, container.sub_attributes)
                )
    return [
        {
            "schemas": [urns.SCHEMA],
            "id": urn,
            "name": name,
            "description": description,
            "attributes": [_attribute(attribute) for attribute in attributes],
            "meta": {"resourceType": "Schema", "location": f"{base_url}/Schemas/{urn}"},
        }
        for urn, name, description, attributes in parts
    ]


def _attribute(attribute: Attribute) -> dict[str, Any]:
    content: dict[str, Any] = {
        "name": attribute.name,
        "type": _PUBLISHED_TYPES.get(attribute.type, attribute.type),
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "mutability": attribute.mutability,
        "returned": attribute.returned,
    }
    if attribute.type != "complex":
        content |= {"caseExact": attribute.case_exact, "uniqueness": attribute.uniqueness}
    if attribute.canonical_values:
        content["canonicalValues"] = list(attribute.canonical_values)
    if attribute.reference_types:
        content["referenceTypes"] = list(attribute.reference_types)
    if attribute.sub_attributes_by_name:
        content["subAttributes"] = [_attribute(sub) for sub in attribute.sub_attributes if _is_served(sub)]
    return content


def _is_served(attribute: Attribute) -> bool:
    """Whether anybody can write or read it: ``manager.displayName`` is known, so as to be ignored in bodies."""
    return attribute.mutability != "readOnly" or attribute.returned != "never"


def _resource_type(table: AttributeTable, base_url: str) -> dict[str, Any]:
    kind = table.kind or ""
    return {
        "schemas": [urns.RESOURCE_TYPE],
        "id": kind,
        "name": kind,
        "description": _DESCRIPTIONS[kind],
        "endpoint": f"/{kind}s",
        "schema": table.urn,
        "schemaExtensions": [
            {"schema": container.name, "required": False}
            for container in table.extensions
            if container.sub_attributes
        ],
        "meta": {"resourceType": "ResourceType", "location": f"{base_url}/ResourceTypes/{kind}"},
    }
