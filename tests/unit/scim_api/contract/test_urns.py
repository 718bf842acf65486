"""The URNs, as the standards and Entra's documentation print them."""

from typing import Final

from scim_api.contract import urns

PRINTED: Final = {
    # RFC 7643 sections 4 to 7
    "CORE_USER": "urn:ietf:params:scim:schemas:core:2.0:User",
    "CORE_GROUP": "urn:ietf:params:scim:schemas:core:2.0:Group",
    "ENTERPRISE_USER": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "SERVICE_PROVIDER_CONFIG": "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig",
    "RESOURCE_TYPE": "urn:ietf:params:scim:schemas:core:2.0:ResourceType",
    "SCHEMA": "urn:ietf:params:scim:schemas:core:2.0:Schema",
    # RFC 7644 section 8.2
    "LIST_RESPONSE": "urn:ietf:params:scim:api:messages:2.0:ListResponse",
    "SEARCH_REQUEST": "urn:ietf:params:scim:api:messages:2.0:SearchRequest",
    "PATCH_OP": "urn:ietf:params:scim:api:messages:2.0:PatchOp",
    "BULK_REQUEST": "urn:ietf:params:scim:api:messages:2.0:BulkRequest",
    "BULK_RESPONSE": "urn:ietf:params:scim:api:messages:2.0:BulkResponse",
    "ERROR": "urn:ietf:params:scim:api:messages:2.0:Error",
    # Microsoft's documentation of Entra's customized attributes
    "CUSTOM_USER": "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User",
}


def test_each_urn_is_the_one_that_its_standard_prints() -> None:
    ours = {name: value for name, value in vars(urns).items() if name.isupper() and not name.startswith("_")}
    assert ours == PRINTED
