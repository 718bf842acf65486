"""The token endpoint's OpenAPI document: ``python -m scim_api.http.oauth.openapi > docs/token-openapi.json``."""

import json
import sys

from fastapi.openapi.utils import get_openapi

from scim_api.http.oauth.token_endpoint import router


def render() -> str:
    """The document as it is committed: JSON text with a line break at its end."""
    document = get_openapi(
        title="scim-api token endpoint",
        version="v1",
        description="Where Microsoft Entra ID gets the access tokens for the SCIM API, by OAuth 2.0 client credentials"
        " (RFC 6749 section 4.4) or by workload identity federation (RFC 7523). It is served on the public port.",
        routes=router.routes,
    )
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
