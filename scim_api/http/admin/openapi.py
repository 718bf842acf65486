"""The admin API's OpenAPI document: ``python -m scim_api.http.admin.openapi > docs/admin-openapi.json``."""

import json
import sys

from fastapi.openapi.utils import get_openapi

from scim_api.http.admin.endpoints import ROUTERS


def render() -> str:
    """The document as it is committed: JSON text with a line break at its end."""
    document = get_openapi(
        title="scim-api admin API",
        version="v1",
        description="Where the operator writes which credentials the SCIM API accepts, and which webhooks it sends"
        " changes to. It is served on the internal port alone, and every request carries a signature that no other request can use"
        " (`scim_api.contract.signing`).",
        routes=[route for router in ROUTERS for route in router.routes],
    )
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
