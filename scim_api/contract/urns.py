"""SCIM's URNs: schemas (RFC 7643 section 4 and 7) and messages (RFC 7644 section 8), each written once."""

from typing import Final

_CORE: Final = "urn:ietf:params:scim:schemas:core:2.0"
_EXTENSION: Final = "urn:ietf:params:scim:schemas:extension"
_MESSAGES: Final = "urn:ietf:params:scim:api:messages:2.0"

CORE_USER: Final = f"{_CORE}:User"
CORE_GROUP: Final = f"{_CORE}:Group"
SCHEMA: Final = f"{_CORE}:Schema"
RESOURCE_TYPE: Final = f"{_CORE}:ResourceType"
SERVICE_PROVIDER_CONFIG: Final = f"{_CORE}:ServiceProviderConfig"

ENTERPRISE_USER: Final = f"{_EXTENSION}:enterprise:2.0:User"
CUSTOM_USER: Final = f"{_EXTENSION}:CustomExtensionName:2.0:User"
"""The extension that Entra's documentation names for attributes of one's own."""

LIST_RESPONSE: Final = f"{_MESSAGES}:ListResponse"
SEARCH_REQUEST: Final = f"{_MESSAGES}:SearchRequest"
PATCH_OP: Final = f"{_MESSAGES}:PatchOp"
BULK_REQUEST: Final = f"{_MESSAGES}:BulkRequest"
BULK_RESPONSE: Final = f"{_MESSAGES}:BulkResponse"
ERROR: Final = f"{_MESSAGES}:Error"
